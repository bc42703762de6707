//! Two agents on a perfect wire in virtual time: the least that carries their datagrams, so that what is measured is
//! the agents.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use floe::io::{ComponentId, Datagram, Socket, SocketId};
use floe::signal::Signal;
use floe::{Agent, Config, Event, Input, Output, Path, Received, Role, State};

/// One way.
const DELAY: Duration = Duration::from_millis(10);

/// What is under way, ordered by its arrival and then by the order of departure.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parcel {
    arrives: Instant,
    number: u64,
    to: usize,
    socket: u32,
    source: SocketAddr,
    payload: Vec<u8>,
}

struct Side {
    agent: Agent,
    wake: Option<Instant>,
    signals: Vec<Signal>,
}

/// Reads a counter, of which each agent is charged what it adds.
pub(crate) type Meter = fn() -> i64;

/// Two agents and the wire between them.
pub(crate) struct Wire {
    now: Instant,
    sides: [Side; 2],
    flight: BinaryHeap<Reverse<Parcel>>,
    sent: u64,
    meter: Meter,
    /// What each agent's own calls have added to the counter.
    spent: [i64; 2],
}

/// The address of a socket: each side has sockets on so many unrelated networks.
fn addr(side: usize, socket: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10 + side as u8, (socket >> 8) as u8, socket as u8, 1), 5000))
}

impl Wire {
    /// Two agents with `sockets` host candidates each, which have not signalled yet.
    #[allow(dead_code, reason = "not every user of this file uses it")]
    pub(crate) fn new(now: Instant, sockets: u32) -> Self {
        Self::metered(now, sockets, || 0)
    }

    /// The same, and each agent's calls are metered.
    pub(crate) fn metered(now: Instant, sockets: u32, meter: Meter) -> Self {
        let mut spent = [0; 2];
        let mut side = |at: usize, role| {
            let before = meter();
            let mut agent = Agent::new(Config::new(role, [at as u8 + 1; 32]), now);
            for socket in 0..sockets {
                agent.add_socket(now, SocketId(socket), Socket::udp(addr(at, socket))).expect("room for it");
            }
            agent.end_of_sockets(now);
            spent[at] = meter() - before;
            Side { agent, wake: None, signals: Vec::new() }
        };
        let sides = [side(0, Role::Controlling), side(1, Role::Controlled)];
        let mut wire = Self { now, sides, flight: BinaryHeap::new(), sent: 0, meter, spent };
        wire.drain(0);
        wire.drain(1);
        wire
    }

    /// Hands each side the other's signals: pairs are formed.
    #[allow(dead_code, reason = "not every user of this file uses it")]
    pub(crate) fn signal(&mut self) {
        for from in 0..2 {
            for signal in std::mem::take(&mut self.sides[from].signals) {
                self.sides[1 - from].agent.handle_signal(self.now, signal).expect("a good signal");
            }
        }
        self.drain(0);
        self.drain(1);
    }

    /// The same, over signaling that carries text: who takes a signal parses it.
    #[allow(dead_code, reason = "not every bench uses it")]
    pub(crate) fn signal_as_text(&mut self) {
        for from in 0..2 {
            for signal in std::mem::take(&mut self.sides[from].signals) {
                let text = signal.to_string();
                self.charge(from, |_, _| drop(signal));
                self.charge(1 - from, |agent, now| {
                    agent.handle_signal(now, text.parse().expect("a signal")).expect("a good signal");
                });
            }
        }
        self.drain(0);
        self.drain(1);
    }

    /// What the counter has grown by in this agent's own calls.
    #[allow(dead_code, reason = "not every bench uses it")]
    pub(crate) fn spent(&self, at: usize) -> i64 {
        self.spent[at]
    }

