//! ERROR-CODE (RFC 8489 §14.8), the codes of STUN, ICE and TURN, and error responses.
//!
//! ```text
//! | reserved (21) | class (3): 3..=6 | number (8): 0..=99 | reason phrase (UTF-8) …
//! ```
#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::fmt;

use super::codec::lenient_text;
use super::wire::{Attributes, Class, Method, TransactionId, Writer, attr};

/// Error codes (RFC 8489 §14.8, RFC 8445 §20.2, RFC 8656 §19, RFC 6062 §6.3, RFC 8016 §4.2).
#[allow(missing_docs, reason = "the names are those of the registry")]
pub mod code {
    pub const TRY_ALTERNATE: u16 = 300;
    pub const BAD_REQUEST: u16 = 400;
    pub const UNAUTHENTICATED: u16 = 401;
    pub const FORBIDDEN: u16 = 403;
    pub const MOBILITY_FORBIDDEN: u16 = 405;
    pub const UNKNOWN_ATTRIBUTE: u16 = 420;
    pub const ALLOCATION_MISMATCH: u16 = 437;
    pub const STALE_NONCE: u16 = 438;
    pub const ADDRESS_FAMILY_NOT_SUPPORTED: u16 = 440;
    pub const WRONG_CREDENTIALS: u16 = 441;
    pub const UNSUPPORTED_TRANSPORT: u16 = 442;
    pub const PEER_ADDRESS_FAMILY_MISMATCH: u16 = 443;
    pub const CONNECTION_ALREADY_EXISTS: u16 = 446;
    pub const CONNECTION_TIMEOUT_OR_FAILURE: u16 = 447;
    pub const ALLOCATION_QUOTA_REACHED: u16 = 486;
    pub const ROLE_CONFLICT: u16 = 487;
    pub const SERVER_ERROR: u16 = 500;
    pub const INSUFFICIENT_CAPACITY: u16 = 508;
}

/// The phrase that the RFCs give a code; empty for a code that none of them defines.
pub fn reason(code: u16) -> &'static str {
    match code {
        code::TRY_ALTERNATE => "Try Alternate",
        code::BAD_REQUEST => "Bad Request",
        code::UNAUTHENTICATED => "Unauthenticated",
        code::FORBIDDEN => "Forbidden",
        code::MOBILITY_FORBIDDEN => "Mobility Forbidden",
        code::UNKNOWN_ATTRIBUTE => "Unknown Attribute",
        code::ALLOCATION_MISMATCH => "Allocation Mismatch",
        code::STALE_NONCE => "Stale Nonce",
        code::ADDRESS_FAMILY_NOT_SUPPORTED => "Address Family not Supported",
        code::WRONG_CREDENTIALS => "Wrong Credentials",
        code::UNSUPPORTED_TRANSPORT => "Unsupported Transport Protocol",
        code::PEER_ADDRESS_FAMILY_MISMATCH => "Peer Address Family Mismatch",
        code::CONNECTION_ALREADY_EXISTS => "Connection Already Exists",
        code::CONNECTION_TIMEOUT_OR_FAILURE => "Connection Timeout or Failure",
        code::ALLOCATION_QUOTA_REACHED => "Allocation Quota Reached",
        code::ROLE_CONFLICT => "Role Conflict",
        code::SERVER_ERROR => "Server Error",
        code::INSUFFICIENT_CAPACITY => "Insufficient Capacity",
        _ => "",
    }
}

/// What an error response says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorCode<'a> {
    /// 300..=699.
    pub code: u16,
    /// For people only. Bytes that are no UTF-8 are replaced, and what is too long is cut.
    pub reason: Cow<'a, str>,
}

impl fmt::Display for ErrorCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)
    }
}

impl<'a> Attributes<'a> {
    /// ERROR-CODE; `None` if it is absent, or its class or number is out of range (RFC 8489 §14.8).
    pub fn error_code(&self) -> Option<ErrorCode<'a>> {
        let (&[_, _, class, number], reason) = self.find(attr::ERROR_CODE)?.split_first_chunk()?;
        let (class, number) = (u16::from(class & 0b111), u16::from(number));
        if !(3..=6).contains(&class) || number > 99 {
            return None;
        }
        Some(ErrorCode { code: class * 100 + number, reason: lenient_text(reason) })
    }

    /// The comprehension-required types that are not among `known`, each once, in order: what a 420 lists
    /// (RFC 8489 §6.3.1). At most [`MAX_ATTRIBUTES`](super::wire::MAX_ATTRIBUTES).
    pub fn unknown_required<'k>(&self, known: &'k [u16]) -> impl Iterator<Item = u16> + use<'a, 'k> {
        let attributes = *self;
        let types = move || attributes.iter().map(|(kind, _)| kind);
        types().enumerate().filter_map(move |(at, kind)| {
            let unknown = kind < 0x8000 && !known.contains(&kind);
            (unknown && !types().take(at).any(|earlier| earlier == kind)).then_some(kind)
        })
    }
}

impl<'b> Writer<'b> {
    /// Starts an error response with this code (300..=599) and its usual phrase (RFC 8489 §6.3.1.1).
    ///
    /// ```
    /// # use floe::stun::{Method, TransactionId, Writer, code};
    /// # let (mut buf, id) = ([0; 100], TransactionId([0; 12]));
    /// let mut answer = Writer::error(&mut buf, Method::BINDING, id, code::UNKNOWN_ATTRIBUTE);
    /// answer.put_unknown_attributes([0x7001]).fingerprint();
    /// let datagram = answer.finish()?;
    /// # Ok::<(), floe::stun::wire::BufferTooSmall>(())
    /// ```
    pub fn error(buf: &'b mut [u8], method: Method, id: TransactionId, code: u16) -> Self {
        let mut writer = Self::new(buf, Class::Error, method, id);
        writer.put_error_code(code, reason(code));
        writer
    }
}
