//! TCP connections: what was asked of the driver, and whose each one is.
//!
//! ```text
//!  slot ─► Output::Connect ─► Input::Connected ──┬─► messages ──► Input::Closed      the owner loses it
//!                        └──► Input::NotConnected │          └──► Output::Close      the owner is done with it
//!                              Input::Accepted ───┘
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::Agent;
use super::event::Output;
use super::relays::{Link, RelayId};
use crate::candidate::BaseId;
use crate::checks::Generation;
use crate::checks::connect::Hold;
use crate::io::{CloseReason, Connect, ConnectId, SocketId, StreamProtocol};
use crate::time::{Duration, Instant};

/// Connections that are being opened to one address of the peer at a time (RFC 6544 §12).
const MAX_OPENING: usize = 5;
/// How long an accepted connection may be without an authenticated check.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the driver has to do.
#[derive(Debug)]
pub(super) enum Errand {
    Connect(Connect),
    Close(SocketId),
}

impl Errand {
    pub(super) fn into_output(self) -> Output<'static> {
        match self {
            Self::Connect(connect) => Output::Connect(connect),
            Self::Close(socket) => Output::Close(socket),
        }
    }
}

/// The ends of a connection of a pair, which are those of the pair. One that this side has opened belongs to the ICE
/// session that did: the next one opens its own to the same address (RFC 6544 §9.2). One that was accepted belongs to
/// whoever checks over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ends {
    pub(super) opened: Option<Generation>,
    pub(super) base: BaseId,
    pub(super) remote: SocketAddr,
}

/// Whose a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Relay(RelayId),
    Pair(Ends),
}

/// An accepted connection whose other end has not proven to be the peer.
#[derive(Debug)]
struct Stranger {
    socket: SocketId,
    ends: Ends,
    until: Instant,
}

/// The connections of an agent.
#[derive(Debug, Default)]
pub(super) struct Connections {
    last: u32,
    /// With the address of the other end. What nobody waits for any more has no owner, but counts until it is answered.
    opening: BTreeMap<ConnectId, (Option<Owner>, IpAddr)>,
    open: BTreeMap<SocketId, Owner>,
    between: BTreeMap<Ends, SocketId>,
    strangers: VecDeque<Stranger>,
    pub(super) errands: VecDeque<Errand>,
}

impl Connections {
    /// Whose messages arrive on this socket.
    pub(super) fn owner(&self, socket: SocketId) -> Option<Owner> {
        self.open.get(&socket).copied()
    }

    /// The connection of a pair of this session.
    pub(super) fn between(&self, session: Generation, base: BaseId, remote: SocketAddr) -> Option<SocketId> {
        let of = |opened| self.between.get(&Ends { opened, base, remote }).copied();
        of(Some(session)).or_else(|| of(None))
    }

    /// Those of pairs, with their sockets.
    pub(super) fn of_pairs(&self) -> impl Iterator<Item = (Ends, SocketId)> {
        self.between.iter().map(|(ends, socket)| (*ends, *socket))
    }

    /// Asks the driver for a connection.
    pub(super) fn connect(
        &mut self,
        owner: Owner,
        local: SocketAddr,
        remote: SocketAddr,
        protocol: StreamProtocol,
    ) -> ConnectId {
        self.last = self.last.wrapping_add(1);
        let request = ConnectId(self.last);
        self.opening.insert(request, (Some(owner), remote.ip()));
        self.errands.push_back(Errand::Connect(Connect::new(request, local, remote, protocol)));
        request
    }

    /// Takes a connection that was opened for a pair, or accepted.
    pub(super) fn add(&mut self, ends: Ends, socket: SocketId) {
        self.open.insert(socket, Owner::Pair(ends));
        self.between.insert(ends, socket);
    }

    /// Takes a connection that was accepted from whoever it may be.
    pub(super) fn add_stranger(&mut self, now: Instant, ends: Ends, socket: SocketId, limit: usize) {
        if self.strangers.len() >= limit {
            // Whoever opens many at once loses his own.
            let alike = |known: &Stranger| known.ends.remote.ip() == ends.remote.ip();
            let oldest = self.strangers.iter().position(alike).unwrap_or(0);
            if let Some(stranger) = self.strangers.remove(oldest) {
                self.close(stranger.socket);
            }
        }
        self.add(ends, socket);
        self.strangers.push_back(Stranger { socket, ends, until: now + PATIENCE });
    }

    /// An authenticated check has come over the connection between these.
    pub(super) fn introduce(&mut self, base: BaseId, remote: SocketAddr) {
        self.strangers.retain(|stranger| (stranger.ends.base, stranger.ends.remote) != (base, remote));
    }

    pub(super) fn is_stranger(&self, socket: SocketId) -> bool {
        self.strangers.iter().any(|stranger| stranger.socket == socket)
    }

    /// The next connection whose other end has not proven itself in time.
    pub(super) fn next_overdue(&mut self, now: Instant) -> Option<SocketId> {
        let stranger = self.strangers.front().filter(|stranger| stranger.until <= now)?;
        Some(stranger.socket)
    }

