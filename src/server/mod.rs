//! A STUN and TURN server machine (RFC 8489, RFC 8656).
//!
//! ```text
//!  clients ── socket ──▶ Binding ──▶ answer
//!                        Allocate … ──▶ who asks? ──▶ rules ──▶ answer, Open / Close of relay sockets
//!                        Send, ChannelData ──▶ permission, channel ──▶ Forward ──▶ relay socket ──▶ peers
//!  peers ── relay socket ──▶ permission, channel ──▶ Forward ──▶ socket ──▶ clients
//! ```
//!
//! Clients come over UDP, TCP or TLS, peers over UDP. The driver takes streams apart: here every message is whole. An
//! allocation has one relayed transport address, or one of each family, up to 256 permissions and 256 channels; a
//! client may move and take it along (RFC 8016). DONT-FRAGMENT is answered
//! with 420, and ICMP errors are not reported to clients. Responses carry no SOFTWARE. Nothing is remembered of who
//! has not proved who they are, but for how much their address was answered lately.

mod allocate;
mod allocation;
mod auth;
mod behavior;
pub mod config;
mod connections;
pub mod event;
mod limit;
mod mobility;
pub mod peers;
mod ports;
mod relay;
mod reply;
mod requests;
pub mod stats;
mod table;

pub use config::Config;
pub use event::{Forward, Input, Open, OpenId, Output, Received};
pub use peers::{Cidr, PeerRules};
pub use stats::Stats;

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::io::{Datagram, SocketId, Transmit, Wake};
use crate::rng::Rng;
use crate::stun::auth::Seal;
use crate::stun::wire::{Kind, classify};
use crate::stun::{Class, Message, Method};
use crate::time::{Duration, Instant};
use allocate::Openings;
use allocation::Client;
use auth::Gate;
use behavior::Places;
use connections::Connections;
use limit::Limiter;
use ports::Ports;
use reply::{Answer, Reply, Request};
use table::Table;

/// Answers that may wait at a time: only a driver that does not drain has more.
const MAX_REPLIES: usize = 256;

/// A STUN and TURN server. Sans-IO: the driver owns the sockets and the clock.
#[derive(Debug)]
pub struct Server {
    config: Config,
    now: Instant,
    rng: Rng,
    gate: Gate,
    ticket_seal: Seal,
    limiter: Limiter,
    sockets: BTreeSet<SocketId>,
    places: Places,
    /// Where clients send to: no peer is there.
    own: BTreeSet<IpAddr>,
    allocations: Table,
    openings: Openings,
    connections: Connections,
    ports: Ports,
    replies: VecDeque<Reply>,
    opens: VecDeque<Open>,
    closes: VecDeque<SocketId>,
    stats: Stats,
    is_closed: bool,
}

impl Server {
    /// A server without sockets.
    pub fn new(mut config: Config, now: Instant) -> Self {
        let mut rng = Rng::new(config.seed);
        let gate = Gate::new(&config, &rng.seed(), now);
        let ticket_seal = Seal::new(&rng.seed());
        config.users.clear();
        config.secret = None;
        Self {
            now,
            rng,
            gate,
            ticket_seal,
            limiter: Limiter::new(config.unauthenticated_rate),
            sockets: BTreeSet::new(),
            places: Places::default(),
            own: BTreeSet::new(),
            allocations: Table::default(),
            openings: Openings::default(),
            connections: Connections::default(),
            is_closed: false,
            ports: Ports::new(config.relays.clone(), config.ports.clone()),
            replies: VecDeque::new(),
            opens: VecDeque::new(),
            closes: VecDeque::new(),
            stats: Stats::default(),
            config,
        }
    }

    /// Adds a bound UDP socket that clients send to; a wildcard socket once per address.
    pub fn add_socket(&mut self, id: SocketId, local: SocketAddr) {
        self.sockets.insert(id);
        self.own.insert(local.ip());
    }

    /// An address at which the driver accepts connections: no peer is there.
    pub fn add_listener(&mut self, local: SocketAddr) {
        self.own.insert(local.ip());
    }

