//! What crosses the border between the server and its driver.

use std::net::{IpAddr, SocketAddr};

use crate::io::{Datagram, SocketId, Transmit, Wake};
use crate::turn::data::Framing;

/// Ties an [`Open`] to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenId(pub u64);

/// What the driver tells the server.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The time of the last [`Output::Wait`] has come. Early or late does no harm.
    Timeout,
    /// A datagram arrived, on a socket of the clients or on a relay socket; or a message on a connection.
    Datagram(Datagram<'a>),
    /// A client has opened a connection (TCP or TLS). Its messages come as datagrams of this socket, each whole:
    /// the driver takes the stream apart with [`tcp`](crate::tcp). What is sent to it the driver frames the same
    /// way. The answer to a connection too many is [`Output::Close`].
    Accepted {
        /// The driver's own token for the connection.
        socket: SocketId,
        /// The server's side of it.
        local: SocketAddr,
        /// The client's side of it.
        source: SocketAddr,
    },
    /// The client or the driver closed a connection, or it broke. Its allocation ends.
    Closed {
        /// Which one.
        socket: SocketId,
    },
    /// An [`Open`] was carried out.
    Opened {
        /// Which one.
        request: OpenId,
        /// The driver's own token for the new socket.
        socket: SocketId,
        /// Its address, which becomes the relayed transport address.
        local: SocketAddr,
    },
    /// An [`Open`] failed, most often because somebody else has the port. The server tries another one.
    OpenFailed {
        /// Which one.
        request: OpenId,
    },
}

/// What the server wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Output<'b> {
    /// Send this.
    Transmit(Transmit<'b>),
    /// Bind a relay socket; answer with [`Input::Opened`] or [`Input::OpenFailed`].
    Open(Open),
    /// Close this relay socket, whose allocation has ended, or this connection, which nobody uses or which is one
    /// too many. There is no [`Input::Closed`] for it.
    Close(SocketId),
    /// Drained. Come back at that time, or with input.
    Wait(Option<Wake>),
}

/// A relay socket that is to be bound: UDP, at exactly this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// What the answer names.
    pub request: OpenId,
    /// The address, with a port that the server drew.
    pub local: SocketAddr,
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Received<'a> {
    /// The server took it, or counted and dropped it.
    Consumed,
    /// A datagram that is neither STUN nor ChannelData, or arrived on a socket that the server does not know.
    Unclaimed,
    /// Data of an allocation: send it on, now.
    Forward(Forward<'a>),
}

/// Data that goes through the relay. The server neither copies nor queues it.
///
/// With [`Framing::Direct`] the payload is sent as it is. With another framing the payload is the whole datagram
/// that arrived: a driver that received it at `buf[HEADROOM..]` wraps it in place with
/// [`wrap`](crate::turn::data::wrap).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward<'a> {
    /// The socket to send on.
    pub socket: SocketId,
    /// The source address to send from.
    pub local: IpAddr,
    /// Where to send to.
    pub destination: SocketAddr,
    /// How it is wrapped.
    pub framing: Framing,
    /// The data: a sub-slice of the datagram that arrived.
    pub payload: &'a [u8],
}
