//! Candidate pairs (RFC 8445 §6.1.2.2, §6.1.2.6).

use std::cmp::Reverse;
use std::net::SocketAddr;

use super::failover::Record;
use super::freeze::{GroupId, Rank};
use super::likelihood::Likelihood;
use super::measure::Measured;
use crate::candidate::BaseId;
use crate::consent::EXPIRY;
use crate::io::{CloseReason, ComponentId};
use crate::stun::TransactionId;
use crate::stun::transaction::{RTO, lifetime};
use crate::time::{Duration, Instant};

/// A local candidate, by its place in the set's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub u16);

/// A remote candidate, by its place in the set's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteId(pub u16);

/// A pair, by its place and the stamp of who holds that place: an id that outlived its pair names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairId {
    pub(super) index: u16,
    pub(super) stamp: u16,
}

/// The state of a pair (RFC 8445 §6.1.2.6).
///
/// ```text
/// Frozen ──unfrozen──► Waiting ──checked──► In-Progress ──answered──► Succeeded
///                         ▲                     │  │
///                         └──the peer checks it─┘  └──no answer──► Failed ──the peer checks it──► Waiting
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PairState {
    /// Waits for a pair of its foundation to succeed.
    Frozen,
    /// Not checked yet, may be.
    Waiting,
    /// A check is under way.
    InProgress,
    /// A check was answered.
    Succeeded,
    /// A check was not answered, or was refused.
    Failed,
}

impl PairState {
    /// Whether its outcome is still unknown.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Frozen | Self::Waiting | Self::InProgress)
    }
}

/// What a controlled agent knows of the peer's wish (RFC 8445 §7.3.1.5), and a controlling one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nominated {
    /// Not nominated.
    No,
    /// To be nominated once a check on it succeeds.
    OnSuccess,
    /// Nominated.
    Yes,
}

/// What was measured on a pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quality {
    /// The latest round-trip time.
    pub rtt: Option<Duration>,
    /// The same and more, smoothed.
    pub measured: Measured,
    /// Checks sent, retransmissions included.
    pub requests_sent: u32,
    /// Answers received.
    pub responses_received: u32,
    /// The peer's checks received.
    pub requests_received: u32,
    /// Answers to our checks that the peer's password does not vouch for: dropped (RFC 8489 §9.1.4).
    pub answers_unverified: u32,
    /// Answers 487 to our checks (RFC 8445 §7.2.5.1).
    pub role_conflicts: u32,
}

/// Why a pair is Failed, kept so that somebody can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer to any request (RFC 8445 §7.2.5.2.3).
    Unanswered,
    /// Answers came, and none that the peer can have signed (RFC 8489 §9.1.4).
    IntegrityViolated,
    /// An error response with this code; 0 if it does not say (RFC 8445 §7.2.5.2.4).
    Refused(u16),
    /// The answer came to another base or from this other address (RFC 8445 §7.2.5.2.1).
    Asymmetric(SocketAddr),
    /// A success response without a mapped address.
    Incomplete,
    /// The relay does not send to this address, or not any more (RFC 8656 §9).
    NotPermitted,
    /// Consent was lost (RFC 7675 §5.1).
    ConsentLost,
    /// ICMP says that nobody is there (RFC 8445 §7.2.5.2.2).
    Unreachable,
    /// There is no TCP connection, or none any more (RFC 6544 §7.1).
    Disconnected(CloseReason),
}

/// What the packets of a pair run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// UDP: nothing has to be opened.
    Datagrams,
    /// A TCP connection that is not there: the next check opens it (RFC 6544 §7.1), or the peer does.
    Closed,
    /// One that is being opened.
    Opening,
    /// One that stands.
    Open,
}

