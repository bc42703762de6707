//! The machines alone, over UDP: the client, and agents that may only use relays.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use floe::agent::Policy;
use floe::io::{ComponentId, Datagram, Socket, SocketId};
use floe::signal::Signal;
use floe::turn::data::{Framing, HEADROOM, TAILROOM, wrap};
use floe::turn::{Client, Event, Input, Output, Problem, Received, TurnServer};
use floe::{Agent, Config, Role, State, agent};

use crate::coturn::{Coturn, PATIENCE};

fn socket(server: &Coturn) -> UdpSocket {
    let socket = UdpSocket::bind((server.addr.ip(), 0)).expect("a socket");
    socket.connect(server.addr).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
    socket
}

/// A client with a socket of its own.
struct Side {
    client: Client,
    socket: UdpSocket,
    events: Vec<Event>,
    heard: Vec<(SocketAddr, Vec<u8>)>,
}

impl Side {
    fn new(server: &Coturn, password: &str, seed: u8) -> Self {
        let socket = socket(server);
        let client = Client::new(TurnServer::new(server.addr, "ann", password), [seed; 32]);
        Self { client, socket, events: Vec::new(), heard: Vec::new() }
    }

    fn turn(&mut self) {
        let now = Instant::now();
        let _ = self.client.handle_input(now, Input::Timeout);
        if self.client.wants_slot() {
            let _ = self.client.handle_input(now, Input::Slot);
        }
        self.drain();
        let mut buf = [0; 2048];
        if let Ok(len) = self.socket.recv(&mut buf) {
            let received = self.client.handle_input(Instant::now(), Input::Datagram(&buf[..len]));
            if let Received::Data { peer, payload } = received {
                self.heard.push((peer, payload.to_vec()));
            }
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut buf = [0; 1280];
        loop {
            match self.client.poll_output(&mut buf) {
                Output::Transmit(bytes) => drop(self.socket.send(bytes)),
                Output::Event(event) => self.events.push(event),
                Output::Wait(_) => return,
            }
        }
    }

    fn relayed(&self) -> Option<SocketAddr> {
        self.events.iter().find_map(|event| match event {
            Event::Allocated { relayed, .. } => Some(*relayed),
            _ => None,
        })
    }

    fn send(&self, peer: SocketAddr, payload: &[u8]) {
        let framing = self.client.framing(peer).expect("a permission");
        let mut buf = vec![0; HEADROOM];
        buf.extend(payload);
        buf.extend([0; TAILROOM]);
        self.socket.send(wrap(framing, &mut buf, payload.len())).expect("loopback");
    }
}

fn run(sides: &mut [&mut Side], done: impl Fn(&[&mut Side]) -> bool) {
    let start = Instant::now();
    while !done(sides) {
        assert!(
            start.elapsed() < PATIENCE,
            "{:?}",
            sides.iter().map(|side| &side.events).collect::<Vec<_>>()
        );
        for side in sides.iter_mut() {
            side.turn();
        }
    }
}

fn two_clients_talk(ip: &str) {
    let server = Coturn::start(ip, &[]);
    let (mut a, mut b) = (Side::new(&server, "correct horse", 1), Side::new(&server, "correct horse", 2));
    run(&mut [&mut a, &mut b], |sides| sides.iter().all(|side| side.relayed().is_some()));
    let (at_a, at_b) = (a.relayed().expect("allocated"), b.relayed().expect("allocated"));
    assert_ne!(at_a, at_b);
    a.client.permit(at_b);
    b.client.permit(at_a);
    run(&mut [&mut a, &mut b], |sides| {
        sides[0].client.framing(at_b).is_some() && sides[1].client.framing(at_a).is_some()
    });
    a.send(at_b, b"indication");
    run(&mut [&mut a, &mut b], |sides| !sides[1].heard.is_empty());
    assert_eq!(b.heard, [(at_a, b"indication".to_vec())]);
    a.client.bind(at_b);
    run(&mut [&mut a, &mut b], |sides| matches!(sides[0].client.framing(at_b), Some(Framing::Channel(_))));
    a.send(at_b, b"channel");
    b.send(at_a, b"back");
    run(&mut [&mut a, &mut b], |sides| sides[1].heard.len() == 2 && !sides[0].heard.is_empty());
    assert_eq!(b.heard[1], (at_a, b"channel".to_vec()));
    assert_eq!(a.heard, [(at_b, b"back".to_vec())]);
    a.client.close(Instant::now());
    run(&mut [&mut a], |sides| sides[0].client.deadline().is_none());
}

#[test]
#[ignore = "needs coturn"]
fn two_clients_talk_through_coturn() {
    two_clients_talk("127.0.0.1");
}

#[test]
#[ignore = "needs coturn"]
fn two_clients_talk_through_coturn_over_ipv6() {
    two_clients_talk("::1");
}

/// RFC 8016: the relayed address stays, with its permission and its channel.
#[test]
#[ignore = "needs coturn"]
fn a_client_moves_from_socket_to_socket() {
    let server = Coturn::start("127.0.0.1", &["--mobility"]);
    let (mut a, mut b) = (Side::new(&server, "correct horse", 1), Side::new(&server, "correct horse", 2));
    run(&mut [&mut a, &mut b], |sides| sides.iter().all(|side| side.relayed().is_some()));
    let (at_a, at_b) = (a.relayed().expect("allocated"), b.relayed().expect("allocated"));
    a.client.permit(at_b);
    b.client.permit(at_a);
    run(&mut [&mut a, &mut b], |sides| {
        sides[0].client.framing(at_b).is_some() && sides[1].client.framing(at_a).is_some()
    });
    a.client.bind(at_b);
    run(&mut [&mut a, &mut b], |sides| matches!(sides[0].client.framing(at_b), Some(Framing::Channel(_))));
    for round in 0..2 {
        assert!(a.client.detach(Instant::now()), "coturn gives a ticket each time");
        let old = std::mem::replace(&mut a.socket, socket(&server));
        drop(old);
        a.client.attach(Instant::now());
        run(&mut [&mut a], |sides| sides[0].client.framing(at_b).is_some());
        a.send(at_b, b"from elsewhere");
        run(&mut [&mut a, &mut b], |sides| sides[1].heard.len() > round);
        b.send(at_a, b"and back");
        run(&mut [&mut a, &mut b], |sides| sides[0].heard.len() > round);
    }
    assert_eq!(b.heard, [(at_a, b"from elsewhere".to_vec()), (at_a, b"from elsewhere".to_vec())]);
    assert!(matches!(a.client.framing(at_b), Some(Framing::Channel(_))));
    let moved = a.events.iter().filter(|event| **event == Event::Moved).count();
    assert_eq!((moved, a.events.contains(&Event::Lost)), (2, false));
}

#[test]
#[ignore = "needs coturn"]
fn a_coturn_without_mobility_is_asked_again_without_the_wish() {
    let server = Coturn::start("127.0.0.1", &[]);
    let mut a = Side::new(&server, "correct horse", 1);
    run(&mut [&mut a], |sides| sides[0].relayed().is_some());
    assert!(!a.client.detach(Instant::now()));
    assert_eq!(a.client.traffic().answers, 3, "401, 405, success");
}

/// 438 with each request after two seconds, and the user's second allocation is one too many.
#[test]
#[ignore = "needs coturn"]
fn stale_nonces_are_met_and_a_quota_is_told() {
    let server = Coturn::start("127.0.0.1", &["--stale-nonce=1", "--user-quota=1"]);
    let mut a = Side::new(&server, "correct horse", 1);
    run(&mut [&mut a], |sides| sides[0].relayed().is_some());
    let mut b = Side::new(&server, "correct horse", 2);
    run(&mut [&mut b], |sides| !sides[0].events.is_empty());
    let Event::Problem(problem) = &b.events[0] else { panic!("{:?}", b.events) };
    assert!(matches!(problem, Problem::Error { code: 486, .. }), "{problem:?}");
    assert_eq!(problem.pause(), Some(Duration::from_secs(60)));
    for n in 1..4 {
        std::thread::sleep(Duration::from_millis(2100));
        let peer = SocketAddr::from(([127, 0, 0, n], 9));
        let before = a.client.traffic();
        a.client.permit(peer);
        run(&mut [&mut a], |sides| sides[0].client.framing(peer).is_some());
        assert_eq!(a.client.traffic().requests - before.requests, 2, "438, success");
    }
}

#[test]
#[ignore = "needs coturn"]
fn coturn_rejects_a_wrong_password() {
    let server = Coturn::start("127.0.0.1", &[]);
    let mut side = Side::new(&server, "wrong", 3);
    run(&mut [&mut side], |sides| !sides[0].events.is_empty());
    assert_eq!(side.events, [Event::Problem(Problem::Unauthorized)]);
}

/// An agent that may only use its relay.
struct Hidden {
    agent: Agent,
    socket: UdpSocket,
    signals: Vec<Signal>,
    log: Vec<String>,
    heard: Vec<Vec<u8>>,
}

impl Hidden {
    fn new(server: &Coturn, role: Role, seed: u8) -> Self {
        let socket = UdpSocket::bind((server.addr.ip(), 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(2))).expect("a timeout");
        let turn = TurnServer::new(server.addr, "ann", "correct horse");
        let config = Config::new(role, [seed; 32]).policy(Policy::Relay).turn_server(turn);
        let now = Instant::now();
        let mut agent = Agent::new(config, now);
        let local = socket.local_addr().expect("its address");
        agent.add_socket(now, SocketId(0), Socket::udp(local)).expect("a base");
        agent.end_of_sockets(now);
        Self { agent, socket, signals: Vec::new(), log: Vec::new(), heard: Vec::new() }
    }

