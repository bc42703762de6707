//! Why something is not known.

use std::fmt;

/// Why something is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// Nobody asked for it, or it was not reached yet.
    NotMeasured,
    /// The time was over before.
    OutOfTime,
    /// This host could not bind a socket.
    NoSocket,
    /// No server answers over UDP.
    NoAnswer,
    /// The server answers with this error code, such as 401 or 420.
    Refused(u16),
    /// The server's answers cannot be read, or lack XOR-MAPPED-ADDRESS.
    Unreadable,
    /// What comes back is not STUN.
    Garbage,
    /// Answers come from an address that was not asked.
    Elsewhere,
    /// The server names an address for this host that no host can have, or one for two sockets.
    Implausible,
    /// Servers name different addresses for one socket: one of them lies, or there are several ways out.
    ServersDisagree,
    /// The server has no second address (no OTHER-ADDRESS).
    NoOtherAddress,
    /// The server's second address is none that may be asked: loopback, multicast, its first one, or this host's.
    BadOtherAddress,
    /// It is not certain that the server answers from its second address: the silence proves nothing.
    SilentOtherAddress,
    /// A second server, with another address, would be needed.
    OneServer,
    /// The server ignores what it is asked for.
    Ignored,
    /// Mappings change while they are looked at, or answers contradict each other.
    Unstable,
    /// Too many datagrams are lost for a silence to mean something.
    Loss,
    /// A filter may be the reason.
    Filtered,
    /// There is no NAT.
    NoNat,
    /// Too little was answered.
    TooFew,
    /// Mappings of different sockets have different addresses.
    SeveralAddresses,
    /// The server does not say how it sees this host in clear (no MAPPED-ADDRESS).
    NotInClear,
    /// Servers see this host in the other family: behind NAT64 (RFC 6146) it cannot send to its own external endpoint.
    OtherFamily,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Refused(code) => return write!(f, "the server refuses with error {code}"),
            Self::NotMeasured => "not measured",
            Self::OutOfTime => "the time was over before",
            Self::NoSocket => "no socket could be bound",
            Self::NoAnswer => "no server answers over UDP",
            Self::Unreadable => "the server's answers cannot be read",
            Self::Garbage => "what comes back is not STUN",
            Self::Elsewhere => "answers come from an address that was not asked",
            Self::Implausible => "the server names an address that cannot be this host's",
            Self::ServersDisagree => "servers name different addresses",
            Self::NoOtherAddress => "the server has no second address (RFC 5780)",
            Self::BadOtherAddress => "the server's second address is none that may be asked",
            Self::SilentOtherAddress => "the server was not seen to answer from its second address",
            Self::OneServer => "a server with another address is needed",
            Self::Ignored => "the server ignores what it is asked for",
            Self::Unstable => "mappings changed while they were looked at",
            Self::Loss => "too many datagrams are lost",
            Self::Filtered => "the filter may be the reason for the silence",
            Self::NoNat => "there is no NAT",
            Self::TooFew => "too little was answered",
            Self::SeveralAddresses => "mappings have different addresses",
            Self::OtherFamily => "servers see an address of the other family (NAT64)",
            Self::NotInClear => "the server does not tell the address in clear",
        };
        f.write_str(text)
    }
}

impl Why {
    /// One word, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotMeasured => "not-measured",
            Self::OutOfTime => "out-of-time",
            Self::NoSocket => "no-socket",
            Self::NoAnswer => "no-answer",
            Self::Refused(_) => "refused",
            Self::Unreadable => "unreadable",
            Self::Garbage => "garbage",
            Self::Elsewhere => "elsewhere",
            Self::Implausible => "implausible",
            Self::ServersDisagree => "servers-disagree",
            Self::NoOtherAddress => "no-other-address",
            Self::BadOtherAddress => "bad-other-address",
            Self::SilentOtherAddress => "silent-other-address",
            Self::OneServer => "one-server",
            Self::Ignored => "ignored",
            Self::Unstable => "unstable",
            Self::Loss => "loss",
            Self::Filtered => "filtered",
            Self::NoNat => "no-nat",
            Self::TooFew => "too-few",
            Self::SeveralAddresses => "several-addresses",
            Self::NotInClear => "not-in-clear",
            Self::OtherFamily => "other-family",
        }
    }
}
