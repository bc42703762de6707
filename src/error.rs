//! One enum per public call that can fail. Nothing here comes from the network: a hostile datagram is counted,
//! not returned as an error.

use std::net::SocketAddr;

use crate::io::{ComponentId, SocketId};

/// A ufrag or pwd that RFC 8839 §5.4 does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Too short or too long.
    #[error("{field} has {length} characters, allowed are {least} to 256")]
    Length {
        /// `ufrag` or `pwd`.
        field: &'static str,
        /// What it has.
        length: usize,
        /// The least allowed.
        least: usize,
    },
    /// A character outside of letters, digits, `+` and `/`.
    #[error("{field} has a character at {at} that is not a letter, a digit, '+' or '/'")]
    Character {
        /// `ufrag` or `pwd`.
        field: &'static str,
        /// The byte position, from 0.
        at: usize,
    },
}

/// A text that is no ICE option: empty, or with a character that is not visible ASCII or is a comma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an ICE option is a word of visible ASCII without a comma")]
pub struct IceOptionError;

/// A text that is not a candidate, a signal or a URI; `field` names the part that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ParseError {
    /// The grammar's name of the part, such as `foundation` or `priority`.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
    unsupported: bool,
}

impl ParseError {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into(), unsupported: false }
    }

    /// Well-formed, but of a kind that is not known here.
    pub(crate) fn unsupported(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into(), unsupported: true }
    }

    /// True if the text is well-formed but of a kind that floe does not know, such as another transport
    /// protocol: ignore this one and take the others (RFC 8839 §5.1). False if the text is malformed.
    pub fn is_unsupported(&self) -> bool {
        self.unsupported
    }
}

/// Why [`Agent::add_socket`](crate::agent::Agent::add_socket) refused a socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddSocketError {
    /// The same socket with the same address was added before.
    #[error("socket {0:?} with address {1} was added before")]
    Duplicate(SocketId, SocketAddr),
    /// 0.0.0.0, `::` or port 0: a base needs a concrete transport address.
    #[error("{0} is not a concrete transport address")]
    NotConcrete(SocketAddr),
    /// Multicast and the like.
    #[error("{0} cannot be the base of a candidate")]
    NotUnicast(SocketAddr),
    /// A component that the configuration does not have.
    #[error("{0:?} is not a component of this agent")]
    UnknownComponent(ComponentId),
    /// The limit on local candidates.
    #[error("the limit of {0} bases is reached")]
    TooMany(usize),
    /// A TCP socket, and the agent is not configured for TCP candidates, or uses relays only.
    #[error("the agent has no TCP candidates: Config::tcp asks for them")]
    NoTcp,
    /// After `close` or failure.
    #[error("the agent is closed")]
    Closed,
}

/// Why a name was neither published nor asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Something else than one label and `.local`.
    #[error("the name is not one label and .local")]
    NotLocal,
    /// A limit on names.
    #[error("the limit of {0} names is reached")]
    TooMany(usize),
}

/// [`Agent::nominate`](crate::agent::Agent::nominate) cannot: the pair is not valid (any more), the peer controls, or
/// another pair was nominated before and the peer does not know renomination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pair cannot be nominated: it is not valid, the peer controls, or the decision was made")]
pub struct NominateError;

/// Why [`Agent::add_stream`](crate::agent::Agent::add_stream) refused a data stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddStreamError {
    /// The most streams of a session, removed ones included.
    #[error("the limit of {0} data streams is reached")]
    TooMany(usize),
    /// After `close` or failure.
    #[error("the agent is closed")]
    Closed,
}

/// Why [`Agent::handle_signal`](crate::agent::Agent::handle_signal) did not take a signal. The session goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// A stream that this agent does not have.
    #[error("stream {0} does not exist")]
    UnknownStream(u16),
    /// A component that this stream does not have.
    #[error("component {0} does not exist in this stream")]
    UnknownComponent(u16),
    /// A candidate of a generation that is not the current one.
    #[error("ufrag {0} is not the current generation")]
    OldGeneration(String),
    /// A restart changes both ufrag and pwd (RFC 8839 §4.4.1.1.1); here one of them stayed.
    #[error("only one of ufrag and pwd changed: a restart changes both")]
    HalfRestart,
    /// A candidate after the peer's end-of-candidates (RFC 8838 §14).
    #[error("the peer ended its candidates before")]
    AfterEnd,
    /// The limit on remote candidates.
    #[error("the limit of {0} remote candidates is reached")]
    TooMany(usize),
    /// An address that must not be checked: unspecified, multicast, port 0, loopback from afar.
    #[error("candidate address {0} is not one to send checks to")]
    Address(SocketAddr),
    /// What this version cannot do.
    #[error("unsupported: {0}")]
    Unsupported(&'static str),
    /// A pair that a lite peer has selected, and that does not exist here.
    #[error("there is no pair of {0} and {1}")]
    UnknownPair(SocketAddr, SocketAddr),
    /// After `close` or failure.
    #[error("the agent is closed")]
    Closed,
}
