//! TCP connections: what was asked of the driver, and whose each one is.
//!
//! ```text
//!  slot ─► Output::Connect ─► Input::Connected ──► messages ──► Input::Closed      the owner loses it
//!                        └──► Input::NotConnected          └──► Output::Close      the owner is done with it
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::Agent;
use super::event::Output;
use super::relays::{Link, RelayId};
use crate::io::{CloseReason, Connect, ConnectId, SocketId};
use crate::time::Instant;

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

/// The connections of an agent. An owner has one at a time, so there are no more than owners.
#[derive(Debug, Default)]
pub(super) struct Connections {
    last: u32,
    opening: BTreeMap<ConnectId, RelayId>,
    open: BTreeMap<SocketId, RelayId>,
    pub(super) errands: VecDeque<Errand>,
}

impl Connections {
    /// Whose messages arrive on this socket.
    pub(super) fn owner(&self, socket: SocketId) -> Option<RelayId> {
        self.open.get(&socket).copied()
    }

    fn next_id(&mut self) -> ConnectId {
        self.last = self.last.wrapping_add(1);
        ConnectId(self.last)
    }

    /// Ends the connection of a link. One that is still being opened is closed when it stands.
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
        let request = self.connections.next_id();
        relay.link = Link::Opening(request);
        self.connections.opening.insert(request, id);
        let connect = Connect::new(request, local, server, protocol);
        self.connections.errands.push_back(Errand::Connect(connect));
    }

    pub(super) fn follow_connected(
        &mut self,
        now: Instant,
        request: ConnectId,
        socket: SocketId,
        local: SocketAddr,
    ) {
        let id = self.connections.opening.remove(&request);
        let Some(relay) = id.and_then(|id| self.relays.get_mut(id)) else {
            self.connections.errands.push_back(Errand::Close(socket));
            return;
        };
        relay.link = Link::Open(socket, local.ip());
        let moves = relay.is_allocated();
        if let Some(id) = id {
            self.connections.open.insert(socket, id);
            if moves {
                self.arrive(now, id);
            } else {
                // The slot of this transaction was that of the connection.
                self.give_slot(now, id);
            }
            self.follow_relay(now, id);
        }
    }

    pub(super) fn follow_not_connected(&mut self, now: Instant, request: ConnectId, why: CloseReason) {
        if let Some(id) = self.connections.opening.remove(&request) {
            self.lose_connection(now, id, why);
        }
    }

    pub(super) fn follow_closed(&mut self, now: Instant, socket: SocketId, why: CloseReason) {
        if let Some(id) = self.connections.open.remove(&socket) {
            if let Some(relay) = self.relays.get_mut(id) {
                relay.link = Link::Gone;
            }
            self.lose_connection(now, id, why);
        }
    }
}
