//! Attributes that stun_codec lacks or gets wrong: PASSWORD-ALGORITHM(S), USERHASH, ADDRESS-ERROR-CODE, and of
//! RFC 5780 CHANGE-REQUEST and RESPONSE-PORT. Each is a `Value`, which [`codec`](super::codec) takes the same way
//! as stun_codec's own.
//!
//! MESSAGE-INTEGRITY-SHA256 is not a value: it is verified and written by [`auth`](super::auth).
#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;

use super::auth::PasswordAlgorithm;
use super::codec::{Family, Own, Value, lenient_text};
use super::error_code::reason;
use super::wire::{Attributes, Writer, attr};

/// PASSWORD-ALGORITHMS, kept as the server sent it: the client echoes it byte for byte (RFC 8489 §14.11).
///
/// ```text
/// | algorithm (16) | length of the parameters (16) | parameters, padded to 4 bytes |   repeated
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordAlgorithms(Box<[u8]>);

impl PasswordAlgorithms {
    /// A server's offer, the preferred one first. Neither algorithm has parameters (RFC 8489 §18.5).
    pub fn offer(algorithms: &[PasswordAlgorithm]) -> Self {
        Self(algorithms.iter().flat_map(|algorithm| entry(*algorithm)).collect())
    }

    /// The algorithms of the list that floe knows, in its order.
    pub fn supported(&self) -> impl Iterator<Item = PasswordAlgorithm> + '_ {
        entries(&self.0).flatten().filter_map(|(number, parameters)| known(number, parameters))
    }

    /// Whether the list has this one.
    pub fn has(&self, algorithm: PasswordAlgorithm) -> bool {
        self.supported().any(|supported| supported == algorithm)
    }
}

/// CHANGE-REQUEST (RFC 5780 §7.2): from where the answer shall come.
///
/// ```text
/// | 0 (29) | change IP (1) | change port (1) | 0 (1) |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChangeRequest {
    /// From the other address.
    pub ip: bool,
    /// From the other port.
    pub port: bool,
}

/// ADDRESS-ERROR-CODE: why a dual allocation lacks one family (RFC 8656 §18.12).
///
/// ```text
/// | family (8) | reserved (13) | class (3) | number (8) | reason phrase (UTF-8) …
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError {
    /// The family without an address.
    pub family: Family,
    /// 440 or 508.
    pub code: u16,
    /// For people only.
    pub reason: Cow<'static, str>,
}

impl AddressError {
    /// With the usual phrase.
    pub fn new(family: Family, code: u16) -> Self {
        Self { family, code, reason: Cow::Borrowed(reason(code)) }
    }
}

/// ALTERNATE-DOMAIN is no DNS name of RFC 1123, or longer than 255 characters (RFC 8489 §14.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a DNS name")]
pub struct NotADomain;

/// RFC 1123 §2.1: labels of letters, digits and hyphens.
fn read_domain(value: &[u8]) -> Result<&str, NotADomain> {
    let is_label = |label: &[u8]| {
        !label.is_empty()
            && label.len() <= 63
            && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && label.first() != Some(&b'-')
            && label.last() != Some(&b'-')
    };
    if value.len() > 255 || !value.split(|byte| *byte == b'.').all(is_label) {
        return Err(NotADomain);
    }
    std::str::from_utf8(value).map_err(|_| NotADomain)
}

impl<'a> Attributes<'a> {
    /// ALTERNATE-DOMAIN: the name in the certificate of the ALTERNATE-SERVER (RFC 8489 §14.16).
    pub fn alternate_domain(&self) -> Option<Result<&'a str, NotADomain>> {
        self.find(attr::ALTERNATE_DOMAIN).map(read_domain)
    }
}

impl Attributes<'_> {
    /// PASSWORD-ALGORITHMS (RFC 8489 §14.11).
    pub fn password_algorithms(&self) -> Option<PasswordAlgorithms> {
        self.own()
    }

    /// PASSWORD-ALGORITHM: the client's choice; `None` too if floe does not know it (RFC 8489 §14.12).
    pub fn password_algorithm(&self) -> Option<PasswordAlgorithm> {
        self.own()
    }

    /// USERHASH (RFC 8489 §14.4).
    pub fn userhash(&self) -> Option<[u8; 32]> {
        self.own().map(|Userhash(hash)| hash)
    }

    /// CHANGE-REQUEST (RFC 5780 §7.2).
    pub fn change_request(&self) -> Option<ChangeRequest> {
        self.own()
    }

    /// RESPONSE-PORT, with its two bytes of padding counted in the length or not (RFC 5780 §7.5).
    pub fn response_port(&self) -> Option<u16> {
        self.own().map(|ResponsePort(port)| port)
    }

    /// ADDRESS-ERROR-CODE (RFC 8656 §18.12).
    pub fn address_error(&self) -> Option<AddressError> {
        self.own()
    }

    fn own<V: Value>(&self) -> Option<V> {
        self.value(V::TYPE).map(|Own(value)| value)
    }
}

