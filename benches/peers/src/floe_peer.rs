//! floe itself, through its public interface.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use floe::io::{ComponentId, Datagram, Socket, SocketId};
use floe::signal::Signal;
use floe::sim::Wish;
use floe::{Agent, Config, Event, Input, Output, State};

use crate::meter::metered;
use crate::networks::Server;
use crate::peer::{Contender, Gathering, Local, Peer, Start};

pub(crate) const CONTENDERS: [Contender; 2] = [
    Contender { name: "floe", settings: "Ta 5 ms", make: |start| Box::new(Floe::new(start, 5)) },
    Contender { name: "floe", settings: "Ta 50 ms", make: |start| Box::new(Floe::new(start, 50)) },
];

#[derive(Debug)]
struct Floe {
    agent: Agent,
    sockets: Vec<SocketAddr>,
}

impl Floe {
    fn new(start: Start, ta: u64) -> Self {
        let config = Config::new(start.role, start.seed).pacing(Duration::from_millis(ta));
        let config = match start.server {
            Server::None => config,
            Server::Stun(addr) => config.stun_server(addr),
            Server::Turn(server) => config.turn_server(server),
        };
        Self { agent: metered(|| Agent::new(config, start.now)), sockets: Vec::new() }
    }
}

impl Peer for Floe {
    fn gathering(&self) -> Gathering {
        Gathering::Own
    }

    fn add_local(&mut self, now: Instant, local: Local) {
        let Local::Host(addr) = local else { return };
        let id = SocketId(self.sockets.len() as u32);
        metered(|| self.agent.add_socket(now, id, Socket::udp(addr))).expect("room for a socket");
        self.sockets.push(addr);
    }

    fn end_of_local(&mut self, now: Instant) {
        metered(|| self.agent.end_of_sockets(now));
    }

    fn handle_signal(&mut self, now: Instant, signal: &Signal) {
        let signal = signal.clone();
        metered(|| self.agent.handle_signal(now, signal)).expect("a good signal");
    }

    fn handle_datagram(&mut self, now: Instant, local: SocketAddr, source: SocketAddr, payload: &[u8]) {
        let Some(socket) = self.sockets.iter().position(|addr| *addr == local) else { return };
        let (socket, local) = (SocketId(socket as u32), local.ip());
        let datagram = Datagram { socket, local, source, ecn: None, payload };
        let _ = metered(|| self.agent.handle_input(now, Input::Datagram(datagram)));
    }

    fn handle_timeout(&mut self, now: Instant) {
        let _ = metered(|| self.agent.handle_input(now, Input::Timeout));
    }

    fn poll(&mut self, _: Instant) -> Wish {
        let mut buf = [0; 1500];
        loop {
            match metered(|| self.agent.poll_output(&mut buf)) {
                Output::Transmit(transmit) => {
                    let source = self.sockets[transmit.socket.0 as usize];
                    let (destination, payload) = (transmit.destination, transmit.payload.to_vec());
                    return Wish::Transmit { source, destination, payload };
                }
                Output::Event(Event::Signal(signal)) => return Wish::Signal(signal),
                Output::Wait(wake) => return Wish::Wait(wake.map(|wake| wake.at)),
                _ => {}
            }
        }
    }

    fn is_usable(&self) -> bool {
        self.agent.path(ComponentId::FIRST).is_some()
    }

    fn is_completed(&self) -> bool {
        self.agent.state() == State::Completed
    }
}
