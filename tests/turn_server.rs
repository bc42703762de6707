//! The TURN client and the TURN server, both machines of floe, on virtual time: what one says the other takes.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use floe::io::{Datagram, SocketId};
use floe::server::{self, Server};
use floe::turn::data::{Framing, HEADROOM, TAILROOM, wrap};
use floe::turn::{Client, Event, Families, Input, Output, Problem, Received, TurnServer};

const CLIENT: &str = "198.51.100.1:4000";
const SERVER: &str = "203.0.113.1:3478";
const PEER: &str = "192.0.2.7:6000";

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A network without loss or delay.
struct Network {
    now: Instant,
    client: Client,
    server: Server,
    server_wake: Option<Instant>,
    relays: BTreeMap<SocketAddr, SocketId>,
    /// Source, destination, payload.
    wire: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    events: Vec<Event>,
    /// What the client and the peer got.
    client_heard: Vec<Vec<u8>>,
    peer_heard: Vec<(SocketAddr, Vec<u8>)>,
}

impl Network {
    fn new(config: server::Config, password: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an Instant has no other constructor")]
        let now = Instant::now();
        let mut server = Server::new(config, now);
        server.add_socket(SocketId(0), addr(SERVER));
        Self {
            now,
            client: Client::new(
                TurnServer::new(addr(SERVER), "ann", password).families(Families::V4),
                [1; 32],
            ),
            server,
            server_wake: None,
            relays: BTreeMap::new(),
            wire: VecDeque::new(),
            events: Vec::new(),
            client_heard: Vec::new(),
            peer_heard: Vec::new(),
        }
    }

    fn config() -> server::Config {
        server::Config::new([2; 32]).user("ann", "secret").relay_address(addr(SERVER).ip())
    }

    /// Does all that can be done now.
    fn settle(&mut self) {
        loop {
            while self.client.wants_slot() {
                let _ = self.client.handle_input(self.now, Input::Slot);
                self.drain();
            }
            self.drain();
            let Some((source, destination, bytes)) = self.wire.pop_front() else { return };
            self.deliver(source, destination, &bytes);
        }
    }

    fn drain(&mut self) {
        let mut buf = [0; 1500];
        loop {
            match self.client.poll_output(&mut buf) {
                Output::Transmit(bytes) => {
                    self.wire.push_back((addr(CLIENT), addr(SERVER), bytes.to_vec()));
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(_) => break,
            }
        }
        loop {
            match self.server.poll_output(&mut buf) {
                server::Output::Transmit(to) => {
                    self.wire.push_back((addr(SERVER), to.destination, to.payload.to_vec()));
                }
                server::Output::Open(open) => {
                    let socket = SocketId(100 + self.relays.len() as u32);
                    self.relays.insert(open.local, socket);
                    let opened = server::Input::Opened { request: open.request, socket, local: open.local };
                    let _ = self.server.handle_input(self.now, opened);
                }
                server::Output::Close(socket) => self.relays.retain(|_, open| *open != socket),
                server::Output::Wait(wake) => break self.server_wake = wake.map(|wake| wake.at),
                _ => {}
            }
        }
    }

    fn deliver(&mut self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        if destination == addr(CLIENT) {
            if let Received::Data { peer, payload } =
                self.client.handle_input(self.now, Input::Datagram(bytes))
            {
                assert_eq!(peer, addr(PEER));
                self.client_heard.push(payload.to_vec());
            }
        } else if destination == addr(PEER) {
            self.peer_heard.push((source, bytes.to_vec()));
        } else {
            let relay = self.relays.get(&destination).copied();
            let socket = relay.unwrap_or(SocketId(0));
            let datagram = Datagram { socket, local: destination.ip(), source, ecn: None, payload: bytes };
            let received = self.server.handle_input(self.now, server::Input::Datagram(datagram));
            if let server::Received::Forward(forward) = received {
                let mut buf = vec![0; HEADROOM];
                buf.extend(forward.payload);
                buf.extend([0; TAILROOM]);
                let bytes = wrap(forward.framing, &mut buf, forward.payload.len()).to_vec();
                let relay = self.relays.iter().find(|(_, socket)| **socket == forward.socket);
                let from = relay.map_or(addr(SERVER), |(local, _)| *local);
                self.wire.push_back((from, forward.destination, bytes));
            }
        }
    }

    /// Lets time pass, with all that happens on the way.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.settle();
            let next = [self.client.deadline(), self.server_wake].into_iter().flatten().min();
            self.now = self.now.max(next.map_or(until, |at| at.min(until)));
            let _ = self.client.handle_input(self.now, Input::Timeout);
            let _ = self.server.handle_input(self.now, server::Input::Timeout);
            if self.now == until {
                return self.settle();
            }
        }
    }

    fn relayed(&self) -> SocketAddr {
        *self.relays.first_key_value().expect("a relay socket").0
    }

    fn send(&mut self, payload: &[u8]) {
        let framing = self.client.framing(addr(PEER)).expect("a permission");
        let mut buf = vec![0; HEADROOM];
        buf.extend(payload);
        buf.extend([0; TAILROOM]);
        let bytes = wrap(framing, &mut buf, payload.len()).to_vec();
        self.wire.push_back((addr(CLIENT), addr(SERVER), bytes));
    }

    /// A packet each way arrives.
    fn assert_talks(&mut self) {
        self.client_heard.clear();
        self.peer_heard.clear();
        self.send(b"to the peer");
        self.wire.push_back((addr(PEER), self.relayed(), b"to the client".to_vec()));
        self.settle();
        assert_eq!(self.client_heard, [b"to the client"]);
        assert_eq!(self.peer_heard, [(self.relayed(), b"to the peer".to_vec())]);
    }
}

