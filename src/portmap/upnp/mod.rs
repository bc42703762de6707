//! UPnP Internet Gateway Device: a search on the link, the description, then calls of a service, one after the other,
//! each on a connection of its own.
//!
//! ```text
//!        ask          answer of the gateway         a service for mappings
//!   Off ─────► Searching ─────────────► Describing ─────────────────────► Ready ──► calls
//!    ▲             │ 6 s                    │ next location, or none        │ connection fails
//!    └─────────────┴────────────────────────┴───────────────────────────────┘
//! ```
//!
//! Nobody but the gateway is asked: what answers from another address is dropped, and a URL that leads elsewhere ends
//! the attempt ([`Problem::Elsewhere`]). Nothing is redirected. Answers are bounded in length and time.

mod calls;
mod description;
mod fuzzed;
mod http;
mod soap;
mod ssdp;
mod url;
mod xml;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::config::Config;
use super::event::{Channel, MappingId, Output, Problem, Protocol, StreamId};
use super::order::{Order, Outcome};
use crate::io::CloseReason;
use crate::rng::Rng;
use crate::time::{Duration, Instant, Timer, earliest};

use calls::Task;
use description::Service;
pub(super) use fuzzed::parse;
use http::{Incoming, Reply};
use url::Url;

/// When the search is repeated, and when it is over.
const ROUNDS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(3)];
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Devices of one gateway that are looked at.
const MAX_LOCATIONS: usize = 4;
/// When a request that failed may be repeated.
const PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum State {
    Off,
    /// How many rounds there were, and when the next one is.
    Searching {
        rounds: usize,
        at: Instant,
    },
    /// The description is being fetched.
    Describing(Url),
    /// The services, best first.
    Ready(VecDeque<Service>),
}

/// The open request.
#[derive(Debug)]
struct Exchange {
    stream: StreamId,
    request: Vec<u8>,
    incoming: Incoming,
}

/// What the driver has to do.
#[derive(Debug)]
enum Errand {
    Search(&'static str),
    Connect(StreamId, SocketAddr),
    Write(StreamId, Vec<u8>),
    Close(StreamId),
}

/// Whether mappings may be made, or only prepared while PCP has its chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Waits,
    Has,
}

#[derive(Debug)]
pub(super) struct Upnp {
    local: Ipv4Addr,
    gateway: Ipv4Addr,
    rng: Rng,
    turn: Turn,
    state: State,
    /// Descriptions to look at, and how many there were.
    locations: VecDeque<Url>,
    seen: Vec<Url>,
    /// Why the last one was of no use.
    problem: Option<Problem>,
    queue: VecDeque<Order>,
    task: Option<Task>,
    exchange: Option<Exchange>,
    patience: Timer,
    streams: u32,
    errands: VecDeque<Errand>,
    outcomes: VecDeque<Outcome>,
}

impl Upnp {
    /// `None` if it is not wanted, or the addresses are not IPv4.
    pub(super) fn new(config: &Config, seed: [u8; 32]) -> Option<Self> {
        let (IpAddr::V4(local), IpAddr::V4(gateway)) = (config.local, config.gateway) else { return None };
        config.speaks(Protocol::Upnp).then(|| Self {
            local,
            gateway,
            rng: Rng::new(seed),
            turn: Turn::Waits,
            state: State::Off,
            locations: VecDeque::new(),
            seen: Vec::new(),
            problem: None,
            queue: VecDeque::new(),
            task: None,
            exchange: None,
            patience: Timer::STOPPED,
            streams: 0,
            errands: VecDeque::new(),
            outcomes: VecDeque::new(),
        })
    }

    /// Asks for this, in the place of what waits for the same port.
    pub(super) fn ask(&mut self, now: Instant, order: Order) {
        self.queue.retain(|waiting| waiting.id != order.id);
        self.queue.push_back(order);
        self.go_on(now);
    }

    /// Who may make mappings now.
    pub(super) fn set_turn(&mut self, now: Instant, turn: Turn) {
        self.turn = turn;
        self.go_on(now);
    }

    /// Drops what was asked, and what is being done. What is known of the gateway stays.
    pub(super) fn stop(&mut self) {
        self.queue.clear();
        self.task = None;
        self.end_exchange();
        if !matches!(self.state, State::Ready(_)) {
            self.state = State::Off;
        }
    }

    /// Another network: nothing is known any more.
    pub(super) fn begin_anew(&mut self) {
        self.stop();
        self.state = State::Off;
    }

    pub(super) fn forget(&mut self, now: Instant, id: MappingId) {
        self.queue.retain(|waiting| waiting.id != id);
        if self.task.as_ref().is_some_and(|task| task.order.id == id) {
            self.task = None;
            self.end_exchange();
        }
        self.go_on(now);
    }

