//! The body of the fuzz target `agent_ops`: one agent, and everything around it played by the input.
//!
//! The input is a program of single bytes. It moves time, adds and removes sockets, signals, and plays the peer, who
//! knows the agent's credentials, and the STUN and TURN servers, who know its requests. So it reaches what lies behind
//! authentication, and not only the door. After each step the invariants of [`Session::drain`] must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use floe::agent::{Answer, Nomination, Policy, ResolveId};
use floe::candidate::{Address, Candidate, CandidateType, Foundation};
use floe::credentials::Credentials;
use floe::io::{ComponentId, Datagram, Socket, SocketId};
use floe::signal::{Signal, What};
use floe::stun::attributes::PasswordAlgorithms;
use floe::stun::auth::{Integrity, PasswordAlgorithm};
use floe::stun::nonce::SecurityFeatures;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Message, Method, TransactionId, Writer};
use floe::turn::TurnServer;
use floe::{Agent, Config, Event, Input, Output, Path, Received, Role, State};

const PEER_UFRAG: &str = "peer";
const PEER_PWD: &str = "peerPasswordOf22Chars0";
const USER: &str = "user";
const PASSWORD: &str = "password";
const REALM: &str = "realm";
/// More outputs than this after one input are a loop.
const MAX_OUTPUTS: usize = 2000;
/// Longer programs add nothing.
const MAX_STEPS: usize = 400;

/// The program.
struct Program<'a>(std::slice::Iter<'a, u8>);

impl Program<'_> {
    /// The next byte; 0 at the end.
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

/// Addresses of the agent's own sockets.
fn own(number: u8) -> SocketAddr {
    addr(
        [
            "10.0.0.2:5000",
            "10.0.1.2:5000",
            "[2001:db8::2]:5000",
            "127.0.0.1:5000",
            "[fe80::2%3]:5000",
            "10.0.0.2:5001",
        ][usize::from(number) % 6],
    )
}

/// Addresses that candidates, checks and data of the peer come from.
fn peer(number: u8) -> SocketAddr {
    let number = number % 24;
    match number {
        0..=9 => SocketAddr::from(([192, 0, 2, 10], 5000 + u16::from(number))),
        10..=15 => SocketAddr::from(([198, 51, 100, number], 6000)),
        16..=19 => SocketAddr::from(([0x2001, 0xdb8, 0, 1, 0, 0, 0, u16::from(number)], 6000)),
        20 => addr("127.0.0.1:7000"),
        21 => addr("[fe80::9%3]:7000"),
        // Also the servers': the peer may say that it is anywhere.
        22 => stun_server(),
        _ => turn_server(false),
    }
}

fn stun_server() -> SocketAddr {
    addr("203.0.113.1:3478")
}

fn turn_server(v6: bool) -> SocketAddr {
    addr(if v6 { "[2001:db8::53]:3478" } else { "203.0.113.2:3478" })
}

/// A request of the agent that the program may answer.
#[derive(Clone)]
struct Asked {
    socket: SocketId,
    local: SocketAddr,
    destination: SocketAddr,
    raw: Vec<u8>,
}

struct Session {
    agent: Agent,
    now: Instant,
    /// The key of the agent's pwd by stream, and its ufrag.
    own: BTreeMap<u16, (String, Key)>,
    /// A wildcard socket is added once per address.
    sockets: BTreeMap<(u32, IpAddr), (SocketAddr, ComponentId)>,
    /// The latest requests.
    asked: Vec<Asked>,
    /// Where the agent may send: servers, candidates, sources of checks that the peer's key vouched for.
    allowed: BTreeSet<SocketAddr>,
    /// Answers that requests without a key have earned.
    owed: usize,
    path: Option<Path>,
    state: State,
    relayed: bool,
}

/// Runs the program in `data`.
pub fn agent_ops(data: &[u8]) {
    let mut program = Program(data.iter());
    let mut session = Session::new(&mut program);
    session.drain();
    for _ in 0..MAX_STEPS {
        if program.0.len() == 0 {
            break;
        }
        session.step(&mut program);
        session.drain();
    }
    // Whatever happened: an agent that is let alone comes to rest, or to its regular work.
    session.settle();
}

