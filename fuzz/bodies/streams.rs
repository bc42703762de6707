//! What the network does to TCP (RFC 6544): listening sockets, connections, and what an agent keeps about them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use floe::io::{CloseReason, ComponentId, Connect, ConnectId, Socket, SocketId};
use floe::{Agent, Input};

/// RFC 6544 §12.
const MAX_OPENING: usize = 5;
/// Ids of listeners and of connections count from here.
const FIRST_LISTENER: u32 = 20;
const FIRST_STREAM: u32 = 1000;

pub(crate) struct Stream {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) component: ComponentId,
}

#[derive(Default)]
pub(crate) struct Streams {
    listeners: BTreeMap<u32, (SocketAddr, ComponentId)>,
    opening: BTreeMap<ConnectId, (SocketAddr, SocketAddr)>,
    pub(crate) open: BTreeMap<u32, Stream>,
    given: u32,
    /// When the last one was asked for.
    paced: Option<Instant>,
}

impl Streams {
    pub(crate) fn get(&self, socket: SocketId) -> Option<&Stream> {
        self.open.get(&socket.0)
    }

    pub(crate) fn listen(
        &mut self,
        agent: &mut Agent,
        now: Instant,
        number: u8,
        local: SocketAddr,
        component: ComponentId,
    ) {
        let id = FIRST_LISTENER + u32::from(number % 4);
        if agent.add_socket(now, SocketId(id), Socket::TcpListener { local, component }).is_ok() {
            self.listeners.insert(id, (local, component));
        }
    }

    pub(crate) fn stop_listening(&mut self, agent: &mut Agent, now: Instant, number: u8) {
        let id = FIRST_LISTENER + u32::from(number % 4);
        self.listeners.remove(&id);
        agent.remove_socket(now, SocketId(id));
    }

    pub(crate) fn accept(&mut self, agent: &mut Agent, now: Instant, number: u8, remote: SocketAddr) {
        let Some((&listener, &(local, component))) =
            self.listeners.iter().nth(usize::from(number) % self.listeners.len().max(1))
        else {
            return;
        };
        let socket = self.add(Stream { local, remote, component });
        let listener = SocketId(listener);
        let _ = agent.handle_input(now, Input::Accepted { listener, socket, local, remote });
    }

    fn add(&mut self, stream: Stream) -> SocketId {
        let id = FIRST_STREAM + self.given;
        self.given += 1;
        self.open.insert(id, stream);
        SocketId(id)
    }

    /// The agent wants a connection. Those are paced as checks are (RFC 6544 §4.1, §7.1).
    pub(crate) fn connect(&mut self, now: Instant, ta: Duration, connect: &Connect) {
        let gap = self.paced.map(|last| now - last);
        assert!(gap.is_none_or(|gap| gap >= ta), "connections {gap:?} apart");
        self.paced = Some(now);
        self.opening.insert(connect.request, (connect.local, connect.remote));
        let alike = self.opening.values().filter(|(_, to)| to.ip() == connect.remote.ip());
        assert!(alike.count() <= MAX_OPENING, "too many attempts");
    }

    /// One of those that the agent waits for stands, or will not.
    pub(crate) fn opened(&mut self, agent: &mut Agent, now: Instant, how: u8) {
        let at = usize::from(how >> 1) % self.opening.len().max(1);
        let Some(request) = self.opening.keys().nth(at).copied() else { return };
        let Some((mut local, remote)) = self.opening.remove(&request) else { return };
        if how & 1 == 0 {
            let why = CloseReason::Refused;
            let _ = agent.handle_input(now, Input::NotConnected { request, why });
            return;
        }
        let component = self.listeners.values().find(|(addr, _)| addr.ip() == local.ip());
        let component = component.map_or(ComponentId::FIRST, |(_, component)| *component);
        local.set_port(30_000 + (self.given % 1000) as u16);
        let socket = self.add(Stream { local, remote, component });
        let _ = agent.handle_input(now, Input::Connected { request, socket, local });
    }

    /// One of them ends.
    pub(crate) fn lose(&mut self, agent: &mut Agent, now: Instant, number: u8) {
        let at = usize::from(number) % self.open.len().max(1);
        let Some(id) = self.open.keys().nth(at).copied() else { return };
        self.open.remove(&id);
        let _ = agent.handle_input(now, Input::Closed { socket: SocketId(id), why: CloseReason::Reset });
    }

    pub(crate) fn close(&mut self, socket: SocketId) {
        assert!(self.open.remove(&socket.0).is_some(), "{socket:?} is not open");
    }
}
