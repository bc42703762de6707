//! The body of the fuzz target `server_ops`: one STUN and TURN server, and its clients, peers and sockets played by the
//! input.
//!
//! The input is a program of single bytes. Its clients know a password and echo the nonce they were given, so that the
//! program reaches allocations, permissions and channels. After each step the server must keep what [`Session::drain`]
//! and [`Session::forward`] hold it to: they know from its answers who may reach whom, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use floe::io::{Datagram, SocketId};
use floe::server::{Config, Forward, Input, OpenId, Output, PeerRules, Received, Server};
use floe::stun::auth::{Integrity, PasswordAlgorithm, userhash};
use floe::stun::codec::EvenPort;
use floe::stun::wire::attr;
use floe::stun::{Class, Family, Key, Message, Method, TransactionId, Writer};
use floe::turn::data::Framing;

const REALM: &str = "realm";
/// Name and password; the server does not know the last one.
const USERS: [(&str, &str); 3] = [("ann", "correct horse"), ("bob", "battery staple"), ("eve", "guess")];
const CLIENT_SOCKET: SocketId = SocketId(0);
/// More outputs than this after one input are a loop.
const MAX_OUTPUTS: usize = 1000;
/// Longer programs add nothing.
const MAX_STEPS: usize = 400;
const MAX_ALLOCATIONS: usize = 5;
/// RFC 8656 §9, §12.
const PERMISSION: Duration = Duration::from_secs(300);
const CHANNEL: Duration = Duration::from_secs(600);

struct Program<'a>(std::slice::Iter<'a, u8>);

impl Program<'_> {
    /// The next byte; 0 at the end.
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

fn listener(v6: bool) -> SocketAddr {
    addr(if v6 { "[2001:db8::10]:3478" } else { "203.0.113.10:3478" })
}

fn client(number: u8) -> SocketAddr {
    let number = number % 12;
    match number {
        0..=7 => SocketAddr::from(([198, 51, 100, number], 4000)),
        _ => SocketAddr::from(([0x2001, 0xdb8, 0, 7, 0, 0, 0, u16::from(number)], 4000)),
    }
}

/// Whether a client comes over TCP.
fn is_connected(client: SocketAddr) -> bool {
    matches!(client.ip(), IpAddr::V4(ip) if ip.octets()[3] >= 5)
}

/// Some of them are addresses that a server must not relay to.
fn peer(number: u8) -> SocketAddr {
    let number = number % 16;
    match number {
        0..=7 => SocketAddr::from(([192, 0, 2, 1 + number / 2], 7000 + u16::from(number % 2))),
        8..=11 => SocketAddr::from(([0x2001, 0xdb8, 0, 9, 0, 0, 0, u16::from(number)], 7000)),
        12 => addr("127.0.0.1:80"),
        13 => addr("[::1]:80"),
        14 => listener(false),
        _ => addr("224.0.0.1:9"),
    }
}

/// What a client has been told.
#[derive(Default)]
struct Client {
    nonce: String,
    sha256: bool,
    /// One of each family at most.
    relayed: Vec<SocketAddr>,
    token: u64,
    /// Until when peers may reach it, and be reached, and which have a channel until when.
    permitted: BTreeMap<IpAddr, Instant>,
    channels: BTreeMap<u16, (SocketAddr, Instant)>,
}