impl Session {
    fn new(program: &mut Program<'_>) -> Self {
        let flags = program.byte();
        let role = if flags & 1 == 0 { Role::Controlling } else { Role::Controlled };
        let mut config = Config::new(role, [flags; 32]).trace(64);
        config = config.nomination(
            program.pick(&[Nomination::First, Nomination::Best { settle: Duration::from_millis(100) }]),
        );
        if flags & 2 != 0 {
            config = config.stun_server(stun_server());
        }
        if flags & 4 != 0 {
            config = config.turn_server(TurnServer::new(turn_server(false), USER, PASSWORD));
        }
        if flags & 8 != 0 {
            config = config.turn_server(TurnServer::new(turn_server(true), USER, PASSWORD));
        }
        if flags & 16 != 0 {
            config = config.policy(Policy::Relay);
        }
        if flags & 32 != 0 {
            config = config.components(&[2, 1]);
        }
        if flags & 64 != 0 {
            config = config.pacing(Duration::from_millis(5));
        }
        if flags & 128 != 0 {
            config = config.unauthenticated(Answer::Silent);
        }
        let now = start();
        Self {
            agent: Agent::new(config, now),
            now,
            own: BTreeMap::new(),
            sockets: BTreeMap::new(),
            asked: Vec::new(),
            allowed: BTreeSet::from([stun_server(), turn_server(false), turn_server(true)]),
            owed: 0,
            path: None,
            state: State::New,
            relayed: false,
        }
    }

    fn step(&mut self, program: &mut Program<'_>) {
        match program.byte() % 16 {
            0 => self.pass(Duration::from_millis(u64::from(program.byte()))),
            1 => self.pass(Duration::from_secs(u64::from(program.byte()))),
            2 => self.next_wake(),
            3 => self.add_socket(program),
            4 => self.agent.end_of_sockets(self.now),
            5 => {
                let id = u32::from(program.byte() % 8);
                self.sockets.retain(|(socket, _), _| *socket != id);
                self.agent.remove_socket(self.now, SocketId(id));
            }
            6 => self.signal_credentials(program),
            7 => self.signal_candidate(program),
            8 => {
                let stream = u16::from(program.byte() % 3);
                let _ = self.agent.handle_signal(self.now, Signal::new(stream, What::EndOfCandidates));
            }
            9 | 10 => self.check(program),
            11 | 12 => self.answer(program),
            13 => self.through_the_relay(program),
            14 => self.junk(program),
            _ => self.rare(program),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let _ = self.agent.handle_input(self.now, Input::Timeout);
    }

    fn next_wake(&mut self) {
        let mut buf = [0; 1500];
        if let Output::Wait(Some(wake)) = self.agent.poll_output(&mut buf) {
            self.now = self.now.max(wake.at);
        }
        let _ = self.agent.handle_input(self.now, Input::Timeout);
    }

    fn add_socket(&mut self, program: &mut Program<'_>) {
        let id = u32::from(program.byte() % 8);
        let local = own(program.byte());
        let component = program.pick(&[
            ComponentId::FIRST,
            ComponentId { stream: 0, component: 2 },
            ComponentId { stream: 1, component: 1 },
        ]);
        let socket = if component == ComponentId::FIRST {
            Socket::udp(local)
        } else {
            Socket::Udp { local, component }
        };
        if self.agent.add_socket(self.now, SocketId(id), socket).is_ok() {
            self.sockets.insert((id, local.ip()), (local, component));
        }
    }

    fn signal_credentials(&mut self, program: &mut Program<'_>) {
        let flags = program.byte();
        let ufrag = if flags & 1 == 0 { PEER_UFRAG } else { "other" };
        let mut credentials =
            Credentials::new(ufrag.parse().expect("a ufrag"), PEER_PWD.parse().expect("a pwd"));
        credentials.lite = flags & 6 == 6;
        credentials.pacing = (flags & 8 != 0).then(|| Duration::from_millis(u64::from(flags)));
        let _ = self
            .agent
            .handle_signal(self.now, Signal::new(u16::from(flags >> 4) % 3, What::Credentials(credentials)));
    }

    fn signal_candidate(&mut self, program: &mut Program<'_>) {
        let flags = program.byte();
        let addr = peer(program.byte());
        let kind = program.pick(&[
            CandidateType::Host,
            CandidateType::ServerReflexive,
            CandidateType::Relayed,
            CandidateType::PeerReflexive,
        ]);
        let foundation = Foundation::from_number(u32::from(flags & 3));
        let component = 1 + u16::from(flags >> 4 & 1);
        let priority = 1 + (u32::from(program.byte()) << 20);
        let candidate = Candidate::udp(foundation, component, priority, addr, kind, None);
        let mut signal = Signal::new(u16::from(flags >> 6), What::Candidate(candidate));
        signal.ufrag = (flags & 4 != 0).then(|| "peer".parse().expect("a ufrag"));
        self.allowed.insert(unscoped(addr));
        let _ = self.agent.handle_signal(self.now, signal);
    }

    /// A check of the peer on one of the sockets, good in all or bad in one thing.
    fn check(&mut self, program: &mut Program<'_>) {
        let Some((socket, local, component)) = self.socket(program) else { return };
        let (source, flags, bad) = (peer(program.byte()), program.byte(), program.byte());
        let Some(raw) = self.written_check(component, flags, bad) else { return };
        if bad % 8 != 1 && bad % 8 != 2 && bad % 8 != 3 {
            self.allowed.insert(unscoped(source));
        } else {
            self.owed += 1;
        }
        self.deliver(socket, local, source, &raw);
    }

    fn written_check(&self, component: ComponentId, flags: u8, bad: u8) -> Option<Vec<u8>> {
        let (ufrag, key) = self.own.get(&component.stream)?;
        let mut buf = [0; 1280];
        let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([flags; 12]));
        let ufrag = if bad % 8 == 1 { "nobody" } else { ufrag };
        writer.put_username(&format!("{ufrag}:{PEER_UFRAG}"));
        if bad % 8 != 4 {
            writer.put_u32(attr::PRIORITY, u32::from_be_bytes([bad & 0x7F, flags, 1, 255]));
        }
        let role = if flags & 1 == 0 { attr::ICE_CONTROLLING } else { attr::ICE_CONTROLLED };
        writer.put_u64(role, u64::MAX / 255 * u64::from(bad));
        if flags & 2 != 0 {
            writer.put(attr::USE_CANDIDATE, &[]);
        }
        if bad % 8 == 5 {
            writer.put(0x7001, &[1, 2, 3]);
        }
        let wrong = Key::short_term("wrong");
        match bad % 8 {
            2 => writer.integrity(&wrong, Integrity::Sha1),
            3 => &mut writer,
            6 => writer.integrity(key, Integrity::Sha256),
            _ => writer.integrity(key, Integrity::Sha1),
        };
        if bad % 8 != 7 {
            writer.fingerprint();
        }
        Some(writer.finish().ok()?.to_vec())
    }