    /// What the time of day is: the Unix time, for [`rest_secret`](Config::rest_secret). It moves on with `now`; tell it
    /// again when the clock may have been set.
    pub fn set_unix_time(&mut self, now: Instant, unix: Duration) {
        self.gate.set_unix_time(now, unix);
    }

    /// Takes one input. Drain [`Server::poll_output`] afterwards.
    pub fn handle_input<'a>(&mut self, now: Instant, input: Input<'a>) -> Received<'a> {
        self.now = now;
        while let Some((id, family)) = self.allocations.ended(now) {
            self.end_half(id, family);
        }
        self.ports.end_reservations(now);
        self.end_idle_connections();
        match input {
            Input::Datagram(datagram) => return self.handle_datagram(datagram),
            Input::Accepted { socket, local, source } => self.accepted(socket, local, source),
            Input::Closed { socket } => self.disconnected(socket),
            Input::Opened { request, socket, local } => self.opened(now, request, socket, local),
            Input::OpenFailed { request } => self.open_failed(request),
            Input::Timeout => {}
        }
        Received::Consumed
    }

    fn handle_datagram<'a>(&mut self, datagram: Datagram<'a>) -> Received<'a> {
        if let Some(id) = self.allocations.of_relay(datagram.socket) {
            return self.handle_peer(id, datagram);
        }
        if self.connections.has(datagram.socket) {
            self.connections.stir(datagram.socket, self.now + self.config.idle_timeout);
        } else if !self.sockets.contains(&datagram.socket) {
            return Received::Unclaimed;
        }
        let client = Client::of(&datagram);
        match classify(datagram.payload) {
            Kind::Stun => self.handle_stun(client, datagram.payload),
            Kind::ChannelData => self.handle_channel_data(client, datagram.payload),
            Kind::Other => Received::Unclaimed,
        }
    }

    fn handle_stun<'a>(&mut self, client: Client, payload: &'a [u8]) -> Received<'a> {
        let Ok(message) = Message::parse(payload) else {
            self.stats.drops.malformed += 1;
            return Received::Consumed;
        };
        match (message.class(), message.method()) {
            (Class::Request, Method::BINDING) => self.handle_binding(client, message.plain()),
            (
                Class::Request,
                Method::ALLOCATE | Method::REFRESH | Method::CREATE_PERMISSION | Method::CHANNEL_BIND,
            ) => self.handle_request(client, message),
            (Class::Indication, Method::SEND) => return self.handle_send(client, message.plain()),
            // It keeps a NAT open, and wants nothing.
            (Class::Indication, Method::BINDING) => {}
            _ => self.stats.drops.malformed += 1,
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
        if let Some(socket) = self.closes.pop_front() {
            return Output::Close(socket);
        }
        if let Some(open) = self.opens.pop_front() {
            return Output::Open(open);
        }
        while let Some(reply) = self.replies.pop_front() {
            if let Some(len) = self.write_reply(&reply, buf) {
                self.stats.answers += 1;
                let (socket, local, destination) = reply.path();
                return Output::Transmit(Transmit::new(socket, local, destination, &buf[..len]));
            }
        }
        let deadlines = [self.allocations.deadline(), self.connections.deadline()];
        Output::Wait(deadlines.into_iter().flatten().min().map(|at| Wake { at, slot: false }))
    }

    /// Ends all allocations and forgets the sockets: drain once more, and all relay sockets and connections are
    /// closed. Nobody is answered afterwards.
    pub fn close(&mut self, now: Instant) {
        self.now = now;
        let all: Vec<_> = self.allocations.iter().map(|(id, _)| id).collect();
        for id in all {
            self.end(id);
        }
        self.abandon_openings();
        self.is_closed = true;
        self.closes.extend(self.connections.sockets());
        self.connections.clear();
        self.sockets.clear();
        self.opens.clear();
        self.replies.clear();
    }

    /// A snapshot of the counters. It visits all allocations.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            allocations: self.allocations.iter().count(),
            connections: self.connections.count(),
            ..self.stats
        };
        for (_, allocation) in self.allocations.iter() {
            let (permissions, channels) = allocation.count(self.now);
            stats.permissions += permissions;
            stats.channels += channels;
        }
        stats
    }
}