    /// Datagrams that both have sent.
    #[allow(dead_code, reason = "not every bench uses it")]
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Lets time go by.
    #[allow(dead_code, reason = "not every bench uses it")]
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.next().is_some_and(|next| next <= end) {
            self.turn();
        }
        self.now = end;
    }

    fn charge<T>(&mut self, at: usize, call: impl FnOnce(&mut Agent, Instant) -> T) -> T {
        let before = (self.meter)();
        let result = call(&mut self.sides[at].agent, self.now);
        self.spent[at] += (self.meter)() - before;
        result
    }

    /// Runs until both have completed.
    pub(crate) fn complete(&mut self) {
        while !self.sides.iter().all(|side| side.agent.state() == State::Completed) {
            self.turn();
        }
    }

    /// When the next thing happens.
    fn next(&self) -> Option<Instant> {
        let arrival = self.flight.peek().map(|Reverse(parcel)| parcel.arrives);
        let wakes = [0, 1].map(|at| self.sides[at].wake);
        wakes.into_iter().chain([arrival]).flatten().min()
    }

    /// The next thing that happens.
    fn turn(&mut self) {
        self.now = self.now.max(self.next().expect("something to do"));
        for at in 0..2 {
            if self.sides[at].wake.is_some_and(|wake| wake <= self.now) {
                self.charge(at, |agent, now| {
                    let _ = agent.handle_input(now, Input::Timeout);
                });
                self.drain(at);
            }
        }
        while let Some(Reverse(parcel)) = self.flight.peek() {
            if parcel.arrives > self.now {
                break;
            }
            let Some(Reverse(parcel)) = self.flight.pop() else { break };
            let _ = self.receive(parcel.to, parcel.socket, parcel.source, &parcel.payload);
            self.drain(parcel.to);
        }
    }

    fn receive<'a>(&mut self, to: usize, socket: u32, source: SocketAddr, payload: &'a [u8]) -> Received<'a> {
        let local = addr(to, socket).ip();
        let datagram = Datagram { socket: SocketId(socket), local, source, ecn: None, payload };
        self.charge(to, |agent, now| agent.handle_input(now, Input::Datagram(datagram)))
    }

    fn drain(&mut self, at: usize) {
        let mut buf = [0; 1500];
        loop {
            match self.charge(at, |agent, _| agent.poll_output(&mut buf)) {
                Output::Transmit(transmit) => {
                    let SocketAddr::V4(to) = transmit.destination else { continue };
                    let [_, high, low, _] = to.ip().octets();
                    self.sent += 1;
                    self.flight.push(Reverse(Parcel {
                        arrives: self.now + DELAY,
                        number: self.sent,
                        to: 1 - at,
                        socket: u32::from(high) << 8 | u32::from(low),
                        source: addr(at, transmit.socket.0),
                        payload: transmit.payload.to_vec(),
                    }));
                }
                Output::Event(Event::Signal(signal)) => self.sides[at].signals.push(signal),
                Output::Wait(wake) => {
                    self.sides[at].wake = wake.map(|wake| wake.at);
                    return;
                }
                _ => {}
            }
        }
    }

    /// The next check that the controlling side sends on the selected pair, as its peer gets it, and nothing else of that
    /// instant.
    #[allow(dead_code, reason = "not every bench uses it")]
    pub(crate) fn next_consent_request(&mut self) -> (u32, SocketAddr, Vec<u8>) {
        self.flight.clear();
        let path = self.path();
        loop {
            self.turn();
            let is_selected = |parcel: &Parcel| {
                (parcel.source, addr(1, parcel.socket)) == (addr(0, path.socket().0), path.destination())
            };
            let request = |parcel: &Parcel| {
                parcel.to == 1 && parcel.payload.starts_with(&[0, 1]) && is_selected(parcel)
            };
            if let Some(Reverse(parcel)) = self.flight.iter().find(|Reverse(parcel)| request(parcel)) {
                return (parcel.socket, parcel.source, parcel.payload.clone());
            }
        }
    }

    /// Lets the controlled side answer a check: one `handle_input` and all outputs.
    #[allow(dead_code, reason = "not every bench uses it")]
    pub(crate) fn answer(&mut self, check: &(u32, SocketAddr, Vec<u8>), buf: &mut [u8]) -> usize {
        let _ = self.receive(1, check.0, check.1, &check.2);
        let mut bytes = 0;
        loop {
            match self.sides[1].agent.poll_output(buf) {
                Output::Transmit(transmit) => bytes += transmit.payload.len(),
                Output::Wait(_) => return bytes,
                _ => {}
            }
        }
    }

    /// A datagram of the peer's data arrives at the controlled side; the bytes that come out.
    #[allow(dead_code, reason = "not every bench uses it")]
    pub(crate) fn data(&mut self, socket: u32, source: SocketAddr, payload: &[u8]) -> usize {
        match self.receive(1, socket, source, payload) {
            Received::Data { payload, .. } => payload.len(),
            _ => 0,
        }
    }

    /// The controlling side's path.
    #[allow(dead_code, reason = "not every bench uses it")]
    pub(crate) fn path(&self) -> Path {
        self.sides[0].agent.path(ComponentId::FIRST).expect("it is connected")
    }

    /// A timeout that finds nothing to do, at the controlling side.
    #[allow(dead_code, reason = "not every bench uses it")]
    pub(crate) fn idle(&mut self, buf: &mut [u8]) {
        let _ = self.sides[0].agent.handle_input(self.now, Input::Timeout);
        let Output::Wait(_) = self.sides[0].agent.poll_output(buf) else {
            panic!("there was something to do")
        };
    }
}

/// Only differences are used.
#[expect(clippy::disallowed_methods, reason = "an Instant has no other constructor")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
