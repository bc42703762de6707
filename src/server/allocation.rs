//! One allocation: a client, a relay socket, and whom data may come from (RFC 8656 §3.2, §9, §12).

use std::net::{IpAddr, SocketAddr};

use crate::io::{Datagram, SocketId};

/// The client's side of the 5-tuple (RFC 8656 §3.2): the transport is UDP, and the socket stands for its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Client {
    pub(super) socket: SocketId,
    pub(super) local: IpAddr,
    pub(super) source: SocketAddr,
}

impl Client {
    pub(super) fn of(datagram: &Datagram<'_>) -> Self {
        Self { socket: datagram.socket, local: datagram.local, source: datagram.source }
    }
}
