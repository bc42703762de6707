//! STUN on the wire: one walk over received bytes, and a writer into the caller's buffer. No allocation.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |0 0|     message type (14)     |         length (16)           |   length: of what follows
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   the header, multiple of 4
//! |                    magic cookie  0x2112A442                   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                    transaction id (96 bits)                   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  attribute type (16)          |  length of the value (16)     |   value, padded to 4 bytes;
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   repeated
//! ```
#![warn(clippy::indexing_slicing)]

mod message;
mod reader;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::stun) mod work;
mod writer;

pub use message::{Malformed, Message, Plain};
pub use reader::Attributes;
pub use writer::{BufferTooSmall, Writer};

/// The fixed value of bytes 4..8 (RFC 8489 §5).
pub const MAGIC_COOKIE: u32 = 0x2112_A442;
/// The length of the header in bytes.
pub const HEADER: usize = 20;
/// Longer messages are dropped unread; Send and Data indications, whose DATA is opaque, are excepted.
pub const MAX_MESSAGE: usize = 2048;
/// More attributes than this are an attack, not a message.
pub const MAX_ATTRIBUTES: usize = 64;
/// What the CRC of FINGERPRINT is XORed with (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// Attribute types (RFC 8489 §18.3, RFC 8445 §20.1, RFC 8656 §18, RFC 5780 §9.1, RFC 6062 §6.2, RFC 7635 §6, RFC 8016 §4.1). Below 0x8000 they are comprehension-required.
#[allow(missing_docs, reason = "the names are those of the registry")]
pub mod attr {
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const CHANGE_REQUEST: u16 = 0x0003;
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
    pub const CHANNEL_NUMBER: u16 = 0x000C;
    pub const LIFETIME: u16 = 0x000D;
    pub const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub const DATA: u16 = 0x0013;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub const EVEN_PORT: u16 = 0x0018;
    pub const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub const DONT_FRAGMENT: u16 = 0x001A;
    pub const ACCESS_TOKEN: u16 = 0x001B;
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
    pub const PASSWORD_ALGORITHM: u16 = 0x001D;
    pub const USERHASH: u16 = 0x001E;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const RESERVATION_TOKEN: u16 = 0x0022;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const PADDING: u16 = 0x0026;
    pub const RESPONSE_PORT: u16 = 0x0027;
    pub const CONNECTION_ID: u16 = 0x002A;
    pub const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
    pub const ADDRESS_ERROR_CODE: u16 = 0x8001;
    pub const PASSWORD_ALGORITHMS: u16 = 0x8002;
    pub const ALTERNATE_DOMAIN: u16 = 0x8003;
    pub const ICMP: u16 = 0x8004;
    pub const SOFTWARE: u16 = 0x8022;
    pub const ALTERNATE_SERVER: u16 = 0x8023;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802A;
    pub const RESPONSE_ORIGIN: u16 = 0x802B;
    pub const OTHER_ADDRESS: u16 = 0x802C;
    pub const THIRD_PARTY_AUTHORIZATION: u16 = 0x802E;
    pub const MOBILITY_TICKET: u16 = 0x8030;
    /// The value of a renomination (draft-thatcher-ice-renomination).
    pub const NOMINATION: u16 = 0xC001;
}

/// The four classes of a message (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 00.
    Request,
    /// 01, never answered.
    Indication,
    /// 10.
    Success,
    /// 11.
    Error,
}

/// A method: 12 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method(pub u16);

#[allow(missing_docs, reason = "the names are those of the registry")]
impl Method {
    pub const BINDING: Self = Self(0x001);
    pub const ALLOCATE: Self = Self(0x003);
    pub const REFRESH: Self = Self(0x004);
    pub const SEND: Self = Self(0x006);
    pub const DATA: Self = Self(0x007);
    pub const CREATE_PERMISSION: Self = Self(0x008);
    pub const CHANNEL_BIND: Self = Self(0x009);
    pub const CONNECT: Self = Self(0x00A);
    pub const CONNECTION_BIND: Self = Self(0x00B);
    pub const CONNECTION_ATTEMPT: Self = Self(0x00C);
}

/// 96 bits that tie a response to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// What the first bytes of a datagram say it is (RFC 7983 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// First byte 0..=3, and a header with the magic cookie.
    Stun,
    /// First byte 64..=79: a TURN channel, if a TURN server sent it.
    ChannelData,
    /// Anything else, the application's.
    Other,
}

/// Classifies a datagram by its first bytes (RFC 7983 §7); bytes without the magic cookie are not STUN.
pub fn classify(datagram: &[u8]) -> Kind {
    match datagram {
        [0..=3, _, _, _, 0x21, 0x12, 0xA4, 0x42, ..] if datagram.len() >= HEADER => Kind::Stun,
        [64..=79, ..] => Kind::ChannelData,
        _ => Kind::Other,
    }
}

/// Type and value of the first attribute of these, and those after it; `Err` has the type of one that reaches beyond
/// the end.
fn split_attribute(attributes: &[u8]) -> Result<(u16, &[u8], &[u8]), u16> {
    #[cfg(test)]
    work::attribute();
    let (&[t0, t1, l0, l1], rest) = attributes.split_first_chunk().ok_or(0_u16)?;
    let kind = u16::from_be_bytes([t0, t1]);
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let (value, next) = rest.split_at_checked(padded(length)).ok_or(kind)?;
    let (value, _padding) = value.split_at_checked(length).ok_or(kind)?;
    Ok((kind, value, next))
}

fn padded(length: usize) -> usize {
    (length + 3) & !3
}

/// The message type interleaves class (C) and method (M): `00MMMMMC MMMCMMMM`.
fn split_type(kind: u16) -> (Class, Method) {
    let class = match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    (class, Method(kind & 0x000F | (kind & 0x00E0) >> 1 | (kind & 0x3E00) >> 2))
}

fn join_type(class: Class, Method(method): Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    class | method & 0x000F | (method & 0x0070) << 1 | (method & 0x0F80) << 2
}

/// The value of FINGERPRINT over these bytes (RFC 8489 §14.7).
fn fingerprint(bytes: &[u8]) -> u32 {
    #[cfg(test)]
    work::crc(bytes.len());
    crc32fast::hash(bytes) ^ FINGERPRINT_XOR
}
