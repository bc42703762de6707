//! Two agents on one wire: the shortest way to see the whole machine work.

use std::collections::VecDeque;

use super::*;
use crate::credentials::Credentials;
use crate::io::{Datagram, Socket, SocketId};
use crate::signal::{Signal, What};
use crate::stun::auth::{Integrity, PasswordAlgorithm};
use crate::stun::wire::attr;
use crate::stun::{Class, Key, Message, Method, Writer};
use crate::time::Duration;
use crate::turn::TurnServer;

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
                Output::Connect(_)
                | Output::Open { .. }
                | Output::Close(_)
                | Output::Publish { .. }
                | Output::Withdraw { .. }
                | Output::Resolve(_) => {}
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

/// One agent, and requests that it has sent.
struct Alone {
    now: Instant,
    agent: Agent,
    requests: Vec<Vec<u8>>,
}

const SERVER: &str = "203.0.113.2:3478";

impl Alone {
    fn new(config: Config) -> Self {
        let now = crate::time::test_epoch();
        let mut alone = Self { now, agent: Agent::new(config, now), requests: Vec::new() };
        let socket = Socket::udp("192.0.2.1:5000".parse().expect("an address"));
        alone.agent.add_socket(now, SocketId(0), socket).expect("a socket");
        alone
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let _ = self.agent.handle_input(self.now, Input::Timeout);
    }

    fn drain(&mut self) {
        let mut buf = [0; 1280];
        loop {
            match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => self.requests.push(transmit.payload.to_vec()),
                Output::Wait(_) => return,
                _ => {}
            }
        }
    }

    /// A TURN server answers what was asked last: with a challenge first, then with an allocation.
    fn turn_server_answers(&mut self) {
        let mut buf = [0; 500];
        let raw = self.requests.pop().expect("a request");
        let request = Message::parse(&raw).expect("a message");
        let (method, id) = (request.method(), request.transaction_id());
        let answer = if request.plain().attributes().nonce().is_some() {
            let mut writer = Writer::new(&mut buf, Class::Success, method, id);
            writer
                .put_xor_address(attr::XOR_RELAYED_ADDRESS, "203.0.113.2:50000".parse().expect("an address"))
                .put_xor_address(attr::XOR_MAPPED_ADDRESS, "192.0.2.1:5000".parse().expect("an address"))
                .put_lifetime(Duration::from_secs(600));
            let key = Key::long_term(PasswordAlgorithm::Md5, "user", "realm", "password");
            writer.integrity(&key, Integrity::Sha1);
            writer.finish().expect("an answer").to_vec()
        } else {
            let mut writer = Writer::error(&mut buf, method, id, 401);
            writer.put_realm("realm").put_nonce("nonce");
            writer.finish().expect("an answer").to_vec()
        };
        let local = std::net::Ipv4Addr::new(192, 0, 2, 1).into();
        let source = SERVER.parse().expect("an address");
        let datagram = Datagram { socket: SocketId(0), local, source, ecn: None, payload: &answer };
        let received = self.agent.handle_input(self.now, Input::Datagram(datagram));
        assert_eq!(received, Received::Consumed);
        self.drain();
    }
}

#[test]
fn an_agent_that_is_over_sends_no_check_again() {
    let mut alone = Alone::new(Config::new(Role::Controlling, [1; 32]));
    let credentials =
        Credentials::new("peer".parse().expect("a ufrag"), "peerPasswordOf22Chars0".parse().expect("a pwd"));
    let line = "candidate:1 1 udp 2130706431 192.0.2.2 5000 typ host";
    for what in [What::Credentials(credentials), What::Candidate(line.parse().expect("a candidate"))] {
        alone.agent.handle_signal(alone.now, Signal::new(0, what)).expect("a good signal");
    }
    alone.pass(Duration::ZERO);
    alone.drain();
    assert_eq!(alone.requests.len(), 1, "a check");
    alone.agent.close(alone.now);
    for _ in 0..40 {
        alone.pass(Duration::from_secs(1));
        alone.drain();
    }
    assert_eq!(alone.requests.len(), 1, "and nothing after it");
}

/// RFC 8656 §8: whatever waits to be sent when an agent is closed, its allocation is given back.
#[test]
fn an_allocation_is_given_back_though_its_refresh_is_just_due() {
    let server = TurnServer::new(SERVER.parse().expect("an address"), "user", "password");
    let mut alone = Alone::new(Config::new(Role::Controlling, [1; 32]).turn_server(server));
    for _ in 0..2 {
        alone.pass(Duration::from_millis(50));
        alone.drain();
        alone.turn_server_answers();
    }
    assert!(alone.requests.is_empty(), "allocated");
    alone.pass(Duration::from_secs(540));
    alone.agent.close(alone.now);
    alone.drain();
    let raw = alone.requests.pop().expect("a request");
    let request = Message::parse(&raw).expect("a message");
    assert_eq!(request.method(), Method::REFRESH);
    assert_eq!(request.plain().attributes().lifetime(), Some(Duration::ZERO));
}

/// Any thread may own an agent, and look at it.
#[test]
fn agents_and_paths_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Agent>();
    crosses::<Path>();
}
