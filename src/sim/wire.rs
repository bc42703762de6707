//! The wire: each datagram's way through links, networks and NATs, one step at a time.

use std::net::SocketAddr;

use super::nat::NatId;
use super::node::HostId;
use super::packet::{Captured, Fate, Packet, Protocol};
use super::topology::{Network, Next};
use super::world::{Parcel, Rank, World};
use crate::agent::Input;
use crate::time::Instant;

/// Where a datagram comes to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Network(Network),
    Nat(NatId),
    Host(HostId),
    Socket(HostId),
}

impl World {
    /// Lets a host send a datagram. A `source` that it does not have is spoofed, and leaves by its first interface;
    /// without any interface it is unroutable.
    pub fn transmit(&mut self, host: HostId, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        let (protocol, origin, payload) = (Protocol::Udp, Some(host), payload.to_vec());
        self.send_packet(host, Packet { protocol, origin, source, destination, payload });
    }

    /// Lets a datagram appear on the Internet, from whoever `source` says.
    pub fn inject(&mut self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        let (protocol, payload) = (Protocol::Udp, payload.to_vec());
        let packet = Packet { protocol, origin: None, source, destination, payload };
        self.travel(Place::Network(Network::INTERNET), packet);
    }

    /// Tells an agent by ICMP that nobody receives what it sends from `local` to `destination`, whether that is true or not.
    ///
    /// # Panics
    /// If there is no agent on this host.
    pub fn report_unreachable(&mut self, host: HostId, local: SocketAddr, destination: SocketAddr) {
        let socket = self.nodes[host.0].sockets.iter().find(|(_, addr)| *addr == local);
        let Some((socket, _)) = socket.copied() else { return };
        self.with_agent(host, |agent, now| {
            let _ = agent.handle_input(now, Input::Unreachable { socket, local: local.ip(), destination });
        });
    }

    /// Records the wire from now on.
    pub fn capture(&mut self) {
        self.capture.get_or_insert_default();
    }

    /// What was recorded.
    pub fn captured(&self) -> &[Captured] {
        self.capture.as_deref().unwrap_or_default()
    }

    pub(super) fn send_packet(&mut self, host: HostId, packet: Packet) {
        self.note(Fate::Sent, &packet);
        let ip = packet.source.ip();
        let own = self.topology.addresses(host).find(|own| *own == ip);
        let Some(ip) = own.or_else(|| self.topology.addresses(host).next()) else {
            return self.note(Fate::Unroutable, &packet);
        };
        if let Some(edge) = self.topology.interface_mut(host, ip) {
            let to = Place::Network(edge.network);
            let far_port = packet.destination.port();
            let passed = edge.up.pass(self.now, &mut self.rng, &packet, far_port);
            self.crossed(passed, to, packet);
        }
    }

    /// One step of a datagram's way: into a link or, where there is none, to the next place.
    pub(super) fn travel(&mut self, place: Place, mut packet: Packet) {
        let (now, rng) = (self.now, &mut self.rng);
        let far_port = packet.source.port();
        match place {
            Place::Network(network) => match self.topology.forward(now, rng, network, &mut packet) {
                Next::Host(host) => {
                    let Some(edge) = self.topology.interface_mut(host, packet.destination.ip()) else {
                        return;
                    };
                    let passed = edge.down.pass(now, rng, &packet, far_port);
                    self.crossed(passed, Place::Host(host), packet);
                }
                Next::Down(nat) => {
                    let passed = self.topology.nat_edge_mut(nat).down.pass(now, rng, &packet, far_port);
                    self.crossed(passed, Place::Nat(nat), packet);
                }
                Next::Up(nat) => {
                    let edge = self.topology.nat_edge_mut(nat);
                    let to = Place::Network(edge.network);
                    let passed = edge.up.pass(now, rng, &packet, packet.destination.port());
                    self.crossed(passed, to, packet);
                }
                Next::Dropped(fate) => self.note(fate, &packet),
            },
            Place::Nat(nat) => match self.topology.enter(now, nat, &mut packet) {
                Ok(()) => self.travel(Place::Network(nat.inside()), packet),
                Err(fate) => self.note(fate, &packet),
            },
            Place::Host(host) => match packet.origin.and_then(|from| self.paths.get_mut(&(from, host))) {
                Some(pipe) => {
                    let passed = pipe.pass(now, rng, &packet, far_port);
                    self.crossed(passed, Place::Socket(host), packet);
                }
                None => self.travel(Place::Socket(host), packet),
            },
            Place::Socket(host) => {
                let fate = match packet.protocol {
                    Protocol::Udp => self.nodes[host.0].receive(now, now - self.epoch, &packet),
                    Protocol::Tcp(segment) => self.receive_segment(host, segment, &packet),
                };
                self.note(fate, &packet);
                self.drain(host);
            }
        }
    }

    fn crossed(&mut self, passed: Result<(Instant, Option<Instant>), Fate>, to: Place, packet: Packet) {
        match passed {
            Ok((first, second)) => {
                if let Some(second) = second {
                    self.schedule(second, Rank::Datagram, Parcel::Datagram(to, packet.clone()));
                }
                self.schedule(first, Rank::Datagram, Parcel::Datagram(to, packet));
            }
            Err(fate) => self.note(fate, &packet),
        }
    }

    fn note(&mut self, fate: Fate, packet: &Packet) {
        self.packets.count(fate);
        if let Some(origin) = packet.origin {
            self.nodes[origin.0].packets.count(fate);
        }
        if let Some(captured) = &mut self.capture {
            let Packet { protocol, origin, source, destination, payload } = packet.clone();
            let at = self.now - self.epoch;
            captured.push(Captured { at, fate, protocol, origin, source, destination, payload });
        }
    }
}