impl Client {
    /// The server did what the client asked for.
    fn agreed(&mut self, now: Instant, request: &Message<'_>, answer: &Message<'_>) {
        let attributes = request.plain().attributes();
        let mut permit = |peer: SocketAddr| {
            let end = self.permitted.entry(peer.ip()).or_insert(now);
            *end = now + PERMISSION;
        };
        match request.method() {
            Method::ALLOCATE => {
                let answered = answer.plain().attributes();
                self.relayed = answered.relayed_addresses().flatten().collect();
                let mut families: Vec<_> = self.relayed.iter().map(SocketAddr::is_ipv4).collect();
                families.dedup();
                assert!(!families.is_empty(), "an allocation without an address");
                assert_eq!(families.len(), self.relayed.len(), "two addresses of one family");
                self.token = answered.reservation_token().unwrap_or(self.token);
            }
            Method::CREATE_PERMISSION => attributes.peer_addresses().flatten().for_each(permit),
            Method::CHANNEL_BIND => {
                let peer = attributes.peer_address().expect("a peer");
                permit(peer);
                self.channels.retain(|_, (_, end)| *end > now);
                let number = attributes.channel_number().expect("a number");
                assert!((0x4000..=0x4FFF).contains(&number), "channel {number:#x}");
                for (other, (bound, _)) in &self.channels {
                    assert_eq!(*other == number, *bound == peer, "channel {number:#x} is bound otherwise");
                }
                self.channels.insert(number, (peer, now + CHANNEL));
            }
            _ => {}
        }
    }
}

struct Session {
    server: Server,
    now: Instant,
    clients: BTreeMap<SocketAddr, Client>,
    /// Sockets that the server opened and has not closed.
    open: BTreeMap<u32, SocketAddr>,
    /// Connections of clients.
    connections: BTreeMap<SocketAddr, SocketId>,
    next_socket: u32,
    /// Bytes that came from an address, and that went there: until it has authenticated itself.
    received: BTreeMap<SocketAddr, usize>,
    sent: BTreeMap<SocketAddr, usize>,
    trusted: BTreeSet<SocketAddr>,
    /// Datagrams that were relayed to peers and to clients.
    relayed: (u64, u64),
    /// How the driver opens the next sockets.
    opens: u8,
}

/// Runs the program in `data`.
pub fn server_ops(data: &[u8]) {
    let mut program = Program(data.iter());
    let now = start();
    let flags = program.byte();
    let mut config = Config::new([flags; 32]).realm(REALM).max_allocations(MAX_ALLOCATIONS);
    for (name, password) in &USERS[..2] {
        config = config.user(*name, *password);
    }
    if flags & 1 != 0 {
        config = config.quota(2).nonce_lifetime(Duration::from_secs(60));
    }
    if flags & 2 != 0 {
        config = config.peers(PeerRules::default().public().deny("192.0.2.2".parse().expect("a range")));
    }
    if flags & 4 != 0 {
        config = config.relay_ports(50_000..=50_007).max_lifetime(Duration::from_secs(700));
    }
    if flags & 8 != 0 {
        config = config.unauthenticated_rate(1);
    }
    if flags & 16 != 0 {
        config = config.max_connections(2).idle_timeout(Duration::from_secs(5));
    }
    for v6 in [false, true] {
        config = config.relay_address(listener(v6).ip());
    }
    let mut server = Server::new(config, now);
    for v6 in [false, true] {
        server.add_socket(CLIENT_SOCKET, listener(v6));
    }
    let mut session = Session {
        server,
        now,
        clients: BTreeMap::new(),
        open: BTreeMap::new(),
        connections: BTreeMap::new(),
        next_socket: 10,
        received: BTreeMap::new(),
        sent: BTreeMap::new(),
        trusted: BTreeSet::new(),
        relayed: (0, 0),
        opens: 0,
    };
    for _ in 0..MAX_STEPS {
        if program.0.len() == 0 {
            break;
        }
        session.step(&mut program);
    }
    session.settle();
}

