//! What the server is asked: open transactions, and which of them have a request to send.

use std::collections::{BTreeSet, VecDeque};

use super::permission::Batch;
use super::problem::Problem;
use crate::rng::Rng;
use crate::stun::transaction::{Due, RTO, TI, Transaction, Transactions};
use crate::stun::{Family, Method, TransactionId};
use crate::time::{Duration, Instant};

/// Open transactions with one server (RFC 8489 §6.2).
const MAX_OPEN: usize = 10;
/// How often a server is told that its allocation is not needed any more; after that it ends by itself.
const DELETE_REQUESTS: u8 = 3;

/// How often a server is told where its client is now; after that the allocation is taken to be lost, 7.5 s after the first
/// request, since nothing can be sent meanwhile.
const MOVE_REQUESTS: u8 = 4;
/// The same on a connection.
const MOVE_PATIENCE: Duration = Duration::from_millis(7500);

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An allocation.
    Allocate,
    /// More time for it.
    Refresh,
    /// Its end: Refresh with lifetime 0.
    Delete,
    /// The end of one of its two addresses: Refresh with lifetime 0 and the family (RFC 8656 §8.1).
    Release(Family),
    /// Its move to another 5-tuple: Refresh with the ticket (RFC 8016 §3.2.1).
    Move,
    /// Permissions for some peers, new ones or more time for them.
    Permit(Batch),
    /// A channel, a new one or more time for it.
    Bind(u16),
}

impl Purpose {
    pub(super) fn method(self) -> Method {
        match self {
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh | Self::Delete | Self::Release(_) | Self::Move => Method::REFRESH,
            Self::Permit(_) => Method::CREATE_PERMISSION,
            Self::Bind(_) => Method::CHANNEL_BIND,
        }
    }
}

/// What the transport to the server promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Nothing: requests are repeated.
    Datagrams,
    /// All or an error: each request is sent once (RFC 8489 §6.2.2).
    Stream,
}

/// All requests that have no answer. What is queued for sending are ids: each open transaction at most once, so that
/// the queue is as bounded as they are.
#[derive(Debug)]
pub(super) struct Requests {
    rng: Rng,
    delivery: Delivery,
    transactions: Transactions<Purpose>,
    outgoing: VecDeque<TransactionId>,
    /// Those that got an answer which nobody can have signed.
    doubted: BTreeSet<TransactionId>,
    /// The move that may be asked for a second time without waiting.
    moving: Option<TransactionId>,
}

impl Requests {
    pub(super) fn new(seed: [u8; 32], delivery: Delivery) -> Self {
        Self {
            rng: Rng::new(seed),
            delivery,
            transactions: Transactions::default(),
            outgoing: VecDeque::new(),
            doubted: BTreeSet::new(),
            moving: None,
        }
    }

    /// A fresh id, for indications.
    pub(super) fn id(&mut self) -> TransactionId {
        TransactionId(self.rng.transaction_id())
    }

    pub(super) fn is_on_stream(&self) -> bool {
        self.delivery == Delivery::Stream
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.delivery
    }

    pub(super) fn has_room(&self) -> bool {
        self.transactions.len() < MAX_OPEN
    }

    pub(super) fn begin(&mut self, now: Instant, purpose: Purpose) -> TransactionId {
        let id = self.id();
        match self.delivery {
            Delivery::Datagrams => {
                self.transactions.start(now, id, purpose, RTO);
                self.moving = Some(id).filter(|_| purpose == Purpose::Move);
            }
            Delivery::Stream => {
                let ti = if purpose == Purpose::Move { MOVE_PATIENCE } else { TI };
                self.transactions.start_reliable(now, id, purpose, ti);
            }
        }
        self.outgoing.push_back(id);
        id
    }

    pub(super) fn find(&self, id: TransactionId) -> Option<Purpose> {
        self.transactions.find(id).map(|transaction| transaction.owner)
    }

    /// An answer to it was dropped; the transaction goes on.
    pub(super) fn doubt(&mut self, id: TransactionId) {
        self.doubted.insert(id);
    }

    /// The answer is here.
    pub(super) fn end(&mut self, id: TransactionId) -> Option<Transaction<Purpose>> {
        self.doubted.remove(&id);
        self.transactions.end(id)
    }

    /// Data of the peer arrives where the client moves to: the server has taken the move, and its answer is lost. coturn 4.6
    /// answers to the old place. So the request goes out again at once, a single time.
    pub(super) fn hurry_move(&mut self) {
        let id = self.moving.take().filter(|id| !self.outgoing.contains(id));
        self.outgoing.extend(id);
    }

    /// Ends all of them, and says what they were for.
    pub(super) fn take(&mut self) -> Vec<Purpose> {
        self.outgoing.clear();
        self.doubted.clear();
        std::mem::take(&mut self.transactions).owners().collect()
    }

    /// Sends it no more, but takes its answer.
    pub(super) fn cancel(&mut self, id: TransactionId) {
        self.outgoing.retain(|queued| *queued != id);
        self.transactions.cancel(id);
    }

    /// Queues what is due for retransmission, and returns the next purpose that failed, with the reason.
    pub(super) fn poll_failed(&mut self, now: Instant) -> Option<(Purpose, Problem)> {
        while let Some(due) = self.transactions.poll_due(now) {
            match due {
                Due::Retransmit(id, Purpose::Delete) if self.sent(id) > DELETE_REQUESTS => {
                    self.end(id);
                    return Some((Purpose::Delete, Problem::Unreachable));
                }
                Due::Retransmit(id, Purpose::Move) if self.sent(id) > MOVE_REQUESTS => {
                    let problem = self.silence(id);
                    self.end(id);
                    return Some((Purpose::Move, problem));
                }
                Due::Retransmit(id, _) => {
                    if !self.outgoing.contains(&id) {
                        self.outgoing.push_back(id);
                    }
                }
                Due::TimedOut(id, purpose) => {
                    let problem = self.silence(id);
                    self.doubted.remove(&id);
                    return Some((purpose, problem));
                }
            }
        }
        None
    }

    /// What it means that no answer came which the server can have signed.
    fn silence(&self, id: TransactionId) -> Problem {
        if self.doubted.contains(&id) { Problem::IntegrityViolated } else { Problem::Unreachable }
    }

    fn sent(&self, id: TransactionId) -> u8 {
        self.transactions.find(id).map_or(0, |transaction| transaction.sent)
    }

    /// The next request to send. It may have ended meanwhile, then it is not sent.
    pub(super) fn poll_outgoing(&mut self) -> Option<(TransactionId, Purpose)> {
        while let Some(id) = self.outgoing.pop_front() {
            if let Some(purpose) = self.find(id) {
                return Some((id, purpose));
            }
        }
        None
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.transactions.deadline()
    }
}
