//! All sockets of a server, and what is sent on them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;

use tokio::net::TcpListener;

use super::ServerStats;
use super::stream::{Queued, Stream};
use super::tls::Welcome;
use crate::io::{SocketId, Transmit};
use crate::net::interfaces;
use crate::net::readiness::{Readiness, Token};
use crate::net::udp::{Source, UdpSocket};

/// A UDP socket and its place in the queue of those that have something.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) token: Arc<Token>,
    pub(super) waker: Waker,
    pub(super) errors_in_a_row: u32,
}

/// Where clients connect to.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) welcome: Welcome,
    pub(super) token: Arc<Token>,
    pub(super) waker: Waker,
}

/// The sockets by their ids.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) ports: HashMap<SocketId, Port>,
    pub(super) listeners: HashMap<SocketId, Listener>,
    pub(super) streams: HashMap<SocketId, Stream>,
    pub(super) readiness: Readiness,
    pub(super) stats: ServerStats,
    /// The connections that have something to flush.
    dirty: Vec<SocketId>,
    next_id: u32,
    /// The MTU of each address: asking the system for every relay socket would be slow.
    mtus: HashMap<IpAddr, usize>,
}

impl Sockets {
    /// An id that nothing has, also after four billion connections.
    fn new_id(&mut self) -> SocketId {
        loop {
            let id = SocketId(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            let is_taken = self.ports.contains_key(&id)
                || self.listeners.contains_key(&id)
                || self.streams.contains_key(&id);
            if !is_taken {
                return id;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ports.len() + self.listeners.len() + self.streams.len()
    }

    pub(super) fn bind(&mut self, addr: SocketAddr) -> io::Result<(SocketId, SocketAddr)> {
        let mtu = *self.mtus.entry(addr.ip()).or_insert_with(|| interfaces::mtu(addr.ip()));
        let socket = UdpSocket::bind(addr, Source::Bound, None, mtu)?;
        let local = socket.local();
        let id = self.new_id();
        let token = self.readiness.token(id);
        let waker = Waker::from(token.clone());
        self.ports.insert(id, Port { socket: Arc::new(socket), token, waker, errors_in_a_row: 0 });
        Ok((id, local))
    }

    /// The UDP socket at this address.
    pub(super) fn id_of(&self, local: SocketAddr) -> Option<SocketId> {
        self.ports.iter().find(|(_, port)| port.socket.local() == local).map(|(id, _)| *id)
    }

    pub(super) fn listen(&mut self, addr: SocketAddr, welcome: Welcome) -> io::Result<SocketAddr> {
        let socket = listener(addr)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))?;
        let local = socket.local_addr()?;
        let id = self.new_id();
        let token = self.readiness.token(id);
        let waker = Waker::from(token.clone());
        self.listeners.insert(id, Listener { socket, welcome, token, waker });
        Ok(local)
    }

    /// Adds a connection that a listener has accepted.
    pub(super) fn connected(
        &mut self,
        tcp: tokio::net::TcpStream,
        welcome: &Welcome,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> SocketId {
        let id = self.new_id();
        let token = self.readiness.token(id);
        self.streams.insert(id, Stream::new(tcp, welcome, local.ip(), remote, token));
        id
    }

    /// Says on every connection that nothing more comes.
    pub(super) fn shut_down(&mut self) {
        #[expect(clippy::iter_over_hash_type, reason = "their order says nothing")]
        for (_, mut stream) in std::mem::take(&mut self.streams) {
            stream.shut_down();
        }
    }

    pub(super) fn close(&mut self, id: SocketId) {
        if let Some(mut stream) = self.streams.remove(&id) {
            stream.shut_down();
        }
        self.ports.remove(&id);
    }

    /// Sends at once on UDP. On a connection it is queued; [`dirty`](Self::dirty) says which are to be flushed.
    pub(super) fn send(&mut self, transmit: &Transmit<'_>) {
        if let Some(stream) = self.streams.get_mut(&transmit.socket) {
            match stream.queue(transmit.payload) {
                Queued::Dropped => self.stats.packets_discarded_on_send += 1,
                Queued::Taken if stream.is_dirty => {}
                Queued::Taken => {
                    stream.is_dirty = true;
                    self.dirty.push(transmit.socket);
                }
            }
            return;
        }
        let Some(port) = self.ports.get(&transmit.socket) else { return };
        match port.socket.try_send(transmit) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.stats.packets_discarded_on_send += 1;
            }
            Err(error) => {
                tracing::trace!(%error, destination = %transmit.destination, "send error");
                self.stats.send_errors += 1;
            }
        }
    }

    /// The connections to flush, each once.
    pub(super) fn dirty(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.dirty)
    }
}

fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    if addr.is_ipv6() {
        // One family a socket: addresses never come IPv4-mapped.
        socket.set_only_v6(true)?;
    }
    // What is left of the connections of an earlier server does not keep its port from us.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}
