//! What is told of a test.

use std::net::SocketAddr;
use std::time::Duration;

use crate::io::Transport;
use crate::net::clock;
use crate::net::resolve::Resolution;
use crate::time::Instant;

/// A step that is done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// Since the test began.
    pub at: Duration,
    /// Since the step before.
    pub took: Duration,
    /// What was done.
    pub step: Step,
}

/// Who is told of the steps of a test.
pub trait Telling: FnMut(Report) {}
impl<T: FnMut(Report)> Telling for T {}

/// One step of a test.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Step {
    /// The name has addresses.
    Resolved(Resolution),
    /// A socket is there; over TCP the server has accepted.
    Connected {
        /// The address of this host.
        local: SocketAddr,
        /// That of the server.
        server: SocketAddr,
        /// What runs between them.
        transport: Transport,
    },
    /// TLS stands, and the certificate is believed.
    Secured {
        /// Whom the certificate names.
        server_name: String,
        /// The version of the protocol.
        version: String,
    },
    /// This address is of no use, the next one is tried.
    Unusable {
        /// The address.
        server: SocketAddr,
        /// Why, in words.
        why: String,
    },
    /// The server told how it sees this host (RFC 8489 §12.1).
    Mapped {
        /// XOR-MAPPED-ADDRESS: this host's address behind its NATs.
        mapped: SocketAddr,
        /// RESPONSE-ORIGIN: where the answer was sent from (RFC 5780 §7.3).
        origin: Option<SocketAddr>,
        /// OTHER-ADDRESS: where the server answers too (RFC 5780 §7.4).
        other: Option<SocketAddr>,
        /// SOFTWARE, as the server writes it.
        software: Option<String>,
        /// The time from the first request to the answer.
        took: Duration,
    },
    /// The server asks for a credential.
    Challenged {
        /// Whose allocation it is about.
        whose: Whose,
        /// REALM. Nobody vouches for it.
        realm: Option<String>,
        /// The time from the first request to the challenge.
        took: Duration,
    },
    /// There is an allocation.
    Allocated {
        /// Whose.
        whose: Whose,
        /// The relayed address.
        relayed: SocketAddr,
        /// This host's address behind its NATs.
        mapped: SocketAddr,
        /// How long it lasts without a refresh.
        lifetime: Duration,
        /// How the password was hashed: `MD5` or `SHA-256`; `None` if no credential was asked for.
        algorithm: Option<&'static str>,
        /// SOFTWARE, as the server writes it.
        software: Option<String>,
        /// The time from the request with the credential to the answer.
        took: Duration,
    },
    /// Each relayed address may send to the other one.
    Permitted {
        /// The address of the peer.
        peer: SocketAddr,
    },
    /// Each allocation has a channel to the other one.
    Bound {
        /// The address of the peer.
        peer: SocketAddr,
        /// The number of the channel.
        number: u16,
    },
    /// Datagrams went from the one allocation to the other and back.
    Echoed {
        /// In what.
        via: Via,
        /// How many were sent.
        sent: u32,
        /// How many came back.
        received: u32,
        /// How long they took there and back, through the relay four times; `None` if none came back.
        rtt: Option<Rtt>,
    },
    /// The allocation lasts longer.
    Refreshed {
        /// How long, from now on.
        lifetime: Option<Duration>,
        /// The time from the request to the answer.
        took: Duration,
    },
    /// The server took its allocations back.
    Deleted,
}

/// Whose allocation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The one that is tested.
    Own,
    /// The one that plays its peer.
    Peer,
}

/// What data is in on its way between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// Send and Data indications.
    Indications,
    /// A channel.
    Channel,
}

/// Round-trip times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rtt {
    /// The shortest one.
    pub min: Duration,
    /// Their mean.
    pub mean: Duration,
    /// The longest one.
    pub max: Duration,
}

impl Rtt {
    pub(super) fn of(all: &[Duration]) -> Option<Self> {
        let (min, max) = (*all.iter().min()?, *all.iter().max()?);
        Some(Self { min, mean: all.iter().sum::<Duration>() / all.len() as u32, max })
    }
}

/// Gives reports their times.
#[derive(Debug)]
pub(super) struct Teller<T> {
    start: Instant,
    last: Instant,
    tell: T,
}

impl<T: Telling> Teller<T> {
    pub(super) fn new(tell: T) -> Self {
        let start = clock::now();
        Self { start, last: start, tell }
    }

    pub(super) fn tell(&mut self, step: Step) {
        let now = clock::now();
        let took = now.saturating_duration_since(self.last);
        self.last = now;
        (self.tell)(Report { at: now.saturating_duration_since(self.start), took, step });
    }
}
