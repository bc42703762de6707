//! What crosses the border between floe and whoever owns the sockets: plain values, borrowed payloads.

use std::net::{IpAddr, SocketAddr};

use crate::time::Instant;

/// The driver's own token for one OS socket, as in mio. Several agents may share a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// One component of one data stream (RFC 8445 §4). `stream` counts from 0, `component` from 1 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    /// The data stream, in the order of the session description, from 0.
    pub stream: u16,
    /// The component of that stream, 1..=256 (RFC 8445 §5.1.2.1).
    pub component: u16,
}

impl ComponentId {
    /// The only component of most sessions.
    pub const FIRST: Self = Self { stream: 0, component: 1 };
}

/// A socket that the driver hands to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Socket {
    /// A bound UDP socket. `local` is the base of its host candidate and has a concrete address: a wildcard
    /// socket is added once per address.
    Udp {
        /// The address that the peer would see without a NAT.
        local: SocketAddr,
        /// The component whose candidate it is.
        component: ComponentId,
    },
    /// A listening TCP socket (RFC 6544), for an agent that was [configured](crate::Config::tcp) for it: a passive
    /// host candidate at `local`, and an active one that opens connections from the same address.
    TcpListener {
        /// Where it listens, a concrete address.
        local: SocketAddr,
        /// The component whose candidates these are.
        component: ComponentId,
    },
}

impl Socket {
    /// Its address, and its component.
    pub(crate) fn place(&self) -> (SocketAddr, ComponentId) {
        let (Self::Udp { local, component } | Self::TcpListener { local, component }) = self;
        (*local, *component)
    }

    /// A UDP socket of the first component.
    pub fn udp(local: SocketAddr) -> Self {
        Self::Udp { local, component: ComponentId::FIRST }
    }
}

/// The transport protocol of a candidate (RFC 8445 §5.1.1, RFC 6544 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP (RFC 6544).
    Tcp,
}

/// The ECN codepoint of an IP packet (RFC 3168 §5); "not ECN-capable" is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Ecn {
    /// ECN-capable transport, codepoint 01.
    Ect1 = 0b01,
    /// ECN-capable transport, codepoint 10.
    Ect0 = 0b10,
    /// Congestion experienced.
    Ce = 0b11,
}

/// One received datagram.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The socket it arrived on.
    pub socket: SocketId,
    /// The local address it was sent to (`IP_PKTINFO`), which picks the base on a wildcard socket.
    pub local: IpAddr,
    /// The sender's transport address, normalised: no IPv4-mapped IPv6, flow label 0.
    pub source: SocketAddr,
    /// The ECN codepoint, where the platform tells.
    pub ecn: Option<Ecn>,
    /// The UDP payload.
    pub payload: &'a [u8],
}

/// One datagram to send, or several of equal size where `segment_size` says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit<'b> {
    /// The socket to send on.
    pub socket: SocketId,
    /// The source address to send from: what a multihomed host has to pin (RFC 8445 §7.2.5.2.1).
    pub local: IpAddr,
    /// Where to send to.
    pub destination: SocketAddr,
    /// The ECN codepoint to set.
    pub ecn: Option<Ecn>,
    /// `Some(n)`: `payload` is a row of datagrams of `n` bytes each, the last one may be shorter.
    pub segment_size: Option<usize>,
    /// The bytes.
    pub payload: &'b [u8],
}

impl<'b> Transmit<'b> {
    /// One datagram without ECN.
    pub fn new(socket: SocketId, local: IpAddr, destination: SocketAddr, payload: &'b [u8]) -> Self {
        Self { socket, local, destination, ecn: None, segment_size: None, payload }
    }
}

/// When a machine wants to be called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// Call `handle_input` with `Input::Timeout` at this instant, or earlier with other input.
    pub at: Instant,
    /// A new paced transaction waits for its turn at `at`: whoever owns several agents grants these at least
    /// 5 ms apart (RFC 8445 §14.2).
    pub slot: bool,
}

/// An agent's own token for a connection that it asked for, until there is a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectId(pub u32);

/// A TCP connection to open. The answer is an input: connected, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connect {
    /// To be repeated in the answer.
    pub request: ConnectId,
    /// The address to connect from, from any free port.
    pub local: SocketAddr,
    /// Where to.
    pub remote: SocketAddr,
    /// What will run on it.
    pub protocol: StreamProtocol,
}

impl Connect {
    /// A connection from the address of `local`.
    pub(crate) fn new(
        request: ConnectId,
        mut local: SocketAddr,
        remote: SocketAddr,
        protocol: StreamProtocol,
    ) -> Self {
        local.set_port(0);
        Self { request, local, remote, protocol }
    }
}

/// What runs on a connection, which says how messages are told apart on it. That is the driver's business, with
/// [`tcp`](crate::tcp): an agent takes and gives whole messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamProtocol {
    /// Checks and data of a candidate pair, each behind its length in two bytes (RFC 4571, RFC 6544 §3).
    Ice,
    /// STUN and ChannelData messages, which say how long they are; ChannelData is padded to a multiple of 4 bytes
    /// (RFC 8489 §6.2.2, RFC 8656 §12.5).
    Turn,
    /// The same within TLS.
    TurnTls {
        /// Whom the server's certificate has to name: a DNS name, or an IP address as text.
        server_name: Box<str>,
    },
}

/// Why there is no connection, or none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// Nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// No route, or the network forbids it.
    #[error("the address cannot be reached")]
    Unreachable,
    /// No answer in time.
    #[error("the connection timed out")]
    TimedOut,
    /// TLS did not come about: the certificate, or the other side does not speak it.
    #[error("TLS failed")]
    Tls,
    /// It broke.
    #[error("the connection was reset")]
    Reset,
    /// The other side closed it.
    #[error("the other side closed the connection")]
    Ended,
    /// What came is not of the protocol.
    #[error("the other side does not speak the protocol")]
    Malformed,
    /// This driver opens no connections, or has too many.
    #[error("the driver opens no connection")]
    Unsupported,
}
