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

mod ask;
mod link;
mod respond;
mod wire;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::io::{Datagram, SocketId, Transmit, Wake};
use crate::rng::Rng;
use crate::time::{Instant, earliest};

use ask::Question;
use respond::Published;
use wire::{Answer, Holds, Message};

pub use link::{GROUP_V4, GROUP_V6, Link, PORT, Reach};

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

/// Whoever asked for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

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
