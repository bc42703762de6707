//! The sockets of a session, as its driver has them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::io::{CloseReason, Datagram, SocketId};

use super::carrier::Carrier;
use super::mtu;
use super::stream::Inlet;
use super::udp::{Source, UdpSocket};

/// A socket that reports so many errors without one datagram between them is dead.
pub(super) const ERRORS_IN_A_ROW: u32 = 1000;

/// A socket of a session.
#[derive(Debug)]
pub(super) enum Port {
    Udp { socket: Arc<UdpSocket>, errors_in_a_row: u32 },
    Stream(Inlet),
}

/// All of them. Sending and receiving sides lie apart: while one socket hands over what it received, answers leave by
/// any.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// One that is [taken](Self::take) leaves a gap.
    list: BTreeMap<SocketId, Option<Port>>,
    carriers: BTreeMap<SocketId, Carrier>,
    /// Ids so far: none is given twice.
    given: u32,
    /// Which one is asked first when several are readable.
    first: u32,
}

impl Ports {
    /// An id for a socket to come.
    pub(super) fn reserve(&mut self) -> SocketId {
        self.given += 1;
        SocketId(self.given - 1)
    }

    pub(super) fn push(&mut self, port: Port) -> SocketId {
        let id = self.reserve();
        self.put(id, port);
        id
    }

    pub(super) fn put(&mut self, id: SocketId, port: Port) {
        self.carriers.insert(id, port.carrier());
        self.list.insert(id, Some(port));
    }

    pub(super) fn carrier(&self, id: SocketId) -> Option<&Carrier> {
        self.carriers.get(&id)
    }

    /// The MTU of the interface that has this address, in bytes.
    pub(super) fn mtu(&self, local: IpAddr) -> usize {
        let on_it = self.carriers.values().find_map(|carrier| match carrier {
            Carrier::Udp(socket) if socket.local().ip() == local => Some(socket.mtu()),
            _ => None,
        });
        on_it.unwrap_or(mtu::UNKNOWN)
    }

    /// A further socket on an address of the session, for a search that goes without it if there is none.
    pub(super) fn open(&mut self, ip: IpAddr) -> Option<(SocketId, SocketAddr)> {
        match UdpSocket::bind(SocketAddr::new(ip, 0), Source::Bound, None, self.mtu(ip)) {
            Ok(socket) => {
                let local = socket.local();
                Some((self.push(Port::udp(socket)), local))
            }
            Err(error) => {
                tracing::debug!(%error, %ip, "no further socket");
                None
            }
        }
    }

    pub(super) fn close(&mut self, id: SocketId) {
        self.list.remove(&id);
        self.carriers.remove(&id);
    }

    /// The next socket that may have something.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<SocketId> {
        let mut is_ready = |(id, port): (&SocketId, &mut Option<Port>)| {
            port.as_mut().is_some_and(|port| port.poll_readable(cx).is_ready()).then_some(*id)
        };
        let later = self.list.range_mut(SocketId(self.first)..).find_map(&mut is_ready);
        let next = later.or_else(|| self.list.range_mut(..SocketId(self.first)).find_map(is_ready));
        match next {
            Some(id) => {
                self.first = id.0 + 1;
                Poll::Ready(id)
            }
            None => Poll::Pending,
        }
    }

    /// Takes the receiving side out, to be [put back](Self::put_back).
    pub(super) fn take(&mut self, id: SocketId) -> Option<Port> {
        self.list.get_mut(&id)?.take()
    }

    /// It goes on receiving, unless it was closed meanwhile.
    pub(super) fn put_back(&mut self, id: SocketId, port: Port) {
        if let Some(place) = self.list.get_mut(&id) {
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
        Self::Udp { socket: Arc::new(socket.watching_errors()), errors_in_a_row: 0 }
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
