//! Whether two hosts can reach each other without a relay: tried out with bare packets on a copy of the network
//! whose NATs remember nothing and whose links lose nothing. It knows nothing of ICE but this: hosts know each
//! other's addresses and what a server on the Internet saw of them, they learn where packets come from, and a path
//! is one whose answer comes from where the question went.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::link::Pipe;
use super::nat::Gateway;
use super::node::{HostId, Interface};
use super::packet::{Packet, Protocol};
use super::topology::{Next, Topology};
use super::world::World;
use crate::rng::Rng;
use crate::time::Instant;

/// Each round teaches a socket the sources it saw in the round before. A mapping that depends on its destination is
/// learnt in the second one; two more find nothing that these did not.
///
/// Between NATs that map each destination anew and filter nothing every source is a new one. What a socket learns it
/// sends to itself, as an agent does (RFC 8445 §7.3.1.4), so each question teaches one address at most.
const ROUNDS: usize = 4;
/// The port that is assumed of a host without an agent.
const PORT: u16 = 50_000;

impl World {
    /// Whether a direct path between two hosts can exist, if both know their server-reflexive addresses. Stray
    /// packets spoil nothing in the trial, and where it matters who comes first ([`Ports::Overloading`] in a NAT
    /// that both share) it is `a`.
    ///
    /// [`Ports::Overloading`]: super::Ports::Overloading
    pub fn direct_path_possible(&self, a: HostId, b: HostId) -> bool {
        let mut trial = Trial::new(self);
        let mut sides =
            [a, b].map(|host| Side { host, sockets: self.sockets(host), targets: BTreeSet::new() });
        for (own, far) in [(0, 1), (1, 0)] {
            let reflexive: Vec<_> = sides[own]
                .sockets
                .iter()
                .filter_map(|socket| trial.reflexive(sides[own].host, *socket))
                .collect();
            let known = sides[own].sockets.iter().copied().chain(reflexive);
            let known: Vec<_> = known.collect();
            sides[far].know(&known);
        }
        (0..ROUNDS).any(|_| {
            // Both, even if the first one succeeds: there is no harm in it.
            trial.round(&mut sides, 0, 1) | trial.round(&mut sides, 1, 0)
        })
    }

    fn sockets(&self, host: HostId) -> Vec<SocketAddr> {
        let sockets: Vec<_> = self.nodes[host.0].sockets.iter().map(|(_, addr)| *addr).collect();
        if sockets.is_empty() {
            return self.topology.addresses(host).map(|ip| SocketAddr::new(ip, PORT)).collect();
        }
        sockets
    }
}

struct Side {
    host: HostId,
    sockets: Vec<SocketAddr>,
    /// Which socket knows which address of the other side.
    targets: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl Side {
    /// Learns addresses by signaling.
    fn know(&mut self, targets: &[SocketAddr]) {
        for socket in &self.sockets {
            self.targets.extend(targets.iter().map(|target| (*socket, *target)));
        }
    }

    fn is_at(&self, receiver: HostId, addr: SocketAddr) -> bool {
        receiver == self.host && self.sockets.contains(&addr)
    }
}

/// A copy of the network.
struct Trial<'a> {
    world: &'a World,
    topology: Topology,
    rng: Rng,
    now: Instant,
    observers: [SocketAddr; 2],
    observer: HostId,
}

impl<'a> Trial<'a> {
    fn new(world: &'a World) -> Self {
        let mut topology = world.topology.pristine();
        let observer = HostId(world.nodes.len());
        let observers = [Interface::v4(Gateway::Public), Interface::v6(Gateway::Public)]
            .map(|interface| SocketAddr::new(topology.attach(observer, interface), 3478));
        Self { world, topology, rng: Rng::new([0; 32]), now: world.now(), observers, observer }
    }

    /// What a server on the Internet sees of a socket.
    fn reflexive(&mut self, host: HostId, socket: SocketAddr) -> Option<SocketAddr> {
        let observer = self.observers.into_iter().find(|it| it.is_ipv4() == socket.is_ipv4())?;
        let (receiver, packet) = self.send(host, socket, observer)?;
        (receiver == self.observer).then_some(packet.source)
    }

    /// One side sends from everywhere to everywhere; true if an answer came from where it was asked for.
    fn round(&mut self, sides: &mut [Side; 2], own: usize, far: usize) -> bool {
        let mut found = false;
        let targets = sides[own].targets.clone();
        for (socket, target) in targets.into_iter().filter(|(from, to)| from.is_ipv4() == to.is_ipv4()) {
            let Some((_, asked)) = self
                .send(sides[own].host, socket, target)
                .filter(|(receiver, asked)| sides[far].is_at(*receiver, asked.destination))
            else {
                continue;
            };
            sides[far].targets.insert((asked.destination, asked.source));
            let answer = self.send(sides[far].host, asked.destination, asked.source);
            let back =
                answer.filter(|(receiver, it)| *receiver == sides[own].host && it.destination == socket);
            found |= back.is_some_and(|(_, answer)| answer.source == target);
        }
        found
    }

    /// Follows a packet to the host where it ends.
    fn send(
        &mut self,
        host: HostId,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Option<(HostId, Packet)> {
        let protocol = Protocol::Udp;
        let mut packet = Packet { protocol, origin: Some(host), source, destination, payload: Vec::new() };
        let interface = self.topology.interface(host, source.ip())?;
        let mut network = interface.network;
        open(&interface.up, destination.port())?;
        loop {
            match self.topology.forward(self.now, &mut self.rng, network, &mut packet) {
                Next::Host(to) => {
                    let far_port = packet.source.port();
                    open(&self.topology.interface(to, packet.destination.ip())?.down, far_port)?;
                    if let Some(path) = self.world.paths.get(&(host, to)) {
                        open(path, far_port)?;
                    }
                    return Some((to, packet));
                }
                Next::Down(nat) => {
                    open(&self.topology.nat(nat).1.down, packet.source.port())?;
                    self.topology.enter(self.now, nat, &mut packet).ok()?;
                    network = nat.inside();
                }
                Next::Up(nat) => {
                    let edge = &self.topology.nat(nat).1;
                    open(&edge.up, packet.destination.port())?;
                    network = edge.network;
                }
                Next::Dropped(_) => return None,
            }
        }
    }
}

fn open(pipe: &Pipe, far_port: u16) -> Option<()> {
    pipe.link().carries(far_port).then_some(())
}
