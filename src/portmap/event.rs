//! What goes into a mapper and what comes out of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::io::{CloseReason, Transport, Wake};
use crate::time::Duration;

/// How a gateway is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Port Control Protocol (RFC 6887).
    Pcp,
    /// NAT Port Mapping Protocol (RFC 6886).
    NatPmp,
    /// UPnP Internet Gateway Device 1 and 2.
    Upnp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Upnp => "UPnP",
        })
    }
}

/// A socket of the driver. All of them are bound to the configured local address, or join their group on its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// UDP from a random port to port 5351 of the gateway (RFC 6887 §8.1). Connected, it also tells when nobody listens
    /// there.
    Control,
    /// UDP from any port, for SSDP.
    Search,
    /// UDP port 5350 of 224.0.0.1 or ff02::1, shared with others (RFC 6886 §3.2.1, RFC 6887 §14.1.3).
    Announcements,
}

/// A mapper's own token for a connection that it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A mapper's own number for a port that is to be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingId(pub u32);

/// What the driver feeds.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The instant of the last [`Wake`] has come.
    Timeout,
    /// A datagram arrived.
    Datagram {
        /// On this socket.
        channel: Channel,
        /// From here.
        source: SocketAddr,
        /// The UDP payload.
        payload: &'a [u8],
    },
    /// The gateway has said by ICMP that nobody listens at its port 5351.
    Unreachable,
    /// The answer to [`Output::Connect`].
    Connected(StreamId),
    /// Bytes of a connection.
    Received {
        /// Which one.
        stream: StreamId,
        /// In order.
        bytes: &'a [u8],
    },
    /// A connection did not come about, or is over; not after [`Output::Close`].
    Closed {
        /// Which one.
        stream: StreamId,
        /// [`CloseReason::Ended`]: the other side has sent all.
        why: CloseReason,
    },
}

/// What the driver has to do next.
#[must_use]
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<'b> {
    /// Send this datagram.
    Transmit {
        /// From this socket.
        channel: Channel,
        /// To here.
        destination: SocketAddr,
        /// The UDP payload.
        payload: &'b [u8],
    },
    /// Open a TCP connection from the local address, and answer with [`Input::Connected`] or [`Input::Closed`].
    Connect {
        /// To be repeated in the answer.
        stream: StreamId,
        /// Where to: always the gateway.
        remote: SocketAddr,
    },
    /// Write these bytes to a connection that stands.
    Write {
        /// Which one.
        stream: StreamId,
        /// All of them, in order.
        bytes: &'b [u8],
    },
    /// Close this connection: nothing is said about it any more.
    Close(StreamId),
    /// Something happened.
    Event(Event),
    /// Drained. Come back at the instant, or with input; `None`: with input only.
    Wait(Option<Wake>),
}

/// A port of the gateway that leads to one of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// UDP or TCP.
    pub transport: Transport,
    /// The address and port on this host.
    pub internal: SocketAddr,
    /// Where the outside reaches it. The port need not be the one that was suggested.
    pub external: SocketAddr,
    /// What was granted; `None`: until it is deleted, or the gateway restarts.
    pub lifetime: Option<Duration>,
    /// Who has made it.
    pub protocol: Protocol,
}

impl Mapping {
    /// Whether the outside is the Internet. Otherwise the gateway is behind a NAT itself, and only hosts before that
    /// one reach the mapping.
    pub fn is_public(&self) -> bool {
        super::address::is_public(self.external.ip())
    }
}

/// What an embedder wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A port is mapped, or its mapping has changed: only this one counts.
    Mapped {
        /// Which port.
        id: MappingId,
        /// How.
        mapping: Mapping,
    },
    /// The same mapping lasts longer.
    Renewed {
        /// Which port.
        id: MappingId,
        /// How.
        mapping: Mapping,
    },
    /// A mapping is over, and nobody asked for it. It is tried to get another one.
    Lost {
        /// Which port.
        id: MappingId,
    },
    /// A port is not mapped within the [patience](super::Config::patience). It goes on being tried, at growing
    /// intervals.
    Unavailable {
        /// Which port.
        id: MappingId,
    },
    /// The mapping is deleted, or as much of it as could be done.
    Unmapped {
        /// Which port.
        id: MappingId,
    },
    /// What is wrong with the gateway, or with one of its protocols.
    Problem {
        /// Of this port; `None`: of all.
        id: Option<MappingId>,
        /// In this protocol.
        protocol: Protocol,
        /// What.
        problem: Problem,
    },
    /// The gateway has forgotten its mappings; they are asked for anew (RFC 6886 §3.7, RFC 6887 §8.5).
    Restarted,
}

/// Why there is no mapping, or none that helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Nobody there speaks it.
    #[error("the gateway does not answer")]
    NoAnswer,
    /// It is spoken in a version that floe does not know (RFC 6887 §9).
    #[error("the gateway speaks version {0} only")]
    Version(u8),
    /// An error of the gateway: the result code of RFC 6887 §7.4 or RFC 6886 §3.5, the error code of UPnP, or a status of
    /// HTTP.
    #[error("the gateway answers {code}: {text}")]
    Refused {
        /// The number.
        code: u16,
        /// What it stands for.
        text: String,
    },
    /// PCP's ADDRESS_MISMATCH (RFC 6887 §8.3): the packets reach the gateway from another address.
    #[error("there is a NAT between this host and the gateway")]
    NatBetween,
    /// The external address of the gateway is none of the Internet: nobody there reaches the mapping.
    #[error("the gateway is itself behind a NAT: its external address is {0}")]
    GatewayBehindNat(IpAddr),
    /// The gateway has no address outside, or none that it would map ports of, as a private one.
    #[error(
        "the gateway has no public address: it is not connected to the Internet, or is itself behind a NAT"
    )]
    NoExternalAddress,
    /// An answer that makes no sense.
    #[error("the gateway's answer is malformed: {0}")]
    Malformed(&'static str),
    /// An answer longer than any that makes sense.
    #[error("the gateway's answer has more than {0} bytes")]
    TooLong(usize),
    /// UPnP: a URL that is not one of the gateway. Nobody else is asked.
    #[error("the gateway refers to another host: {0}")]
    Elsewhere(String),
    /// UPnP: the connection for a request.
    #[error("{0}")]
    Connection(CloseReason),
    /// UPnP: no service of the device makes mappings.
    #[error("the gateway has no service for port mappings")]
    NoService,
}

/// Why a port cannot be mapped: the caller's mistake, or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// To gateways port 0 means all ports of this host.
    #[error("port 0 cannot be mapped")]
    PortZero,
    /// This port is mapped already.
    #[error("the port is mapped already")]
    Duplicate,
    /// A limit of floe itself.
    #[error("no more than {0} ports can be mapped")]
    TooMany(usize),
    /// The mapper is closed.
    #[error("the mapper is closed")]
    Closed,
}

/// When to call again, without a slot: nothing here is paced with ICE.
pub(super) fn wake(at: crate::time::Instant) -> Wake {
    Wake { at, slot: false }
}
