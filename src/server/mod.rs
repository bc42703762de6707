//! A STUN and TURN server machine (RFC 8489, RFC 8656).
//!
//! ```text
//!  clients ── socket ──▶ Binding ──▶ answer
//!                        Allocate … ──▶ who asks? ──▶ rules ──▶ answer, Open / Close of relay sockets
//!                        Send, ChannelData ──▶ permission, channel ──▶ Forward ──▶ relay socket ──▶ peers
//!  peers ── relay socket ──▶ permission, channel ──▶ Forward ──▶ socket ──▶ clients
//! ```

mod allocation;
mod auth;
pub mod config;
pub mod event;
mod limit;
pub mod peers;
mod reply;
pub mod stats;

pub use config::Config;
pub use event::{Forward, Input, Open, OpenId, Output, Received};
pub use peers::{Cidr, PeerRules};
pub use stats::Stats;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::io::{Datagram, SocketId, Transmit};
use crate::rng::Rng;
use crate::stun::wire::{Kind, classify};
use crate::stun::{Class, Message, Method};
use crate::time::Instant;
use allocation::Client;
use auth::Gate;
use limit::Limiter;
use reply::{Answer, Reply, Request};

/// Answers that may wait at a time: only a driver that does not drain has more.
const MAX_REPLIES: usize = 256;

/// A STUN and TURN server over UDP. Sans-IO: the driver owns the sockets and the clock.
#[derive(Debug)]
pub struct Server {
    config: Config,
    now: Instant,
    rng: Rng,
    gate: Gate,
    limiter: Limiter,
    sockets: BTreeMap<SocketId, SocketAddr>,
    replies: VecDeque<Reply>,
    stats: Stats,
}

impl Server {
    /// A server without sockets.
    pub fn new(mut config: Config, now: Instant) -> Self {
        let mut rng = Rng::new(config.seed);
        let gate = Gate::new(&config, &rng.seed(), now);
        config.users.clear();
        Self {
            now,
            rng,
            gate,
            limiter: Limiter::new(config.unauthenticated_rate),
            sockets: BTreeMap::new(),
            replies: VecDeque::new(),
            stats: Stats::default(),
            config,
        }
    }

    /// Adds a bound UDP socket that clients send to.
    pub fn add_socket(&mut self, id: SocketId, local: SocketAddr) {
        self.sockets.insert(id, local);
    }

    /// Takes one input. Drain [`Server::poll_output`] afterwards.
    pub fn handle_input<'a>(&mut self, now: Instant, input: Input<'a>) -> Received<'a> {
        self.now = now;
        match input {
            Input::Timeout => Received::Consumed,
            Input::Datagram(datagram) if self.sockets.contains_key(&datagram.socket) => {
                self.handle_client(datagram)
            }
            Input::Datagram(_) => Received::Unclaimed,
            Input::Opened { .. } | Input::OpenFailed { .. } => Received::Consumed,
        }
    }

    fn handle_client<'a>(&mut self, datagram: Datagram<'a>) -> Received<'a> {
        match classify(datagram.payload) {
            Kind::Stun => self.handle_stun(Client::of(&datagram), datagram.payload),
            Kind::ChannelData => Received::Consumed,
            Kind::Other => Received::Unclaimed,
        }
    }

    fn handle_stun<'a>(&mut self, client: Client, payload: &'a [u8]) -> Received<'a> {
        let Ok(message) = Message::parse(payload) else {
            self.stats.drops.malformed += 1;
            return Received::Consumed;
        };
        if let (Class::Request, Method::BINDING) = (message.class(), message.method()) {
            let request = Request::of(client, &message);
            self.answer_unauthenticated(request, Answer::Mapped);
        }
        Received::Consumed
    }

    /// Answers somebody who did not prove who they are, as often as their source may ask.
    fn answer_unauthenticated(&mut self, request: Request, answer: Answer) {
        if self.limiter.take(self.now, request.client.source.ip()) {
            self.push(Reply { request, asker: None, answer });
        } else {
            self.stats.drops.rate += 1;
        }
    }

    fn push(&mut self, reply: Reply) {
        if self.replies.len() >= MAX_REPLIES {
            self.stats.drops.queue += 1;
            return;
        }
        self.replies.push_back(reply);
    }

    /// The next output, until [`Output::Wait`]. Drain at once after every other call.
    ///
    /// # Panics
    /// If `buf` is shorter than 1280 bytes.
    pub fn poll_output<'b>(&mut self, buf: &'b mut [u8]) -> Output<'b> {
        assert!(buf.len() >= 1280, "the buffer has {} bytes, 1280 are needed", buf.len());
        while let Some(reply) = self.replies.pop_front() {
            if let Some(len) = self.write_reply(&reply, buf) {
                self.stats.answers += 1;
                let Client { socket, local, source } = reply.request.client;
                return Output::Transmit(Transmit::new(socket, local, source, &buf[..len]));
            }
        }
        Output::Wait(None)
    }

    /// Ends all allocations. The server answers nobody afterwards.
    pub fn close(&mut self, now: Instant) {
        self.now = now;
    }

    /// A snapshot of the counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
