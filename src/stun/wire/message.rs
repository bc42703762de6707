//! One pass over a received message: its structure, and where its integrity begins.
#![warn(clippy::indexing_slicing)]

use std::num::NonZeroU32;

use super::{
    Attributes, Class, HEADER, MAGIC_COOKIE, MAX_ATTRIBUTES, MAX_MESSAGE, Method, TransactionId, attr,
    fingerprint, split_attribute, split_type,
};

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

/// Where the header of an attribute begins: behind that of the message, and below 2^16 + 20. A message is handed on by
/// value, so it is small.
type Offset = NonZeroU32;

/// A message whose structure was checked in one pass. It shows its header only: attributes are read through
/// [`Verified`](crate::stun::Verified) or [`Plain`].
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    raw: &'a [u8],
    class: Class,
    method: Method,
    transaction_id: TransactionId,
    /// Where the readable attributes end: at the first integrity attribute or FINGERPRINT.
    visible: u32,
    integrity: Option<Offset>,
    integrity_sha256: Option<Offset>,
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
            visible: raw.len() as u32,
            integrity: None,
            integrity_sha256: None,
            fingerprint: false,
        };
        message.walk()?;
        Ok(message)
    }

    fn walk(&mut self) -> Result<(), Malformed> {
        let raw = self.raw;
        let (mut rest, mut count) = (raw.get(HEADER..).unwrap_or_default(), 0);
        while !rest.is_empty() {
            count += 1;
            if count > MAX_ATTRIBUTES {
                return Err(Malformed::TooMany);
            }
            let at = raw.len() - rest.len();
            let offset = at as u32;
            let (kind, value, next) = split_attribute(rest).map_err(Malformed::Attribute)?;
            rest = next;
            // RFC 8489 §14.5, §14.6: what follows an integrity attribute is ignored, but for the SHA-256 one
            // and FINGERPRINT. A second one of a kind is ignored with the rest.
            match kind {
                attr::MESSAGE_INTEGRITY if self.integrity.is_none() && self.integrity_sha256.is_none() => {
                    if value.len() != 20 {
                        return Err(Malformed::Attribute(kind));
                    }
                    self.integrity = Offset::new(offset);
                    self.visible = self.visible.min(offset);
                }
                attr::MESSAGE_INTEGRITY_SHA256 if self.integrity_sha256.is_none() => {
                    if !(16..=32).contains(&value.len()) || value.len() % 4 != 0 {
                        return Err(Malformed::Attribute(kind));
                    }
                    self.integrity_sha256 = Offset::new(offset);
                    self.visible = self.visible.min(offset);
                }
                attr::FINGERPRINT => {
                    if value.len() != 4 {
                        return Err(Malformed::Attribute(kind));
                    }
                    if !rest.is_empty() {
                        return Err(Malformed::FingerprintNotLast);
                    }
                    if fingerprint(raw.get(..at).unwrap_or_default()).to_be_bytes() != value {
                        return Err(Malformed::Fingerprint);
                    }
                    self.fingerprint = true;
                    self.visible = self.visible.min(offset);
                }
                _ => {}
            }
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

    /// USERNAME, to find the key with. It is unverified; above 763 bytes it is no username (RFC 8489 §14.3).
    pub fn username(&self) -> Option<&'a [u8]> {
        self.attributes().find(attr::USERNAME).filter(|username| username.len() <= 763)
    }

    /// Reads it without verification, for what the RFCs leave without integrity. The caller has matched the
    /// source address and the transaction id, or the allocation and the permission.
    pub fn plain(self) -> Plain<'a> {
        Plain { message: self }
    }

    pub(in crate::stun) fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.raw.get(..self.visible as usize).unwrap_or_default())
    }

    pub(in crate::stun) fn integrity_at(&self) -> Option<usize> {
        self.integrity.map(|at| at.get() as usize)
    }

    pub(in crate::stun) fn integrity_sha256_at(&self) -> Option<usize> {
        self.integrity_sha256.map(|at| at.get() as usize)
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
