//! The world: virtual time, the queue of what is under way, and the loop that lets it happen.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::link::{Link, Pipe};
use super::nat::{Nat, NatId};
use super::node::{Endpoint, Host, HostId, Node, Polled, Program};
use super::packet::{Captured, Fate, Packet, Packets};
use super::topology::{Network, Next, Topology};
use crate::agent::{Agent, Config};
use crate::io::{ComponentId, Socket, SocketId};
use crate::rng::Rng;
use crate::signal::Signal;
use crate::time::{Duration, Instant};
use crate::trace::Ladder;

/// Ports of agents' sockets count from here on each host.
const FIRST_PORT: u16 = 50_000;
/// Records that each agent keeps for the ladder, unless its configuration says otherwise.
const TRACE: usize = 4096;
/// The latency of [`World::signal`].
const SIGNALING: Duration = Duration::from_millis(50);
/// More steps than this at one instant: a node that asks to be called at once, again and again.
const MAX_STEPS_AT_ONCE: usize = 100_000;

/// A network with hosts on a virtual clock. Everything random comes from its seed: the same seed and the same
/// calls give the same bytes at the same instants.
///
/// At one instant timers go before signals, and signals before datagrams; among equals, the earlier one first.
#[derive(Debug)]
pub struct World {
    seed: u64,
    rng: Rng,
    epoch: Instant,
    now: Instant,
    steps_at_once: usize,
    queue: BTreeMap<(Instant, Rank, u64), Parcel>,
    serial: u64,
    pub(super) topology: Topology,
    pub(super) nodes: Vec<Node>,
    /// The host of [`World::server`].
    pub(super) server: Option<HostId>,
    channels: BTreeMap<HostId, Channel>,
    pub(super) paths: BTreeMap<(HostId, HostId), Pipe>,
    pub(super) packets: Packets,
    capture: Option<Vec<Captured>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Signal,
    Datagram,
}

#[derive(Debug)]
enum Parcel {
    Signal(HostId, Signal),
    Datagram(Place, Packet),
}

/// Where a datagram comes to.
#[derive(Debug, Clone, Copy)]
enum Place {
    Network(Network),
    Nat(NatId),
    Host(HostId),
    Socket(HostId),
}

/// How the signals of one agent travel.
#[derive(Debug, Default)]
struct Channel {
    to: Option<(HostId, Duration)>,
    /// What was said before somebody listened.
    waiting: VecDeque<Signal>,
}