    fn turn(&mut self, from_peer: &mut Vec<Signal>) {
        for signal in from_peer.drain(..) {
            self.agent.handle_signal(Instant::now(), signal).expect("a good signal");
        }
        let _ = self.agent.handle_input(Instant::now(), agent::Input::Timeout);
        self.drain();
        let mut buf = [0; 2048];
        if let Ok((len, source)) = self.socket.recv_from(&mut buf) {
            let local = self.socket.local_addr().expect("its address").ip();
            let datagram = Datagram { socket: SocketId(0), local, source, ecn: None, payload: &buf[..len] };
            let received = self.agent.handle_input(Instant::now(), agent::Input::Datagram(datagram));
            if let agent::Received::Data { payload, .. } = received {
                self.heard.push(payload.to_vec());
            }
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut buf = [0; 1500];
        loop {
            match self.agent.poll_output(&mut buf) {
                agent::Output::Transmit(to) => {
                    self.socket.send_to(to.payload, to.destination).expect("loopback");
                }
                agent::Output::Event(agent::Event::Signal(signal)) => self.signals.push(signal),
                agent::Output::Event(event) => self.log.push(format!("{event:?}")),
                _ => return,
            }
        }
    }

    /// Four bytes before the payload are ChannelData's.
    fn has_channel(&self) -> bool {
        self.agent.path(ComponentId::FIRST).is_some_and(|path| path.overhead() == 4)
    }
}

#[test]
#[ignore = "needs coturn"]
fn agents_that_may_only_use_relays_connect_and_get_a_channel() {
    let server = Coturn::start("127.0.0.1", &[]);
    let mut a = Hidden::new(&server, Role::Controlling, 1);
    let mut b = Hidden::new(&server, Role::Controlled, 2);
    let start = Instant::now();
    while !(a.has_channel() && b.has_channel() && a.agent.state() == State::Completed) {
        assert!(start.elapsed() < PATIENCE, "{:#?} {:#?}", a.log, b.log);
        a.turn(&mut b.signals);
        b.turn(&mut a.signals);
    }
    let mut buf = [0; 100];
    buf[HEADROOM..HEADROOM + 5].copy_from_slice(b"hello");
    let path = a.agent.path(ComponentId::FIRST).expect("a path");
    let transmit = path.wrap(&mut buf, 5);
    a.socket.send_to(transmit.payload, transmit.destination).expect("loopback");
    while b.heard.is_empty() {
        assert!(start.elapsed() < PATIENCE, "{:#?} {:#?}", a.log, b.log);
        b.turn(&mut a.signals);
    }
    assert_eq!(b.heard, [b"hello"]);
}
