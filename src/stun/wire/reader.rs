//! Attributes of a received message, read where they lie.
#![warn(clippy::indexing_slicing)]

use std::net::{IpAddr, SocketAddr};

use super::{HEADER, split_attribute};

/// The readable attributes of a message, in order. Of several of a type the first counts (RFC 8489 §14).
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Header and readable attributes.
    raw: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// Type and value of each attribute.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = self.raw.get(HEADER..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (kind, value, next) = split_attribute(rest).ok()?;
            rest = next;
            Some((kind, value))
        })
    }

    /// The value of the first attribute of this type.
    pub fn find(&self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| *found == kind).map(|(_, value)| value)
    }

    /// Whether an attribute of this type is there.
    pub fn has(&self, kind: u16) -> bool {
        self.find(kind).is_some()
    }

    /// A 32-bit number; `None` if it is absent or of another length.
    pub fn u32(&self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.find(kind)?.try_into().ok()?))
    }

    /// A 64-bit number; `None` if it is absent or of another length.
    pub fn u64(&self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(self.find(kind)?.try_into().ok()?))
    }

    /// An address that is XORed with cookie and transaction id (RFC 8489 §14.2).
    pub fn xor_address(&self, kind: u16) -> Option<SocketAddr> {
        let mask: [u8; 16] = self.raw.get(4..HEADER)?.try_into().ok()?;
        read_address(self.find(kind)?, mask)
    }

    /// Each address of this type that is XORed, in order; `None` stands for a malformed one.
    pub fn xor_addresses(&self, kind: u16) -> impl Iterator<Item = Option<SocketAddr>> + use<'a> {
        let mask: Option<[u8; 16]> = self.raw.get(4..HEADER).and_then(|mask| mask.try_into().ok());
        self.iter().filter(move |(found, _)| *found == kind).map(move |(_, value)| read_address(value, mask?))
    }

    /// An address in clear (RFC 8489 §14.1).
    pub fn address(&self, kind: u16) -> Option<SocketAddr> {
        read_address(self.find(kind)?, [0; 16])
    }

    /// Each address of this type in clear, in order; `None` stands for a malformed one.
    pub fn addresses(&self, kind: u16) -> impl Iterator<Item = Option<SocketAddr>> + use<'a> {
        self.iter().filter(move |(found, _)| *found == kind).map(|(_, value)| read_address(value, [0; 16]))
    }
}

/// ```text
/// | reserved (8) | family (8): 1 IPv4, 2 IPv6 | port (16) | address (32 or 128) |
/// ```
fn read_address(value: &[u8], mask: [u8; 16]) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([p0 ^ mask[0], p1 ^ mask[1]]);
    let ip = match family {
        1 => {
            let mut octets: [u8; 4] = address.try_into().ok()?;
            octets.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
            IpAddr::from(octets)
        }
        2 => {
            let mut octets: [u8; 16] = address.try_into().ok()?;
            octets.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
            IpAddr::from(octets)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}
