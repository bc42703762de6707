//! Two agents on a perfect wire in virtual time, the least that carries their datagrams: for what they cost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use floe::Role;
use floe::signal::Signal;
use floe::sim::Wish;

use crate::networks::Server;
use crate::peer::{Contender, Local, Peer, Start};

/// One way.
const DELAY: Duration = Duration::from_millis(10);

/// What is under way, ordered by its arrival and then by the order of departure.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parcel {
    arrives: Instant,
    number: u64,
    to: usize,
    source: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
}

/// A datagram: where from, where to, and what.
type Heard = (SocketAddr, SocketAddr, Vec<u8>);

pub(crate) struct Lab {
    now: Instant,
    peers: [Option<Box<dyn Peer>>; 2],
    wakes: [Option<Instant>; 2],
    signals: [Vec<Signal>; 2],
    flight: BinaryHeap<Reverse<Parcel>>,
    pub(crate) sent: u64,
    /// The last Binding request that came to the controlled agent.
    request: Option<Heard>,
}

/// The address of a socket: each side has sockets on so many unrelated networks.
fn addr(side: usize, socket: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10 + side as u8, (socket >> 8) as u8, socket as u8, 1), 5000))
}

impl Lab {
    /// Two agents with `sockets` host candidates each, which have not signalled yet.
    pub(crate) fn new(contender: &Contender, now: Instant, sockets: u32) -> Self {
        let peers = [Role::Controlling, Role::Controlled].map(|role| {
            let seed = [role as u8 + 1; 32];
            Some((contender.make)(Start { now, role, seed, server: Server::None }))
        });
        let mut lab = Self {
            now,
            peers,
            wakes: [None; 2],
            signals: [Vec::new(), Vec::new()],
            flight: BinaryHeap::new(),
            sent: 0,
            request: None,
        };
        for side in 0..2 {
            for socket in 0..sockets {
                lab.peer(side).add_local(now, Local::Host(addr(side, socket)));
            }
            lab.peer(side).end_of_local(now);
            lab.drain(side);
        }
        lab
    }

    fn peer(&mut self, side: usize) -> &mut dyn Peer {
        self.peers[side].as_deref_mut().expect("a peer")
    }

    /// Hands each side the other's signals.
    pub(crate) fn signal(&mut self) {
        // The embedder of one that gathers by itself has nothing to wait for either.
        for from in 0..2 {
            for signal in std::mem::take(&mut self.signals[from]) {
                let now = self.now;
                self.peer(1 - from).handle_signal(now, &signal);
            }
        }
        self.drain(0);
        self.drain(1);
    }

    /// Runs until both have completed; false if that is not within a minute.
    pub(crate) fn complete(&mut self) -> bool {
        let end = self.now + Duration::from_secs(60);
        while !self.peers.iter().flatten().all(|peer| peer.is_completed() && peer.is_usable()) {
            if self.now > end || !self.turn() {
                return false;
            }
        }
        true
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.next().is_some_and(|at| at <= end) {
            self.turn();
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        let arrival = self.flight.peek().map(|Reverse(parcel)| parcel.arrives);
        self.wakes.into_iter().chain([arrival]).flatten().min()
    }

    /// The next thing that happens.
    fn turn(&mut self) -> bool {
        let Some(next) = self.next() else { return false };
        self.now = self.now.max(next);
        let now = self.now;
        for side in 0..2 {
            if self.wakes[side].is_some_and(|wake| wake <= now) {
                self.peer(side).handle_timeout(now);
                self.drain(side);
            }
        }
        while self.flight.peek().is_some_and(|Reverse(parcel)| parcel.arrives <= now) {
            let Some(Reverse(parcel)) = self.flight.pop() else { break };
            let Parcel { to, source, destination, payload, .. } = parcel;
            self.peer(to).handle_datagram(now, destination, source, &payload);
            if to == 1 && payload.starts_with(&[0, 1]) {
                self.request = Some((source, destination, payload));
            }
            self.drain(to);
        }
        true
    }

    fn drain(&mut self, side: usize) {
        loop {
            let now = self.now;
            match self.peer(side).poll(now) {
                Wish::Transmit { source, destination, payload } => {
                    self.sent += 1;
                    let (arrives, number, to) = (now + DELAY, self.sent, 1 - side);
                    self.flight.push(Reverse(Parcel { arrives, number, to, source, destination, payload }));
                }
                Wish::Signal(signal) => self.signals[side].push(signal),
                Wish::Wait(wake) => {
                    self.wakes[side] = wake;
                    return;
                }
                _ => {}
            }
        }
    }

    /// The controlled agent answers its last check once more.
    pub(crate) fn answer(&mut self) {
        let (source, destination, payload) = self.request.clone().expect("a check");
        self.now += Duration::from_millis(100);
        let now = self.now;
        self.peer(1).handle_datagram(now, destination, source, &payload);
        while !matches!(self.peer(1).poll(now), Wish::Wait(_)) {}
    }

    /// A turn of the controlling agent that finds nothing to do.
    pub(crate) fn idle(&mut self) {
        let now = self.now;
        self.peer(0).handle_timeout(now);
        while !matches!(self.peer(0).poll(now), Wish::Wait(_)) {}
    }

    /// Bytes that the controlling agent has on the heap; it is gone afterwards.
    pub(crate) fn weigh(mut self) -> u64 {
        let before = crate::meter::live();
        self.peers[0] = None;
        before - crate::meter::live()
    }
}
