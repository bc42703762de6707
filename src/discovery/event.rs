//! What goes into a probe and what comes out.

use std::fmt;
use std::net::SocketAddr;

use crate::io::{CloseReason, Connect, ConnectId, Datagram, SocketId, Transmit, Wake};

/// What a probe is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The instant of the last [`Output::Wait`] has come.
    Timeout,
    /// A datagram, or a message of a connection.
    Datagram(Datagram<'a>),
    /// The answer to [`Output::Open`]: the socket is bound.
    Opened {
        /// Which.
        socket: SocketId,
        /// Where it is bound: the address that datagrams leave from.
        local: SocketAddr,
    },
    /// The answer to [`Output::Open`]: it cannot be bound. Another port is tried, a few times.
    NotOpened {
        /// Which.
        socket: SocketId,
    },
    /// The answer to [`Output::Connect`]: the connection stands.
    Connected {
        /// Of that output.
        request: ConnectId,
        /// The driver's token for it, none of those of [`Output::Open`].
        socket: SocketId,
    },
    /// The answer to [`Output::Connect`]: there is no connection.
    NotConnected {
        /// Of that output.
        request: ConnectId,
        /// Why.
        why: CloseReason,
    },
    /// A connection has ended.
    Closed {
        /// Which.
        socket: SocketId,
        /// Why.
        why: CloseReason,
    },
}

/// What a probe wants done.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Output<'b> {
    /// Send this.
    Transmit(Transmit<'b>),
    /// Bind a UDP socket to exactly this address and port, under this token of the probe's, and answer with
    /// [`Input::Opened`] or [`Input::NotOpened`]. The port is a random one: tests rely on one without recent traffic
    /// (RFC 5780 §4.1).
    Open {
        /// What the socket is called from now on.
        socket: SocketId,
        /// Where to bind.
        local: SocketAddr,
    },
    /// Open a TCP connection, and answer with [`Input::Connected`] or [`Input::NotConnected`].
    Connect(Connect),
    /// The socket or connection is not needed any more.
    Close(SocketId),
    /// Something is known.
    Event(Event),
    /// Drained. Come back then, or with input. `None`: only with input, or never if [`Event::Done`] was said.
    Wait(Option<Wake>),
}

/// What a probe tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// This is measured now.
    Began(Test),
    /// The [`Report`](super::Report) has the results of this.
    Ended(Test),
    /// All is measured, or the time is over. Nothing more will come.
    Done,
}

/// One step of the discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Test {
    /// Whether UDP gets to a server and back (RFC 5780 §4.2).
    Connectivity,
    /// Who may send to a mapping (RFC 5780 §4.4).
    Filtering,
    /// Which destinations share a mapping (RFC 5780 §4.3).
    Mapping,
    /// Which ports and addresses mappings get (RFC 4787 §4.1, §4.2).
    Ports,
    /// Whether inside reaches inside by external endpoints (RFC 5780 §3.4).
    Hairpinning,
    /// Whether fragments get out (RFC 5780 §3.5).
    Fragments,
    /// How long mappings live (RFC 5780 §4.6).
    Lifetime,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connectivity => "connectivity",
            Self::Filtering => "filtering",
            Self::Mapping => "mapping",
            Self::Ports => "ports",
            Self::Hairpinning => "hairpinning",
            Self::Fragments => "fragments",
            Self::Lifetime => "lifetime",
        })
    }
}