/// One pair: a base and a remote transport address. What type the candidates are is metadata of the pair, so a
/// signalled twin of a peer-reflexive candidate changes no state.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Where checks leave from.
    pub base: BaseId,
    /// The remote candidate.
    pub remote: RemoteId,
    /// Its transport address.
    pub destination: SocketAddr,
    /// The component of both.
    pub component: ComponentId,
    /// RFC 8445 §6.1.2.3, by the base.
    pub priority: u64,
    /// The same of the valid pair, by the candidate that the peer saw (RFC 8445 §7.2.5.3.2); 0 until it is valid. Both ends
    /// compute it alike, where the priority by the base is known to one of them only.
    pub valid_priority: u64,
    /// The state.
    pub state: PairState,
    /// The local candidate that the peer saw; `Some` makes it a valid pair (RFC 8445 §7.2.5.3.2).
    pub valid: Option<LocalId>,
    /// When the last answer came: consent lasts 30 s from then (RFC 7675 §5.1).
    pub answered: Option<Instant>,
    /// Nominated, or about to be.
    pub nominated: Nominated,
    /// The value of its latest nomination; 0 without renomination.
    pub nomination: u32,
    /// A check of the peer on this pair was authenticated: data from there is accepted (RFC 8445 §12.2).
    pub authenticated: bool,
    /// When the peer's last check of it arrived.
    pub heard: Option<Instant>,
    /// Measurements.
    pub quality: Quality,
    /// Why it failed last; it may have been checked anew since.
    pub failure: Option<Failure>,
    /// When a check of ours began while checks of the peer arrive, if none was answered since.
    pub(super) asked: Option<Instant>,
    pub(super) group: GroupId,
    /// In the triggered-check queue.
    pub(super) queued: bool,
    /// The next check carries USE-CANDIDATE.
    pub(super) nominating: bool,
    /// Waits for a TURN permission; no ordinary check until then.
    pub blocked: bool,
    /// The check that is under way was sent again and again (see [`freeze`](super::freeze)).
    pub(super) silent: bool,
    /// How likely it works.
    pub(super) likelihood: Likelihood,
    /// When it may be checked again, and how often it was.
    pub(super) recheck: Option<Instant>,
    pub(super) rechecks: u8,
    /// When its last triggered check began.
    pub(super) triggered: Option<Instant>,
    /// When the first of the checks in a row began that have no answer.
    pub(super) unanswered: Option<Instant>,
    /// How many requests it had sent when ICMP first said that nobody is there.
    pub(super) unreachable: Option<u32>,
    /// What it runs on.
    pub link: Link,
    /// Whether it let us down before.
    pub(super) record: Record,
    /// The transaction that is under way.
    pub(super) transaction: Option<TransactionId>,
}

/// The order of checks inside a checklist: the likeliest, then highest priority, then lowest component (RFC 8445
/// §6.1.4.2).
pub(super) type Order = (Reverse<Likelihood>, Reverse<u64>, u16, PairId);

impl Pair {
    /// The peer checks it, and has not answered us for as long as a check takes to fail. What its checks revive (RFC 8445
    /// §7.3.1.4) is no reason to be patient any more.
    pub(super) fn is_one_way(&self, now: Instant) -> bool {
        self.asked.is_some_and(|asked| now >= asked + lifetime(RTO))
    }

    /// Its connection, if it runs on one, is of no use any more.
    pub(super) fn hang_up(&mut self) {
        if self.link != Link::Datagrams {
            self.link = Link::Closed;
        }
    }

    /// An answer of the peer gave consent, and not too long ago (RFC 7675 §5.1).
    pub fn has_consent(&self, now: Instant) -> bool {
        self.answered.is_some_and(|answered| now < answered + EXPIRY)
    }

    /// It has answered, after this time if that is known.
    pub(super) fn note_answer(&mut self, now: Instant, rtt: Option<Duration>) {
        self.answered = Some(now);
        self.record.answer(now);
        self.quality.responses_received += 1;
        self.quality.rtt = rtt.or(self.quality.rtt);
        match rtt {
            Some(rtt) => self.quality.measured.answer(rtt),
            None => self.quality.measured.lose(),
        }
    }

    /// A check on it is under way, or about to be.
    pub(super) fn is_under_check(&self) -> bool {
        self.queued || self.transaction.is_some()
    }

    pub(super) fn order(&self, id: PairId) -> Order {
        (Reverse(self.likelihood), Reverse(self.priority), self.component.component, id)
    }

    pub(super) fn rank(&self, id: PairId) -> Rank {
        (self.component.stream, self.component.component, Reverse(self.priority), id)
    }
}
