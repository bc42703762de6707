//! Multicast DNS (RFC 6762), as much of it as hides the addresses of host candidates: a name of one label and `.local`
//! stands for one address. The machine answers for names that were published and asks for those of peers.
//!
//! ```text
//! publish ──► announced at once and a second later      asked ──► answered (A or AAAA; NSEC for the other type)
//! withdraw ─► goodbye: TTL 0
//! resolve ──► query at 0, 1 and 3 s ──► the first answer, or None after 4 s
//! ```
//!
//! - Names are not probed for (§8.1): a random UUID is nobody else's.
//! - A name is told on every link, whatever link its address is on: only a peer that was told it can ask for it.
//! - What does not come from the link (§11) is dropped: it was sent to the group, which no router forwards, or its
//!   source is an address of the link.
//! - Nothing is cached: a candidate needs one answer.
//!
//! ```
//! # use std::time::Instant;
//! use floe::io::SocketId;
//! use floe::mdns::{Link, Mdns, Output, Reach, RequestId};
//!
//! # fn now() -> Instant { #[allow(clippy::disallowed_methods)] Instant::now() }
//! let mut mdns = Mdns::new([7; 32]);
//! let local = "192.0.2.1:5353".parse().unwrap();
//! mdns.add_link(Link { socket: SocketId(0), local, prefix: 24, reach: Reach::Full });
//! mdns.resolve(now(), RequestId(1), "2b8e9a4e-0e1c-4a7b-9d0f-0a6f3f1c2d5e.local")?;
//! let mut buf = [0; 512];
//! match mdns.poll_output(&mut buf) {
//!     Output::Transmit(query) => assert_eq!(query.destination, "224.0.0.251:5353".parse().unwrap()),
//!     output => panic!("{output:?}"),
//! }
//! # Ok::<(), floe::error::NameError>(())
//! ```

mod respond;
mod wire;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::candidate::address::{is_unicast, scope};
use crate::candidate::{address::Scope, name};
use crate::error::NameError;
use crate::io::{Datagram, SocketId, Transmit, Wake};
use crate::rng::Rng;
use crate::time::{Duration, Instant, Timer, earliest};

use respond::Published;
use wire::{Answer, Entry, Holds, Message, Section};

/// The port of multicast DNS (RFC 6762 §3).
pub const PORT: u16 = 5353;
/// The group of IPv4 (RFC 6762 §3).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// The group of IPv6 (RFC 6762 §3).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 0xFB);

/// Names that can be published at a time.
pub const MAX_NAMES: usize = 64;
/// Names that can be asked for at a time.
pub const MAX_QUESTIONS: usize = 64;
/// Requests that can wait for one name, as those of several components.
pub const MAX_WAITING: usize = 32;
/// Links; more are not added.
pub const MAX_LINKS: usize = 64;
/// Messages that can wait to be polled; more are lost, as on a network.
const MAX_SAYS: usize = 256;

/// How long after each query the next one follows (RFC 6762 §5.2: at least a second, then at least twice as long),
/// and at last the end.
const PATIENCE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(1)];

/// Whoever asked for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A socket of the driver on one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The socket.
    pub socket: SocketId,
    /// The address that it sends from.
    pub local: SocketAddr,
    /// The length of the prefix of that address in bits: what is on the link.
    pub prefix: u8,
    /// What it can do.
    pub reach: Reach,
}

/// What a socket can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It has port 5353 and receives what is sent to the group.
    Full,
    /// It has some other port: it asks, and is answered by unicast (RFC 6762 §5.1, §6.7).
    AskOnly,
}

impl Link {
    fn group(&self) -> SocketAddr {
        match self.local {
            SocketAddr::V4(_) => (GROUP_V4, PORT).into(),
            SocketAddr::V6(local) => SocketAddrV6::new(GROUP_V6, PORT, 0, local.scope_id()).into(),
        }
    }

    /// RFC 6762 §11.
    fn has(&self, source: IpAddr) -> bool {
        match (self.local.ip(), source) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                scope(source) == Scope::LinkLocal
                    || (own.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix.min(32))
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                scope(source) == Scope::LinkLocal
                    || (own.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix.min(128))
            }
            _ => false,
        }
    }
}