impl Session {
    fn step(&mut self, program: &mut Program<'_>) {
        match program.byte() % 16 {
            0 => self.pass(Duration::from_millis(u64::from(program.byte()) * 10)),
            1 => self.pass(Duration::from_secs(u64::from(program.byte()) * 4)),
            2..=6 => self.request(program),
            7 => self.send_indication(program),
            8 => self.channel_data(program),
            9 => self.peer_data(program),
            10 => self.junk(program),
            11 => self.opens = program.byte(),
            12 | 13 => self.join(program),
            14 => self.meet(program),
            _ => {
                let from = client(program.byte());
                let mut buf = [0; 100];
                let id = TransactionId([program.byte(); 12]);
                let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, id);
                if program.byte() & 1 == 0 {
                    writer.fingerprint();
                }
                let raw = writer.finish().expect("room for it").to_vec();
                self.tell(from, &raw);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let _ = self.server.handle_input(self.now, Input::Timeout);
        self.drain(None);
    }

    /// A client goes all the way: nonce, allocation, a permission and a channel.
    fn join(&mut self, program: &mut Program<'_>) {
        let (number, value, how) = (program.byte(), program.byte(), program.byte() & 0xD8);
        self.ask(client(number), 0, 0x06, 0);
        self.ask(client(number), 0, how, 0);
        self.ask(client(number), 1, how | 0x40, value);
        self.ask(client(number), 2, how, value);
    }

    /// Two clients meet at their relayed addresses (RFC 8656 §3): what one sends comes to the other's socket.
    fn meet(&mut self, program: &mut Program<'_>) {
        let (from, to) = (client(program.byte()), client(program.byte()));
        let relayed = |session: &Self, client| session.clients.get(&client)?.relayed.first().copied();
        let (Some(own), Some(peer)) = (relayed(self, from), relayed(self, to)) else { return };
        for (client, peer) in [(from, peer), (to, own)] {
            let mut buf = [0; 600];
            let id = TransactionId([peer.port() as u8; 12]);
            let mut writer = Writer::new(&mut buf, Class::Request, Method::CREATE_PERMISSION, id);
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer);
            self.finish_request(writer, client, 0);
        }
        self.send(from, Some(peer), Some(b"hello"));
        let open = self.open.iter().find(|(_, local)| **local == peer).map(|(id, _)| SocketId(*id));
        if let Some(id) = open {
            self.deliver(id, peer, own, b"hello");
        }
    }

    /// A request of a client, good in all or bad in one thing.
    fn request(&mut self, program: &mut Program<'_>) {
        let from = client(program.byte());
        let (method, how, value) = (program.byte(), program.byte(), program.byte());
        self.ask(from, method, how, value);
    }

