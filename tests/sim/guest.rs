//! Programs that are not floe's, as guests of a world.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use floe::io::{Datagram, Socket, SocketId};
use floe::signal::Signal;
use floe::sim::{Guest, Interface, Link, Nat, Wish, World};
use floe::{Agent, Config, Event, Input, Output, Received, Role, State};

use super::{ms, secs, seed};

/// An agent in a host that is not the simulator's own.
#[derive(Debug)]
struct Foreign {
    agent: Agent,
    local: SocketAddr,
    heard: Vec<Vec<u8>>,
}

impl Foreign {
    fn new(now: Instant, addresses: &[IpAddr], config: Config) -> Self {
        let local = SocketAddr::new(addresses[0], 5000);
        let mut agent = Agent::new(config, now);
        agent.add_socket(now, SocketId(0), Socket::udp(local)).expect("room for a socket");
        agent.end_of_sockets(now);
        Self { agent, local, heard: Vec::new() }
    }
}

impl Guest for Foreign {
    fn handle_datagram(&mut self, now: Instant, local: SocketAddr, source: SocketAddr, payload: &[u8]) {
        assert_eq!(local, self.local);
        let datagram = Datagram { socket: SocketId(0), local: local.ip(), source, ecn: None, payload };
        if let Received::Data { payload, .. } = self.agent.handle_input(now, Input::Datagram(datagram)) {
            self.heard.push(payload.to_vec());
        }
    }

    fn handle_signal(&mut self, now: Instant, signal: Signal) {
        self.agent.handle_signal(now, signal).expect("a good signal");
    }

    fn handle_timeout(&mut self, now: Instant) {
        let _ = self.agent.handle_input(now, Input::Timeout);
    }

    fn poll(&mut self, _: Instant) -> Wish {
        let mut buf = [0; 1500];
        loop {
            match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let (source, destination) = (self.local, transmit.destination);
                    return Wish::Transmit { source, destination, payload: transmit.payload.to_vec() };
                }
                Output::Event(Event::Signal(signal)) => return Wish::Signal(signal),
                Output::Wait(wake) => return Wish::Wait(wake.map(|wake| wake.at)),
                _ => {}
            }
        }
    }
}

#[test]
fn a_guest_and_an_agent_meet_through_nats() {
    let mut world = World::new(1);
    let stun = world.stun_server();
    let config = |role, byte| Config::new(role, seed(byte)).stun_server(stun);
    let a = world.agent(Nat::port_restricted(), config(Role::Controlling, 1));
    let b = world.guest(Nat::port_restricted(), |now, addresses| {
        Foreign::new(now, addresses, config(Role::Controlled, 2))
    });
    world.signal(a, b);
    let completed = |w: &World| w.guest_ref::<Foreign>(b).agent.state() == State::Completed;
    world.run_until(secs(5), |w| w.completed(a) && completed(w));
    world.send(a, b"hello");
    world.run_for(ms(200));
    assert_eq!(world.guest_ref::<Foreign>(b).heard, [b"hello"]);
    assert!(world.packets_of(b).sent > 0);
}

/// What a guest does without its agent: a timer that repeats, and an echo.
#[derive(Debug, Default)]
struct Clock {
    ticks: Vec<Instant>,
    next: Option<Instant>,
    echoes: Vec<Wish>,
}

impl Guest for Clock {
    fn handle_datagram(&mut self, _: Instant, local: SocketAddr, source: SocketAddr, payload: &[u8]) {
        let payload = payload.to_vec();
        self.echoes.push(Wish::Transmit { source: local, destination: source, payload });
    }

    fn handle_signal(&mut self, _: Instant, _: Signal) {}

    fn handle_timeout(&mut self, now: Instant) {
        self.ticks.push(now);
        self.next = Some(now + ms(100));
    }

    fn poll(&mut self, _: Instant) -> Wish {
        self.echoes.pop().unwrap_or(Wish::Wait(self.next))
    }
}

#[test]
fn a_guest_is_woken_when_it_wants_and_answers_on_every_port() {
    let mut world = World::new(1);
    let public = || Interface::v4(Nat::none()).link(Link::ideal().latency(ms(10)));
    let clock = world.guest(public(), |now, _| Clock { next: Some(now), ..Clock::default() });
    let asker = world.host(public());
    let [from, to] = [asker, clock].map(|host| world.addresses(host)[0]);
    world.transmit(asker, SocketAddr::new(from, 1), SocketAddr::new(to, 7), b"echo");
    world.run_for(ms(250));
    let ticks = &world.guest_ref::<Clock>(clock).ticks;
    assert_eq!(ticks.iter().map(|at| *at - ticks[0]).collect::<Vec<_>>(), [ms(0), ms(100), ms(200)]);
    let [echo] = world.received(asker) else { panic!("one echo") };
    assert_eq!((echo.at, echo.payload.as_slice()), (ms(40), &b"echo"[..]));
}
