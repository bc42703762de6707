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

use std::net::{IpAddr, SocketAddr};

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

/// Attribute types (RFC 8489 §18.3, RFC 8445 §20.1, RFC 8656 §18). Below 0x8000 they are comprehension-required.
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
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
    pub const PASSWORD_ALGORITHM: u16 = 0x001D;
    pub const USERHASH: u16 = 0x001E;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const RESERVATION_TOKEN: u16 = 0x0022;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const PADDING: u16 = 0x0026;
    pub const RESPONSE_PORT: u16 = 0x0027;
    /// Nomination value of renomination (draft-thatcher-ice-renomination), comprehension-optional.
    pub const NOMINATION: u16 = 0xC001;
    pub const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
    pub const ADDRESS_ERROR_CODE: u16 = 0x8001;
    pub const PASSWORD_ALGORITHMS: u16 = 0x8002;
    pub const ALTERNATE_DOMAIN: u16 = 0x8003;
    pub const SOFTWARE: u16 = 0x8022;
    pub const ALTERNATE_SERVER: u16 = 0x8023;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802A;
    pub const RESPONSE_ORIGIN: u16 = 0x802B;
    pub const OTHER_ADDRESS: u16 = 0x802C;
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

/// Why bytes are not a STUN message. For counters and traces: nobody answers these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Shorter than a header, wrong first bits, no magic cookie.
    #[error("no STUN header")]
    Header,
    /// The length field is not that of the datagram, or not a multiple of 4.
    #[error("the length field does not fit the datagram")]
    Length,
    /// Above [`MAX_MESSAGE`].
    #[error("longer than {MAX_MESSAGE} bytes")]
    TooLong,
    /// Above [`MAX_ATTRIBUTES`].
    #[error("more than {MAX_ATTRIBUTES} attributes")]
    TooMany,
    /// An attribute reaches beyond the message, or has a length that its type does not allow.
    #[error("attribute {0:#06x} has a wrong length")]
    Attribute(u16),
    /// Something follows FINGERPRINT (RFC 8489 §14.7).
    #[error("FINGERPRINT is not the last attribute")]
    FingerprintNotLast,
    /// The CRC does not fit.
    #[error("FINGERPRINT does not match")]
    Fingerprint,
}

/// A message whose structure was checked in one pass. It shows its header only: attributes are read through
/// [`Verified`](super::Verified) or [`Plain`].
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    raw: &'a [u8],
    class: Class,
    method: Method,
    transaction_id: TransactionId,
    /// Where the readable attributes end: at the first integrity attribute or FINGERPRINT.
    visible: usize,
    /// Offsets of the attribute headers.
    integrity: Option<usize>,
    integrity_sha256: Option<usize>,
    fingerprint: bool,
}

impl<'a> Message<'a> {
    /// Reads a datagram that holds one message and nothing else. Work: one visit an attribute, at most
    /// [`MAX_ATTRIBUTES`], and one CRC if a FINGERPRINT is there.
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong; the datagram is to be dropped.
    pub fn parse(raw: &'a [u8]) -> Result<Self, Malformed> {
        let (header, _) = raw.split_first_chunk::<HEADER>().ok_or(Malformed::Header)?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, id @ ..] = *header;
        if t0 & 0xC0 != 0 || u32::from_be_bytes([c0, c1, c2, c3]) != MAGIC_COOKIE {
            return Err(Malformed::Header);
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length % 4 != 0 || HEADER + length != raw.len() {
            return Err(Malformed::Length);
        }
        let (class, method) = split_type(u16::from_be_bytes([t0, t1]));
        let opaque = class == Class::Indication && (method == Method::SEND || method == Method::DATA);
        if raw.len() > MAX_MESSAGE && !opaque {
            return Err(Malformed::TooLong);
        }
        let mut message = Self {
            raw,
            class,
            method,
            transaction_id: TransactionId(id),
            visible: raw.len(),
            integrity: None,
            integrity_sha256: None,
            fingerprint: false,
        };
        message.walk()?;
        Ok(message)
    }

