//! Connections of clients (TCP, TLS): how many there may be, and for how long without a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::Server;
use super::allocation::Client;
use super::limit::network;
use crate::io::SocketId;
use crate::time::{Duration, Instant};

/// How long a new connection may take to its first whole message, a handshake of TLS included.
const FIRST_MESSAGE: Duration = Duration::from_secs(15);

#[derive(Debug)]
struct Connection {
    client: Client,
    /// When it is closed; `None` while an allocation lives on it.
    until: Option<Instant>,
}

/// The connections that clients have opened.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_socket: BTreeMap<SocketId, Connection>,
    /// Of each source, IPv6 by its /64.
    of_source: BTreeMap<IpAddr, usize>,
    ends: BTreeSet<(Instant, SocketId)>,
}

impl Connections {
    pub(super) fn count(&self) -> usize {
        self.by_socket.len()
    }

    pub(super) fn has(&self, socket: SocketId) -> bool {
        self.by_socket.contains_key(&socket)
    }

    fn of_source(&self, source: IpAddr) -> usize {
        self.of_source.get(&network(source)).copied().unwrap_or(0)
    }

    fn insert(&mut self, client: Client, until: Instant) {
        *self.of_source.entry(network(client.source.ip())).or_default() += 1;
        self.ends.insert((until, client.socket));
        self.by_socket.insert(client.socket, Connection { client, until: Some(until) });
    }

    fn remove(&mut self, socket: SocketId) -> Option<Client> {
        let Connection { client, until } = self.by_socket.remove(&socket)?;
        if let Some(until) = until {
            self.ends.remove(&(until, socket));
        }
        let source = network(client.source.ip());
        if let Some(count) = self.of_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.of_source.remove(&source);
            }
        }
        Some(client)
    }

    /// From now on the connection ends at this time, or stays as long as its allocation.
    pub(super) fn set_end(&mut self, socket: SocketId, until: Option<Instant>) {
        let Some(connection) = self.by_socket.get_mut(&socket) else { return };
        if let Some(until) = connection.until {
            self.ends.remove(&(until, socket));
        }
        if let Some(until) = until {
            self.ends.insert((until, socket));
        }
        connection.until = until;
    }

    /// Something came that the connection is there for.
    pub(super) fn stir(&mut self, socket: SocketId, until: Instant) {
        if self.by_socket.get(&socket).is_some_and(|connection| connection.until.is_some()) {
            self.set_end(socket, Some(until));
        }
    }

    /// When the next connection ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// A connection that has had its time.
    fn ended(&self, now: Instant) -> Option<SocketId> {
        self.ends.first().filter(|(at, _)| *at <= now).map(|(_, socket)| *socket)
    }

    pub(super) fn sockets(&self) -> Vec<SocketId> {
        self.by_socket.keys().copied().collect()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Server {
    /// A client has connected. Beyond the limits the connection is closed at once.
    pub(super) fn accepted(&mut self, socket: SocketId, local: SocketAddr, source: SocketAddr) {
        let is_full = self.connections.count() >= self.config.max_connections
            || self.connections.of_source(source.ip()) >= self.config.max_connections_per_source;
        if is_full || self.is_closed {
            self.stats.connections_refused += 1;
            self.closes.push_back(socket);
            return;
        }
        self.stats.connections_made += 1;
        let client = Client { socket, local: local.ip(), source };
        let patience = FIRST_MESSAGE.min(self.config.idle_timeout);
        self.connections.insert(client, self.now + patience);
    }

    /// A connection is gone, and with it the 5-tuple of what was on it (RFC 8656 §3.2).
    pub(super) fn disconnected(&mut self, socket: SocketId) {
        if let Some(client) = self.connections.remove(socket) {
            self.abandon_opening(&client);
            self.lose_client(&client);
        }
    }

    /// Closes the connections that nobody uses.
    pub(super) fn end_idle_connections(&mut self) {
        while let Some(socket) = self.connections.ended(self.now) {
            self.stats.connections_idle += 1;
            self.closes.push_back(socket);
            self.disconnected(socket);
        }
    }
}
