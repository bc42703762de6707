//! The sockets of a probe: each on a random port that nobody has used before (RFC 5780 §4.1).

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::io::SocketId;
use crate::rng::Rng;

/// Ports that RFC 5780 §4.1 recommends.
const PORTS: (u64, u64) = (32_768, 65_535);
/// How often another port is tried.
const TRIES: u8 = 8;
/// A probe that has opened so many opens no more.
const MAX_SOCKETS: u32 = 512;

/// What is with a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The driver has been asked to bind it; so many tries are left.
    Opening(u8),
    Open(SocketAddr),
    /// It cannot be bound.
    Failed,
}

#[derive(Debug)]
pub(super) struct Sockets {
    local: IpAddr,
    opened: u32,
    list: BTreeMap<SocketId, State>,
    /// What the driver has to bind, and to close.
    pub(super) to_open: VecDeque<(SocketId, SocketAddr)>,
    pub(super) to_close: VecDeque<SocketId>,
}

impl Sockets {
    pub(super) fn new(local: IpAddr) -> Self {
        Self { local, opened: 0, list: BTreeMap::new(), to_open: VecDeque::new(), to_close: VecDeque::new() }
    }

    pub(super) fn local(&self) -> IpAddr {
        self.local
    }

    /// A new socket, whose name is never used again.
    pub(super) fn open(&mut self, rng: &mut Rng) -> SocketId {
        let socket = SocketId(self.opened);
        if self.opened >= MAX_SOCKETS {
            self.list.insert(socket, State::Failed);
            return socket;
        }
        self.opened += 1;
        self.list.insert(socket, State::Opening(TRIES));
        self.bind(socket, rng);
        socket
    }

    fn bind(&mut self, socket: SocketId, rng: &mut Rng) {
        let port = rng.between(PORTS.0, PORTS.1) as u16;
        self.to_open.push_back((socket, SocketAddr::new(self.local, port)));
    }

    pub(super) fn bound(&mut self, socket: SocketId, local: SocketAddr) {
        if let Some(state @ State::Opening(_)) = self.list.get_mut(&socket) {
            *state = State::Open(local);
        }
    }

    pub(super) fn not_bound(&mut self, socket: SocketId, rng: &mut Rng) {
        let Some(State::Opening(tries)) = self.list.get_mut(&socket) else { return };
        *tries -= 1;
        if *tries == 0 {
            self.list.insert(socket, State::Failed);
        } else {
            self.bind(socket, rng);
        }
    }

    /// What is with it; a closed one has failed.
    pub(super) fn state(&self, socket: SocketId) -> State {
        self.list.get(&socket).copied().unwrap_or(State::Failed)
    }

    pub(super) fn close(&mut self, socket: SocketId) {
        if self.list.remove(&socket).is_some_and(|state| state != State::Failed) {
            self.to_open.retain(|(waiting, _)| *waiting != socket);
            self.to_close.push_back(socket);
        }
    }

    pub(super) fn close_all(&mut self) {
        let all: Vec<SocketId> = self.list.keys().copied().collect();
        for socket in all {
            self.close(socket);
        }
    }
}
