//! Guests: programs of others on a host of the world, such as another ICE implementation, or an application with
//! sockets of its own.

use std::any::Any;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::node::{Host, HostId, Node, Polled, Program};
use super::packet::{Packet, Protocol};
use super::world::World;
use crate::signal::Signal;
use crate::time::Instant;

/// A program that knows no floe: what a world tells it, and asks it. All UDP ports of its host are open.
///
/// After each call of a `handle_…` the world polls until [`Wish::Wait`].
pub trait Guest: Any + fmt::Debug + Send {
    /// A datagram has come from `source` to `local`, an address of its host.
    fn handle_datagram(&mut self, now: Instant, local: SocketAddr, source: SocketAddr, payload: &[u8]);

    /// The peer has signalled something ([`World::signal`]).
    fn handle_signal(&mut self, now: Instant, signal: Signal);

    /// The instant of its last [`Wish::Wait`] has come.
    fn handle_timeout(&mut self, now: Instant);

    /// The next thing that it wants to have done.
    fn poll(&mut self, now: Instant) -> Wish;
}

/// What a guest wants to have done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wish {
    /// Send this datagram. A `source` that its host does not have is spoofed.
    Transmit {
        /// An address of its host.
        source: SocketAddr,
        /// Where it goes.
        destination: SocketAddr,
        /// What it says.
        payload: Vec<u8>,
    },
    /// Tell the peer.
    Signal(Signal),
    /// Nothing more for now. It is called again at that instant, at once if that has passed, and whenever something
    /// comes.
    Wait(Option<Instant>),
}

impl World {
    /// A host with a guest, which is made with the addresses of the host. Signals reach it, and are carried from it, as
    /// those of agents are: it can be the peer of one.
    ///
    /// # Panics
    /// If an interface names an address that is taken.
    pub fn guest<G: Guest>(
        &mut self,
        host: impl Into<Host>,
        make: impl FnOnce(Instant, &[IpAddr]) -> G,
    ) -> HostId {
        let (id, addresses) = self.place(host);
        let guest = make(self.now(), &addresses);
        self.add(Node::new(id, Program::Guest(Box::new(guest)), Vec::new()))
    }

    /// The guest on a host.
    ///
    /// # Panics
    /// If there is none of this type.
    pub fn guest_ref<G: Guest>(&self, host: HostId) -> &G {
        let guest = match &self.nodes[host.0].program {
            Program::Guest(guest) => (guest.as_ref() as &dyn Any).downcast_ref(),
            _ => None,
        };
        guest.expect("a guest of this type on this host")
    }
}

/// The wish of a guest, in the words of the world.
pub(super) fn polled(id: HostId, wish: Wish) -> Polled {
    match wish {
        Wish::Transmit { source, destination, payload } => {
            let (protocol, origin) = (Protocol::Udp, Some(id));
            Polled::Packets(vec![Packet { protocol, origin, source, destination, payload }])
        }
        Wish::Signal(signal) => Polled::Signal(signal),
        Wish::Wait(wake) => Polled::Wait(wake),
    }
}
