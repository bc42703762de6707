//! The network of a host changes while data runs both ways: for how long there is none, and that it comes back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::lab::{Family, Lab, Nat};
use crate::peer::{Pair, Peer, candidate_addr};
use crate::server::{Implementation, PASSWORD, Server, USERNAME};

mod both;
mod ipv6;
mod links;
mod nats;
mod outage;
mod relays;
mod tunnel;

/// Nothing here takes so long, unless data never comes back.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two datagrams of each peer.
const STEP: Duration = Duration::from_millis(20);

/// What two peers stand behind, and where they can go: the first host from network 1 to 3, the second one from 2 to 4.
#[derive(Clone, Copy)]
struct Setup {
    nats: [Nat; 2],
    further: [Nat; 2],
    server: Option<Implementation>,
    args: [&'static [&'static str]; 2],
}

impl Default for Setup {
    /// Hosts of IPv4 that reach each other.
    fn default() -> Self {
        Self { nats: [Nat::Open; 2], further: [Nat::Open; 2], server: None, args: [&["--no-ipv6"]; 2] }
    }
}

/// Two peers on a network that changes.
struct Session {
    pair: Pair,
    server: Option<Server>,
    lab: Lab,
    /// Data lines of each peer so far.
    seen: [usize; 2],
    /// When the last of them came.
    last: [Instant; 2],
    /// The longest time without.
    gap: [Duration; 2],
}

impl Session {
    /// Two hosts that reach each other; the first one's IPv4 address is 10.1.0.2, on `eth0`.
    fn connected() -> Self {
        Self::of(Setup::default())
    }

    fn of(setup: Setup) -> Self {
        let mut lab = Lab::new(setup.nats);
        for (side, nat) in (1..).zip(setup.further) {
            lab.further_network(side + 2, nat, &format!("host{side}"));
        }
        let server = setup.server.map(|implementation| Server::start(&lab, implementation, Family::V4));
        let mut servers = Vec::new();
        if let Some(server) = &server {
            let (stun, turn) = (server.uri("stun"), server.uri("turn"));
            servers.extend(["--stun".to_owned(), stun, "--turn".to_owned(), turn]);
            servers.extend(["--turn-username", USERNAME, "--turn-password", PASSWORD].map(str::to_owned));
        }
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        let peer =
            |host, role, args: &[&str]| Peer::spawn(&lab, host, &[&[role], &servers[..], args].concat());
        let peers =
            [peer("host1", "--controlling", setup.args[0]), peer("host2", "--controlled", setup.args[1])];
        let mut pair = Pair::of(peers);
        pair.connect(&lab, Duration::from_secs(20));
        let mut session =
            Self { pair, server, lab, seen: [0; 2], last: [Instant::now(); 2], gap: [Duration::ZERO; 2] };
        session.count();
        session.run(Duration::from_secs(2));
        session.gap = [Duration::ZERO; 2];
        session
    }

    fn host1(&self, args: &str) {
        self.lab.ip("host1", args);
    }

    /// A host goes from its first network to its further one.
    fn goes(&self, side: u8) {
        let host = format!("host{side}");
        self.lab.ip(&host, "link set eth0 down");
        self.lab.arrive(&host, "eth1", side + 2);
    }

    fn report(&mut self) -> String {
        let server = self.server.as_mut().map(|server| server.process.report()).unwrap_or_default();
        format!("{}{server}", self.pair.report(&self.lab))
    }

    /// What came is counted. Says which peers got something.
    fn count(&mut self) -> [bool; 2] {
        let now = Instant::now();
        [0, 1].map(|side| {
            let seen = self.pair.peers[side].of_type("data").count();
            self.gap[side] = self.gap[side].max(now - self.last[side]);
            let is_more = seen > self.seen[side];
            if is_more {
                (self.seen[side], self.last[side]) = (seen, now);
            }
            is_more
        })
    }

    fn step(&mut self) -> [bool; 2] {
        for peer in &mut self.pair.peers {
            peer.say(&json!({"type": "send", "text": "data"}));
        }
        self.pair.run_until(STEP, |_| false);
        self.count()
    }

    fn run(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step();
        }
    }

    /// Runs until data has come both ways after a change, and for some seconds on.
    fn comes_back(&mut self, what: &str) {
        // What was under way arrives.
        self.run(Duration::from_millis(100));
        let (start, mut came) = (Instant::now(), [false; 2]);
        while came != [true; 2] {
            for (came, is_more) in came.iter_mut().zip(self.step()) {
                *came |= is_more;
            }
            assert!(start.elapsed() < PATIENCE, "{what}: no data any more\n{}", self.report());
        }
        self.run(Duration::from_secs(6));
        let still = self.last.iter().all(|last| last.elapsed() < Duration::from_secs(3));
        assert!(still, "{what}: data stopped again\n{}", self.report());
        let [a, b] = self.gap.map(|gap| gap.as_millis());
        if std::env::var_os("LAB_REPORT").is_some() {
            println!("{}", self.report());
        }
        println!("{what}: without data {a} ms at the first host, {b} ms at the second");
    }

    /// How often each peer began anew.
    fn restarts(&self) -> [usize; 2] {
        [0, 1].map(|side| self.pair.peers[side].of_type("credentials").count() - 1)
    }

    /// The addresses of the path, as the first host has it.
    fn path(&self) -> String {
        self.ends().map(|addr| addr.ip().to_string()).join(" ")
    }

    /// The same with ports.
    fn ends(&self) -> [SocketAddr; 2] {
        let peer: &Peer = &self.pair.peers[0];
        let line = peer.of_type("selected").next_back().unwrap();
        ["local", "remote"].map(|side| candidate_addr(line[side].as_str().unwrap()))
    }

    /// The types of the candidates of the path, as the first host has it.
    fn types(&self) -> [String; 2] {
        self.pair.peers[0].selected_types().unwrap()
    }
}
