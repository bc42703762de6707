//! An agent, its peer, and TURN servers at some addresses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use floe::agent::{Input, Output, Policy, Received, ServerProblem};
use floe::io::{CloseReason, ConnectId, Datagram, Socket, SocketId, StreamProtocol};
use floe::signal::{Signal, What};
use floe::stun::auth::{Integrity, PasswordAlgorithm};
use floe::stun::wire::{Class, Kind, Method, attr, classify};
use floe::stun::{Key, Message, TransactionId, Writer, code};
use floe::turn::TurnServer;
use floe::turn::data::{Framing, HEADROOM, TAILROOM, read_channel_data, read_indication, wrap};
use floe::{Agent, Config, Event, Role};

pub(crate) const REALM: &str = "example.org";
pub(crate) const HOST: &str = "198.51.100.1:50000";
pub(crate) const PEER: &str = "192.0.2.7:6000";
const DELAY: Duration = Duration::from_millis(10);

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What a server does with an Allocate that is signed.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Relayed addresses, and a ticket if it is asked for one.
    Allocate(&'static [&'static str]),
    /// 300.
    Send(&'static str, Option<&'static str>),
    Refuse(u16),
    Nothing,
}

/// A request that arrived at a server.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Duration,
    pub(crate) server: SocketAddr,
    pub(crate) method: Method,
    pub(crate) kinds: Vec<u16>,
    pub(crate) ticket: Option<Vec<u8>>,
}

/// Where a client is.
type Place = (SocketId, SocketAddr);

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) does: Does,
    pub(crate) mobile: bool,
    /// Whether it listens for connections.
    pub(crate) listens: bool,
    place: Option<Place>,
    tickets: u32,
    channels: BTreeMap<u16, SocketAddr>,
}

/// The agent under test, behind its servers, and a peer that is reached by IPv4 directly.
pub(crate) struct Bench {
    pub(crate) agent: Agent,
    pub(crate) peer: Agent,
    start: Instant,
    pub(crate) now: Instant,
    key: Key,
    pub(crate) servers: BTreeMap<SocketAddr, Server>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) events: Vec<Event>,
    /// What the agent wanted to be opened.
    pub(crate) connects: Vec<(SocketAddr, StreamProtocol)>,
    /// Connections that are open, and to whom.
    pub(crate) open: BTreeMap<SocketId, SocketAddr>,
    pub(crate) closed: Vec<SocketId>,
    sockets: BTreeMap<SocketId, SocketAddr>,
    pub(crate) heard: Vec<Vec<u8>>,
    /// Whether signals arrive. A session that hears nothing of its peer gathers only.
    pub(crate) hears: bool,
    last: u32,
}

impl Bench {
    /// A relay-only agent with one socket and these servers.
    pub(crate) fn new(servers: &[TurnServer]) -> Self {
        let now = epoch();
        let mut config = Config::new(Role::Controlling, [1; 32]).policy(Policy::Relay);
        for server in servers {
            config = config.turn_server(server.clone());
        }
        let mut peer = Agent::new(Config::new(Role::Controlled, [2; 32]), now);
        peer.add_socket(now, SocketId(0), Socket::udp(addr(PEER))).unwrap();
        peer.end_of_sockets(now);
        let mut bench = Self {
            agent: Agent::new(config, now),
            peer,
            start: now,
            now,
            key: Key::long_term(PasswordAlgorithm::Md5, "user", REALM, "pass"),
            servers: BTreeMap::new(),
            asked: Vec::new(),
            events: Vec::new(),
            connects: Vec::new(),
            open: BTreeMap::new(),
            closed: Vec::new(),
            sockets: BTreeMap::new(),
            heard: Vec::new(),
            hears: true,
            last: 100,
        };
        bench.add_socket(0, HOST);
        bench
    }

    pub(crate) fn add_socket(&mut self, id: u32, local: &str) {
        self.sockets.insert(SocketId(id), addr(local));
        self.agent.add_socket(self.now, SocketId(id), Socket::udp(addr(local))).unwrap();
    }

    pub(crate) fn remove_socket(&mut self, id: u32) {
        self.sockets.remove(&SocketId(id));
        self.agent.remove_socket(self.now, SocketId(id));
    }

