//! Datagrams under way, what becomes of them, and who keeps count.

use std::net::SocketAddr;

use super::node::HostId;
use crate::io::Transport;
use crate::time::Duration;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A UDP datagram.
    Udp,
    /// A segment of a TCP connection.
    Tcp(Segment),
}

/// What a TCP segment says. A connection is opened by two of them, carries whole messages, and ends with one: what lies
/// between, acknowledgements and retransmissions, is not simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Opens a connection.
    Syn,
    /// The listener has accepted it.
    SynAck,
    /// A message of the stream: each direction counts its own from 0.
    Data(u32),
    /// The sender has closed it.
    Fin,
    /// There is no such connection, or nobody listens.
    Reset,
}

/// A packet under way.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub(super) protocol: Protocol,
    /// The host that sent it; `None` for an injected one.
    pub(super) origin: Option<HostId>,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) payload: Vec<u8>,
}

impl Packet {
    /// With the headers of IP and UDP.
    pub(super) fn ip_length(&self) -> usize {
        let headers = if self.destination.is_ipv4() { 20 + 8 } else { 40 + 8 };
        headers + self.payload.len()
    }

    pub(super) fn transport(&self) -> Transport {
        match self.protocol {
            Protocol::Udp => Transport::Udp,
            Protocol::Tcp(_) => Transport::Tcp,
        }
    }
}

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A host has sent it; where it ends is told by another record.
    Sent,
    /// A socket has received it.
    Delivered,
    /// A link has lost it.
    Lost,
    /// A link does not carry UDP, or not with that port, or no TCP.
    Blocked,
    /// It is larger than the MTU of a link.
    TooLarge,
    /// A NAT has no mapping that lets it in, no port that lets it out, or no hairpin.
    Filtered,
    /// Nobody has that address or port.
    Unroutable,
}

/// How many datagrams had which fate. A duplicate has its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packets {
    /// Sent by hosts.
    pub sent: u64,
    /// Received by sockets.
    pub delivered: u64,
    /// Lost by links.
    pub lost: u64,
    /// Refused by links that do not carry UDP, or not with that port.
    pub blocked: u64,
    /// Larger than the MTU of a link.
    pub too_large: u64,
    /// Dropped by NATs.
    pub filtered: u64,
    /// To an address or port that nobody has.
    pub unroutable: u64,
}

impl Packets {
    pub(super) fn count(&mut self, fate: Fate) {
        let counter = match fate {
            Fate::Sent => &mut self.sent,
            Fate::Delivered => &mut self.delivered,
            Fate::Lost => &mut self.lost,
            Fate::Blocked => &mut self.blocked,
            Fate::TooLarge => &mut self.too_large,
            Fate::Filtered => &mut self.filtered,
            Fate::Unroutable => &mut self.unroutable,
        };
        *counter += 1;
    }
}

/// A record of the wire, with the addresses as they were at that point of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Virtual time since the world began.
    pub at: Duration,
    /// What happened to the packet.
    pub fate: Fate,
    /// What it is.
    pub protocol: Protocol,
    /// The host that sent it; `None` for an injected one.
    pub origin: Option<HostId>,
    /// The sender, as seen there.
    pub source: SocketAddr,
    /// The receiver, as seen there.
    pub destination: SocketAddr,
    /// The payload of a datagram, or a message of a stream.
    pub payload: Vec<u8>,
}

/// What a host has received: a datagram on a plain host, data of the peer on an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Virtual time since the world began.
    pub at: Duration,
    /// The sender of the datagram, as the host saw it.
    pub source: SocketAddr,
    /// The socket's address.
    pub local: SocketAddr,
    /// The data.
    pub payload: Vec<u8>,
}
