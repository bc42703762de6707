//! What Linux tells of an interface in a directory of its name; elsewhere nothing is known.

/// Whether a link carries anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Present,
    /// The other end is down, or the cable is not plugged in. The flag `IFF_RUNNING` says so too, up to a second later.
    Lost,
    Unknown,
}

/// Whether this interface has a carrier.
pub(super) fn carrier(name: &str) -> Carrier {
    match attribute(name, "carrier").as_deref() {
        Some("1") => Carrier::Present,
        Some("0") => Carrier::Lost,
        // Not up, of another namespace, or another system.
        _ => Carrier::Unknown,
    }
}

/// An attribute of an interface.
pub(super) fn attribute(name: &str, attribute: &str) -> Option<String> {
    // A name is a directory here; anything else is none.
    if !cfg!(target_os = "linux") || name.contains(['/', '\0']) || name.starts_with('.') {
        return None;
    }
    let text = std::fs::read_to_string(format!("/sys/class/net/{name}/{attribute}")).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        assert!(attribute("lo", "mtu").is_some());
        assert_eq!(attribute("../net/lo", "mtu"), None);
        assert_eq!(attribute("..", "lo/mtu"), None);
        assert_eq!(carrier("no-such-link"), Carrier::Unknown);
    }
}
