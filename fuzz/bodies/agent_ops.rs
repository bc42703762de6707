//! The body of the fuzz target `agent_ops`: one agent, and everything around it played by the input.
//!
//! The input is a program of single bytes. It moves time, adds and removes sockets, signals, and plays the peer, who
//! knows the agent's credentials, and the STUN and TURN servers, who know its requests: also those that pass through a
//! relay. So it reaches what lies behind authentication, and not only the door. After each step the invariants of
//! [`Session::drain`] and [`Promises`] must hold.

pub(crate) mod peer;
mod promises;
mod streams;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use floe::agent::{Answer, Nomination, Policy, ResolveId};
use floe::candidate::{Address, Candidate, CandidateType, Foundation, TcpRank, TcpType};
use floe::credentials::Credentials;
use floe::io::{ComponentId, Datagram, Socket, SocketId};
use floe::signal::{Signal, What};
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Message, Method, TransactionId, Writer};
use floe::trace::{JsonLines, Ladder};
use floe::turn::TurnServer;
use floe::{Agent, Config, Event, Input, Output, Path, Received, Role, State};

use peer::{
    Fault, PASSWORD, PEER_PWD, PEER_UFRAG, Question, USER, check, crowd, own, peer, stun_server, turn_server,
};
use promises::{Leg, Promises};
use streams::Streams;

/// More outputs than this after one input are a loop.
const MAX_OUTPUTS: usize = 2000;
/// Longer programs add nothing.
const MAX_STEPS: usize = 400;
/// A program that has made the agent send so much is over: others are tried in its time.
const MAX_SENT: usize = 1000;
/// So many of the latest requests may be answered.
const MAX_ASKED: usize = 16;

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

/// A request of the agent that the program may answer.
#[derive(Clone)]
struct Asked {
    socket: SocketId,
    local: SocketAddr,
    destination: SocketAddr,
    /// The peer, if it went through the relay at `destination`.
    relayed: Option<SocketAddr>,
    raw: Vec<u8>,
    answered: bool,
}

impl Asked {
    fn leg(&self) -> Leg {
        (self.socket, self.local.ip(), self.destination)
    }

    fn to(&self) -> SocketAddr {
        self.relayed.unwrap_or(self.destination)
    }
}

struct Session {
    agent: Agent,
    began: Instant,
    now: Instant,
    /// The key of the agent's pwd by stream, and its ufrag.
    own: BTreeMap<u16, (String, Key)>,
    /// A wildcard socket is added once per address.
    sockets: BTreeMap<(u32, IpAddr), (SocketAddr, ComponentId)>,
    /// The latest requests.
    asked: Vec<Asked>,
    streams: Streams,
    ta: Duration,
    promises: Promises,
    paths: BTreeMap<ComponentId, Path>,
    /// Paths that are gone: while a relay has no permission for the selected pair, consent goes on.
    former: Vec<Path>,
    state: State,
    data: u64,
    sent: usize,
}

/// Runs the program in `data`.
pub fn agent_ops(data: &[u8]) {
    let mut program = Program(data.iter());
    let mut session = Session::new(&mut program);
    session.drain();
    for _ in 0..MAX_STEPS {
        if program.0.len() == 0 || session.sent > MAX_SENT {
            break;
        }
        session.step(&mut program);
        session.drain();
    }
    // Whatever happened: an agent that is let alone comes to rest, or to its regular work. This takes most of the time,
    // so that one program in four shows it.
    if data.len().is_multiple_of(4) {
        session.settle();
    }
}

