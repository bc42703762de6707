//! The sockets of a session, as its driver has them.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::io::{CloseReason, Datagram, SocketId};

use super::carrier::Carrier;
use super::mtu;
use super::stream::Inlet;
use super::udp::UdpSocket;

/// A socket that reports so many errors without one datagram between them is dead.
pub(super) const ERRORS_IN_A_ROW: u32 = 1000;

/// A socket of a session. Its [`SocketId`] is its place in the driver's list.
#[derive(Debug)]
pub(super) enum Port {
    Udp { socket: Arc<UdpSocket>, errors_in_a_row: u32 },
    Stream(Inlet),
}

/// All of them. Sending and receiving sides lie apart: while one socket hands over what it received, answers leave by
/// any.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Closed ones leave a gap.
    list: Vec<Option<Port>>,
    carriers: Vec<Option<Carrier>>,
    /// Which one is asked first when several are readable.
    first: usize,
}

impl Ports {
    /// The id of the next one.
    pub(super) fn next_id(&self) -> SocketId {
        SocketId(self.list.len() as u32)
    }

    pub(super) fn push(&mut self, port: Port) -> SocketId {
        let id = self.next_id();
        self.carriers.push(Some(port.carrier()));
        self.list.push(Some(port));
        id
    }

    pub(super) fn carrier(&self, id: SocketId) -> Option<&Carrier> {
        self.carriers.get(id.0 as usize)?.as_ref()
    }

    /// The MTU of the interface that has this address, in bytes.
    pub(super) fn mtu(&self, local: IpAddr) -> usize {
        let on_it = self.carriers.iter().flatten().find_map(|carrier| match carrier {
            Carrier::Udp(socket) if socket.local().ip() == local => Some(socket.mtu()),
            _ => None,
        });
        on_it.unwrap_or(mtu::UNKNOWN)
    }

    pub(super) fn close(&mut self, id: SocketId) {
        if let Some(place) = self.list.get_mut(id.0 as usize) {
            *place = None;
        }
        if let Some(place) = self.carriers.get_mut(id.0 as usize) {
            *place = None;
        }
    }

    /// The next socket that may have something.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<SocketId> {
        let count = self.list.len();
        for place in (0..count).map(|step| (self.first + step) % count) {
            if self.list[place].as_mut().is_some_and(|port| port.poll_readable(cx).is_ready()) {
                self.first = place + 1;
                return Poll::Ready(SocketId(place as u32));
            }
        }
        Poll::Pending
    }

    /// Takes the receiving side out, to be [put back](Self::put_back).
    pub(super) fn take(&mut self, id: SocketId) -> Option<Port> {
        self.list.get_mut(id.0 as usize)?.take()
    }

    /// It goes on receiving, unless it was closed meanwhile.
    pub(super) fn put_back(&mut self, id: SocketId, port: Port) {
        if self.carrier(id).is_some()
            && let Some(place) = self.list.get_mut(id.0 as usize)
        {
            *place = Some(port);
        }
    }
}

/// What a call of [`Port::receive`] ended with.
#[derive(Debug)]
pub(super) enum Received {
    /// Something was there.
    Something,
    /// Nothing was there.
    Nothing,
    /// An error that ends nothing.
    Error(io::Error),
    /// The socket reports errors only.
    Dead(io::Error),
    /// The connection is over.
    Closed(CloseReason),
}

impl Port {
    pub(super) fn udp(socket: UdpSocket) -> Self {
        Self::Udp { socket: Arc::new(socket), errors_in_a_row: 0 }
    }

    /// Its sending side.
    pub(super) fn carrier(&self) -> Carrier {
        match self {
            Self::Udp { socket, .. } => Carrier::Udp(socket.clone()),
            Self::Stream(inlet) => Carrier::Stream(inlet.stream().clone()),
        }
    }

    /// Ready when [`receive`](Self::receive) has something to tell; an error is something.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Udp { socket, .. } => socket.poll_readable(cx).map(drop),
            Self::Stream(inlet) => inlet.poll_fill(cx),
        }
    }

    /// Hands what has arrived to `take`.
    pub(super) fn receive(&mut self, id: SocketId, take: impl FnMut(Datagram<'_>)) -> Received {
        match self {
            Self::Udp { socket, errors_in_a_row } => match socket.receive(id, take) {
                Ok(()) => {
                    *errors_in_a_row = 0;
                    Received::Something
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Nothing,
                // ICMP says what anybody on the way may say: it ends nothing. A socket that only fails is given up.
                Err(error) => {
                    *errors_in_a_row += 1;
                    let is_dead = *errors_in_a_row >= ERRORS_IN_A_ROW;
                    if is_dead { Received::Dead(error) } else { Received::Error(error) }
                }
            },
            Self::Stream(inlet) => {
                inlet.receive(id, take).map_or_else(Received::Closed, |()| Received::Something)
            }
        }
    }
}
