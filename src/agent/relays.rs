//! The TURN clients of an agent: one for each base and server.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::connections::Connections;
use super::event::ServerId;
use crate::candidate::BaseId;
use crate::io::{ConnectId, SocketId, StreamProtocol};
use crate::time::Instant;
use crate::turn::{Client, TurnServer};

/// A TURN client of this agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RelayId(pub(super) u16);

/// How messages reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// On the socket of the base.
    Datagrams,
    /// On a connection that waits for its slot.
    Unopened,
    /// On a connection that the driver is opening.
    Opening(ConnectId),
    /// On this connection, which has the address of the base and a port of its own.
    Open(SocketId, IpAddr),
    /// Not any more.
    Gone,
}

#[derive(Debug)]
pub(super) struct Relay {
    pub(super) client: Client,
    /// What runs on the connection; over UDP there is none.
    pub(super) protocol: Option<StreamProtocol>,
    pub(super) link: Link,
    /// The base that the server is reached from.
    pub(super) from: BaseId,
    pub(super) server: ServerId,
    pub(super) server_addr: SocketAddr,
    /// The base at the relayed transport address, once allocated.
    pub(super) base: Option<BaseId>,
    /// What its server sees of `from`.
    pub(super) mapped: Option<SocketAddr>,
    /// It has allocated or failed: gathering does not wait for it.
    pub(super) settled: bool,
    /// An intent to write its packets is queued.
    pub(super) queued: bool,
}

impl Relay {
    /// A client that has not begun yet.
    pub(super) fn new(server: &TurnServer, id: ServerId, from: BaseId, seed: [u8; 32]) -> Self {
        let protocol = server.transport.protocol();
        Self {
            client: Client::new(server.clone(), seed),
            link: if protocol.is_some() { Link::Unopened } else { Link::Datagrams },
            protocol,
            from,
            server: id,
            server_addr: server.addr,
            base: None,
            mapped: None,
            settled: false,
            queued: false,
        }
    }

    /// Whether it waits for a slot: to connect, or for a transaction on what is connected.
    fn wants_slot(&self) -> bool {
        match self.link {
            Link::Datagrams | Link::Open(..) | Link::Unopened => self.client.wants_slot(),
            Link::Opening(_) | Link::Gone => false,
        }
    }

    /// Whether the server sees a UDP address of this host.
    pub(super) fn is_udp(&self) -> bool {
        self.link == Link::Datagrams
    }
}

/// All TURN clients. The places of those whose socket is gone stay empty.
#[derive(Debug, Default)]
pub(super) struct Relays {
    list: Vec<Option<Relay>>,
    by_path: HashMap<(BaseId, SocketAddr), RelayId>,
    /// Whose turn it is to begin a transaction.
    turn: usize,
}

impl Relays {
    pub(super) fn add(&mut self, relay: Relay) -> RelayId {
        let id = RelayId(self.list.len() as u16);
        if relay.is_udp() {
            self.by_path.insert((relay.from, relay.server_addr), id);
        }
        self.list.push(Some(relay));
        id
    }

    pub(super) fn get(&self, id: RelayId) -> Option<&Relay> {
        self.list.get(usize::from(id.0))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: RelayId) -> Option<&mut Relay> {
        self.list.get_mut(usize::from(id.0))?.as_mut()
    }

    /// Whether this server is asked from this base already.
    pub(super) fn has(&self, from: BaseId, server: ServerId) -> bool {
        self.iter().any(|(_, relay)| relay.from == from && relay.server == server)
    }

    /// The client whose server sends datagrams to this base from this address.
    pub(super) fn of_server(&self, from: BaseId, server: SocketAddr) -> Option<RelayId> {
        self.by_path.get(&(from, server)).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RelayId, &Relay)> {
        let all = self.list.iter().enumerate();
        all.filter_map(|(index, relay)| Some((RelayId(index as u16), relay.as_ref()?)))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = RelayId> + use<> {
        (0..self.list.len() as u16).map(RelayId)
    }

    pub(super) fn all_settled(&self) -> bool {
        self.iter().all(|(_, relay)| relay.settled)
    }

    pub(super) fn wants_slot(&self) -> bool {
        self.iter().any(|(_, relay)| relay.wants_slot())
    }

    /// The next client that has a transaction to begin.
    pub(super) fn next_for_slot(&mut self) -> Option<RelayId> {
        let count = self.list.len();
        let next = (0..count)
            .map(|offset| (self.turn + offset) % count)
            .find(|at| self.list[*at].as_ref().is_some_and(Relay::wants_slot))?;
        self.turn = next + 1;
        Some(RelayId(next as u16))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.iter().filter_map(|(_, relay)| relay.client.deadline()).min()
    }

    /// Takes the clients away that have ended, so that their servers can be asked anew.
    pub(super) fn remove_ended(&mut self, connections: &mut Connections) {
        self.remove(connections, |relay| relay.settled && relay.base.is_none());
    }

    /// Takes the clients away whose server was reached from this base: with the 5-tuple their allocations are lost.
    pub(super) fn remove_base(&mut self, from: BaseId, connections: &mut Connections) {
        self.remove(connections, |relay| relay.from == from);
    }

    fn remove(&mut self, connections: &mut Connections, is_gone: impl Fn(&Relay) -> bool) {
        for place in &mut self.list {
            let Some(mut relay) = place.take_if(|relay| is_gone(relay)) else { continue };
            connections.end(&mut relay.link);
            if relay.is_udp() {
                self.by_path.remove(&(relay.from, relay.server_addr));
            }
        }
    }
}