    /// Whether a mapping is being made at this moment.
    pub(super) fn is_making(&self) -> bool {
        self.task.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let search = match &self.state {
            State::Searching { at, .. } => Some(*at),
            _ => None,
        };
        earliest(search, self.patience.deadline())
    }

    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.patience.take_due(now) {
            self.follow_failure(now, Problem::Connection(CloseReason::TimedOut));
        }
        if let State::Searching { rounds, at } = self.state
            && at <= now
        {
            self.search(now, rounds);
        }
        self.go_on(now);
    }

    fn search(&mut self, now: Instant, rounds: usize) {
        match ROUNDS.get(rounds) {
            Some(wait) => {
                self.errands.extend(ssdp::TARGETS.map(Errand::Search));
                self.state = State::Searching { rounds: rounds + 1, at: now + *wait };
            }
            None => self.give_up(Problem::NoAnswer),
        }
    }

    /// Nothing of the gateway is of use.
    fn give_up(&mut self, problem: Problem) {
        let problem = self.problem.take().unwrap_or(problem);
        self.state = State::Off;
        self.queue.clear();
        self.task = None;
        self.outcomes.push_back(Outcome::Ended(Protocol::Upnp, problem));
    }

    /// An answer to the search.
    pub(super) fn handle_datagram(&mut self, now: Instant, source: SocketAddr, payload: &[u8]) {
        if source.ip() != IpAddr::V4(self.gateway) {
            return;
        }
        let is_wanted = matches!(self.state, State::Searching { .. } | State::Describing(_));
        if !is_wanted || self.seen.len() >= MAX_LOCATIONS {
            return;
        }
        match ssdp::location(payload, self.gateway) {
            None => return,
            Some(Err(problem)) => self.problem = Some(problem),
            Some(Ok(url)) if self.seen.contains(&url) => return,
            Some(Ok(url)) => {
                self.seen.push(url.clone());
                self.locations.push_back(url);
            }
        }
        self.go_on(now);
    }

    fn go_on(&mut self, now: Instant) {
        match &self.state {
            State::Off if !self.queue.is_empty() => {
                (self.seen, self.problem) = (Vec::new(), None);
                self.locations.clear();
                self.search(now, 0);
            }
            State::Searching { .. } => self.describe(now),
            State::Ready(_) if self.turn == Turn::Has && self.task.is_none() => self.begin(now),
            _ => {}
        }
    }

    /// Fetches the next description, if one is known.
    fn describe(&mut self, now: Instant) {
        if let Some(url) = self.locations.pop_front() {
            self.request(now, url.addr, http::get(&url));
            self.state = State::Describing(url);
        }
    }

    fn request(&mut self, now: Instant, addr: SocketAddr, request: Vec<u8>) {
        let stream = StreamId(self.streams);
        self.streams = self.streams.wrapping_add(1);
        self.exchange = Some(Exchange { stream, request, incoming: Incoming::default() });
        self.patience.set(now + PATIENCE);
        self.errands.push_back(Errand::Connect(stream, addr));
    }

    fn end_exchange(&mut self) {
        self.patience.stop();
        if let Some(exchange) = self.exchange.take() {
            self.errands.push_back(Errand::Close(exchange.stream));
        }
    }

    fn is_open(&self, stream: StreamId) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.stream == stream)
    }

    pub(super) fn handle_connected(&mut self, stream: StreamId) {
        if let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.stream == stream) {
            let request = std::mem::take(&mut exchange.request);
            self.errands.push_back(Errand::Write(stream, request));
        }
    }

    pub(super) fn handle_received(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.stream == stream) else {
            return;
        };
        match exchange.incoming.feed(bytes) {
            Ok(None) => {}
            Ok(Some(reply)) => self.follow_reply(now, &reply),
            Err(problem) => self.follow_failure(now, problem),
        }
    }

    pub(super) fn handle_closed(&mut self, now: Instant, stream: StreamId, why: CloseReason) {
        if !self.is_open(stream) {
            return;
        }
        let reply = match (self.exchange.take(), why) {
            (Some(mut exchange), CloseReason::Ended) => exchange.incoming.end(),
            _ => Err(Problem::Connection(why)),
        };
        match reply {
            Ok(reply) => self.follow_reply(now, &reply),
            Err(problem) => self.follow_failure(now, problem),
        }
    }

    fn follow_reply(&mut self, now: Instant, reply: &Reply) {
        self.end_exchange();
        if let State::Describing(url) = &self.state {
            let services = match reply.status {
                200 => description::services(&String::from_utf8_lossy(&reply.body), url, self.gateway),
                code => Err(Problem::Refused { code, text: reply.reason.clone() }),
            };
            match services {
                Ok(services) => self.state = State::Ready(services.into()),
                Err(problem) => return self.follow_failure(now, problem),
            }
        } else {
            self.follow_call(now, reply);
        }
        self.go_on(now);
    }

    /// A description or a call came to nothing.
    fn follow_failure(&mut self, now: Instant, problem: Problem) {
        self.end_exchange();
        if let State::Describing(_) = self.state {
            self.problem = Some(problem.clone());
            match self.locations.pop_front() {
                Some(url) => {
                    self.request(now, url.addr, http::get(&url));
                    self.state = State::Describing(url);
                }
                None => self.give_up(problem),
            }
        } else {
            self.fail_call(problem);
        }
        self.go_on(now);
    }

    /// The next thing for the driver to do.
    pub(super) fn poll<'b>(&mut self, buf: &'b mut [u8]) -> Option<Output<'b>> {
        let mut write = |bytes: &[u8]| {
            let len = bytes.len().min(buf.len());
            buf[..len].copy_from_slice(&bytes[..len]);
            len
        };
        Some(match self.errands.pop_front()? {
            Errand::Search(target) => {
                let len = write(ssdp::search(target).as_bytes());
                Output::Transmit { channel: Channel::Search, destination: ssdp::GROUP, payload: &buf[..len] }
            }
            Errand::Connect(stream, remote) => Output::Connect { stream, remote },
            Errand::Write(stream, bytes) => {
                let len = write(&bytes);
                if len < bytes.len() {
                    self.errands.push_front(Errand::Write(stream, bytes[len..].to_vec()));
                }
                Output::Write { stream, bytes: &buf[..len] }
            }
            Errand::Close(stream) => Output::Close(stream),
        })
    }
}