    fn socket(&self, program: &mut Program<'_>) -> Option<(SocketId, SocketAddr, ComponentId)> {
        let number = usize::from(program.byte());
        let ((id, _), (local, component)) = self.sockets.iter().nth(number % self.sockets.len().max(1))?;
        Some((SocketId(*id), *local, *component))
    }

    /// An answer to one of the agent's latest requests, as the one it asked or as somebody else.
    fn answer(&mut self, program: &mut Program<'_>) {
        if self.asked.is_empty() {
            return;
        }
        let back = usize::from(program.byte()) % self.asked.len();
        let asked = self.asked[self.asked.len() - 1 - back].clone();
        let (how, value) = (program.byte(), program.byte());
        let Ok(request) = Message::parse(&asked.raw) else { return };
        let Some(raw) = answer_to(&request, &asked, how, value) else { return };
        let source = if how & 0xC0 == 0xC0 { peer(value) } else { asked.destination };
        self.relayed |= request.method() == Method::ALLOCATE && raw[0] == 0x01;
        self.deliver(asked.socket, asked.local, source, &raw);
    }

    /// A datagram of the TURN server: data or a check that came to the relayed address.
    fn through_the_relay(&mut self, program: &mut Program<'_>) {
        let Some((socket, local, component)) = self.socket(program) else { return };
        let (from, flags, bad) = (peer(program.byte()), program.byte(), program.byte());
        let inner = match bad & 0x30 {
            0x30 => vec![200, flags, bad],
            _ => self.written_check(component, flags, bad).unwrap_or_default(),
        };
        let mut buf = [0; 1500];
        let server = turn_server(local.is_ipv6());
        if flags & 4 != 0 {
            let number = 0x4000 + u16::from(flags >> 6);
            let length = if flags & 8 == 0 { inner.len() } else { inner.len() + 9 };
            let mut raw = number.to_be_bytes().to_vec();
            raw.extend((length as u16).to_be_bytes());
            raw.extend(&inner);
            self.deliver(socket, local, server, &raw);
            return;
        }
        let mut writer = Writer::new(&mut buf, Class::Indication, Method::DATA, TransactionId([flags; 12]));
        if flags & 16 == 0 {
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, from);
        }
        if flags & 32 == 0 {
            writer.put(attr::DATA, &inner);
        }
        let Ok(raw) = writer.finish() else { return };
        // Whoever the relay let through has a permission; what it says still needs the key.
        self.allowed.insert(unscoped(from));
        self.owed += 1;
        let raw = raw.to_vec();
        self.deliver(socket, local, server, &raw);
    }

    fn junk(&mut self, program: &mut Program<'_>) {
        let Some((socket, local, _)) = self.socket(program) else { return };
        let source = peer(program.byte());
        let length = usize::from(program.byte());
        let raw: Vec<u8> = program.0.by_ref().take(length).copied().collect();
        self.owed += 1;
        self.deliver(socket, local, source, &raw);
    }

    fn rare(&mut self, program: &mut Program<'_>) {
        match program.byte() {
            0..=9 => self.agent.close(self.now),
            10..=99 => {
                if let Some(path) = self.path {
                    let mut buf = [0; 200];
                    let transmit = path.wrap(&mut buf, usize::from(program.byte() % 100));
                    assert!(transmit.payload.len() <= 200);
                }
            }
            100..=140 => {
                let host = format!("n{}.local", program.byte()).into();
                let mut candidate = Candidate::udp(
                    Foundation::from_number(1),
                    1,
                    1 << 24,
                    peer(0),
                    CandidateType::Host,
                    None,
                );
                candidate.address = Address::Name { host, port: peer(program.byte()).port() };
                let _ = self.agent.handle_signal(self.now, Signal::new(0, What::Candidate(candidate)));
            }
            141..=200 => {
                let (request, found) = (ResolveId(u32::from(program.byte() % 32)), peer(program.byte()));
                let address = (request.0 % 4 != 3).then_some(found.ip());
                // Whatever the port of the name is: any of those that the peer has.
                let places = (0..=u8::MAX).map(|n| unscoped(SocketAddr::new(found.ip(), peer(n).port())));
                self.allowed.extend(places);
                let _ = self.agent.handle_input(self.now, Input::Resolved { request, address });
            }
            _ => {
                // A socket that nobody gave to the agent.
                let at = addr("10.9.9.9:9");
                let datagram =
                    Datagram { socket: SocketId(99), local: at.ip(), source: at, ecn: None, payload: &[1] };
                assert_eq!(self.agent.handle_input(self.now, Input::Datagram(datagram)), Received::Unclaimed);
            }
        }
    }

    fn deliver(&mut self, socket: SocketId, local: SocketAddr, source: SocketAddr, raw: &[u8]) {
        let datagram = Datagram { socket, local: local.ip(), source, ecn: None, payload: raw };
        if let Received::Data { payload, .. } = self.agent.handle_input(self.now, Input::Datagram(datagram)) {
            assert!(payload.len() <= raw.len(), "data that was not received");
            let over = matches!(self.state, State::Failed | State::Closed);
            assert!(!over, "data after the end");
        }
    }

    /// Takes all outputs and holds them against what an agent may do.
    fn drain(&mut self) {
        let mut buf = [0; 1500];
        for count in 0.. {
            assert!(count < MAX_OUTPUTS, "an endless row of outputs");
            match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let (local, raw) = (transmit.local, transmit.payload.to_vec());
                    let (socket, destination) = (transmit.socket, transmit.destination);
                    let (known, _) =
                        self.sockets.get(&(socket.0, local)).expect("sends from a socket it has");
                    let known = *known;
                    self.may_send(destination, &raw);
                    if Message::parse(&raw).is_ok_and(|message| message.class() == Class::Request) {
                        self.asked.push(Asked { socket, local: known, destination, raw });
                        if self.asked.len() > 16 {
                            self.asked.remove(0);
                        }
                    }
                }
                Output::Event(event) => self.note(event),
                Output::Wait(_) => break,
                _ => {}
            }
        }
        assert!(!matches!(self.agent.state(), State::Failed | State::Closed) || self.path.is_none());
        if let Some(path) = self.path {
            assert!(self.agent.may_send(&path), "a path that was announced is usable until another one is");
        }
        self.owed = 0;
    }

    /// RFC 8445 §7.2, §19.5: nothing goes to an address that neither signaling nor the peer's key vouches for, but
    /// for one short answer to each request.
    fn may_send(&mut self, destination: SocketAddr, raw: &[u8]) {
        if self.allowed.contains(&unscoped(destination)) {
            return;
        }
        let message = Message::parse(raw).expect("only STUN goes to strangers");
        assert_eq!(message.class(), Class::Error, "to {destination}");
        assert!(self.owed > 0, "an answer that nobody asked for, to {destination}");
        self.owed -= 1;
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Signal(Signal { stream, what: What::Credentials(credentials), .. }) => {
                let key = Key::short_term(credentials.pwd.as_str());
                self.own.insert(stream, (credentials.ufrag.to_string(), key));
            }
            Event::Path { component, path } if component == ComponentId::FIRST => {
                assert_ne!(self.path, path, "announced twice");
                self.path = path;
            }
            Event::State(state) => {
                assert_ne!(self.state, state, "announced twice");
                let final_state = match self.state {
                    State::Closed => true,
                    State::Failed => state != State::Closed,
                    _ => false,
                };
                assert!(!final_state, "{:?} to {state:?}", self.state);
                self.state = state;
            }
            _ => {}
        }
    }

    /// Lets ten minutes pass without any input: the work is bounded, and no wake repeats forever.
    fn settle(&mut self) {
        let end = self.now + Duration::from_secs(600);
        let mut buf = [0; 1500];
        for turn in 0.. {
            assert!(turn < 20_000, "an agent that never rests: {:?} at {:?}", self.agent.state(), self.now);
            let Output::Wait(wake) = self.agent.poll_output(&mut buf) else { panic!("was not drained") };
            let Some(wake) = wake.filter(|wake| wake.at < end) else { break };
            self.now = self.now.max(wake.at);
            let _ = self.agent.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        self.agent.close(self.now);
        self.drain();
        assert_eq!(self.agent.state(), State::Closed);
    }
}

