//! Candidates: transport addresses that may reach an agent (RFC 8445 §5.1).

pub mod address;
pub mod filter;
pub mod foundation;
pub mod name;
pub mod priority;
pub mod sdp;

use std::fmt;
use std::net::SocketAddr;

use crate::credentials::Ufrag;
use crate::io::Transport;

pub use address::LocalPreference;
pub use filter::RemoteFilter;
pub use foundation::{Foundation, FoundationAllocator};
pub use priority::TcpRank;

/// A base (RFC 8445 §4): the transport address that an agent sends from for a candidate. The number is the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseId(pub u16);

/// Where a candidate's address was learnt (RFC 8445 §5.1.1, §7.3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CandidateType {
    /// An address of a local interface.
    Host,
    /// The address that a STUN server saw.
    ServerReflexive,
    /// The address that the peer saw.
    PeerReflexive,
    /// An address on a TURN server.
    Relayed,
}

impl CandidateType {
    /// The token of RFC 8839 §5.1: `host`, `srflx`, `prflx`, `relay`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }
}

/// The direction of a TCP candidate (RFC 6544 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpType {
    /// Opens connections; its port is 9 on the wire.
    Active,
    /// Accepts connections.
    Passive,
    /// Simultaneous open.
    SimultaneousOpen,
}

/// The connection address of a candidate: an IP address, or a name that has to be resolved first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A transport address.
    Socket(SocketAddr),
    /// A name, such as the `.local` names that browsers publish instead of host addresses.
    Name {
        /// The FQDN as it was signalled.
        host: Box<str>,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// The transport address, if no name has to be resolved.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(addr) => Some(*addr),
            Self::Name { .. } => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(addr) => write!(f, "{addr}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// A candidate as it is signalled (RFC 8839 §5.1). Its text form is the SDP attribute value,
/// `candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// Equal for candidates of one type, base address, server and transport (RFC 8445 §5.1.1.3).
    pub foundation: Foundation,
    /// The component, 1..=256.
    pub component: u16,
    /// UDP or TCP.
    pub transport: Transport,
    /// 1..=2^31-1 (RFC 8445 §5.1.2).
    pub priority: u32,
    /// Where checks are sent to.
    pub address: Address,
    /// host, srflx, prflx or relay.
    pub kind: CandidateType,
    /// raddr and rport: the base of a reflexive candidate, the mapped address of a relayed one; absent for host.
    pub related: Option<SocketAddr>,
    /// The direction; TCP only.
    pub tcp_type: Option<TcpType>,
    /// The generation it belongs to, where the line says (RFC 8839 §5.1, `ufrag` extension).
    pub ufrag: Option<Ufrag>,
    /// Other extension attributes, kept as they came: name and value.
    pub extensions: Vec<(String, String)>,
}

impl Candidate {
    /// A UDP candidate without extensions.
    pub fn udp(
        foundation: Foundation,
        component: u16,
        priority: u32,
        address: SocketAddr,
        kind: CandidateType,
        related: Option<SocketAddr>,
    ) -> Self {
        Self {
            foundation,
            component,
            transport: Transport::Udp,
            priority,
            address: Address::Socket(address),
            kind,
            related,
            tcp_type: None,
            ufrag: None,
            extensions: Vec::new(),
        }
    }

    /// The same over TCP, in this direction (RFC 6544 §4.5).
    #[must_use]
    pub fn over_tcp(self, direction: TcpType) -> Self {
        Self { transport: Transport::Tcp, tcp_type: Some(direction), ..self }
    }
}
