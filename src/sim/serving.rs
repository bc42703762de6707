//! A machine on the Internet that runs floe's own server.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::nat::Nat;
use super::node::{BUFFER, Host, HostId, Interface, Node, Polled, Program, Sockets, packets};
use super::packet::Packet;
use super::world::World;
use crate::io::{Datagram, SocketId, Transmit};
use crate::server::{Config, Forward, Input, Open, Output, Received, Server};
use crate::time::Instant;
use crate::turn::TurnServer;
use crate::turn::data::{HEADROOM, TAILROOM, wrap};

/// The port of STUN and TURN (RFC 8489 §18.6).
const PORT: u16 = 3478;
/// Of the documentation ranges (RFC 5737, RFC 3849), so that it is told from hosts at a glance.
const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
const USER: &str = "sim";
const PASSWORD: &str = "secret";

impl World {
    /// The host of the server, which is there from the first time that it is asked for. Paths to it can be cut.
    pub fn server(&mut self) -> HostId {
        if let Some(host) = self.server {
            return host;
        }
        let interfaces = [V4.into(), V6.into()].map(|ip| Interface::v4(Nat::none()).address(ip));
        let host = self.further_server(interfaces);
        self.server = Some(host);
        host
    }

    /// A STUN and TURN server of its own, which listens and relays at each of these addresses.
    ///
    /// # Panics
    /// If an interface names an address that is taken.
    pub fn further_server(&mut self, host: impl Into<Host>) -> HostId {
        let (host, addresses) = self.place(host);
        let config = Config::new(self.seed()).user(USER, PASSWORD);
        let config = addresses.iter().fold(config, |config, ip| config.relay_address(*ip));
        let mut serving = Serving::new(Server::new(config, self.now()));
        let sockets = addresses.into_iter().map(|ip| serving.listen(SocketAddr::new(ip, PORT))).collect();
        self.add(Node::new(host, Program::Server(Box::new(serving)), sockets));
        host
    }

    /// A server of [`further_server`](Self::further_server) as a relay, at its first address.
    ///
    /// # Panics
    /// If there is no server on this host.
    pub fn turn_server_on(&self, host: HostId) -> TurnServer {
        let node = &self.nodes[host.0];
        assert!(matches!(node.program, Program::Server(_)), "a server on this host");
        let ip = self.addresses(host)[0];
        TurnServer::new(SocketAddr::new(ip, PORT), USER, PASSWORD)
    }

    /// Where the server answers Binding requests over IPv4. It does over IPv6 too, at its other address.
    pub fn stun_server(&mut self) -> SocketAddr {
        self.server();
        SocketAddr::new(V4.into(), PORT)
    }

    /// The same server as a relay, with a user that it knows. It can be asked over TCP too
    /// ([`TurnServer::over`]): each connection is a five-tuple as one over UDP would be, and its allocation ends in its
    /// time, not with the connection.
    pub fn turn_server(&mut self) -> TurnServer {
        TurnServer::new(self.stun_server(), USER, PASSWORD)
    }
}

/// The server with what it has to forward.
#[derive(Debug)]
pub(super) struct Serving {
    server: Server,
    next_socket: u32,
    /// What arrived and goes on at once: the server does not queue it.
    forwards: Vec<Packet>,
}

impl Serving {
    pub(super) fn new(server: Server) -> Self {
        Self { server, next_socket: 0, forwards: Vec::new() }
    }

    fn listen(&mut self, addr: SocketAddr) -> (SocketId, SocketAddr) {
        let socket = self.new_socket();
        self.server.add_socket(socket, addr);
        (socket, addr)
    }

    /// The four sockets of two addresses with two ports each.
    pub(super) fn listen_behavior(&mut self, addrs: [[SocketAddr; 2]; 2]) -> Sockets {
        let bound = addrs.map(|one| one.map(|addr| (self.new_socket(), addr)));
        self.server.add_behavior_sockets(bound);
        bound.concat()
    }

    fn new_socket(&mut self) -> SocketId {
        self.next_socket += 1;
        SocketId(self.next_socket - 1)
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        let _ = self.server.handle_input(now, Input::Timeout);
    }

    pub(super) fn receive(&mut self, now: Instant, id: HostId, sockets: &Sockets, datagram: Datagram<'_>) {
        let Received::Forward(forward) = self.server.handle_input(now, Input::Datagram(datagram)) else {
            return;
        };
        let Forward { socket, local, destination, framing, payload } = forward;
        let mut buf = vec![0; HEADROOM + payload.len() + TAILROOM];
        buf[HEADROOM..HEADROOM + payload.len()].copy_from_slice(payload);
        let transmit = Transmit::new(socket, local, destination, wrap(framing, &mut buf, payload.len()));
        self.forwards.extend(packets(id, sockets, &transmit));
    }

    pub(super) fn poll(&mut self, now: Instant, id: HostId, sockets: &mut Sockets) -> Polled {
        if !self.forwards.is_empty() {
            return Polled::Packets(std::mem::take(&mut self.forwards));
        }
        let mut buf = [0; BUFFER];
        match self.server.poll_output(&mut buf) {
            Output::Transmit(transmit) => return Polled::Packets(packets(id, sockets, &transmit).collect()),
            Output::Wait(wake) => return Polled::Wait(wake.map(|wake| wake.at)),
            Output::Close(socket) => sockets.retain(|(open, _)| *open != socket),
            Output::Open(open) => self.open(now, sockets, open),
        }
        Polled::Noted
    }

    fn open(&mut self, now: Instant, sockets: &mut Sockets, Open { request, local }: Open) {
        let taken = sockets.iter().any(|(_, addr)| *addr == local);
        let answer = if taken {
            Input::OpenFailed { request }
        } else {
            let socket = self.new_socket();
            sockets.push((socket, local));
            Input::Opened { request, socket, local }
        };
        let _ = self.server.handle_input(now, answer);
    }
}