    pub(crate) fn server(&mut self, at: &str, does: Does) -> &mut Server {
        let server =
            Server { does, mobile: false, listens: true, place: None, tickets: 0, channels: BTreeMap::new() };
        self.servers.entry(addr(at)).or_insert(server)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Requests of a method at this server.
    pub(crate) fn asked_for(&self, server: &str, method: Method) -> Vec<&Asked> {
        self.asked.iter().filter(|it| it.server == addr(server) && it.method == method).collect()
    }

    pub(crate) fn problems(&self) -> Vec<&ServerProblem> {
        self.events.iter().filter_map(problem_of).collect()
    }

    /// Addresses of the relayed candidates that were signalled.
    pub(crate) fn relayed(&self) -> Vec<SocketAddr> {
        let candidate = |event: &Event| match event {
            Event::Signal(Signal { what: What::Candidate(candidate), .. }) => candidate.address.socket(),
            _ => None,
        };
        self.events.iter().filter_map(candidate).collect()
    }

    pub(crate) fn last_path(&self) -> Option<floe::agent::Path> {
        self.agent.path(floe::io::ComponentId::FIRST)
    }

    /// Lets time pass in small steps.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        while self.now < end {
            self.now += DELAY;
            let _ = self.agent.handle_input(self.now, Input::Timeout);
            self.drain();
            let _ = self.peer.handle_input(self.now, Input::Timeout);
            self.drain();
        }
    }

    /// Until this time has passed since the beginning.
    pub(crate) fn run_to(&mut self, elapsed: Duration) {
        self.run(elapsed.saturating_sub(self.elapsed()));
    }

    /// Until both have completed.
    pub(crate) fn connect(&mut self) {
        for _ in 0..200 {
            self.run(ms(50));
            if self.agent.state() == floe::State::Completed && self.peer.state() == floe::State::Completed {
                self.run(secs(4));
                return;
            }
        }
        panic!("no session: {:?} {:?}", self.agent.state(), self.problems());
    }

    /// Data of the agent to its peer, if it has a path.
    pub(crate) fn send(&mut self, data: &[u8]) -> bool {
        let Some(path) = self.last_path() else { return false };
        let mut buf = vec![0; HEADROOM];
        buf.extend(data);
        buf.extend([0; TAILROOM]);
        let transmit = path.wrap(&mut buf, data.len());
        let (socket, destination, payload) =
            (transmit.socket, transmit.destination, transmit.payload.to_vec());
        self.at_server(socket, destination, &payload);
        self.drain();
        true
    }

    pub(crate) fn drain(&mut self) {
        let mut buf = [0; 1500];
        loop {
            match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let (socket, to, payload) =
                        (transmit.socket, transmit.destination, transmit.payload.to_vec());
                    self.at_server(socket, to, &payload);
                }
                Output::Event(event) => {
                    if let Event::Signal(signal) = &event
                        && self.hears
                    {
                        let _ = self.peer.handle_signal(self.now, signal.clone());
                    }
                    self.events.push(event);
                }
                Output::Connect(connect) => self.open(connect.request, connect.remote, connect.protocol),
                Output::Close(socket) => {
                    self.open.remove(&socket);
                    self.closed.push(socket);
                }
                Output::Wait(_) => break,
                _ => {}
            }
        }
        loop {
            match self.peer.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let (to, payload) = (transmit.destination, transmit.payload.to_vec());
                    self.at_relay(to, &payload);
                }
                Output::Event(Event::Signal(signal)) if self.hears => {
                    let _ = self.agent.handle_signal(self.now, signal);
                }
                Output::Wait(_) => return,
                _ => {}
            }
        }
    }

    fn open(&mut self, request: ConnectId, remote: SocketAddr, protocol: StreamProtocol) {
        self.connects.push((remote, protocol));
        let listens = self.servers.get(&remote).is_some_and(|server| server.listens);
        let input = if listens {
            self.last += 1;
            let socket = SocketId(self.last);
            self.open.insert(socket, remote);
            Input::Connected { request, socket, local: addr("198.51.100.1:40000") }
        } else {
            Input::NotConnected { request, why: CloseReason::Refused }
        };
        let _ = self.agent.handle_input(self.now, input);
    }

    /// The connection breaks.
    pub(crate) fn cut(&mut self, why: CloseReason) {
        let (socket, _) = self.open.pop_last().unwrap();
        let _ = self.agent.handle_input(self.now, Input::Closed { socket, why });
        self.drain();
    }

    fn deliver(&mut self, socket: SocketId, source: SocketAddr, payload: &[u8]) {
        let local = match (self.sockets.get(&socket), self.open.contains_key(&socket)) {
            (Some(local), _) => local.ip(),
            (None, true) => addr(HOST).ip(),
            (None, false) => return,
        };
        let datagram = Datagram { socket, local, source, ecn: None, payload };
        let _ = self.agent.handle_input(self.now, Input::Datagram(datagram));
    }

    fn at_server(&mut self, socket: SocketId, to: SocketAddr, payload: &[u8]) {
        let known = self.sockets.contains_key(&socket) || self.open.contains_key(&socket);
        if !known || !self.servers.contains_key(&to) {
            return;
        }
        if classify(payload) == Kind::ChannelData {
            let server = &self.servers[&to];
            let peer = read_channel_data(payload)
                .filter(|_| server.place == Some((socket, to)))
                .and_then(|(number, data)| Some((*server.channels.get(&number)?, data)));
            if let Some((peer, data)) = peer {
                self.at_peer(to, peer, data);
            }
            return;
        }
        let message = Message::parse(payload).unwrap();
        if (message.class(), message.method()) == (Class::Indication, Method::SEND) {
            if let Some((peer, data)) = read_indication(&message)
                && self.servers[&to].place == Some((socket, to))
            {
                self.at_peer(to, peer, data);
            }
        } else if let Some(answer) = self.answer(socket, to, message) {
            self.deliver(socket, to, &answer);
        }
    }

    fn at_peer(&mut self, server: SocketAddr, peer: SocketAddr, data: &[u8]) {
        let Does::Allocate(relayed) = self.servers[&server].does else { return };
        if peer != addr(PEER) {
            return;
        }
        let datagram = Datagram {
            socket: SocketId(0),
            local: addr(PEER).ip(),
            source: addr(relayed[0]),
            ecn: None,
            payload: data,
        };
        if let Received::Data { payload, .. } = self.peer.handle_input(self.now, Input::Datagram(datagram)) {
            self.heard.push(payload.to_vec());
        }
    }

    /// The peer's datagram arrives at a relayed address.
    fn at_relay(&mut self, relayed: SocketAddr, data: &[u8]) {
        let of = |server: &Server| matches!(server.does, Does::Allocate(all) if addr(all[0]) == relayed);
        let Some((at, Some((socket, _)))) =
            self.servers.iter().find(|(_, server)| of(server)).map(|(at, server)| (*at, server.place))
        else {
            return;
        };
        let mut buf = vec![0; HEADROOM];
        buf.extend(data);
        buf.extend([0; TAILROOM]);
        let framing = Framing::Data { peer: addr(PEER), id: TransactionId([9; 12]) };
        let frame = wrap(framing, &mut buf, data.len()).to_vec();
        self.deliver(socket, at, &frame);
    }

    fn answer(&mut self, socket: SocketId, to: SocketAddr, message: Message<'_>) -> Option<Vec<u8>> {
        let attributes = message.plain().attributes();
        let ticket = attributes.find(attr::MOBILITY_TICKET).map(<[u8]>::to_vec);
        self.asked.push(Asked {
            at: self.elapsed(),
            server: to,
            method: message.method(),
            kinds: attributes.iter().map(|(kind, _)| kind).collect(),
            ticket: ticket.clone(),
        });
        let server = self.servers.get_mut(&to)?;
        let (method, id) = (message.method(), message.transaction_id());
        let mut buf = [0; 600];
        if matches!(server.does, Does::Nothing) {
            return None;
        }
        if message.verify(&self.key).is_err() {
            let mut answer = Writer::error(&mut buf, method, id, code::UNAUTHENTICATED);
            answer.put_realm(REALM).put_nonce("nonce");
            return Some(answer.finish().unwrap().to_vec());
        }
        let is_move = ticket.as_ref().is_some_and(|ticket| !ticket.is_empty());
        let known = ticket == Some(format!("ticket {}", server.tickets).into_bytes());
        let code = match (&server.does, method) {
            (Does::Refuse(code), Method::ALLOCATE) => Some(*code),
            (Does::Send(..), Method::ALLOCATE) => Some(code::TRY_ALTERNATE),
            (_, Method::REFRESH) if is_move && !known => Some(code::BAD_REQUEST),
            (_, Method::ALLOCATE) => None,
            _ if server.place != Some((socket, to)) && !is_move => Some(code::ALLOCATION_MISMATCH),
            _ => None,
        };
        let mut answer = match code {
            Some(code) => Writer::error(&mut buf, method, id, code),
            None => Writer::new(&mut buf, Class::Success, method, id),
        };
        match (&server.does, method, code) {
            (Does::Send(alternate, domain), _, Some(_)) => {
                answer.put_address(attr::ALTERNATE_SERVER, addr(alternate));
                domain.map(|domain| answer.put_alternate_domain(domain));
            }
            (Does::Allocate(relayed), Method::ALLOCATE, None) => {
                for relayed in *relayed {
                    answer.put_xor_address(attr::XOR_RELAYED_ADDRESS, addr(relayed));
                }
                answer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(HOST));
            }
            _ => {}
        }
        if code.is_none() && matches!(method, Method::ALLOCATE | Method::REFRESH) {
            answer.put_lifetime(secs(600));
            if server.mobile && ticket.is_some() {
                server.tickets += 1;
                answer.put(attr::MOBILITY_TICKET, format!("ticket {}", server.tickets).as_bytes());
            }
            server.place = Some((socket, to));
        }
        if let (Method::CHANNEL_BIND, None, Some(number), Some(peer)) =
            (method, code, attributes.channel_number(), attributes.peer_address())
        {
            server.channels.insert(number, peer);
        }
        answer.integrity(&self.key, Integrity::Sha1);
        Some(answer.finish().unwrap().to_vec())
    }
}

fn problem_of(event: &Event) -> Option<&ServerProblem> {
    match event {
        Event::Server { problem, .. } => Some(problem),
        _ => None,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant has no other constructor; only differences are used"
)]
fn epoch() -> Instant {
    Instant::now()
}