/// What the driver feeds.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The instant of the last [`Wake`] has come.
    Timeout,
    /// A datagram arrived. Its `local` is the group if it was sent there.
    Datagram(Datagram<'a>),
}

/// What the driver has to do next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output<'b> {
    /// Send this datagram.
    Transmit(Transmit<'b>),
    /// The end of a request.
    Resolved {
        /// Which one.
        request: RequestId,
        /// The address; `None`: nobody answered.
        address: Option<IpAddr>,
    },
    /// Drained. Come back at the instant, or with input; `None`: with input only.
    Wait(Option<Wake>),
}

/// Counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams that were malformed, or not from the link.
    pub dropped: u64,
    /// Names that were resolved.
    pub resolved: u64,
    /// Names that nobody answered for.
    pub unanswered: u64,
    /// Answers that were given, announcements apart.
    pub answers: u64,
}

/// A message that waits to be polled.
#[derive(Debug)]
enum Say {
    /// The number of a question.
    Ask(SocketId, u64),
    Tell(Tell),
    Goodbye(SocketId, Box<str>, IpAddr),
}

/// An answer that waits to be polled.
#[derive(Debug, Clone, Copy)]
struct Tell {
    socket: SocketId,
    /// The number of the published name.
    serial: u64,
    holds: Holds,
    /// `None`: the group.
    to: Option<SocketAddr>,
    legacy: Option<(u16, u16)>,
}

/// A name that is asked for.
#[derive(Debug)]
struct Question {
    serial: u64,
    /// In lower case.
    host: Box<str>,
    waiting: Vec<RequestId>,
    /// Queries so far.
    asked: usize,
    next: Timer,
}

/// The machine: no sockets, no clock, deterministic from its seed.
#[derive(Debug)]
pub struct Mdns {
    rng: Rng,
    links: Vec<Link>,
    published: Vec<Published>,
    questions: Vec<Question>,
    says: VecDeque<Say>,
    ends: VecDeque<(RequestId, Option<IpAddr>)>,
    serial: u64,
    stats: Stats,
}

