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
}

impl Socket {
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
