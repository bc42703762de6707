//! Where an agent sits in the simulator: its sockets, its timer, and what its embedder does for it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use floe::candidate::Address;
use floe::signal::{Signal, What};
use floe::sim::{Guest, Wish};

use crate::embedder::{Claim, Embedder};
use crate::peer::{Contender, Gathering, Local, Peer, Start};

/// Ports count from here, as those of the simulator's own agents do.
const FIRST_PORT: u16 = 50_000;

#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) peer: Box<dyn Peer>,
    embedder: Embedder,
    wake: Option<Instant>,
    /// Addresses that the peer has signalled.
    remotes: Vec<SocketAddr>,
}

impl Seat {
    pub(crate) fn new(contender: &Contender, start: Start, addresses: &[IpAddr]) -> Self {
        let Start { now, seed, .. } = start;
        let server = start.server.clone();
        let mut peer = (contender.make)(start);
        let sockets: Vec<_> =
            addresses.iter().zip(FIRST_PORT..).map(|(ip, port)| SocketAddr::new(*ip, port)).collect();
        sockets.iter().for_each(|addr| peer.add_local(now, Local::Host(*addr)));
        let mut embedder = Embedder::default();
        match peer.gathering() {
            Gathering::Own => peer.end_of_local(now),
            Gathering::OfEmbedder => embedder.gather(now, seed, server, &sockets),
        }
        Self { peer, embedder, wake: None, remotes: Vec::new() }
    }
}

impl Guest for Seat {
    fn handle_datagram(&mut self, now: Instant, local: SocketAddr, source: SocketAddr, payload: &[u8]) {
        match self.embedder.handle_datagram(now, local, source, payload) {
            Claim::None => self.peer.handle_datagram(now, local, source, payload),
            Claim::Consumed => {}
            Claim::Relayed { local, source, payload } => {
                self.peer.handle_datagram(now, local, source, &payload);
            }
        }
    }

    fn handle_signal(&mut self, now: Instant, signal: Signal) {
        match &signal.what {
            What::Candidate(candidate) => {
                if let Address::Socket(addr) = candidate.address {
                    self.remotes.push(addr);
                }
            }
            What::EndOfCandidates => self.embedder.permit(&std::mem::take(&mut self.remotes)),
            _ => {}
        }
        self.peer.handle_signal(now, &signal);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.embedder.handle_timeout(now);
        if self.wake.is_some_and(|at| at <= now) {
            self.peer.handle_timeout(now);
        }
    }

    fn poll(&mut self, now: Instant) -> Wish {
        if let Some(wish) = self.embedder.poll(now) {
            return wish;
        }
        let (found, are_all) = self.embedder.take_found(now);
        found.into_iter().for_each(|local| self.peer.add_local(now, local));
        if are_all {
            self.peer.end_of_local(now);
        }
        loop {
            match self.peer.poll(now) {
                Wish::Transmit { source, destination, payload } => {
                    if let Some(wish) = self.embedder.send(source, destination, payload) {
                        return wish;
                    }
                }
                Wish::Wait(wake) => {
                    self.wake = wake;
                    if let Some(wish) = self.embedder.poll(now) {
                        return wish;
                    }
                    return Wish::Wait(wake.into_iter().chain(self.embedder.deadline()).min());
                }
                other => return other,
            }
        }
    }
}