    fn walk(&mut self) -> Result<(), Malformed> {
        let mut at = HEADER;
        let mut count = 0;
        while at < self.raw.len() {
            count += 1;
            if count > MAX_ATTRIBUTES {
                return Err(Malformed::TooMany);
            }
            let (kind, length) = tlv(self.raw, at).ok_or(Malformed::Attribute(0))?;
            let next = at + 4 + padded(length);
            if next > self.raw.len() {
                return Err(Malformed::Attribute(kind));
            }
            // RFC 8489 §14.5, §14.6: what follows an integrity attribute is ignored, but for the SHA-256 one
            // and FINGERPRINT. A second one of a kind is ignored with the rest.
            match kind {
                attr::MESSAGE_INTEGRITY if self.integrity.is_none() && self.integrity_sha256.is_none() => {
                    if length != 20 {
                        return Err(Malformed::Attribute(kind));
                    }
                    self.integrity = Some(at);
                    self.visible = self.visible.min(at);
                }
                attr::MESSAGE_INTEGRITY_SHA256 if self.integrity_sha256.is_none() => {
                    if !(16..=32).contains(&length) || length % 4 != 0 {
                        return Err(Malformed::Attribute(kind));
                    }
                    self.integrity_sha256 = Some(at);
                    self.visible = self.visible.min(at);
                }
                attr::FINGERPRINT => {
                    if length != 4 {
                        return Err(Malformed::Attribute(kind));
                    }
                    if next != self.raw.len() {
                        return Err(Malformed::FingerprintNotLast);
                    }
                    let (before, value) = (self.raw.get(..at), self.raw.get(at + 4..next));
                    let crc = before.map(crc32fast::hash).map(|crc| (crc ^ FINGERPRINT_XOR).to_be_bytes());
                    if crc.as_ref().map(<[u8; 4]>::as_slice) != value {
                        return Err(Malformed::Fingerprint);
                    }
                    self.fingerprint = true;
                    self.visible = self.visible.min(at);
                }
                _ => {}
            }
            at = next;
        }
        Ok(())
    }

    /// Request, indication, success or error response.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The transaction id.
    pub fn transaction_id(&self) -> TransactionId {
        self.transaction_id
    }

    /// The bytes as received.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether a FINGERPRINT was there; a wrong one does not parse.
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint
    }

    /// Whether a MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 is there, valid or not.
    pub fn has_integrity(&self) -> bool {
        self.integrity.is_some() || self.integrity_sha256.is_some()
    }

    /// USERNAME, to find the key with. It is unverified.
    pub fn username(&self) -> Option<&'a [u8]> {
        self.attributes().find(attr::USERNAME)
    }

    /// Reads it without verification, for what the RFCs leave without integrity. The caller has matched the
    /// source address and the transaction id, or the allocation and the permission.
    pub fn plain(self) -> Plain<'a> {
        Plain { message: self }
    }

    pub(super) fn attributes(&self) -> Attributes<'a> {
        Attributes { raw: self.raw.get(..self.visible).unwrap_or_default() }
    }

    pub(super) fn integrity_at(&self) -> Option<usize> {
        self.integrity
    }

    pub(super) fn integrity_sha256_at(&self) -> Option<usize> {
        self.integrity_sha256
    }
}

/// A message that nobody vouches for.
#[derive(Debug, Clone, Copy)]
pub struct Plain<'a> {
    message: Message<'a>,
}

impl<'a> Plain<'a> {
    /// The header.
    pub fn message(&self) -> &Message<'a> {
        &self.message
    }

    /// The attributes before any integrity attribute and FINGERPRINT.
    pub fn attributes(&self) -> Attributes<'a> {
        self.message.attributes()
    }
}