impl Mdns {
    /// A machine without links and names.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            rng: Rng::new(seed),
            links: Vec::new(),
            published: Vec::new(),
            questions: Vec::new(),
            says: VecDeque::new(),
            ends: VecDeque::new(),
            serial: 0,
            stats: Stats::default(),
        }
    }

    /// Adds a link. Beyond [`MAX_LINKS`] it is not used.
    pub fn add_link(&mut self, link: Link) {
        if self.links.len() < MAX_LINKS {
            self.links.push(link);
        }
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Asks for a name; the end comes as [`Output::Resolved`]. A name that is already asked for is not asked twice,
    /// one that this machine has published needs no question.
    ///
    /// # Errors
    /// [`NameError`]; then nothing comes.
    pub fn resolve(&mut self, now: Instant, request: RequestId, host: &str) -> Result<(), NameError> {
        let host = name::canonical(host).ok_or(NameError::NotLocal)?;
        if let Some(own) = self.published.iter().find(|own| own.host == host) {
            self.ends.push_back((request, Some(own.ip)));
            return Ok(());
        }
        if let Some(question) = self.questions.iter_mut().find(|question| question.host == host) {
            if question.waiting.len() >= MAX_WAITING {
                return Err(NameError::TooMany(MAX_WAITING));
            }
            question.waiting.push(request);
            return Ok(());
        }
        if self.questions.len() >= MAX_QUESTIONS {
            return Err(NameError::TooMany(MAX_QUESTIONS));
        }
        let serial = self.next_serial();
        let next = Timer::at(now);
        self.questions.push(Question { serial, host, waiting: vec![request], asked: 0, next });
        self.ask_due(now);
        Ok(())
    }

    /// Takes what happened outside. A hostile datagram is no error: it is counted and dropped.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Timeout => {
                self.ask_due(now);
                self.announce_due(now);
            }
            Input::Datagram(datagram) => {
                if self.take(now, &datagram).is_none() {
                    self.stats.dropped += 1;
                }
            }
        }
    }

    /// The next output, until [`Output::Wait`]. A buffer of 512 bytes holds every message.
    pub fn poll_output<'b>(&mut self, buf: &'b mut [u8]) -> Output<'b> {
        if let Some((request, address)) = self.ends.pop_front() {
            return Output::Resolved { request, address };
        }
        while let Some(say) = self.says.pop_front() {
            if let Some((link, to, len)) = self.write(&say, buf) {
                let destination = to.unwrap_or_else(|| link.group());
                return Output::Transmit(Transmit::new(
                    link.socket,
                    link.local.ip(),
                    destination,
                    &buf[..len],
                ));
            }
        }
        let deadlines = self.questions.iter().map(|question| question.next);
        let deadlines = deadlines.chain(self.published.iter().map(|published| published.next));
        let at = deadlines.fold(None, |at, timer| earliest(at, timer.deadline()));
        Output::Wait(at.map(|at| Wake { at, slot: false }))
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn say(&mut self, say: Say) {
        if self.says.len() < MAX_SAYS {
            self.says.push_back(say);
        }
    }

    fn link(&self, socket: SocketId) -> Option<Link> {
        self.links.iter().find(|link| link.socket == socket).copied()
    }

    /// Asks what is due, and gives up what was asked often enough.
    fn ask_due(&mut self, now: Instant) {
        for at in (0..self.questions.len()).rev() {
            let question = &mut self.questions[at];
            if !question.next.take_due(now) {
                continue;
            }
            let Some(patience) = PATIENCE.get(question.asked) else {
                self.end(at, None);
                continue;
            };
            question.asked += 1;
            question.next.set(now + *patience);
            let serial = question.serial;
            for link in 0..self.links.len() {
                self.say(Say::Ask(self.links[link].socket, serial));
            }
        }
    }

    fn end(&mut self, at: usize, address: Option<IpAddr>) {
        let question = self.questions.swap_remove(at);
        let counter = if address.is_some() { &mut self.stats.resolved } else { &mut self.stats.unanswered };
        *counter += 1;
        self.ends.extend(question.waiting.into_iter().map(|request| (request, address)));
    }

    /// `None`: the datagram is of no use.
    fn take(&mut self, now: Instant, datagram: &Datagram<'_>) -> Option<()> {
        let link = self.link(datagram.socket)?;
        if !datagram.local.is_multicast() && !link.has(datagram.source.ip()) {
            return None;
        }
        let message = Message::parse(datagram.payload)?;
        if !message.is_response {
            self.answer(now, &link, datagram.source, message);
            return Some(());
        }
        // RFC 6762 §6: a response from another port is none.
        (datagram.source.port() == PORT).then(|| self.learn(message))
    }

    fn learn(&mut self, message: Message<'_>) {
        if self.questions.is_empty() {
            return;
        }
        for entry in message.entries() {
            let Entry::Record { section: Section::Answer | Section::Additional, name, kind, ttl, data } =
                entry
            else {
                continue;
            };
            // TTL 0 is a goodbye (RFC 6762 §10.1).
            let Some(ip) = wire::address(kind, data).filter(|ip| ttl > 0 && is_unicast(*ip)) else {
                continue;
            };
            if let Some(at) = self.questions.iter().position(|question| name.is(&question.host)) {
                self.end(at, Some(ip));
            }
        }
    }

    /// Writes a message: over which link, to whom (`None`: the group), how long.
    fn write(&mut self, say: &Say, buf: &mut [u8]) -> Option<(Link, Option<SocketAddr>, usize)> {
        match say {
            Say::Ask(socket, serial) => {
                let link = self.link(*socket)?;
                let question = self.questions.iter().find(|question| question.serial == *serial)?;
                // RFC 6762 §18.1: 0, save where a resolver of old would be answered.
                let id = match link.reach {
                    Reach::Full => 0,
                    Reach::AskOnly => self.rng.between(1, u64::from(u16::MAX)) as u16,
                };
                Some((link, None, wire::write_query(buf, id, &question.host)?))
            }
            Say::Tell(tell) => {
                let link = self.link(tell.socket)?;
                let published = self.published.iter().find(|published| published.serial == tell.serial)?;
                Some((link, tell.to, wire::write_answer(buf, &published.answer(tell))?))
            }
            Say::Goodbye(socket, host, ip) => {
                let link = self.link(*socket)?;
                let answer = Answer { name: host, ip: *ip, holds: Holds::Address, ttl: 0, legacy: None };
                Some((link, None, wire::write_answer(buf, &answer)?))
            }
        }
    }
}
