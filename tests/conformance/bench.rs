//! One agent on virtual time, and whoever is at the other end: a peer and a server that say what the test wants.

use std::net::SocketAddr;
use std::time::Duration;

use floe::agent::{CheckOrder, Recheck};
use floe::io::{ComponentId, Datagram, Socket, SocketId};
use floe::signal::{Signal, What};
use floe::stun::auth::Integrity;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Message, Method, TransactionId, Writer};
use floe::time::Instant;
use floe::{Agent, Config, Event, Input, Output, Received, Role, State};

pub(crate) const HOST: &str = "192.0.2.1:5000";
pub(crate) const PEER: &str = "192.0.2.2:6000";
pub(crate) const SERVER: &str = "203.0.113.1:3478";
/// The peer's password.
pub(crate) const PEER_PWD: &str = "peerPasswordOf24Letters+";

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A datagram that the agent sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Since the start.
    pub(crate) at: Duration,
    pub(crate) to: SocketAddr,
    pub(crate) raw: Vec<u8>,
}

impl Sent {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.raw).expect("floe sends STUN")
    }

    pub(crate) fn id(&self) -> TransactionId {
        self.message().transaction_id()
    }

    pub(crate) fn is(&self, class: Class) -> bool {
        self.message().class() == class
    }

    /// The success response of the peer: `fill` comes before the integrity.
    pub(crate) fn success_with(&self, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        message(Class::Success, Method::BINDING, self.id(), |writer| {
            writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(HOST));
            fill(writer);
            writer.integrity(&Key::short_term(PEER_PWD), Integrity::Sha1).fingerprint();
        })
    }

    pub(crate) fn success(&self) -> Vec<u8> {
        self.success_with(|_| {})
    }

    /// An error response of the peer.
    pub(crate) fn error(&self, code: u16) -> Vec<u8> {
        message(Class::Error, Method::BINDING, self.id(), |writer| {
            writer.put_error_code(code, "").integrity(&Key::short_term(PEER_PWD), Integrity::Sha1);
            writer.fingerprint();
        })
    }

    /// 0 for success.
    pub(crate) fn code(&self) -> u16 {
        self.message().plain().attributes().error_code().map_or(0, |error| error.code)
    }

    /// The types of all attributes, those that protect the message too.
    pub(crate) fn kinds(&self) -> Vec<u16> {
        kinds(&self.raw)
    }
}

/// The types of all attributes of a message.
pub(crate) fn kinds(raw: &[u8]) -> Vec<u16> {
    let mut rest = &raw[20..];
    let mut kinds = Vec::new();
    while let [t0, t1, l0, l1, ..] = *rest {
        kinds.push(u16::from_be_bytes([t0, t1]));
        rest = &rest[4 + usize::from(u16::from_be_bytes([l0, l1])).next_multiple_of(4)..];
    }
    kinds
}

