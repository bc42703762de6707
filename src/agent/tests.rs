//! Two agents on one wire: the shortest way to see the whole machine work.

use std::collections::VecDeque;

use super::*;
use crate::io::{Datagram, Socket, SocketId};
use crate::time::Duration;

/// Everything that is under way, with the instant it arrives.
enum Parcel {
    Datagram { from: std::net::SocketAddr, payload: Vec<u8> },
    Signal(crate::signal::Signal),
}

struct Side {
    agent: Agent,
    addr: std::net::SocketAddr,
    inbox: VecDeque<(Instant, Parcel)>,
    wake: Option<Instant>,
    log: Vec<(u128, Event)>,
    data: Vec<Vec<u8>>,
    sent: usize,
}

struct Wire {
    now: Instant,
    start: Instant,
    delay: Duration,
    sides: [Side; 2],
}

impl Wire {
    fn new(roles: [Role; 2], delay_ms: u64) -> Self {
        let now = crate::time::test_epoch();
        let side = |at: usize| {
            let addr = format!("192.0.2.{}:5000", at + 1).parse().expect("an address");
            let mut agent = Agent::new(Config::new(roles[at], [at as u8 + 1; 32]), now);
            agent.add_socket(now, SocketId(0), Socket::udp(addr)).expect("a socket");
            agent.end_of_sockets(now);
            Side {
                agent,
                addr,
                inbox: VecDeque::new(),
                wake: None,
                log: Vec::new(),
                data: Vec::new(),
                sent: 0,
            }
        };
        Self { now, start: now, delay: Duration::from_millis(delay_ms), sides: [side(0), side(1)] }
    }

    fn drain(&mut self, at: usize) {
        let mut buf = [0; 1500];
        loop {
            let arrival = self.now + self.delay;
            let from = self.sides[at].addr;
            let (side, peer) = if at == 0 { (0, 1) } else { (1, 0) };
            match self.sides[side].agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let payload = transmit.payload.to_vec();
                    if transmit.destination == self.sides[peer].addr {
                        self.sides[peer].inbox.push_back((arrival, Parcel::Datagram { from, payload }));
                    }
                    self.sides[side].sent += 1;
                }
                Output::Event(Event::Signal(signal)) => {
                    self.sides[peer].inbox.push_back((self.now, Parcel::Signal(signal)));
                }
                Output::Event(event) => {
                    let at = (self.now - self.start).as_millis();
                    self.sides[side].log.push((at, event));
                }
                Output::Close(_) | Output::Publish { .. } | Output::Withdraw { .. } | Output::Resolve(_) => {}
                Output::Wait(wake) => {
                    self.sides[side].wake = wake.map(|wake| wake.at);
                    return;
                }
            }
        }
    }

    fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> u128 {
        for at in 0..2 {
            self.drain(at);
        }
        while !done(self) {
            let inboxes = self.sides.iter().flat_map(|side| side.inbox.iter().map(|(at, _)| *at));
            let next =
                inboxes.chain(self.sides.iter().filter_map(|side| side.wake)).min().expect("something to do");
            self.now = self.now.max(next);
            assert!(
                self.now <= self.start + limit,
                "not done in time: {:?} {:?}",
                self.sides[0].log,
                self.sides[1].log
            );
            for at in 0..2 {
                while let Some(place) = self.sides[at].inbox.iter().position(|(due, _)| *due <= self.now) {
                    let (_, parcel) = self.sides[at].inbox.remove(place).expect("a parcel");
                    let side = &mut self.sides[at];
                    match parcel {
                        Parcel::Signal(signal) => {
                            side.agent.handle_signal(self.now, signal).expect("a good signal");
                        }
                        Parcel::Datagram { from, payload } => {
                            let local = side.addr.ip();
                            let datagram = Datagram {
                                socket: SocketId(0),
                                local,
                                source: from,
                                ecn: None,
                                payload: &payload,
                            };
                            if let Received::Data { payload, .. } =
                                side.agent.handle_input(self.now, Input::Datagram(datagram))
                            {
                                side.data.push(payload.to_vec());
                            }
                        }
                    }
                    self.drain(at);
                }
                if self.sides[at].wake.is_some_and(|wake| wake <= self.now) {
                    let _ = self.sides[at].agent.handle_input(self.now, Input::Timeout);
                    self.drain(at);
                }
            }
        }
        (self.now - self.start).as_millis()
    }

    fn completed(&self) -> bool {
        self.sides.iter().all(|side| side.agent.state() == State::Completed)
    }
}

#[test]
fn two_hosts_are_usable_after_one_round_trip() {
    let mut wire = Wire::new([Role::Controlling, Role::Controlled], 50);
    let usable = |wire: &Wire| wire.sides.iter().all(|side| side.agent.path(ComponentId::FIRST).is_some());
    assert_eq!(wire.run(Duration::from_secs(1), usable), 100);
    wire.run(Duration::from_secs(1), Wire::completed);
    let packets: usize = wire.sides.iter().map(|side| side.sent).sum();
    assert!(packets <= 14, "{packets} packets");
}

#[test]
fn a_role_conflict_repairs_itself() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut wire = Wire::new([role, role], 10);
        wire.run(Duration::from_secs(5), Wire::completed);
        let roles = [0, 1].map(|at: usize| wire.sides[at].agent.role());
        assert_ne!(roles[0], roles[1]);
    }
}

/// A session whose only path went with its socket has an end, before and after nomination.
#[test]
fn an_agent_without_its_socket_fails() {
    let connected = |wire: &Wire| wire.sides[0].agent.state() == State::Connected;
    for done in [connected, Wire::completed] {
        let mut wire = Wire::new([Role::Controlling, Role::Controlled], 10);
        wire.run(Duration::from_secs(5), done);
        wire.sides[0].agent.remove_socket(wire.now, SocketId(0));
        assert_eq!(wire.sides[0].agent.path(ComponentId::FIRST), None);
        wire.run(Duration::from_secs(80), |wire| wire.sides[0].agent.state() == State::Failed);
    }
}

/// RFC 8839 §5.1: the `ufrag` extension of a candidate says its generation, as browsers write it.
#[test]
fn a_candidate_that_names_another_generation_is_refused() {
    let now = crate::time::test_epoch();
    let mut agent = Agent::new(Config::new(Role::Controlling, [1; 32]), now);
    let mut take = |line: &str| agent.handle_signal(now, line.parse().expect("a signal"));
    take("0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg").expect("credentials");
    let line = "0 candidate:1 1 udp 2130706431 192.0.2.9 5000 typ host ufrag ";
    assert_eq!(take(&format!("{line}old1")), Err(crate::error::SignalError::OldGeneration("old1".into())));
    assert_eq!(take(&format!("{line}8hhY")), Ok(()));
}

/// The seed is as secret as the passwords that are drawn from it.
#[test]
fn debug_shows_no_seed() {
    let config = Config::new(Role::Controlling, [213; 32]);
    assert!(!format!("{config:?}").contains("213"));
    assert!(!format!("{:?}", Agent::new(config, crate::time::test_epoch())).contains("213, 213"));
}

/// With nothing to connect it would be Completed from the start.
#[test]
fn an_agent_has_at_least_one_stream() {
    let now = crate::time::test_epoch();
    let mut agent = Agent::new(Config::new(Role::Controlling, [1; 32]).components(&[]), now);
    let addr = "192.0.2.1:5000".parse().expect("an address");
    assert_eq!(agent.add_socket(now, SocketId(0), Socket::udp(addr)), Ok(()));
    assert_eq!(agent.state(), State::Gathering);
}
