//! A driver of the server, and a client that says what it is told to.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use floe::io::{Datagram, SocketId};
use floe::server::{Config, Forward, Input, Open, Output, Received, Server};
use floe::stun::auth::{Integrity, PasswordAlgorithm};
use floe::stun::codec::PROTOCOL_UDP;
use floe::stun::wire::attr;
use floe::stun::{Attributes, Class, Key, Message, Method, TransactionId, Writer};
use floe::time::Instant;

pub(crate) const SERVER: &str = "203.0.113.1:3478";
pub(crate) const RELAY: &str = "203.0.113.2";
pub(crate) const RELAY_V6: &str = "2001:db8::2";
/// The socket of the clients.
pub(crate) const CLIENTS: SocketId = SocketId(0);

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The n-th client, all of one IP address.
pub(crate) fn client(number: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([198, 51, 100, 1]), 5000 + number)
}

pub(crate) fn config() -> Config {
    Config::new([7; 32])
        .realm("example.org")
        .user("alice", "wonderland")
        .user("bob", "builder")
        .relay_address(RELAY.parse().unwrap())
        .relay_address(RELAY_V6.parse().unwrap())
}

fn epoch() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an Instant has no other constructor")]
    Instant::now()
}

/// A response as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) to: SocketAddr,
    pub(crate) raw: Vec<u8>,
}

impl Answer {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.raw).unwrap()
    }

    pub(crate) fn attributes(&self) -> Attributes<'_> {
        self.message().plain().attributes()
    }

    /// 0 for success.
    pub(crate) fn code(&self) -> u16 {
        match self.message().class() {
            Class::Success => 0,
            class => {
                assert_eq!(class, Class::Error);
                self.attributes().error_code().unwrap().code
            }
        }
    }

    pub(crate) fn kinds(&self) -> Vec<u16> {
        self.attributes().iter().map(|(kind, _)| kind).collect()
    }

    pub(crate) fn nonce(&self) -> String {
        self.attributes().nonce().unwrap()
    }

    pub(crate) fn relayed(&self) -> SocketAddr {
        self.attributes().xor_address(attr::XOR_RELAYED_ADDRESS).unwrap()
    }
}

/// How a request proves who asks.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) nonce: String,
}

impl Login {
    pub(crate) fn key(&self) -> Key {
        Key::long_term(PasswordAlgorithm::Sha256, &self.user, "example.org", &self.password)
    }

    /// The attributes of RFC 8489 §9.2.3.2, with SHA-256.
    pub(crate) fn sign(&self, writer: &mut Writer<'_>) {
        writer.put_username(&self.user).put_realm("example.org").put_nonce(&self.nonce);
        writer.put(attr::PASSWORD_ALGORITHMS, &[0, 2, 0, 0, 0, 1, 0, 0]);
        writer.put_password_algorithm(PasswordAlgorithm::Sha256);
        writer.integrity(&self.key(), Integrity::Sha256);
    }
}

/// A message with what `fill` puts in.
pub(crate) fn message(class: Class, method: Method, id: u64, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&id.to_be_bytes());
    let mut buf = [0; 4096];
    let mut writer = Writer::new(&mut buf, class, method, TransactionId(bytes));
    fill(&mut writer);
    writer.finish().unwrap().to_vec()
}

pub(crate) fn channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &(payload.len() as u16).to_be_bytes(), payload].concat()
}