/// The readable attributes of a message, in order. Of several of a type the first counts (RFC 8489 §14).
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Header and readable attributes.
    raw: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Type and value of each attribute.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let raw = self.raw;
        let mut at = HEADER;
        std::iter::from_fn(move || {
            let (kind, length) = tlv(raw, at)?;
            let value = raw.get(at + 4..at + 4 + length)?;
            at += 4 + padded(length);
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

/// Type and length of the attribute at `at`.
fn tlv(raw: &[u8], at: usize) -> Option<(u16, usize)> {
    let &[t0, t1, l0, l1] = raw.get(at..)?.first_chunk::<4>()?;
    Some((u16::from_be_bytes([t0, t1]), usize::from(u16::from_be_bytes([l0, l1]))))
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
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

/// The message cannot be written: the buffer is too small (the caller owes 1280 bytes), or a value is longer than
/// its attribute allows. A bug of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer is too small for the message, or a value too long for its attribute")]
pub struct BufferTooSmall;

/// Writes one message front to back into the caller's buffer. What cannot be written shows in
/// [`Writer::finish`] only, so that a message reads as one row of calls.
#[derive(Debug)]
pub struct Writer<'b> {
    buf: &'b mut [u8],
    at: usize,
    refused: bool,
}

impl<'b> Writer<'b> {
    /// Starts a message.
    pub fn new(buf: &'b mut [u8], class: Class, method: Method, id: TransactionId) -> Self {
        let mut writer = Self { buf, at: 0, refused: false };
        writer.bytes(&join_type(class, method).to_be_bytes());
        writer.bytes(&[0, 0]);
        writer.bytes(&MAGIC_COOKIE.to_be_bytes());
        writer.bytes(&id.0);
        writer
    }

    /// Adds an attribute.
    pub fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.bytes(&kind.to_be_bytes());
        self.bytes(&(value.len() as u16).to_be_bytes());
        self.bytes(value);
        self.bytes([0; 3].get(..padded(value.len()) - value.len()).unwrap_or_default());
        self.refused |= value.len() > usize::from(u16::MAX);
        self
    }

    /// Adds a number of 32 bits.
    pub fn put_u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds a number of 64 bits.
    pub fn put_u64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds an address XORed with cookie and transaction id (RFC 8489 §14.2).
    pub fn put_xor_address(&mut self, kind: u16, addr: SocketAddr) -> &mut Self {
        let mask = self.buf.get(4..HEADER).and_then(|mask| mask.try_into().ok()).unwrap_or([0; 16]);
        self.put_masked(kind, addr, mask)
    }

    /// Adds an address in clear (RFC 8489 §14.1).
    pub fn put_address(&mut self, kind: u16, addr: SocketAddr) -> &mut Self {
        self.put_masked(kind, addr, [0; 16])
    }

    fn put_masked(&mut self, kind: u16, addr: SocketAddr, mask: [u8; 16]) -> &mut Self {
        let [p0, p1] = addr.port().to_be_bytes();
        let port = [p0 ^ mask[0], p1 ^ mask[1]];
        match addr.ip() {
            IpAddr::V4(ip) => {
                let mut value = [0, 1, port[0], port[1], 0, 0, 0, 0];
                let masked = ip.octets().into_iter().zip(mask).map(|(octet, mask)| octet ^ mask);
                value.iter_mut().skip(4).zip(masked).for_each(|(to, from)| *to = from);
                self.put(kind, &value)
            }
            IpAddr::V6(ip) => {
                let mut value = [0; 20];
                let masked = ip.octets().into_iter().zip(mask).map(|(octet, mask)| octet ^ mask);
                let all = [0, 2, port[0], port[1]].into_iter().chain(masked);
                value.iter_mut().zip(all).for_each(|(to, from)| *to = from);
                self.put(kind, &value)
            }
        }
    }

    /// Adds FINGERPRINT (RFC 8489 §14.7). Nothing may follow.
    pub fn fingerprint(&mut self) -> &mut Self {
        self.set_length((self.at + 8).saturating_sub(HEADER));
        let crc = crc32fast::hash(self.written()) ^ FINGERPRINT_XOR;
        self.put_u32(attr::FINGERPRINT, crc)
    }

    /// The finished message.
    ///
    /// # Errors
    /// [`BufferTooSmall`].
    pub fn finish(mut self) -> Result<&'b [u8], BufferTooSmall> {
        self.set_length(self.at.saturating_sub(HEADER));
        if self.refused || self.at > HEADER + usize::from(u16::MAX) {
            return Err(BufferTooSmall);
        }
        let Self { buf, at, .. } = self;
        buf.get(..at).ok_or(BufferTooSmall)
    }

    /// Makes [`Writer::finish`] fail.
    pub(super) fn refuse(&mut self) -> &mut Self {
        self.refused = true;
        self
    }

    /// What was written so far.
    pub(super) fn written(&self) -> &[u8] {
        self.buf.get(..self.at).unwrap_or_default()
    }

    /// Sets the length field as if `length` bytes followed the header: integrity attributes and FINGERPRINT
    /// are computed over a header that counts them already (RFC 8489 §14.5, §14.7).
    pub(super) fn set_length(&mut self, length: usize) {
        if let Some(field) = self.buf.get_mut(2..4) {
            field.copy_from_slice(&(length as u16).to_be_bytes());
        }
    }

    /// Appends attributes that are encoded and padded already.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        match self.buf.get_mut(self.at..self.at + bytes.len()) {
            Some(room) if !self.refused => {
                room.copy_from_slice(bytes);
                self.at += bytes.len();
            }
            _ => self.refused = true,
        }
    }
}
