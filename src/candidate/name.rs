//! Names in the place of addresses: one random label and `.local`, which multicast DNS resolves on the same link
//! (RFC 6762 §3), as browsers publish them instead of the addresses of host candidates.

use crate::rng::Rng;

const SUFFIX: &str = ".local";
/// A label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// The name in lower case and without a last dot, if it is one label and `.local`; `None` for every other name.
pub fn canonical(host: &str) -> Option<Box<str>> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let label = host.strip_suffix(SUFFIX)?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(is_word);
    is_label.then(|| host.into())
}

/// A name that nobody can guess: a UUID of version 4 (RFC 9562 §5.4) and `.local`.
pub fn random(rng: &mut Rng) -> Box<str> {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let mut name = format!("{:032x}", u128::from_be_bytes(bytes));
    for at in [20, 16, 12, 8] {
        name.insert(at, '-');
    }
    name.push_str(SUFFIX);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_label_and_local_is_a_name_for_multicast_dns() {
        for (host, name) in [
            ("Kitchen.LOCAL", Some("kitchen.local")),
            ("a_b-1.local.", Some("a_b-1.local")),
            ("local", None),
            (".local", None),
            ("a.b.local", None),
            ("a.example", None),
            ("a.local.example", None),
            ("a b.local", None),
        ] {
            assert_eq!(canonical(host).as_deref(), name, "{host}");
        }
        assert_eq!(canonical(&format!("{}.local", "a".repeat(64))), None);
    }

    #[test]
    fn a_random_name_is_a_uuid_of_version_4() {
        let mut rng = Rng::new([1; 32]);
        let names = [random(&mut rng), random(&mut rng)];
        assert_ne!(names[0], names[1]);
        for name in names {
            assert_eq!(canonical(&name), Some(name.clone()));
            let parts: Vec<_> = name.trim_end_matches(".local").split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{name}");
        }
    }
}
