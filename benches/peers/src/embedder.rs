//! What an embedder does for an agent that gathers nothing itself: STUN and TURN, with floe's own client of both. No
//! request is repeated: the networks of the scenarios lose nothing on the way to a server.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use floe::sim::Wish;
use floe::stun::wire::attr;
use floe::stun::{Class, Message, Method, TransactionId, Writer};
use floe::turn::data::{HEADROOM, TAILROOM, wrap};
use floe::turn::{Client, Event, Input, Output, Received};

use crate::networks::Server;
use crate::peer::Local;

/// After so long answers that are missing are not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Embedder {
    server: Option<SocketAddr>,
    relay: Option<Relay>,
    transmits: VecDeque<Wish>,
    found: Vec<Local>,
    ends: Option<Instant>,
}

#[derive(Debug)]
struct Relay {
    client: Client,
    base: SocketAddr,
    relayed: Option<SocketAddr>,
    /// What waits for its permission.
    waiting: Vec<(SocketAddr, Vec<u8>)>,
}

/// What a datagram was to the embedder.
pub(crate) enum Claim {
    /// Not its own.
    None,
    /// All of it.
    Consumed,
    /// What the peer sent to the relayed address.
    Relayed { local: SocketAddr, source: SocketAddr, payload: Vec<u8> },
}

impl Embedder {
    /// Asks the server, if there is one, about these sockets.
    pub(crate) fn gather(&mut self, now: Instant, seed: [u8; 32], server: Server, sockets: &[SocketAddr]) {
        match server {
            Server::None => {}
            Server::Stun(addr) => {
                self.server = Some(addr);
                for (base, number) in sockets.iter().zip(0..) {
                    let mut buf = [0; 64];
                    let id = TransactionId([number; 12]);
                    let request = Writer::new(&mut buf, Class::Request, Method::BINDING, id).finish();
                    let payload = request.expect("room").to_vec();
                    self.transmits.push_back(Wish::Transmit { source: *base, destination: addr, payload });
                }
            }
            Server::Turn(server) => {
                self.server = Some(server.addr);
                let client = Client::new(server, seed);
                let mut relay = Relay { client, base: sockets[0], relayed: None, waiting: Vec::new() };
                let _ = relay.client.handle_input(now, Input::Slot);
                self.relay = Some(relay);
            }
        }
        self.ends = Some(if self.server.is_some() { now + PATIENCE } else { now });
    }

    /// The peer's candidates are known: they may send to the relayed address.
    pub(crate) fn permit(&mut self, peers: &[SocketAddr]) {
        if let Some(relay) = &mut self.relay {
            peers.iter().for_each(|peer| relay.client.permit(*peer));
        }
    }

    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        source: SocketAddr,
        payload: &[u8],
    ) -> Claim {
        if self.server != Some(source) {
            return Claim::None;
        }
        if let Some(relay) = &mut self.relay {
            return match relay.client.handle_input(now, Input::Datagram(payload)) {
                Received::Data { peer, payload } => match relay.relayed {
                    Some(local) => Claim::Relayed { local, source: peer, payload: payload.to_vec() },
                    None => Claim::Consumed,
                },
                _ => Claim::Consumed,
            };
        }
        let message = Message::parse(payload).ok();
        let mapped = message.and_then(|it| it.plain().attributes().xor_address(attr::XOR_MAPPED_ADDRESS));
        self.found
            .extend(mapped.filter(|it| *it != local).map(|mapped| Local::Reflexive { base: local, mapped }));
        Claim::Consumed
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.client.deadline() <= Some(now)) {
            let _ = relay.client.handle_input(now, Input::Timeout);
        }
    }

    /// New addresses, and whether they are all now.
    pub(crate) fn take_found(&mut self, now: Instant) -> (Vec<Local>, bool) {
        let ends = self.ends.is_some_and(|at| at <= now);
        if ends {
            self.ends = None;
        }
        (std::mem::take(&mut self.found), ends)
    }

    /// What it sends, those datagrams of the agent included that waited.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Wish> {
        let mut buf = [0; 1500];
        if let (Some(relay), Some(server)) = (&mut self.relay, self.server) {
            loop {
                if relay.client.wants_slot() {
                    let _ = relay.client.handle_input(now, Input::Slot);
                }
                match relay.client.poll_output(&mut buf) {
                    Output::Transmit(payload) => {
                        let (source, payload) = (relay.base, payload.to_vec());
                        self.transmits.push_back(Wish::Transmit { source, destination: server, payload });
                    }
                    Output::Event(Event::Allocated { relayed, mapped, .. }) => {
                        let base = relay.base;
                        relay.relayed = Some(relayed);
                        self.found.push(Local::Relayed { base, relayed });
                        self.found.push(Local::Reflexive { base, mapped });
                    }
                    Output::Event(_) => {}
                    Output::Wait(_) if relay.client.wants_slot() => {}
                    Output::Wait(_) => break,
                }
            }
            let waiting = std::mem::take(&mut relay.waiting);
            for (destination, payload) in waiting {
                match through(relay, server, destination, &payload) {
                    Some(wish) => self.transmits.push_back(wish),
                    None => relay.waiting.push((destination, payload)),
                }
            }
        }
        self.transmits.pop_front()
    }

    /// The agent sends from this address: the datagram as it leaves the host, if it leaves now.
    pub(crate) fn send(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        payload: Vec<u8>,
    ) -> Option<Wish> {
        match (&mut self.relay, self.server) {
            (Some(relay), Some(server)) if relay.relayed == Some(source) => {
                let wish = through(relay, server, destination, &payload);
                if wish.is_none() {
                    relay.client.permit(destination);
                    relay.waiting.push((destination, payload));
                }
                wish
            }
            _ => Some(Wish::Transmit { source, destination, payload }),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let relay = self.relay.as_ref().and_then(|relay| relay.client.deadline());
        self.ends.into_iter().chain(relay).min()
    }
}

fn through(relay: &Relay, server: SocketAddr, peer: SocketAddr, payload: &[u8]) -> Option<Wish> {
    let framing = relay.client.framing(peer)?;
    let mut buf = vec![0; HEADROOM + payload.len() + TAILROOM];
    buf[HEADROOM..HEADROOM + payload.len()].copy_from_slice(payload);
    let payload = wrap(framing, &mut buf, payload.len()).to_vec();
    Some(Wish::Transmit { source: relay.base, destination: server, payload })
}
