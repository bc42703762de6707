//! The network of a host changes while data runs both ways: for how long there is none, and that it comes back.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::lab::{Lab, Nat};
use crate::peer::{Pair, Peer};

/// Nothing here takes so long, unless data never comes back.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two datagrams of each peer.
const STEP: Duration = Duration::from_millis(20);

/// Two peers on a network that changes.
struct Session {
    lab: Lab,
    pair: Pair,
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
        let lab = Lab::new([Nat::Open, Nat::Open]);
        // A second network for the first host.
        lab.ip("nat1", &format!("link add in2 type veth peer name eth1 netns {}", lab.name("host1")));
        lab.ip("nat1", "addr add 10.9.0.1/24 dev in2");
        lab.ip("nat1", "link set in2 up");
        for node in ["server", "nat2"] {
            lab.ip(node, "route add 10.9.0.0/24 via 203.0.113.21");
        }
        let mut pair = Pair::spawn(&lab, &["--no-ipv6"]);
        pair.connect(&lab, Duration::from_secs(20));
        let mut session =
            Self { lab, pair, seen: [0; 2], last: [Instant::now(); 2], gap: [Duration::ZERO; 2] };
        session.count();
        session.run(Duration::from_secs(1));
        session
    }

    fn host1(&self, args: &str) {
        self.lab.ip("host1", args);
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
            assert!(start.elapsed() < PATIENCE, "{what}: no data any more\n{}", self.pair.report(&self.lab));
        }
        self.run(Duration::from_secs(6));
        let still = self.last.iter().all(|last| last.elapsed() < Duration::from_secs(3));
        assert!(still, "{what}: data stopped again\n{}", self.pair.report(&self.lab));
        let [a, b] = self.gap.map(|gap| gap.as_millis());
        println!("{what}: without data {a} ms at the host that moved, {b} ms at its peer");
    }

    /// How often each peer began anew.
    fn restarts(&self) -> [usize; 2] {
        [0, 1].map(|side| self.pair.peers[side].of_type("credentials").count() - 1)
    }

    /// The addresses of the path, as the first host has it.
    fn path(&self) -> String {
        let peer: &Peer = &self.pair.peers[0];
        let line = peer.of_type("selected").next_back().unwrap();
        let address = |side: &str| line[side].as_str().unwrap().split(' ').nth(4).unwrap().to_owned();
        format!("{} {}", address("local"), address("remote"))
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn an_address_is_replaced_under_a_session_and_data_comes_back() {
    let mut session = Session::connected();
    session.host1("addr del 10.1.0.2/24 dev eth0");
    session.host1("addr add 10.1.0.77/24 dev eth0");
    session.host1("route add default via 10.1.0.1");
    session.comes_back("address replaced");
    assert_eq!(session.path(), "10.1.0.77 10.2.0.2");
    assert_eq!(session.restarts(), [1, 1], "{}", session.pair.report(&session.lab));
}

#[test]
#[ignore = "needs root, ip and nft"]
fn another_link_takes_over_from_one_that_goes_down() {
    let mut session = Session::connected();
    session.host1("link set eth0 down");
    session.host1("addr add 10.9.0.2/24 dev eth1");
    session.host1("link set eth1 up");
    session.host1("route add default via 10.9.0.1");
    session.comes_back("another link");
    assert_eq!(session.path(), "10.9.0.2 10.2.0.2");
    assert_eq!(session.restarts(), [1, 1], "{}", session.pair.report(&session.lab));
}

/// Make-before-break: the second link is there before the first one goes.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_link_that_was_there_before_takes_over() {
    let mut session = Session::connected();
    session.host1("addr add 10.9.0.2/24 dev eth1");
    session.host1("link set eth1 up");
    session.run(Duration::from_secs(3));
    assert_eq!(session.restarts(), [1, 1], "the second link");
    session.host1("link set eth0 down");
    session.host1("route add default via 10.9.0.1");
    session.comes_back("a second link");
    assert_eq!(session.path(), "10.9.0.2 10.2.0.2");
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_link_that_is_down_for_three_seconds_is_used_again() {
    let mut session = Session::connected();
    session.host1("link set eth0 down");
    session.run(Duration::from_secs(3));
    session.host1("link set eth0 up");
    session.host1("route add default via 10.1.0.1");
    session.comes_back("link down for 3 s");
    assert_eq!(session.path(), "10.1.0.2 10.2.0.2");
    assert_eq!(session.restarts(), [1, 1], "{}", session.pair.report(&session.lab));
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_bridge_of_containers_comes_and_goes_and_nothing_changes() {
    let mut session = Session::connected();
    let path = session.path();
    for _ in 0..3 {
        session.host1("link add docker0 type bridge");
        session.host1("addr add 172.17.0.1/16 dev docker0");
        session.host1("link set docker0 up");
        session.run(Duration::from_millis(1500));
        session.host1("link del docker0");
        session.run(Duration::from_millis(1500));
    }
    session.comes_back("bridge");
    assert_eq!(session.path(), path);
    assert_eq!(session.restarts(), [0, 0], "{}", session.pair.report(&session.lab));
}
