//! A machine on the Internet that runs floe's own server.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::nat::Nat;
use super::node::{HostId, Interface, Node, Program, packets};
use super::packet::Packet;
use super::world::World;
use crate::io::{SocketId, Transmit};
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
        let config = Config::new(self.seed()).user(USER, PASSWORD);
        let config = config.relay_address(V4.into()).relay_address(V6.into());
        let mut server = Server::new(config, self.now());
        let mut sockets = Vec::new();
        for (id, addr) in [SocketAddr::new(V4.into(), PORT), SocketAddr::new(V6.into(), PORT)].into_iter().enumerate() {
            server.add_socket(SocketId(id as u32), addr);
            sockets.push((SocketId(id as u32), addr));
        }
        let interfaces = [V4.into(), V6.into()].map(|ip| Interface::v4(Nat::none()).address(ip));
        let next_socket = sockets.len() as u32;
        let serving = Serving { server, next_socket, forwards: Vec::new() };
        let host = self.add(interfaces.into(), |id, _, _| Node::new(id, Program::Server(Box::new(serving)), sockets));
        self.server = Some(host);
        host
    }

    /// Where the server answers Binding requests over IPv4. It does over IPv6 too, at its other address.
    pub fn stun_server(&mut self) -> SocketAddr {
        self.server();
        SocketAddr::new(V4.into(), PORT)
    }

    /// The same server as a relay, with a user that it knows.
    pub fn turn_server(&mut self) -> TurnServer {
        TurnServer::new(self.stun_server(), USER, PASSWORD)
    }
}

/// The server with what it has to forward.
#[derive(Debug)]
pub(super) struct Serving {
    server: Server,
    next_socket: u32,
    forwards: Vec<Packet>,
}