impl Session {
    fn new(program: &mut Program<'_>) -> Self {
        let flags = program.byte();
        let role = if flags & 1 == 0 { Role::Controlling } else { Role::Controlled };
        let mut ta = Duration::from_millis(5);
        let mut config = Config::new(role, [flags; 32]).trace(64);
        let more = program.byte();
        config = config.nomination(match more & 1 {
            0 => Nomination::First,
            _ => Nomination::Best { settle: Duration::from_millis(100) },
        });
        if more & 2 != 0 {
            config = config.tcp(TcpRank::AfterUdp);
        }
        if flags & 2 != 0 {
            config = config.stun_server(stun_server());
        }
        if flags & 4 != 0 {
            let mut server = TurnServer::new(turn_server(false), USER, PASSWORD);
            server.software = (flags & 64 != 0).then(|| "floe".into());
            config = config.turn_server(server);
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
            ta = Duration::from_millis(5);
            config = config.pacing(ta);
        }
        if flags & 128 != 0 {
            config = config.unauthenticated(Answer::Silent);
        }
        let now = start();
        let servers = [stun_server(), turn_server(false), turn_server(true)];
        Self {
            agent: Agent::new(config, now),
            began: now,
            now,
            own: BTreeMap::new(),
            sockets: BTreeMap::new(),
            asked: Vec::new(),
            streams: Streams::default(),
            ta,
            promises: Promises::new(ta, flags & 128 != 0, &servers),
            paths: BTreeMap::new(),
            former: Vec::new(),
            state: State::New,
            data: 0,
            sent: 0,
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
                self.promises.socket_gone(SocketId(id));
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
        let priority = program.byte();
        self.candidate(flags, addr, kind, priority);
    }

    fn candidate(&mut self, flags: u8, addr: SocketAddr, kind: CandidateType, priority: u8) {
        let foundation = Foundation::from_number(u32::from(flags & 3));
        let component = 1 + u16::from(flags >> 4 & 1);
        let priority = 1 + (u32::from(priority) << 20);
        let mut candidate = Candidate::udp(foundation, component, priority, addr, kind, None);
        if flags & 8 != 0 {
            candidate = candidate.over_tcp(TcpType::Passive);
        }
        let mut signal = Signal::new(u16::from(flags >> 6), What::Candidate(candidate));
        signal.ufrag = (flags & 4 != 0).then(|| "peer".parse().expect("a ufrag"));
        if self.agent.handle_signal(self.now, signal).is_ok() {
            self.promises.allow(addr);
        }
    }

    /// Many candidates at once, or checks from many addresses: more than any limit allows, if they go on.
    fn crowd(&mut self, program: &mut Program<'_>) {
        let (flags, first, count) = (program.byte(), program.byte(), program.byte() % 48);
        let place = self.socket(program);
        for number in 0..count {
            let from = crowd(first.wrapping_add(number));
            match place {
                Some((socket, local, component)) if flags & 8 != 0 => {
                    // All of a kind, or all kinds.
                    let (flags, fault) = match flags & 4 {
                        0 => (flags, Fault(flags & 0x70)),
                        _ => (first ^ number, Fault(first.wrapping_mul(number | 1))),
                    };
                    self.peer_checks((socket, local, component), from, flags, &fault);
                }
                _ => self.candidate(flags, from, CandidateType::Host, number),
            }
            self.drain();
        }
    }

    /// A check of the peer on one of the sockets, good in all or bad in one thing.
    fn check(&mut self, program: &mut Program<'_>) {
        let Some(place) = self.socket(program) else { return };
        let (source, flags, fault) = (peer(program.byte()), program.byte(), Fault(program.byte()));
        self.peer_checks(place, source, flags, &fault);
    }

    fn peer_checks(
        &mut self,
        (socket, local, component): (SocketId, SocketAddr, ComponentId),
        source: SocketAddr,
        flags: u8,
        fault: &Fault,
    ) {
        let source = self.source_on(socket, source);
        let Some(raw) = self.written_check(component, source, flags, fault) else { return };
        self.deliver(socket, local, source, &raw);
    }

    /// Whatever comes on a connection comes from its other end.
    fn source_on(&self, socket: SocketId, source: SocketAddr) -> SocketAddr {
        self.streams.get(socket).map_or(source, |stream| stream.remote)
    }

    fn written_check(
        &mut self,
        component: ComponentId,
        source: SocketAddr,
        flags: u8,
        fault: &Fault,
    ) -> Option<Vec<u8>> {
        let (ufrag, key) = self.own.get(&component.stream)?;
        let raw = check(ufrag, key, flags, fault);
        if fault.is_authentic() {
            self.promises.allow(source);
        }
        if fault.is_good() {
            self.promises.vouch(source);
        }
        Some(raw)
    }

    fn socket(&self, program: &mut Program<'_>) -> Option<(SocketId, SocketAddr, ComponentId)> {
        let number = usize::from(program.byte());
        let all =
            self.sockets.iter().map(|((id, _), (local, component))| (SocketId(*id), *local, *component));
        let streams = self.streams.open.iter();
        let all = all.chain(streams.map(|(id, it)| (SocketId(*id), it.local, it.component)));
        let count = self.sockets.len() + self.streams.open.len();
        all.into_iter().nth(number % count.max(1))
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
        let question = Question { request, local: asked.local, to: asked.to() };
        let Some(raw) = question.answer(how, value) else { return };
        let source = if how & 0xC0 == 0xC0 { peer(value) } else { asked.destination };
        let source = self.source_on(asked.socket, source);
        self.deliver_answer(&asked, source, &raw);
    }

    fn deliver_answer(&mut self, asked: &Asked, source: SocketAddr, raw: &[u8]) {
        let (Ok(request), Ok(answer)) = (Message::parse(&asked.raw), Message::parse(raw)) else { return };
        if answer.class() == Class::Success {
            self.promises.agreed(self.now, asked.leg(), &request);
            if answer.has_integrity() {
                self.promises.vouch(asked.to());
            }
        }
        match asked.relayed {
            Some(peer) if source == asked.destination => {
                let channel = self.promises.channel(asked.leg(), peer);
                let framed = relayed(channel, Some(peer), Some(raw), asked.raw[19]);
                self.deliver(asked.socket, asked.local, source, &framed);
            }
            _ => self.deliver(asked.socket, asked.local, source, raw),
        }
    }

    /// For some time the network works: every request of the agent is answered well, but for those of one kind.
    fn work(&mut self, program: &mut Program<'_>) {
        let (how, odd) = (program.byte(), program.byte());
        let kind =
            [None, None, Some(Method::ALLOCATE), Some(Method::REFRESH), Some(Method::CREATE_PERMISSION)]
                .into_iter()
                .chain([Some(Method::CHANNEL_BIND), Some(Method::BINDING)])
                .nth(usize::from(odd % 7))
                .flatten();
        let mut odd = kind.map(|method| (method, program.byte(), program.byte(), odd & 128 != 0));
        for _ in 0..1_u32 << (how & 7) {
            self.next_wake();
            self.drain();
            while let Some(asked) = self.asked.iter_mut().find(|asked| !asked.answered) {
                asked.answered = true;
                let asked = asked.clone();
                let Ok(request) = Message::parse(&asked.raw) else { continue };
                // Servers always answer; the peer at all of its addresses, at every other one, or through relays only.
                let is_check = request.username().is_some() && request.method() == Method::BINDING;
                let deaf = match how >> 6 {
                    0 | 1 => false,
                    2 => asked.to().port() % 2 == 0,
                    _ => asked.relayed.is_none(),
                };
                if is_check && deaf {
                    continue;
                }
                let question = Question { request, local: asked.local, to: asked.to() };
                let is_known = !question.lacks_credentials();
                let (how, value) = match odd {
                    Some((method, 0xFF, ..)) if method == request.method() => continue,
                    Some((method, how, value, always)) if method == request.method() && is_known => {
                        odd = odd.filter(|_| always);
                        (how, value)
                    }
                    _ => question.good_answer(how),
                };
                if let Some(raw) = question.answer(how, value) {
                    self.deliver_answer(&asked, asked.destination, &raw);
                    self.drain();
                }
            }
        }
    }

    /// A datagram of the TURN server: data or a check that came to the relayed address.
    fn through_the_relay(&mut self, program: &mut Program<'_>) {
        let Some((socket, local, component)) = self.socket(program) else { return };
        if self.streams.get(socket).is_some() {
            return;
        }
        let (from, flags, bad) = (peer(program.byte()), program.byte(), program.byte());
        let server = turn_server(local.is_ipv6());
        let number = 0x4000 + u16::from(flags >> 6);
        let channel = (flags & 4 != 0).then_some(number);
        let from =
            channel.and_then(|_| self.promises.peer((socket, local.ip(), server), number)).unwrap_or(from);
        let inner = match bad & 0x30 {
            0x30 => vec![200, flags, bad],
            _ => self.written_check(component, from, flags, &Fault(bad)).unwrap_or_default(),
        };
        let mut raw = relayed(
            channel,
            Some(from).filter(|_| flags & 16 == 0),
            Some(&inner[..]).filter(|_| flags & 32 == 0),
            flags,
        );
        if channel.is_some() && flags & 8 != 0 {
            raw.pop();
        }
        self.deliver(socket, local, server, &raw);
    }

    fn junk(&mut self, program: &mut Program<'_>) {
        let Some((socket, local, _)) = self.socket(program) else { return };
        let source = self.source_on(socket, peer(program.byte()));
        let length = usize::from(program.byte());
        let raw: Vec<u8> = program.0.by_ref().take(length).copied().collect();
        self.deliver(socket, local, source, &raw);
    }

    fn rare(&mut self, program: &mut Program<'_>) {
        match program.byte() {
            0..=9 => self.agent.close(self.now),
            10..=19 => {
                let (socket, local) = (SocketId(u32::from(program.byte() % 8)), own(program.byte()).ip());
                let destination = peer(program.byte());
                let _ = self.agent.handle_input(self.now, Input::Unreachable { socket, local, destination });
            }
            20..=99 => {
                if let Some(path) = self.paths.values().next() {
                    let mut buf = [0; 200];
                    let transmit = path.wrap(&mut buf, usize::from(program.byte() % 100));
                    assert!(transmit.payload.len() <= 200);
                }
            }
            100..=159 => self.work(program),
            160..=199 => self.crowd(program),
            200..=209 => {
                let trace = self.agent.trace();
                let lines = JsonLines::new(self.began, "agent", trace).to_string();
                let ladder = Ladder::new(self.began, ("agent", trace), ("agent", trace)).to_string();
                assert!(lines.lines().count() <= 64 && !ladder.is_empty());
                let shown = format!("{:?}", self.agent);
                assert!([PASSWORD, PEER_PWD].iter().all(|secret| !shown.contains(secret)), "{shown}");
            }
            210..=224 => {
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
            225..=239 => {
                let (request, found) = (ResolveId(u32::from(program.byte() % 32)), peer(program.byte()));
                let address = (request.0 % 4 != 3).then_some(found.ip());
                // Whatever the port of the name is: any of those that the peer has.
                for n in 0..=u8::MAX {
                    self.promises.allow(SocketAddr::new(found.ip(), peer(n).port()));
                }
                let _ = self.agent.handle_input(self.now, Input::Resolved { request, address });
            }
            240..=250 => self.stream(program),
            251 => self.agent.restart(self.now),
            _ => {
                // A socket that nobody gave to the agent.
                let at = SocketAddr::from(([10, 9, 9, 9], 9));
                let datagram =
                    Datagram { socket: SocketId(99), local: at.ip(), source: at, ecn: None, payload: &[1] };
                assert_eq!(self.agent.handle_input(self.now, Input::Datagram(datagram)), Received::Unclaimed);
            }
        }
    }

    /// Something happens to TCP.
    fn stream(&mut self, program: &mut Program<'_>) {
        let (what, which, whose) = (program.byte(), program.byte(), program.byte());
        let (streams, agent, now) = (&mut self.streams, &mut self.agent, self.now);
        match what % 8 {
            0 | 1 => {
                let component = ComponentId { stream: 0, component: 1 + u16::from(what >> 7) };
                streams.listen(agent, now, which, own(whose), component);
            }
            2 => streams.stop_listening(agent, now, which),
            3 | 4 => streams.accept(agent, now, which, peer(whose)),
            5 | 6 => streams.opened(agent, now, which),
            _ => streams.lose(agent, now, which),
        }
    }

    fn deliver(&mut self, socket: SocketId, local: SocketAddr, source: SocketAddr, raw: &[u8]) {
        let bare = self.promises.received((socket, local.ip(), source), raw);
        let datagram = Datagram { socket, local: local.ip(), source, ecn: None, payload: raw };
        if let Received::Data { payload, .. } = self.agent.handle_input(self.now, Input::Datagram(datagram)) {
            assert!(payload.len() <= raw.len(), "data that was not received");
            let over = matches!(self.state, State::Failed | State::Closed);
            assert!(!over, "data after the end");
            self.promises.data(source, &bare);
            self.data += 1;
        }
    }

    /// Takes all outputs and holds them against what an agent may do.
    fn drain(&mut self) {
        let mut buf = [0; 1500];
        for count in 0.. {
            assert!(count < MAX_OUTPUTS, "an endless row of outputs");
            match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let at = (transmit.socket, transmit.local, transmit.destination);
                    let raw = transmit.payload.to_vec();
                    self.sent(at, &raw);
                }
                Output::Event(event) => self.note(event),
                Output::Connect(connect) => {
                    assert!(self.promises.is_allowed(connect.remote), "a connection to {}", connect.remote);
                    self.streams.connect(self.now, self.ta, &connect);
                }
                Output::Close(socket) => self.streams.close(socket),
                Output::Wait(_) => break,
                _ => {}
            }
        }
        self.promises.drained();
        assert_eq!(self.agent.state(), self.state, "not announced");
        assert_eq!(self.agent.stats().packets_received, self.data);
        assert!(!matches!(self.state, State::Failed | State::Closed) || self.paths.is_empty());
        for (component, path) in &self.paths {
            assert_eq!(self.agent.path(*component), Some(*path), "not announced");
            assert!(self.agent.may_send(path), "a path that was announced is usable until another one is");
        }
    }