/// A message with what `fill` puts in.
pub(crate) fn message(
    class: Class,
    method: Method,
    id: TransactionId,
    fill: impl FnOnce(&mut Writer<'_>),
) -> Vec<u8> {
    let mut buf = [0; 2048];
    let mut writer = Writer::new(&mut buf, class, method, id);
    fill(&mut writer);
    writer.finish().expect("2048 bytes are enough").to_vec()
}

pub(crate) struct Bench {
    pub(crate) agent: Agent,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    /// All that was sent, in order.
    pub(crate) sent: Vec<Sent>,
    pub(crate) events: Vec<Event>,
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    wake: Option<Instant>,
    seen: Vec<TransactionId>,
    next_id: u8,
}

impl Bench {
    /// An agent that has its socket and knows no peer.
    pub(crate) fn of(config: Config) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an Instant has no other constructor")]
        let now = Instant::now();
        // To the letter of the RFCs: what goes beyond them has tests of its own.
        let config = config.check_order(CheckOrder::Priority).recheck(Recheck::Off);
        let mut agent = Agent::new(config, now);
        agent.add_socket(now, SocketId(0), Socket::udp(addr(HOST))).expect("a socket");
        agent.end_of_sockets(now);
        let mut bench = Self {
            agent,
            now,
            start: now,
            sent: Vec::new(),
            events: Vec::new(),
            ufrag: String::new(),
            pwd: String::new(),
            wake: None,
            seen: Vec::new(),
            next_id: 100,
        };
        bench.drain();
        bench.take_credentials();
        bench
    }

    /// Notes the agent's latest credentials.
    pub(crate) fn take_credentials(&mut self) {
        for event in &self.events {
            if let Event::Signal(Signal { what: What::Credentials(own), .. }) = event {
                (self.ufrag, self.pwd) = (own.ufrag.to_string(), own.pwd.as_str().to_owned());
            }
        }
    }

    /// An agent with a peer of one host candidate.
    pub(crate) fn new(role: Role) -> Self {
        let mut bench = Self::of(Config::new(role, [7; 32]));
        bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
        bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
        bench.signal("0 end-of-candidates");
        bench
    }

    /// An agent with a selected pair.
    pub(crate) fn completed() -> Self {
        let mut bench = Self::new(Role::Controlling);
        for _ in 0..50 {
            if bench.agent.state() == State::Completed {
                return bench;
            }
            bench.wait(ms(50));
            bench.answer_checks();
        }
        panic!("{:?}", bench.events);
    }

    pub(crate) fn signal(&mut self, line: &str) {
        self.agent.handle_signal(self.now, line.parse().expect(line)).expect("a good signal");
        self.drain();
    }

    /// Does what an application does, and lets the agent act on it.
    pub(crate) fn with_agent<T>(&mut self, call: impl FnOnce(&mut Agent, Instant) -> T) -> T {
        let result = call(&mut self.agent, self.now);
        self.drain();
        result
    }

    fn drain(&mut self) {
        let mut buf = [0; 1500];
        loop {
            match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => self.sent.push(Sent {
                    at: self.now - self.start,
                    to: transmit.destination,
                    raw: transmit.payload.to_vec(),
                }),
                Output::Event(event) => self.events.push(event),
                Output::Close(_) => {}
                Output::Wait(wake) => {
                    self.wake = wake.map(|wake| wake.at);
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.wake.filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let _ = self.agent.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn receive<'a>(&mut self, source: &str, payload: &'a [u8]) -> Received<'a> {
        self.receive_on(SocketId(0), HOST, source, payload)
    }

    /// As [`Self::receive`], on another socket.
    pub(crate) fn receive_on<'a>(
        &mut self,
        socket: SocketId,
        local: &str,
        source: &str,
        payload: &'a [u8],
    ) -> Received<'a> {
        let (local, source) = (addr(local).ip(), addr(source));
        let datagram = Datagram { socket, local, source, ecn: None, payload };
        let received = self.agent.handle_input(self.now, Input::Datagram(datagram));
        self.drain();
        received
    }

    /// What the agent sends when this arrives.
    pub(crate) fn answers(&mut self, source: &str, payload: &[u8]) -> Vec<Sent> {
        let before = self.sent.len();
        let _ = self.receive(source, payload);
        self.sent[before..].to_vec()
    }

    /// The first transaction with `to` that was not seen before; lets time pass, a second at most, until it begins.
    pub(crate) fn next_request(&mut self, to: &str) -> Sent {
        for _ in 0..20 {
            let mut requests = self.sent.iter().filter(|it| it.to == addr(to) && it.is(Class::Request));
            if let Some(new) = requests.find(|it| !self.seen.contains(&it.id())).cloned() {
                self.seen.push(new.id());
                return new;
            }
            self.wait(ms(50));
        }
        panic!("nothing is asked of {to}: {:?}", self.sent);
    }

    /// A check of the peer: `fill` comes before the integrity.
    pub(crate) fn check_with(&mut self, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let (username, key) = (format!("{}:peer", self.ufrag), Key::short_term(&self.pwd));
        let role =
            if self.agent.role() == Role::Controlling { attr::ICE_CONTROLLED } else { attr::ICE_CONTROLLING };
        self.next_id += 1;
        message(Class::Request, Method::BINDING, TransactionId([self.next_id; 12]), |writer| {
            writer.put_username(&username).put_u32(attr::PRIORITY, 1_862_270_975).put_u64(role, 1);
            fill(writer);
            writer.integrity(&key, Integrity::Sha1).fingerprint();
        })
    }

    pub(crate) fn check(&mut self) -> Vec<u8> {
        self.check_with(|_| {})
    }

    /// A check of a peer with this ufrag, role and tiebreaker.
    pub(crate) fn check_of(&mut self, ufrag: &str, role: Role, tiebreaker: u64) -> Vec<u8> {
        let (username, key) = (format!("{}:{ufrag}", self.ufrag), Key::short_term(&self.pwd));
        let attribute = if role == Role::Controlling { attr::ICE_CONTROLLING } else { attr::ICE_CONTROLLED };
        self.next_id += 1;
        message(Class::Request, Method::BINDING, TransactionId([self.next_id; 12]), |writer| {
            writer.put_username(&username).put_u32(attr::PRIORITY, 1_862_270_975);
            writer.put_u64(attribute, tiebreaker).integrity(&key, Integrity::Sha1).fingerprint();
        })
    }

    /// Answers every check that the agent has sent to the peer.
    pub(crate) fn answer_checks(&mut self) {
        let checks: Vec<Sent> =
            self.sent.iter().filter(|it| it.to == addr(PEER) && it.is(Class::Request)).cloned().collect();
        for check in checks {
            let answer = check.success();
            let _ = self.receive(PEER, &answer);
        }
    }

    /// All signals so far, as lines.
    pub(crate) fn signals(&self) -> Vec<String> {
        let signals = self.events.iter().filter_map(|event| match event {
            Event::Signal(signal) => Some(signal.to_string()),
            _ => None,
        });
        signals.collect()
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.agent.path(ComponentId::FIRST).is_some()
    }

    /// The server-reflexive candidates that were signalled.
    pub(crate) fn reflexive(&self) -> Vec<SocketAddr> {
        let candidates = self.events.iter().filter_map(|event| match event {
            Event::Signal(Signal { what: What::Candidate(candidate), .. }) => Some(candidate),
            _ => None,
        });
        let reflexive = candidates.filter(|it| it.kind == floe::candidate::CandidateType::ServerReflexive);
        reflexive.filter_map(|it| it.address.socket()).collect()
    }
}