impl Writer<'_> {
    /// Adds PASSWORD-ALGORITHMS (RFC 8489 §14.11).
    pub fn put_password_algorithms(&mut self, algorithms: &PasswordAlgorithms) -> &mut Self {
        self.put_value(Ok(Own(algorithms.clone())))
    }

    /// Adds PASSWORD-ALGORITHM (RFC 8489 §14.12).
    pub fn put_password_algorithm(&mut self, algorithm: PasswordAlgorithm) -> &mut Self {
        self.put_value(Ok(Own(algorithm)))
    }

    /// Adds USERHASH, made by [`userhash`](super::auth::userhash) (RFC 8489 §14.4).
    pub fn put_userhash(&mut self, hash: [u8; 32]) -> &mut Self {
        self.put_value(Ok(Own(Userhash(hash))))
    }

    /// Adds CHANGE-REQUEST (RFC 5780 §7.2).
    pub fn put_change_request(&mut self, change: ChangeRequest) -> &mut Self {
        self.put_value(Ok(Own(change)))
    }

    /// Adds RESPONSE-PORT (RFC 5780 §7.5).
    pub fn put_response_port(&mut self, port: u16) -> &mut Self {
        self.put_value(Ok(Own(ResponsePort(port))))
    }

    /// Adds ALTERNATE-DOMAIN, a DNS name of at most 255 characters (RFC 8489 §14.16).
    pub fn put_alternate_domain(&mut self, domain: &str) -> &mut Self {
        match read_domain(domain.as_bytes()) {
            Ok(domain) => self.put(attr::ALTERNATE_DOMAIN, domain.as_bytes()),
            Err(NotADomain) => self.refuse(),
        }
    }

    /// Adds ADDRESS-ERROR-CODE (RFC 8656 §18.12).
    pub fn put_address_error(&mut self, error: &AddressError) -> &mut Self {
        if !(300..700).contains(&error.code) || error.reason.chars().count() >= 128 {
            return self.refuse();
        }
        self.put_value(Ok(Own(error.clone())))
    }
}

impl Value for PasswordAlgorithms {
    const TYPE: u16 = attr::PASSWORD_ALGORITHMS;

    fn read(bytes: &[u8]) -> Option<Self> {
        entries(bytes).all(|entry| entry.is_some()).then(|| Self(bytes.into()))
    }

    fn write(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl Value for PasswordAlgorithm {
    const TYPE: u16 = attr::PASSWORD_ALGORITHM;

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut entries = entries(bytes);
        let (number, parameters) = entries.next()??;
        entries.next().is_none().then(|| known(number, parameters))?
    }

    fn write(&self) -> Vec<u8> {
        entry(*self).to_vec()
    }
}

#[derive(Clone)]
struct Userhash([u8; 32]);

impl Value for Userhash {
    const TYPE: u16 = attr::USERHASH;

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn write(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl Value for ChangeRequest {
    const TYPE: u16 = attr::CHANGE_REQUEST;

    fn read(bytes: &[u8]) -> Option<Self> {
        let [_, _, _, flags] = bytes.try_into().ok()?;
        Some(Self { ip: flags & 0b100 != 0, port: flags & 0b010 != 0 })
    }

    fn write(&self) -> Vec<u8> {
        vec![0, 0, 0, u8::from(self.ip) << 2 | u8::from(self.port) << 1]
    }
}

#[derive(Clone)]
struct ResponsePort(u16);

impl Value for ResponsePort {
    const TYPE: u16 = attr::RESPONSE_PORT;

    fn read(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [high, low] | [high, low, _, _] => Some(Self(u16::from_be_bytes([high, low]))),
            _ => None,
        }
    }

    fn write(&self) -> Vec<u8> {
        let [high, low] = self.0.to_be_bytes();
        vec![high, low, 0, 0]
    }
}

impl Value for AddressError {
    const TYPE: u16 = attr::ADDRESS_ERROR_CODE;

    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[family, _, class, number], reason) = bytes.split_first_chunk()?;
        let family = match family {
            1 => Family::V4,
            2 => Family::V6,
            _ => return None,
        };
        let (class, number) = (u16::from(class & 0b111), u16::from(number));
        if !(3..=6).contains(&class) || number > 99 {
            return None;
        }
        Some(Self { family, code: class * 100 + number, reason: lenient_text(reason).into_owned().into() })
    }

    fn write(&self) -> Vec<u8> {
        let family = match self.family {
            Family::V4 => 1,
            Family::V6 => 2,
        };
        let mut bytes = vec![family, 0, (self.code / 100) as u8, (self.code % 100) as u8];
        bytes.extend_from_slice(self.reason.as_bytes());
        bytes
    }
}

fn known(number: u16, parameters: &[u8]) -> Option<PasswordAlgorithm> {
    [PasswordAlgorithm::Md5, PasswordAlgorithm::Sha256]
        .into_iter()
        .find(|algorithm| *algorithm as u16 == number && parameters.is_empty())
}

fn entry(algorithm: PasswordAlgorithm) -> [u8; 4] {
    let [high, low] = (algorithm as u16).to_be_bytes();
    [high, low, 0, 0]
}

/// Number and parameters of each entry; `None`, once and last, if the list is cut off.
fn entries(bytes: &[u8]) -> impl Iterator<Item = Option<(u16, &[u8])>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((&[n0, n1, l0, l1], after)) = rest.split_first_chunk() else {
            rest = &[];
            return Some(None);
        };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let parameters = after.get(..length);
        // The padding of the last entry may be that of the attribute.
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(parameters.map(|parameters| (u16::from_be_bytes([n0, n1]), parameters)))
    })
}
