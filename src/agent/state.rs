//! The state of an agent as a whole.

/// Where an agent stands. A stream that is [added](super::Agent::add_stream) leads back to Checking.
///
/// ```text
///  New ──► Gathering ──► Checking ──► Connected ──► Completed
///              │            │             │             │  ▲
///              └────────────┴──────┐      ▼             ▼  │
///                                  │    Disconnected ◄─────┘
///                                  ▼      │
///                                Failed ◄─┘            any ──► Closed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// No socket yet.
    New,
    /// Candidates are gathered, the peer's credentials are not known.
    Gathering,
    /// Checks run (RFC 8445 §7).
    Checking,
    /// Every component of every stream that has not failed has a valid pair: data can be sent (RFC 8445 §12.1).
    Connected,
    /// Every component of every stream that has not failed has a selected pair (RFC 8445 §8.1.2).
    Completed,
    /// Consent was lost on the selected pair (RFC 7675 §5.1): nothing may be sent.
    Disconnected,
    /// No pair works.
    Failed,
    /// After `close`.
    Closed,
}

impl State {
    /// The name in lower case, as in the W3C's `RTCIceTransportState`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gathering => "gathering",
            Self::Checking => "checking",
            Self::Connected => "connected",
            Self::Completed => "completed",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}
