//! The world: virtual time, the queue of what is under way, and the loop that lets it happen.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::link::Pipe;
use super::names::{Answer, Names};
use super::node::{HostId, Node, Polled};
use super::packet::{Captured, Packet, Packets};
use super::topology::Topology;
use super::wire::Place;
use crate::agent::Agent;
use crate::io::ConnectId;
use crate::rng::Rng;
use crate::signal::Signal;
use crate::time::{Duration, Instant};
use crate::trace::Ladder;

/// More steps than this at one instant: a node that asks to be called at once, again and again.
const MAX_STEPS_AT_ONCE: usize = 100_000;

/// A network with hosts on a virtual clock. Everything random comes from its seed: the same seed and the same
/// calls give the same bytes at the same instants.
///
/// At one instant timers go before signals, signals before answers about names, and those before datagrams; among equals, the earlier one first.
#[derive(Debug)]
pub struct World {
    seed: u64,
    pub(super) rng: Rng,
    pub(super) epoch: Instant,
    pub(super) now: Instant,
    steps_at_once: usize,
    queue: BTreeMap<(Instant, Rank, u64), Parcel>,
    serial: u64,
    pub(super) topology: Topology,
    pub(super) nodes: Vec<Node>,
    /// The host of [`World::server`].
    pub(super) server: Option<HostId>,
    pub(super) channels: BTreeMap<HostId, Channel>,
    pub(super) paths: BTreeMap<(HostId, HostId), Pipe>,
    pub(super) names: Names,
    pub(super) packets: Packets,
    pub(super) capture: Option<Vec<Captured>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Signal,
    Name,
    Datagram,
}

#[derive(Debug)]
pub(super) enum Parcel {
    Signal(HostId, Signal),
    Name(HostId, Answer),
    Impatience(HostId, ConnectId),
    Datagram(Place, Packet),
}

/// How the signals of one agent travel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) to: Option<(HostId, Duration)>,
    /// What was said before somebody listened.
    pub(super) waiting: VecDeque<Signal>,
    /// All of it.
    pub(super) said: Vec<Signal>,
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
            names: Names::default(),
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
                Some((_, Parcel::Name(to, answer))) => self.deliver_answer(to, answer),
                Some((_, Parcel::Impatience(host, request))) => self.give_up_connecting(host, request),
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

    pub(super) fn schedule(&mut self, at: Instant, rank: Rank, parcel: Parcel) {
        self.serial += 1;
        self.queue.insert((at, rank, self.serial), parcel);
    }

    fn deliver_signal(&mut self, to: HostId, signal: Signal) {
        self.nodes[to.0].signal(self.now, signal);
        self.drain(to);
    }

    /// Polls a node until it waits.
    pub(super) fn drain(&mut self, host: HostId) {
        loop {
            match self.nodes[host.0].poll(self.now, self.now - self.epoch) {
                Polled::Packets(packets) => packets.into_iter().for_each(|it| self.send_packet(host, it)),
                Polled::Connect(connect) => self.open_connection(host, &connect),
                Polled::Signal(signal) => {
                    let channel = self.channels.entry(host).or_default();
                    channel.said.push(signal.clone());
                    match channel.to {
                        Some((to, latency)) => {
                            self.schedule(self.now + latency, Rank::Signal, Parcel::Signal(to, signal));
                        }
                        None => channel.waiting.push_back(signal),
                    }
                }
                Polled::Name(errand) => self.run_errand(host, errand),
                Polled::Noted => {}
                Polled::Wait(wake) => {
                    self.nodes[host.0].wake = wake;
                    return;
                }
            }
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
