//! What was found out. Each fact is known, or it is known why it is not.

use std::net::{IpAddr, SocketAddr};

use super::ports::{Parity, Pooling, PortAllocation};
use super::why::Why;
use crate::time::{Duration, Instant};

/// A measured fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding<T> {
    /// It was measured.
    Known(T),
    /// It was not, or what was measured proves nothing.
    Unknown(Why),
}

impl<T: Copy> Finding<T> {
    /// The fact, if it is known.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(fact) => Some(*fact),
            Self::Unknown(_) => None,
        }
    }
}

/// What gets to a server and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connectivity {
    /// UDP does.
    Udp,
    /// UDP does not, TCP to the same server does: UDP is blocked.
    TcpOnly,
    /// UDP does not, and what accepts TCP connections in the server's place does not speak STUN: a captive portal, or
    /// another service on that port.
    Captive,
    /// Nothing does: UDP and TCP are blocked, or no server is there.
    Nothing,
}

/// Whether addresses are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Translation {
    /// Servers see the address and port of the socket: there is no NAT. There may be a firewall.
    None,
    /// They see another one.
    Translated,
}

/// When two destinations see the same external endpoint of one socket (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// Always.
    EndpointIndependent,
    /// If their address is the same.
    AddressDependent,
    /// If their address and port are the same.
    AddressAndPortDependent,
    /// If their port is the same, whatever the address. RFC 4787 has no word for it.
    PortDependent,
    /// Not always; whether it depends on the address, the port or both, plain STUN servers cannot tell.
    Dependent,
}

/// Who may send to an external endpoint (RFC 4787 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filtering {
    /// Everybody.
    EndpointIndependent,
    /// Addresses that the socket has sent to.
    AddressDependent,
    /// Addresses and ports that the socket has sent to.
    AddressAndPortDependent,
}

/// What becomes of a datagram from inside to an external endpoint of the same NAT (RFC 4787 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hairpinning {
    /// It does not come back to the host that has sent it. Many hosts drop what comes from their own address, as Linux does:
    /// for them [`Self::InternalSource`] is this.
    None,
    /// It comes from an external address.
    ExternalSource,
    /// It comes from the address of the host that sent it.
    InternalSource,
    /// It comes from some other address, such as the NAT's own one inside.
    OtherSource,
}

/// What becomes of addresses in payloads (RFC 4787 §7, RFC 5780 §3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payload {
    /// They pass as they are.
    Untouched,
    /// Something on the way rewrites them: a generic ALG.
    Rewritten,
}

/// How long a mapping, or the permission to answer, lives without traffic (RFC 4787 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// Longer than the first, and not longer than the second.
    Between(Duration, Duration),
    /// Longer than what was tried.
    LongerThan(Duration),
}

impl Lifetime {
    /// It lives as long as this for certain.
    pub fn at_least(self) -> Duration {
        match self {
            Self::Between(least, _) | Self::LongerThan(least) => least,
        }
    }
}

/// Which datagrams keep a mapping alive (RFC 4787 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refresh {
    /// Those from inside only.
    Outbound,
    /// Those from outside too.
    Inbound,
    /// Those from outside only.
    InboundOnly,
    /// None: it ends in its time, whatever happens.
    Neither,
}

/// What a server saw of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The socket.
    pub local: SocketAddr,
    /// The server.
    pub to: SocketAddr,
    /// How the server saw it.
    pub mapped: SocketAddr,
    /// Whether the first request was answered, so that samples lie in the order in which their mappings were made.
    pub(super) in_order: bool,
}

/// How all NATs and firewalls between a host and the servers behave together, now and for new sockets: they may become
/// more restrictive at any time, and other ports may be treated otherwise (RFC 5780 §4).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// When the measurement began.
    pub began: Instant,
    /// The socket whose mapping was looked at; port 0 before there is one.
    pub local: SocketAddr,
    /// The server that was used.
    pub server: Option<SocketAddr>,
    /// Its alternate address and port (RFC 5780 §7.4).
    pub other: Option<SocketAddr>,
    /// How the server saw that socket.
    pub mapped: Option<SocketAddr>,
    /// What gets to a server and back.
    pub connectivity: Finding<Connectivity>,
    /// Whether there is a NAT.
    pub translation: Finding<Translation>,
    /// Which destinations share a mapping.
    pub mapping: Finding<Mapping>,
    /// Who may send to a mapping.
    pub filtering: Finding<Filtering>,
    /// Whether inside reaches inside by external endpoints.
    pub hairpinning: Finding<Hairpinning>,
    /// Which port the next mapping gets.
    pub ports: Finding<PortAllocation>,
    /// From each mapping to the next one: how much higher its port is. One external address only, and only mappings whose
    /// order is certain.
    pub port_deltas: Vec<i32>,
    /// Whether even ports stay even.
    pub parity: Finding<Parity>,
    /// Which external address the next mapping gets.
    pub pooling: Finding<Pooling>,
    /// Whether addresses in payloads are rewritten.
    pub payload: Finding<Payload>,
    /// Known if a request that had to be fragmented was answered. That none was may be the server's doing.
    pub fragments_pass: Finding<()>,
    /// How long a mapping lives.
    pub lifetime: Finding<Lifetime>,
    /// What keeps it alive.
    pub refresh: Finding<Refresh>,
    /// All that servers said, in the order of the requests.
    pub samples: Vec<Sample>,
}

impl Report {
    pub(super) fn new(began: Instant, local: IpAddr) -> Self {
        const NOTHING: Why = Why::NotMeasured;
        Self {
            began,
            local: SocketAddr::new(local, 0),
            server: None,
            other: None,
            mapped: None,
            connectivity: Finding::Unknown(NOTHING),
            translation: Finding::Unknown(NOTHING),
            mapping: Finding::Unknown(NOTHING),
            filtering: Finding::Unknown(NOTHING),
            hairpinning: Finding::Unknown(NOTHING),
            ports: Finding::Unknown(NOTHING),
            port_deltas: Vec::new(),
            parity: Finding::Unknown(NOTHING),
            pooling: Finding::Unknown(NOTHING),
            payload: Finding::Unknown(NOTHING),
            fragments_pass: Finding::Unknown(NOTHING),
            lifetime: Finding::Unknown(NOTHING),
            refresh: Finding::Unknown(NOTHING),
            samples: Vec::new(),
        }
    }

    /// The mapping with the same words for all that depend on the destination in some way.
    pub fn maps_by_destination(&self) -> Option<bool> {
        self.mapping.known().map(|mapping| mapping != Mapping::EndpointIndependent)
    }
}

impl Report {
    /// Nothing more can be told, for this reason.
    pub(super) fn blame(&mut self, why: Why) {
        fn set<T>(finding: &mut Finding<T>, why: Why) {
            if let Finding::Unknown(Why::NotMeasured) = finding {
                *finding = Finding::Unknown(why);
            }
        }
        set(&mut self.connectivity, why);
        set(&mut self.translation, why);
        set(&mut self.mapping, why);
        set(&mut self.filtering, why);
        set(&mut self.hairpinning, why);
        set(&mut self.ports, why);
        set(&mut self.parity, why);
        set(&mut self.pooling, why);
        set(&mut self.payload, why);
    }
}
