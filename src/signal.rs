//! The whole signaling protocol: what one agent emits and its peer takes, in order.

use crate::candidate::Candidate;
use crate::credentials::{Credentials, Ufrag};

/// One message from an agent to its peer. Carry them in order, over anything: HTTP, a file, a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signal {
    /// The data stream it is about, from 0.
    pub stream: u16,
    /// The generation it belongs to; `None` = the one whose credentials came last.
    pub ufrag: Option<Ufrag>,
    /// What it says.
    pub what: What,
}

/// What a signal says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// First of all, once a generation.
    Credentials(Credentials),
    /// A candidate, as soon as it is known (RFC 8838).
    Candidate(Candidate),
    /// No further candidate of this generation (RFC 8838 §13).
    EndOfCandidates,
}

impl Signal {
    /// A signal about `stream` in the current generation.
    pub fn new(stream: u16, what: What) -> Self {
        Self { stream, ufrag: None, what }
    }
}