/// The server and its driver.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    /// Relay sockets that are open.
    pub(crate) relays: Vec<(SocketId, SocketAddr)>,
    /// Every relay socket that was asked for.
    pub(crate) asked: Vec<SocketAddr>,
    /// How many of the next opens fail.
    pub(crate) failing: usize,
    /// Opens that the driver keeps for later, if it does.
    pub(crate) kept: Option<Vec<Open>>,
    pub(crate) wake: Option<Instant>,
    /// What clients send over: the UDP socket, or one of their connections.
    pub(crate) over: SocketId,
    /// The connections that are open.
    pub(crate) connections: Vec<SocketId>,
    next_socket: u32,
    next_id: u64,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let now = epoch();
        let mut server = Server::new(config, now);
        server.add_socket(CLIENTS, addr(SERVER));
        Self {
            server,
            now,
            relays: Vec::new(),
            asked: Vec::new(),
            failing: 0,
            kept: None,
            wake: None,
            over: CLIENTS,
            connections: Vec::new(),
            next_socket: 100,
            next_id: 1,
        }
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        assert_eq!(self.server.handle_input(self.now, Input::Timeout), Received::Consumed);
        assert!(self.drain().is_empty());
    }

    fn datagram(socket: SocketId, local: SocketAddr, source: SocketAddr, payload: &[u8]) -> Datagram<'_> {
        Datagram { socket, local: local.ip(), source, ecn: None, payload }
    }

    /// What the server makes of a datagram of a client.
    pub(crate) fn receive<'a>(&mut self, source: SocketAddr, payload: &'a [u8]) -> Received<'a> {
        let datagram = Self::datagram(self.over, addr(SERVER), source, payload);
        self.server.handle_input(self.now, Input::Datagram(datagram))
    }

    /// What the server makes of a datagram of a peer.
    pub(crate) fn receive_at<'a>(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        payload: &'a [u8],
    ) -> Received<'a> {
        let (socket, _) = *self.relays.iter().find(|(_, local)| *local == relayed).unwrap();
        let datagram = Self::datagram(socket, relayed, peer, payload);
        self.server.handle_input(self.now, Input::Datagram(datagram))
    }

    /// The data that the server passes on, or nothing.
    pub(crate) fn forward<'a>(&mut self, source: SocketAddr, payload: &'a [u8]) -> Option<Forward<'a>> {
        let received = self.receive(source, payload);
        assert!(self.drain().is_empty(), "data is never answered");
        match received {
            Received::Forward(forward) => Some(forward),
            Received::Consumed => None,
            Received::Unclaimed => panic!("unclaimed"),
        }
    }

    pub(crate) fn forward_at<'a>(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        payload: &'a [u8],
    ) -> Option<Forward<'a>> {
        match self.receive_at(relayed, peer, payload) {
            Received::Forward(forward) => Some(forward),
            _ => None,
        }
    }

    /// Sends a datagram of a client, and returns the answers of the server.
    pub(crate) fn send(&mut self, source: SocketAddr, payload: &[u8]) -> Vec<Answer> {
        assert_eq!(self.receive(source, payload), Received::Consumed);
        self.drain()
    }

    /// The one answer to a request.
    pub(crate) fn ask(&mut self, source: SocketAddr, request: &[u8]) -> Answer {
        let mut answers = self.send(source, request);
        assert_eq!(answers.len(), 1);
        let answer = answers.remove(0);
        assert_eq!(answer.to, source);
        assert_eq!(answer.raw[8..20], request[8..20], "the transaction id");
        answer
    }

    pub(crate) fn drain(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut buf = [0; 1280];
        loop {
            match self.server.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    assert_eq!((transmit.socket, transmit.local), (self.over, addr(SERVER).ip()));
                    answers.push(Answer { to: transmit.destination, raw: transmit.payload.to_vec() });
                }
                Output::Open(open) => match &mut self.kept {
                    Some(kept) => kept.push(open),
                    None => self.open(open),
                },
                Output::Close(socket) => {
                    let before = self.relays.len() + self.connections.len();
                    self.relays.retain(|(open, _)| *open != socket);
                    self.connections.retain(|open| *open != socket);
                    let after = self.relays.len() + self.connections.len();
                    assert_eq!(after + 1, before, "closes what is open, once");
                }
                Output::Wait(wake) => {
                    self.wake = wake.map(|wake| wake.at);
                    return answers;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn open(&mut self, Open { request, local }: Open) {
        self.asked.push(local);
        let input = if self.failing > 0 {
            self.failing -= 1;
            Input::OpenFailed { request }
        } else {
            let socket = SocketId(self.next_socket);
            self.next_socket += 1;
            self.relays.push((socket, local));
            Input::Opened { request, socket, local }
        };
        assert_eq!(self.server.handle_input(self.now, input), Received::Consumed);
    }

    /// A client connects, and sends over that connection from now on.
    pub(crate) fn connect(&mut self, source: SocketAddr) -> SocketId {
        let socket = SocketId(self.next_socket);
        self.next_socket += 1;
        self.connections.push(socket);
        self.over = socket;
        let accepted = Input::Accepted { socket, local: addr(SERVER), source };
        assert_eq!(self.server.handle_input(self.now, accepted), Received::Consumed);
        assert!(self.drain().is_empty());
        socket
    }

    /// The client closes its connection.
    pub(crate) fn disconnect(&mut self, socket: SocketId) {
        self.connections.retain(|open| *open != socket);
        assert_eq!(self.server.handle_input(self.now, Input::Closed { socket }), Received::Consumed);
        assert!(self.drain().is_empty());
    }

    /// Asks for a nonce, as the first request of a client does.
    pub(crate) fn challenge(&mut self, source: SocketAddr) -> Answer {
        let id = self.id();
        let request = message(Class::Request, Method::ALLOCATE, id, |writer| {
            writer.put_requested_transport(PROTOCOL_UDP);
        });
        self.ask(source, &request)
    }

    pub(crate) fn login(&mut self, source: SocketAddr) -> Login {
        let nonce = self.challenge(source).nonce();
        Login { user: "alice".into(), password: "wonderland".into(), nonce }
    }

    /// An authenticated request.
    pub(crate) fn request(
        &mut self,
        source: SocketAddr,
        login: &Login,
        method: Method,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Answer {
        let id = self.id();
        let request = message(Class::Request, method, id, |writer| {
            fill(writer);
            login.sign(writer);
        });
        let answer = self.ask(source, &request);
        let verified = answer.message().verify(&login.key());
        assert!(answer.code() == 401 || answer.code() == 438 || answer.code() == 400 || verified.is_ok());
        answer
    }

    /// An allocation for alice: its login and its relayed address.
    pub(crate) fn allocate(&mut self, source: SocketAddr) -> (Login, SocketAddr) {
        let login = self.login(source);
        let answer = self.request(source, &login, Method::ALLOCATE, |writer| {
            writer.put_requested_transport(PROTOCOL_UDP);
        });
        assert_eq!(answer.code(), 0);
        (login, answer.relayed())
    }

    pub(crate) fn permit(&mut self, source: SocketAddr, login: &Login, peers: &[SocketAddr]) -> u16 {
        let put = |writer: &mut Writer<'_>| {
            for peer in peers {
                writer.put_xor_address(attr::XOR_PEER_ADDRESS, *peer);
            }
        };
        self.request(source, login, Method::CREATE_PERMISSION, put).code()
    }

    pub(crate) fn bind(&mut self, source: SocketAddr, login: &Login, number: u16, peer: SocketAddr) -> u16 {
        let put = |writer: &mut Writer<'_>| {
            let [high, low] = number.to_be_bytes();
            writer.put(attr::CHANNEL_NUMBER, &[high, low, 0, 0]);
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer);
        };
        self.request(source, login, Method::CHANNEL_BIND, put).code()
    }

    pub(crate) fn refresh(&mut self, source: SocketAddr, login: &Login, lifetime: Option<u32>) -> Answer {
        self.request(source, login, Method::REFRESH, |writer| {
            if let Some(seconds) = lifetime {
                writer.put_u32(attr::LIFETIME, seconds);
            }
        })
    }
}

pub(crate) fn send_indication(peer: SocketAddr, payload: &[u8]) -> Vec<u8> {
    message(Class::Indication, Method::SEND, 9, |writer| {
        writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer).put(attr::DATA, payload);
    })
}

/// Ports as a configuration takes them.
pub(crate) fn ports(range: RangeInclusive<u16>) -> Config {
    config().relay_ports(range)
}