    fn ask(&mut self, from: SocketAddr, method: u8, how: u8, value: u8) {
        let method = [
            Method::ALLOCATE,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
            Method::REFRESH,
            Method::ALLOCATE,
            Method(0x00A),
        ][usize::from(method % 6)];
        let mut buf = [0; 1280];
        let id = TransactionId([if how & 1 == 0 { value } else { how }; 12]);
        let mut writer = Writer::new(&mut buf, Class::Request, method, id);
        if method == Method::ALLOCATE {
            if value != 17 {
                writer.put_requested_transport(if value == 6 { 6 } else { 17 });
            }
            match value & 3 {
                1 => drop(writer.put_requested_address_family(Family::V6)),
                2 => drop(writer.put_dont_fragment()),
                _ => {}
            }
            match value & 0xE3 {
                0x20 => drop(writer.put_even_port(EvenPort::Even)),
                0x40 => drop(writer.put_even_port(EvenPort::EvenAndNext)),
                0x60 => {
                    let token = self.clients.get(&from).map_or(0, |client| client.token);
                    writer.put_reservation_token(token);
                }
                0x80 => drop(writer.put_additional_address_family(Family::V6)),
                0xA0 => drop(writer.put_additional_address_family(Family::V4)),
                _ => {}
            }
        }
        if method == Method::CREATE_PERMISSION {
            for number in 0..how >> 6 {
                writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer(value.wrapping_add(number)));
            }
        }
        if method == Method::CHANNEL_BIND {
            writer.put_channel_number(0x4000 + u16::from(how >> 6));
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer(value));
        }
        if [Method::ALLOCATE, Method::REFRESH].contains(&method) && value & 4 != 0 {
            writer.put_lifetime(Duration::from_secs(u64::from(value >> 4) * 100));
        }
        if value & 0x1C == 0x1C {
            writer.put(0x7FF0, &[1]);
        }
        self.finish_request(writer, from, how);
    }

    fn finish_request(&mut self, mut writer: Writer<'_>, from: SocketAddr, how: u8) {
        self.credentials(&mut writer, from, how);
        writer.fingerprint();
        let Ok(raw) = writer.finish() else { return };
        let raw = raw.to_vec();
        self.tell(from, &raw);
    }

    fn credentials(&self, writer: &mut Writer<'_>, from: SocketAddr, how: u8) {
        let known = self.clients.get(&from).filter(|_| how & 0x06 != 0x06);
        let Some(known) = known else { return };
        let (user, password) = USERS[usize::from(how >> 4 & 3) % 3];
        let (algorithm, integrity) = if known.sha256 && how & 8 != 0 {
            (PasswordAlgorithm::Sha256, Integrity::Sha256)
        } else {
            (PasswordAlgorithm::Md5, Integrity::Sha1)
        };
        if how & 0x30 == 0x20 {
            writer.put_userhash(userhash(user, REALM));
        } else {
            writer.put_username(user);
        }
        writer.put_realm(REALM).put_nonce(&known.nonce);
        if integrity == Integrity::Sha256 {
            let offer = [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5];
            writer.put_password_algorithms(&floe::stun::attributes::PasswordAlgorithms::offer(&offer));
            writer.put_password_algorithm(algorithm);
        }
        writer.integrity(&Key::long_term(algorithm, user, REALM, password), integrity);
    }

    fn send_indication(&mut self, program: &mut Program<'_>) {
        let (from, to, length) = (client(program.byte()), peer(program.byte()), program.byte());
        let payload = vec![length; usize::from(length)];
        self.send(from, Some(to).filter(|_| length != 99), Some(&payload[..]).filter(|_| length != 98));
    }

    fn send(&mut self, from: SocketAddr, to: Option<SocketAddr>, payload: Option<&[u8]>) {
        let mut buf = [0; 500];
        let id = TransactionId([from.port() as u8; 12]);
        let mut writer = Writer::new(&mut buf, Class::Indication, Method::SEND, id);
        if let Some(to) = to {
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, to);
        }
        if let Some(payload) = payload {
            writer.put(attr::DATA, payload);
        }
        let raw = writer.finish().expect("room for it").to_vec();
        self.tell(from, &raw);
    }

    fn channel_data(&mut self, program: &mut Program<'_>) {
        let (from, number, length) = (client(program.byte()), program.byte(), program.byte());
        let mut raw = (0x4000 + u16::from(number & 3)).to_be_bytes().to_vec();
        raw.extend((u16::from(length) + u16::from(number >> 7)).to_be_bytes());
        raw.resize(4 + usize::from(length), number);
        self.tell(from, &raw);
    }

    /// Data of a peer to a relayed transport address.
    fn peer_data(&mut self, program: &mut Program<'_>) {
        let (socket, from, length) = (usize::from(program.byte()), peer(program.byte()), program.byte());
        let Some((id, local)) = self.open.iter().nth(socket % self.open.len().max(1)) else { return };
        let (id, local) = (SocketId(*id), *local);
        self.deliver(id, local, from, &vec![length; usize::from(length)]);
    }

    fn junk(&mut self, program: &mut Program<'_>) {
        let (from, length) = (client(program.byte()), usize::from(program.byte()));
        if length & 7 == 5 {
            return self.disconnect(from);
        }
        let raw: Vec<u8> = program.0.by_ref().take(length).copied().collect();
        self.tell(from, &raw);
    }

    /// A message of a client, over UDP or over its connection, which is opened for it.
    fn tell(&mut self, from: SocketAddr, raw: &[u8]) {
        let local = listener(from.is_ipv6());
        if is_connected(from) && !self.connections.contains_key(&from) {
            self.next_socket += 1;
            let socket = SocketId(self.next_socket);
            self.connections.insert(from, socket);
            let _ = self.server.handle_input(self.now, Input::Accepted { socket, local, source: from });
            self.drain(None);
        }
        if let Some(socket) = self.socket_of(from) {
            self.deliver(socket, local, from, raw);
        }
    }

    /// What a client sends over, if it is there.
    fn socket_of(&self, client: SocketAddr) -> Option<SocketId> {
        if is_connected(client) { self.connections.get(&client).copied() } else { Some(CLIENT_SOCKET) }
    }

    fn disconnect(&mut self, client: SocketAddr) {
        if let Some(socket) = self.connections.remove(&client) {
            let _ = self.server.handle_input(self.now, Input::Closed { socket });
            self.drain(None);
        }
    }

    fn deliver(&mut self, socket: SocketId, local: SocketAddr, source: SocketAddr, raw: &[u8]) {
        *self.received.entry(source).or_default() += raw.len();
        let datagram = Datagram { socket, local: local.ip(), source, ecn: None, payload: raw };
        if let Received::Forward(forward) = self.server.handle_input(self.now, Input::Datagram(datagram)) {
            assert!(forward.payload.len() <= raw.len(), "data that was not received");
            if self.open.contains_key(&socket.0) {
                self.relayed.1 += 1;
                self.to_client(local, source, &forward);
            } else {
                self.relayed.0 += 1;
                self.to_peer(source, &forward);
            }
        }
        self.drain(Some((source, raw)));
    }

    /// Data goes from a client through its socket to a lawful peer that it has a permission for.
    fn to_peer(&self, source: SocketAddr, forward: &Forward<'_>) {
        let destination = forward.destination;
        assert!(self.trusted.contains(&source), "{source} has never authenticated itself");
        let client = &self.clients[&source];
        let through = self.open.get(&forward.socket.0).expect("a socket that is open");
        assert!(client.relayed.contains(through), "through a socket of its own");
        assert_eq!(through.is_ipv4(), destination.is_ipv4(), "a peer of the other family");
        let ip = destination.ip();
        assert!(!ip.is_loopback() && !ip.is_multicast(), "relayed to {destination}");
        let is_own = [listener(false).ip(), listener(true).ip()].contains(&ip);
        let meets = self.open.values().any(|open| *open == destination);
        assert!(!is_own || meets, "relayed to the server itself");
        let permitted = client.permitted.get(&ip).is_some_and(|end| *end > self.now);
        let bound = client.channels.values().any(|(peer, end)| *peer == destination && *end > self.now);
        assert!(permitted || bound, "{source} has no permission for {destination}");
        assert_eq!(forward.framing, Framing::Direct);
    }

    /// Data goes from a permitted peer to the client that the relayed address belongs to, and says who sent it.
    fn to_client(&self, relayed: SocketAddr, source: SocketAddr, forward: &Forward<'_>) {
        assert_eq!(Some(forward.socket), self.socket_of(forward.destination));
        let client = self.clients.get(&forward.destination).expect("a client");
        assert!(client.relayed.contains(&relayed), "not the address of {}", forward.destination);
        let permitted = client.permitted.get(&source.ip()).is_some_and(|end| *end > self.now);
        assert!(permitted, "{source} is not permitted");
        match forward.framing {
            Framing::Channel(number) => {
                let (peer, end) = client.channels[&number];
                assert!(peer == source && end > self.now, "channel {number:#x} is not that of {source}");
            }
            Framing::Data { peer, .. } => assert_eq!(peer, source),
            _ => panic!("{:?} to a client", forward.framing),
        }
    }

    /// Takes all outputs and holds them against what a server may do.
    fn drain(&mut self, asked: Option<(SocketAddr, &[u8])>) {
        let mut buf = [0; 1500];
        for count in 0.. {
            assert!(count < MAX_OUTPUTS, "an endless row of outputs");
            match self.server.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let (to, raw) = (transmit.destination, transmit.payload.to_vec());
                    assert_eq!(Some(transmit.socket), self.socket_of(to), "only answers are transmitted");
                    self.note_answer(to, &raw, asked);
                }
                Output::Open(open) => self.open(open.request, open.local),
                Output::Close(socket) => {
                    let before = self.connections.len();
                    self.connections.retain(|_, open| *open != socket);
                    if self.connections.len() < before {
                        continue;
                    }
                    let local = self.open.remove(&socket.0).expect("closes a socket that is open");
                    let v4 = local.is_ipv4();
                    for client in self.clients.values_mut().filter(|client| client.relayed.contains(&local)) {
                        client.relayed.retain(|relayed| *relayed != local);
                        client.permitted.retain(|peer, _| peer.is_ipv4() != v4);
                        client.channels.retain(|_, (peer, _)| peer.is_ipv4() != v4);
                    }
                }
                Output::Wait(_) => break,
                _ => {}
            }
        }
        let stats = self.server.stats();
        assert!(stats.allocations <= MAX_ALLOCATIONS, "{} allocations", stats.allocations);
        let sockets = self.open.len();
        assert!(
            (stats.allocations..=2 * stats.allocations).contains(&sockets),
            "{} allocations with {sockets} sockets",
            stats.allocations
        );
        assert_eq!(stats.connections, self.connections.len(), "connections that are not open");
        assert_eq!((stats.packets_to_peers, stats.packets_to_clients), self.relayed);
    }

    /// The driver opens the socket, or cannot, or the system chooses another port.
    fn open(&mut self, request: OpenId, wanted: SocketAddr) {
        let mut local = wanted;
        if self.opens & 3 == 1 {
            local.set_port(wanted.port() ^ 0x80);
        }
        let taken = self.opens & 3 == 2 || self.open.values().any(|open| *open == local);
        self.opens >>= 2;
        let input = if taken {
            Input::OpenFailed { request }
        } else {
            self.next_socket += 1;
            self.open.insert(self.next_socket, local);
            Input::Opened { request, socket: SocketId(self.next_socket), local }
        };
        let _ = self.server.handle_input(self.now, input);
    }

    fn note_answer(&mut self, to: SocketAddr, raw: &[u8], asked: Option<(SocketAddr, &[u8])>) {
        let message = Message::parse(raw).expect("an answer is a message");
        *self.sent.entry(to).or_default() += raw.len();
        let attributes = message.plain().attributes();
        let known = self.clients.entry(to).or_default();
        if let Some(nonce) = attributes.nonce() {
            known.nonce = nonce;
            known.sha256 = attributes.password_algorithms().is_some();
        }
        if message.class() == Class::Success && message.method() != Method::BINDING {
            self.trusted.insert(to);
            let (source, request) = asked.expect("an answer to a request");
            assert_eq!(source, to, "an answer to somebody else");
            let request = Message::parse(request).expect("a request");
            assert_eq!(request.transaction_id(), message.transaction_id());
            known.agreed(self.now, &request, &message);
        }
        if !self.trusted.contains(&to) {
            let (received, sent) = (self.received.get(&to).copied().unwrap_or(0), self.sent[&to]);
            assert!(
                sent <= received * 8,
                "{sent} bytes to {to}, who sent {received} and is not authenticated"
            );
        }
    }

    /// Two hours later nothing is left of what nobody refreshes.
    fn settle(&mut self) {
        let end = self.now + Duration::from_secs(7200);
        let mut buf = [0; 1500];
        for turn in 0.. {
            assert!(turn < 5000, "a server that never rests");
            let Output::Wait(wake) = self.server.poll_output(&mut buf) else { panic!("was not drained") };
            let Some(wake) = wake.filter(|wake| wake.at < end) else { break };
            self.now = self.now.max(wake.at);
            let _ = self.server.handle_input(self.now, Input::Timeout);
            self.drain(None);
        }
        assert!(self.open.is_empty(), "sockets of dead allocations: {:?}", self.open);
    }
}

/// Only differences are used.
#[expect(clippy::disallowed_methods, reason = "an Instant has no other constructor")]
fn start() -> Instant {
    Instant::now()
}
