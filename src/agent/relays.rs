//! The TURN clients of an agent: one for each base and server.

use std::net::{IpAddr, SocketAddr};

use super::connections::Connections;
use super::event::ServerId;
use crate::candidate::BaseId;
use crate::hash::Map;
use crate::io::{ComponentId, ConnectId, SocketId, StreamProtocol};
use crate::stun::Family;
use crate::time::{Instant, Timer, earliest};
use crate::turn::{Client, Redirects, ServerTransport, TurnServer};

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

impl Link {
    fn for_server(server: &TurnServer) -> Self {
        if server.transport == ServerTransport::Udp { Self::Datagrams } else { Self::Unopened }
    }
}

#[derive(Debug)]
pub(super) struct Relay {
    pub(super) client: Client,
    /// What is asked at present: the configured server, or one that it sent to.
    pub(super) asked: TurnServer,
    pub(super) link: Link,
    /// The base that the server is reached from.
    pub(super) from: BaseId,
    pub(super) component: ComponentId,
    pub(super) server: ServerId,
    pub(super) server_addr: SocketAddr,
    /// The bases at the relayed transport addresses, once allocated: one of each family at most.
    v4: Option<BaseId>,
    v6: Option<BaseId>,
    /// What its server sees of `from`.
    pub(super) mapped: Option<SocketAddr>,
    /// It has allocated or failed: gathering does not wait for it.
    pub(super) settled: bool,
    /// An intent to write its packets is queued.
    pub(super) queued: bool,
    pub(super) redirects: Redirects,
    /// Local ports that were tried since the server began to say that the 5-tuple is taken.
    pub(super) ports: u8,
    /// When it is allocated anew, if gathering still goes on then.
    pub(super) revival: Timer,
    pub(super) revivals: u8,
    /// How long it waits for a socket to move to.
    pub(super) home: Timer,
    /// A restart came while it moved: gathering waits for what becomes of it.
    pub(super) awaited: bool,
    /// When it moved last.
    pub(super) moved_at: Option<Instant>,
}

impl Relay {
    /// A client that has not begun yet.
    pub(super) fn new(
        server: &TurnServer,
        id: ServerId,
        from: BaseId,
        component: ComponentId,
        seed: [u8; 32],
    ) -> Self {
        Self {
            client: Client::new(server.clone(), seed),
            link: Link::for_server(server),
            asked: server.clone(),
            from,
            component,
            server: id,
            server_addr: server.addr,
            v4: None,
            v6: None,
            mapped: None,
            settled: false,
            queued: false,
            redirects: Redirects::default(),
            ports: 1,
            revival: Timer::STOPPED,
            revivals: 0,
            home: Timer::STOPPED,
            awaited: false,
            moved_at: None,
        }
    }

    /// Whether it waits for a slot: to connect, or for a transaction on what is connected.
    fn wants_slot(&self) -> bool {
        match self.link {
            Link::Datagrams | Link::Open(..) | Link::Unopened => self.client.wants_slot(),
            Link::Opening(_) | Link::Gone => false,
        }
    }

    /// What runs on the connection to the server; over UDP there is none.
    pub(super) fn protocol(&self) -> Option<StreamProtocol> {
        self.asked.transport.protocol()
    }

    /// Whether the server sees a UDP address of this host.
    pub(super) fn is_udp(&self) -> bool {
        self.asked.transport == ServerTransport::Udp
    }

    /// The bases at its relayed addresses.
    pub(super) fn bases(&self) -> impl Iterator<Item = BaseId> + use<> {
        self.v4.into_iter().chain(self.v6)
    }

    pub(super) fn is_allocated(&self) -> bool {
        self.v4.is_some() || self.v6.is_some()
    }

    /// The base that this peer is reached from: relayed addresses talk to their own family.
    pub(super) fn base_of(&self, peer: IpAddr) -> Option<BaseId> {
        if peer.is_ipv4() { self.v4 } else { self.v6 }
    }

    /// Another relayed address, or none any more.
    pub(super) fn set_base(&mut self, family: Family, base: Option<BaseId>) {
        match family {
            Family::V4 => self.v4 = base,
            Family::V6 => self.v6 = base,
        }
    }
}

/// All TURN clients. The places of those whose socket is gone stay empty.
#[derive(Debug, Default)]
pub(super) struct Relays {
    list: Vec<Option<Relay>>,
    by_path: Map<(BaseId, SocketAddr), RelayId>,
    /// Whose turn it is to begin a transaction.
    turn: usize,
}

impl Relays {
    pub(super) fn add(&mut self, relay: Relay) {
        let id = RelayId(self.list.len() as u16);
        self.list.push(Some(relay));
        self.link(id);
    }

    /// Datagrams of its server are its own from now on.
    pub(super) fn link(&mut self, id: RelayId) {
        if let Some(relay) = self.get(id).filter(|relay| relay.is_udp()) {
            let path = (relay.from, relay.server_addr);
            self.by_path.insert(path, id);
        }
    }

    /// Nothing reaches it any more: its socket or connection is gone, or is to be closed.
    pub(super) fn unlink(&mut self, id: RelayId, connections: &mut Connections) {
        let Some(relay) = self.list.get_mut(usize::from(id.0)).and_then(Option::as_mut) else { return };
        connections.end(&mut relay.link);
        relay.link = Link::Gone;
        let path = (relay.from, relay.server_addr);
        if self.by_path.get(&path) == Some(&id) {
            self.by_path.remove(&path);
        }
    }

    /// Begins with an allocation at this server, from its base and another connection.
    pub(super) fn begin_at(
        &mut self,
        id: RelayId,
        server: &TurnServer,
        seed: [u8; 32],
        connections: &mut Connections,
    ) {
        self.unlink(id, connections);
        if let Some(relay) = self.get_mut(id) {
            relay.client = Client::new(server.clone(), seed);
            relay.link = Link::for_server(server);
            relay.asked = server.clone();
            relay.server_addr = server.addr;
        }
        self.link(id);
    }

    /// Takes a client away whose 5-tuple is unlinked already.
    pub(super) fn take(&mut self, id: RelayId) -> Option<Relay> {
        self.list.get_mut(usize::from(id.0))?.take()
    }

    /// The clients that reach their server from this base.
    pub(super) fn of_base(&self, from: BaseId) -> impl Iterator<Item = RelayId> {
        self.iter().filter(move |(_, relay)| relay.from == from).map(|(id, _)| id)
    }

    /// The clients that wait for a socket.
    pub(super) fn homeless(&self) -> Vec<RelayId> {
        let waiting = self.iter().filter(|(_, relay)| relay.home.deadline().is_some());
        waiting.map(|(id, _)| id).collect()
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
        let of = |relay: &Relay| {
            [relay.revival.deadline(), relay.home.deadline()]
                .into_iter()
                .fold(relay.client.deadline(), earliest)
        };
        self.iter().filter_map(|(_, relay)| of(relay)).min()
    }

    /// Takes the clients away that have ended, so that their servers can be asked anew.
    pub(super) fn remove_ended(&mut self, connections: &mut Connections) {
        let ended = self.iter().filter(|(_, relay)| relay.settled && !relay.is_allocated());
        for id in ended.map(|(id, _)| id).collect::<Vec<_>>() {
            self.unlink(id, connections);
            self.take(id);
        }
    }
}