/// RFC 8656 §8, §9, §12: everything is renewed in time, whatever the nonce does meanwhile.
#[test]
fn two_hours_pass_over_a_relay_whose_nonces_last_a_minute() {
    let mut network = Network::new(Network::config().nonce_lifetime(secs(60)), "secret");
    network.client.permit(addr(PEER));
    network.settle();
    let relayed = network.relayed();
    assert!(matches!(
        network.events[..],
        [Event::Allocated { relayed: at, mapped, .. }, Event::PermissionGranted { peer }]
            if (at, mapped, peer) == (relayed, addr(CLIENT), addr(PEER).ip())
    ));
    network.assert_talks();
    network.client.bind(addr(PEER));
    network.wait(secs(1));
    assert_eq!(network.client.framing(addr(PEER)), Some(Framing::Channel(0x4000)));
    network.events.clear();
    for _ in 0..120 {
        network.wait(secs(60));
        network.assert_talks();
    }
    assert_eq!((network.relayed(), &network.events[..]), (relayed, &[][..]));
    let stats = network.server.stats();
    assert_eq!((stats.allocations, stats.permissions, stats.channels), (1, 1, 1));
    network.client.close(network.now);
    network.settle();
    assert_eq!(network.server.stats().allocations, 0);
    assert_eq!(network.client.deadline(), None, "one request was enough");
}

/// RFC 8656 §5: 437 to a refresh.
#[test]
fn a_server_that_starts_anew_loses_the_allocation() {
    let mut network = Network::new(Network::config(), "secret");
    network.client.permit(addr(PEER));
    network.settle();
    network.server = Server::new(Network::config(), network.now);
    network.server.add_socket(SocketId(0), addr(SERVER));
    network.relays.clear();
    network.events.clear();
    network.wait(secs(600));
    assert_eq!(network.events, [Event::Lost]);
    assert_eq!(network.client.deadline(), None);
}

#[test]
fn a_wrong_password_and_a_full_server_are_told() {
    let mut network = Network::new(Network::config(), "guess");
    network.settle();
    assert_eq!(network.events, [Event::Problem(Problem::Unauthorized)]);
    let mut network = Network::new(Network::config().quota(0), "secret");
    network.settle();
    assert!(matches!(&network.events[..], [Event::Problem(problem)] if problem.pause() == Some(secs(60))));
}