impl World {
    /// An empty world. The variable `FLOE_SEED` of the environment replaces the seed, to replay a failure.
    ///
    /// # Panics
    /// If `FLOE_SEED` is set and not a number.
    pub fn new(seed: u64) -> Self {
        let seed = match std::env::var("FLOE_SEED") {
            Ok(text) => text.parse().expect("FLOE_SEED is a number"),
            Err(_) => seed,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant has no other constructor; only differences are used"
        )]
        let epoch = Instant::now();
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            seed,
            rng: Rng::new(bytes),
            epoch,
            now: epoch,
            steps_at_once: 0,
            queue: BTreeMap::new(),
            serial: 0,
            topology: Topology::default(),
            nodes: Vec::new(),
            server: None,
            channels: BTreeMap::new(),
            paths: BTreeMap::new(),
            packets: Packets::default(),
            capture: None,
        }
    }

    /// A seed for an agent, drawn from the world's.
    pub fn seed(&mut self) -> [u8; 32] {
        self.rng.seed()
    }

    /// Virtual time since the world began.
    pub fn elapsed(&self) -> Duration {
        self.now - self.epoch
    }

    /// The present instant, for calls on an agent.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A NAT on the Internet, for several hosts.
    pub fn nat(&mut self, nat: Nat) -> NatId {
        self.topology.add_nat(Network::INTERNET, nat)
    }

    /// A NAT behind another one, as with a provider that has a NAT of its own.
    pub fn nat_behind(&mut self, outer: NatId, nat: Nat) -> NatId {
        self.topology.add_nat(outer.inside(), nat)
    }

    /// A host with an agent that has a socket on each interface for each component. It starts now: for one that
    /// starts later, [`run_for`](Self::run_for) first.
    ///
    /// # Panics
    /// If an interface names an address that is taken.
    pub fn agent(&mut self, host: impl Into<Host>, mut config: Config) -> HostId {
        if config.trace == 0 {
            config.trace = TRACE;
        }
        let components = config.components.clone();
        let mut agent = Agent::new(config, self.now);
        let mut sockets = Vec::new();
        let (id, addresses) = self.place(host);
        for ip in addresses {
            for (stream, count) in (0..).zip(&components) {
                for component in 1..=*count {
                    let socket = SocketId(sockets.len() as u32);
                    let local = SocketAddr::new(ip, FIRST_PORT + sockets.len() as u16);
                    sockets.push((socket, local));
                    let component = ComponentId { stream, component };
                    let added = agent.add_socket(self.now, socket, Socket::Udp { local, component });
                    added.expect("an address of an interface makes a base");
                }
            }
        }
        agent.end_of_sockets(self.now);
        let endpoint = Endpoint { agent, events: Vec::new() };
        self.add(Node::new(id, Program::Agent(Box::new(endpoint)), sockets))
    }

    /// A host without a program: all its ports are open, what arrives is kept, and it sends what
    /// [`transmit`](Self::transmit) says.
    ///
    /// # Panics
    /// If an interface names an address that is taken.
    pub fn host(&mut self, host: impl Into<Host>) -> HostId {
        let (id, _) = self.place(host);
        self.add(Node::new(id, Program::Sockets, Vec::new()))
    }

    /// Finds addresses for the host that is added next.
    pub(super) fn place(&mut self, host: impl Into<Host>) -> (HostId, Vec<IpAddr>) {
        let id = HostId(self.nodes.len());
        let interfaces = host.into().0.into_iter();
        (id, interfaces.map(|interface| self.topology.attach(id, interface)).collect())
    }

    pub(super) fn add(&mut self, node: Node) -> HostId {
        let id = HostId(self.nodes.len());
        self.nodes.push(node);
        self.drain(id);
        id
    }

    /// Carries the signals of both agents to each other, those that were emitted before too: in order, without
    /// loss, with a latency of 50 ms.
    pub fn signal(&mut self, a: HostId, b: HostId) {
        self.signal_one_way(a, b, SIGNALING);
        self.signal_one_way(b, a, SIGNALING);
    }

    /// Carries the signals of one agent to another one, those that were emitted before too.
    pub fn signal_one_way(&mut self, from: HostId, to: HostId, latency: Duration) {
        let channel = self.channels.entry(from).or_default();
        channel.to = Some((to, latency));
        for signal in std::mem::take(&mut channel.waiting) {
            self.schedule(self.now + latency, Rank::Signal, Parcel::Signal(to, signal));
        }
    }

    /// Puts a link into every direct way from one host to another, in addition to those that are there. A relayed
    /// way is not concerned: its hops end at the server.
    pub fn set_path(&mut self, from: HostId, to: HostId, link: Link) {
        self.paths.insert((from, to), Pipe::new(link));
    }

    /// Lets two hosts' direct datagrams vanish, both ways, from now on. To cut one way, or to mend a cut, use
    /// [`set_path`](Self::set_path) with [`Link::down`] or [`Link::ideal`].
    pub fn cut(&mut self, a: HostId, b: HostId) {
        self.set_path(a, b, Link::down());
        self.set_path(b, a, Link::down());
    }

    /// Restarts a NAT: it forgets its mappings.
    pub fn flush(&mut self, nat: NatId) {
        self.topology.flush(nat);
    }

    /// Takes an address away from a host; its agent is told.
    pub fn remove_interface(&mut self, host: HostId, ip: IpAddr) {
        self.topology.detach(host, ip);
        let now = self.now;
        let node = &mut self.nodes[host.0];
        let (gone, kept) = node.sockets.iter().partition(|(_, addr)| addr.ip() == ip);
        node.sockets = kept;
        let gone: Vec<(SocketId, SocketAddr)> = gone;
        if let Some(endpoint) = node.endpoint_mut() {
            gone.iter().for_each(|(socket, _)| endpoint.agent.remove_socket(now, *socket));
        }
        self.drain(host);
    }

    /// Changes an agent as an application would, and lets it act on it.
    ///
    /// # Panics
    /// If there is no agent on this host.
    pub fn with_agent<T>(&mut self, host: HostId, call: impl FnOnce(&mut Agent, Instant) -> T) -> T {
        let now = self.now;
        let endpoint = self.nodes[host.0].endpoint_mut().expect("an agent on this host");
        let result = call(&mut endpoint.agent, now);
        self.drain(host);
        result
    }

    /// Lets a host send a datagram. A `source` that it does not have is spoofed, and leaves by its first interface.
    ///
    /// # Panics
    /// If the host has no interface.
    pub fn transmit(&mut self, host: HostId, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        self.send_packet(host, Packet { origin: Some(host), source, destination, payload: payload.to_vec() });
    }

    /// Lets a datagram appear on the Internet, from whoever `source` says.
    pub fn inject(&mut self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        let packet = Packet { origin: None, source, destination, payload: payload.to_vec() };
        self.travel(Place::Network(Network::INTERNET), packet);
    }

    /// Records the wire from now on.
    pub fn capture(&mut self) {
        self.capture.get_or_insert_default();
    }

    /// What was recorded.
    pub fn captured(&self) -> &[Captured] {
        self.capture.as_deref().unwrap_or_default()
    }

    /// Lets time pass until `done`, and says how much did.
    ///
    /// # Panics
    /// If `done` is not reached within `limit`: with the seed and the ladder of the agents.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.step(start + limit), "not done within {limit:?} of virtual time\n{self}");
        }
        self.now - start
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets the next thing happen; false if there is none until `end`.
    fn step(&mut self, end: Instant) -> bool {
        let timers = self.nodes.iter().enumerate();
        let timer = timers.filter_map(|(at, node)| Some((node.wake?, HostId(at)))).min();
        let parcel = self.queue.keys().next().map(|(at, ..)| *at);
        let is_timer = match (timer, parcel) {
            (Some((timer, _)), Some(parcel)) => timer <= parcel,
            (timer, _) => timer.is_some(),
        };
        let due = if is_timer { timer.map(|(at, _)| at) } else { parcel };
        let Some(due) = due.filter(|due| *due <= end) else { return false };
        self.pass_time(due);
        match timer {
            Some((_, host)) if is_timer => {
                self.nodes[host.0].timeout(self.now);
                self.drain(host);
            }
            _ => match self.queue.pop_first() {
                Some((_, Parcel::Signal(to, signal))) => self.deliver_signal(to, signal),
                Some((_, Parcel::Datagram(place, packet))) => self.travel(place, packet),
                None => {}
            },
        }
        true
    }

    fn pass_time(&mut self, due: Instant) {
        self.steps_at_once = if due > self.now { 0 } else { self.steps_at_once + 1 };
        assert!(self.steps_at_once < MAX_STEPS_AT_ONCE, "time stands still\n{self}");
        self.now = self.now.max(due);
    }

    fn schedule(&mut self, at: Instant, rank: Rank, parcel: Parcel) {
        self.serial += 1;
        self.queue.insert((at, rank, self.serial), parcel);
    }

    fn deliver_signal(&mut self, to: HostId, signal: Signal) {
        if let Some(endpoint) = self.nodes[to.0].endpoint_mut() {
            // A refused signal is in the agent's counters.
            let _ = endpoint.agent.handle_signal(self.now, signal);
        }
        self.drain(to);
    }

    /// Polls a node until it waits.
    fn drain(&mut self, host: HostId) {
        loop {
            match self.nodes[host.0].poll(self.now, self.now - self.epoch) {
                Polled::Packets(packets) => packets.into_iter().for_each(|it| self.send_packet(host, it)),
                Polled::Signal(signal) => {
                    let channel = self.channels.entry(host).or_default();
                    match channel.to {
                        Some((to, latency)) => {
                            self.schedule(self.now + latency, Rank::Signal, Parcel::Signal(to, signal));
                        }
                        None => channel.waiting.push_back(signal),
                    }
                }
                Polled::Noted => {}
                Polled::Wait(wake) => {
                    self.nodes[host.0].wake = wake;
                    return;
                }
            }
        }
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
    fn travel(&mut self, place: Place, mut packet: Packet) {
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
                let fate = self.nodes[host.0].receive(now, now - self.epoch, &packet);
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
            let Packet { origin, source, destination, payload } = packet.clone();
            captured.push(Captured { at: self.now - self.epoch, fate, origin, source, destination, payload });
        }
    }
}

/// The seed, and the ladder of every two agents that signal.
impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "replay with FLOE_SEED={}, {:?}", self.seed, self.packets)?;
        for (a, channel) in &self.channels {
            let Some((b, _)) = channel.to.filter(|(b, _)| a < b) else { continue };
            if let (Some(left), Some(right)) = (self.nodes[a.0].endpoint(), self.nodes[b.0].endpoint()) {
                let names = [format!("host {}", a.0), format!("host {}", b.0)];
                let left = (names[0].as_str(), left.agent.trace());
                write!(f, "{}", Ladder::new(self.epoch, left, (names[1].as_str(), right.agent.trace())))?;
            }
        }
        Ok(())
    }
}