    /// When [`next_overdue`](Self::next_overdue) has one.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.strangers.front().map(|stranger| stranger.until)
    }

    /// Closes one of a pair.
    pub(super) fn close(&mut self, socket: SocketId) {
        if self.forget(socket).is_some() {
            self.errands.push_back(Errand::Close(socket));
        }
    }

    /// The connection is no more.
    fn forget(&mut self, socket: SocketId) -> Option<Owner> {
        let owner = self.open.remove(&socket)?;
        if let Owner::Pair(ends) = owner {
            if self.between.get(&ends) == Some(&socket) {
                self.between.remove(&ends);
            }
            self.strangers.retain(|stranger| stranger.socket != socket);
        }
        Some(owner)
    }

    /// Those of pairs that stand and that are being opened.
    pub(super) fn count(&self) -> usize {
        let is_pair = |owner: &Option<Owner>| !matches!(owner, Some(Owner::Relay(_)));
        self.between.len() + self.opening.values().filter(|(owner, _)| is_pair(owner)).count()
    }

    /// What may not be opened now.
    pub(super) fn hold(&self, limit: usize) -> Hold {
        let mut hold = Hold { all: self.count() >= limit, to: Vec::new() };
        let of_pairs = self.opening.values().filter(|(owner, _)| !matches!(owner, Some(Owner::Relay(_))));
        let mut counts = BTreeMap::<IpAddr, usize>::new();
        for (_, ip) in of_pairs {
            let count = counts.entry(*ip).or_default();
            *count += 1;
            if *count == MAX_OPENING {
                hold.to.push(*ip);
            }
        }
        hold
    }

    /// The session is over: those of pairs are closed, and what is being opened as soon as it stands.
    pub(super) fn end_pairs(&mut self) {
        for (owner, _) in self.opening.values_mut() {
            owner.take_if(|owner| matches!(owner, Owner::Pair(_)));
        }
        for (_, socket) in self.of_pairs().collect::<Vec<_>>() {
            self.close(socket);
        }
    }

    /// Ends the connection of a relay. One that is still being opened is closed when it stands.
    pub(super) fn end(&mut self, link: &mut Link) {
        match std::mem::replace(link, Link::Gone) {
            Link::Opening(request) => {
                self.opening.remove(&request);
            }
            Link::Open(socket, _) => {
                self.open.remove(&socket);
                self.errands.push_back(Errand::Close(socket));
            }
            Link::Datagrams => *link = Link::Datagrams,
            Link::Unopened | Link::Gone => {}
        }
    }
}

impl Agent {
    /// Opens the connection to a TURN server, in the slot of the transaction that it is for (RFC 6544 §4.1).
    pub(super) fn connect_relay(&mut self, id: RelayId) {
        let Some(relay) = self.relays.get_mut(id) else { return };
        let (server, protocol) = (relay.server_addr, relay.protocol());
        let local = self.bases.get(relay.from).map(|base| base.addr);
        let (Some(local), Some(protocol)) = (local, protocol) else { return };
        relay.link = Link::Opening(self.connections.connect(Owner::Relay(id), local, server, protocol));
    }

    pub(super) fn follow_connected(
        &mut self,
        now: Instant,
        request: ConnectId,
        socket: SocketId,
        local: SocketAddr,
    ) {
        match self.connections.opening.remove(&request).and_then(|(owner, _)| owner) {
            Some(Owner::Relay(id)) => self.follow_relay_connected(now, id, socket, local),
            Some(Owner::Pair(ends)) => self.follow_pair_connected(now, ends, socket),
            None => self.connections.errands.push_back(Errand::Close(socket)),
        }
        self.hold_connections();
    }

    fn follow_relay_connected(&mut self, now: Instant, id: RelayId, socket: SocketId, local: SocketAddr) {
        let Some(relay) = self.relays.get_mut(id) else {
            self.connections.errands.push_back(Errand::Close(socket));
            return;
        };
        relay.link = Link::Open(socket, local.ip());
        let moves = relay.is_allocated();
        self.connections.open.insert(socket, Owner::Relay(id));
        if moves {
            self.arrive(now, id);
        } else {
            // The slot of this transaction was that of the connection.
            self.give_slot(now, id);
        }
        self.follow_relay(now, id);
    }

    pub(super) fn follow_not_connected(&mut self, now: Instant, request: ConnectId, why: CloseReason) {
        let owner = self.connections.opening.remove(&request).and_then(|(owner, _)| owner);
        self.hold_connections();
        self.lose_connection(now, owner, why);
    }

    pub(super) fn follow_closed(&mut self, now: Instant, socket: SocketId, why: CloseReason) {
        let owner = self.connections.forget(socket);
        self.hold_connections();
        if let Some(Owner::Relay(id)) = owner
            && let Some(relay) = self.relays.get_mut(id)
        {
            relay.link = Link::Gone;
        }
        self.lose_connection(now, owner, why);
    }

    fn lose_connection(&mut self, now: Instant, owner: Option<Owner>, why: CloseReason) {
        match owner {
            Some(Owner::Relay(id)) => self.lose_relay(now, id, why),
            Some(Owner::Pair(ends)) => self.lose_pair(now, ends, why),
            None => {}
        }
    }
}