/// What the peer or a server answers: `how` chooses, and one in some is wrong.
fn answer_to(request: &Message<'_>, asked: &Asked, how: u8, value: u8) -> Option<Vec<u8>> {
    let mut buf = [0; 1280];
    let (method, id) = (request.method(), request.transaction_id());
    let is_turn = [turn_server(false), turn_server(true)].contains(&asked.destination);
    let code =
        [0, 0, 0, 0, 401, 438, 487, 403, 400, 437, 486, 300, 500, 420, 441, 508][usize::from(how & 15)];
    let mut writer = match code {
        0 => Writer::new(&mut buf, Class::Success, method, id),
        code => Writer::error(&mut buf, method, id, code),
    };
    let algorithms = PasswordAlgorithms::offer(&[PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5]);
    let features = SecurityFeatures { password_algorithms: how & 16 != 0, username_anonymity: how & 32 != 0 };
    if code == 401 || code == 438 {
        writer.put_realm(REALM).put_nonce(&format!("{features}{value}"));
        if features.password_algorithms {
            writer.put_password_algorithms(&algorithms);
        }
        return Some(writer.fingerprint_and_finish()?.to_vec());
    }
    let mapped = if value & 1 == 0 { asked.local } else { peer(value) };
    if value & 0x30 != 0x30 {
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, mapped);
    }
    if method == Method::ALLOCATE && code == 0 {
        let relayed = if asked.destination.is_ipv6() { "[2001:db8::53]:50000" } else { "203.0.113.2:50000" };
        let mut relayed = addr(relayed);
        relayed.set_port(50_000 + asked.local.port() % 7 + u16::from(value & 7));
        writer.put_xor_address(attr::XOR_RELAYED_ADDRESS, relayed);
    }
    if [Method::ALLOCATE, Method::REFRESH].contains(&method) && code == 0 {
        writer.put_lifetime(Duration::from_secs(u64::from(value) * 10));
    }
    let sha256 =
        is_turn && request.plain().attributes().password_algorithm() == Some(PasswordAlgorithm::Sha256);
    let (algorithm, integrity) = if sha256 {
        (PasswordAlgorithm::Sha256, Integrity::Sha256)
    } else {
        (PasswordAlgorithm::Md5, Integrity::Sha1)
    };
    let plain = !is_turn && method == Method::BINDING && request.username().is_none();
    if !plain {
        let key = if is_turn && method != Method::BINDING {
            Key::long_term(algorithm, USER, REALM, PASSWORD)
        } else {
            Key::short_term(PEER_PWD)
        };
        if value & 0x0F != 0x0F {
            writer.integrity(&key, integrity);
        }
    }
    Some(writer.fingerprint_and_finish()?.to_vec())
}

/// The end of every message of the program.
trait Finish<'b> {
    fn fingerprint_and_finish(self) -> Option<&'b [u8]>;
}

impl<'b> Finish<'b> for Writer<'b> {
    fn fingerprint_and_finish(mut self) -> Option<&'b [u8]> {
        self.fingerprint();
        self.finish().ok()
    }
}

fn unscoped(mut addr: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut addr {
        v6.set_scope_id(0);
    }
    addr
}

/// Only differences are used.
#[expect(clippy::disallowed_methods, reason = "an Instant has no other constructor")]
fn start() -> Instant {
    Instant::now()
}