    fn sent(&mut self, leg: Leg, raw: &[u8]) {
        let (socket, local, destination) = leg;
        let stream = self.streams.get(socket);
        let known = self.sockets.get(&(socket.0, local)).map(|(known, _)| *known);
        let known = known.or(stream.map(|it| it.local)).expect("sends from a socket it has");
        let is_stream = stream.is_some();
        assert!(stream.is_none_or(|it| it.remote == destination), "to the other end of a connection");
        let mut paths = self.paths.values().chain(&self.former);
        let on_path = paths.any(|path| (path.socket(), path.destination()) == (socket, destination));
        self.sent += 1;
        // The slot of a check over TCP was that of its connection, which may have taken its time.
        let bare = self.promises.sent(self.now, leg, raw, on_path || is_stream);
        let Ok(message) = Message::parse(bare.raw) else { return };
        if matches!(self.state, State::Failed | State::Closed) {
            // RFC 8656 §8: an agent that is over only gives its allocations back.
            assert_eq!((message.class(), message.method()), (Class::Request, Method::REFRESH));
        }
        if message.class() == Class::Request {
            let (relayed, raw) = (bare.relayed, bare.raw.to_vec());
            self.asked.push(Asked { socket, local: known, destination, relayed, raw, answered: false });
            if self.asked.len() > MAX_ASKED {
                self.asked.remove(0);
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Signal(Signal { stream, what: What::Credentials(credentials), .. }) => {
                let key = Key::short_term(credentials.pwd.as_str());
                self.own.insert(stream, (credentials.ufrag.to_string(), key));
            }
            Event::Path { component, path } => {
                let known = match path {
                    Some(path) => self.paths.insert(component, path),
                    None => self.paths.remove(&component),
                };
                self.former.extend(known.filter(|_| path.is_none()));
                assert_ne!(known, path, "announced twice");
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

/// What a TURN server makes of a payload: ChannelData, or a Data indication, perhaps without peer or data.
fn relayed(channel: Option<u16>, peer: Option<SocketAddr>, payload: Option<&[u8]>, id: u8) -> Vec<u8> {
    if let Some(number) = channel {
        let payload = payload.unwrap_or_default();
        let mut raw = number.to_be_bytes().to_vec();
        raw.extend((payload.len() as u16).to_be_bytes());
        raw.extend(payload);
        return raw;
    }
    let mut buf = [0; 1500];
    let mut writer = Writer::new(&mut buf, Class::Indication, Method::DATA, TransactionId([id; 12]));
    if let Some(peer) = peer {
        writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer);
    }
    if let Some(payload) = payload {
        writer.put(attr::DATA, payload);
    }
    writer.finish().expect("room for it").to_vec()
}

/// Only differences are used.
#[expect(clippy::disallowed_methods, reason = "an Instant has no other constructor")]
fn start() -> Instant {
    Instant::now()
}
