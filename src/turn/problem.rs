//! Why a server, or one of its answers, is of no use.

use crate::stun::{ErrorCode, code};
use crate::time::Duration;

/// Why a server did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No answer to any request.
    #[error("the server does not answer")]
    Unreachable,
    /// Answers came, but none that the server can have signed (RFC 8489 §9.2.5).
    #[error("no answer of the server is authentic")]
    IntegrityViolated,
    /// 401 to a request with credentials: they are wrong, or not valid any more.
    #[error("the server rejects the credentials (401)")]
    Unauthorized,
    /// An error response.
    #[error("the server answers {code} {reason}")]
    Error {
        /// 300 to 699.
        code: u16,
        /// The server's words, or the usual phrase.
        reason: String,
    },
    /// An answer without what it must contain.
    #[error("the server's answer lacks {0}")]
    Incomplete(&'static str),
    /// An answer that asks for what floe cannot do.
    #[error("the server asks for {0}, which floe does not know")]
    Unsupported(&'static str),
    /// A 300 that is not followed (RFC 8489 §10).
    #[error("the server sends its clients to {0}")]
    Redirected(&'static str),
    /// A limit of the client itself.
    #[error("the limit of {0} is reached")]
    Limit(&'static str),
}

impl Problem {
    /// With the usual phrase of this code.
    pub(super) fn of_code(code: u16) -> Self {
        Self::Error { code, reason: crate::stun::error_code::reason(code).to_owned() }
    }

    pub(super) fn has_code(&self, wanted: u16) -> bool {
        matches!(self, Self::Error { code, .. } if *code == wanted)
    }

    /// Whether the server said no, rather than that it cannot at the moment, or nothing.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Error { code: ..500 | 600.., .. })
    }

    /// How long to stay away from the server before a new [`Client`](super::Client) asks it again; `None` if asking
    /// again is pointless until something has changed (RFC 8656 §7.4).
    ///
    /// - 437: the server still holds an allocation of this 5-tuple. Another local port may be tried at once, two of
    ///   them; then two minutes are due.
    /// - 486, 508: no capacity. One minute.
    /// - 300 that leads nowhere: five minutes (RFC 8489 §10).
    /// - No answer, or a failure of the server: another transport or server may be tried at once.
    pub fn pause(&self) -> Option<Duration> {
        match self {
            Self::Error { code: code::ALLOCATION_MISMATCH, .. } => Some(Duration::from_secs(120)),
            Self::Error { code: code::ALLOCATION_QUOTA_REACHED | code::INSUFFICIENT_CAPACITY, .. } => {
                Some(Duration::from_secs(60))
            }
            Self::Redirected(_) => Some(super::alternate::MEMORY),
            Self::Unreachable | Self::IntegrityViolated | Self::Error { code: 500..600, .. } => {
                Some(Duration::ZERO)
            }
            _ => None,
        }
    }
}

impl From<ErrorCode<'_>> for Problem {
    fn from(error: ErrorCode<'_>) -> Self {
        // Some servers count their padding.
        Self::Error { code: error.code, reason: error.reason.trim_end_matches('\0').to_owned() }
    }
}
