//! One Binding query for each base and server, paced by whoever owns the slots.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::candidate::BaseId;
use crate::rng::Rng;
use crate::stun::transaction::{Due, RTO, Transactions};
use crate::stun::wire::{Class, Method, attr};
use crate::stun::{Message, Plain, TransactionId, Writer};
use crate::time::{Duration, Instant};

/// Tr: the mapping of a reflexive candidate is refreshed this often until ICE concludes (RFC 8445 §11).
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Queries of one agent; more bases or servers than this gain nothing.
const MAX_QUERIES: usize = 256;

/// Which server is asked from which base. Both numbers are the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The base.
    pub base: BaseId,
    /// The number of the server.
    pub server: u16,
    /// Its address.
    pub addr: SocketAddr,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The mapped address: a server-reflexive candidate if it differs from the base.
    Mapped(Query, SocketAddr),
    /// An error response: code and reason.
    Refused(Query, u16, String),
    /// A success response without a mapped address.
    Incomplete(Query),
}

/// What is due in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Send this request again.
    Retransmit(TransactionId),
    /// The server does not answer.
    Unanswered(Query),
    /// Send a Binding indication, so that the NAT keeps the mapping.
    Keepalive(Query),
}

/// All queries of an agent.
#[derive(Debug, Default)]
pub struct Gatherer {
    waiting: VecDeque<Query>,
    transactions: Transactions<Query>,
    /// Answered queries whose mapping is kept, in the order they are due.
    kept: VecDeque<(Instant, Query)>,
    asked: usize,
}

impl Gatherer {
    /// Queues a query; it begins in a slot.
    pub fn ask(&mut self, query: Query) {
        if self.asked < MAX_QUERIES {
            self.asked += 1;
            self.waiting.push_back(query);
        }
    }

    /// Keeps the mapping towards a server that is asked otherwise, such as for an allocation.
    pub fn keep(&mut self, now: Instant, query: Query) {
        self.kept.push_back((now + KEEPALIVE, query));
    }

    /// Whether a query waits for a slot.
    pub fn wants_slot(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether every query was answered or given up.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.transactions.is_empty()
    }

    /// Begins the next query in the slot of this Ta, with the RTO of RFC 8445 §14.3.
    pub fn begin(&mut self, now: Instant, ta: Duration, rng: &mut Rng) -> Option<TransactionId> {
        let query = self.waiting.pop_front()?;
        let id = TransactionId(rng.transaction_id());
        self.transactions.start(now, id, query, RTO.max(ta * self.asked as u32));
        Some(id)
    }

    /// Forgets everything about a base.
    pub fn remove_base(&mut self, base: BaseId) {
        self.waiting.retain(|query| query.base != base);
        self.transactions.retain(|query| query.base != base);
        self.kept.retain(|(_, query)| query.base != base);
    }

    /// ICE is concluded: no mapping needs to be kept any more (RFC 8445 §8.3.1), and nothing more is asked.
    pub fn conclude(&mut self) {
        self.waiting.clear();
        self.kept.clear();
        self.transactions = Transactions::default();
        self.asked = 0;
    }

    /// Whether a query has this transaction id.
    pub fn has_transaction(&self, id: TransactionId) -> bool {
        self.transactions.find(id).is_some()
    }

    /// Writes the request of an open query: no credentials (RFC 8445 §5.1.1.2).
    pub fn write(&self, id: TransactionId, buf: &mut [u8]) -> Option<(Query, usize)> {
        let query = self.transactions.find(id)?.owner;
        let mut writer = Writer::new(buf, Class::Request, Method::BINDING, id);
        writer.fingerprint();
        Some((query, writer.finish().ok()?.len()))
    }

    /// Writes a keepalive: a Binding indication with FINGERPRINT and nothing else (RFC 8445 §11).
    pub fn write_keepalive(buf: &mut [u8], rng: &mut Rng) -> Option<usize> {
        let mut writer =
            Writer::new(buf, Class::Indication, Method::BINDING, TransactionId(rng.transaction_id()));
        writer.fingerprint();
        Some(writer.finish().ok()?.len())
    }

    /// Takes the answer of a server. Nobody vouches for it, so base and source must be those of the query.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        base: BaseId,
        source: SocketAddr,
        message: Message<'_>,
    ) -> Option<Found> {
        let id = message.transaction_id();
        let query = self.transactions.find(id)?.owner;
        if query.base != base || query.addr != source {
            return None;
        }
        self.transactions.end(id);
        let answer = message.plain();
        if answer.message().class() != Class::Success {
            let error = answer.attributes().error_code();
            return Some(match error {
                Some(error) => Found::Refused(query, error.code, error.reason.into_owned()),
                None => Found::Incomplete(query),
            });
        }
        Some(match mapped_address(&answer) {
            Some(mapped) => {
                self.keep(now, query);
                Found::Mapped(query, mapped)
            }
            None => Found::Incomplete(query),
        })
    }

    /// What is due next, until `None`.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Timeout> {
        match self.transactions.poll_due(now) {
            Some(Due::Retransmit(id, _)) => return Some(Timeout::Retransmit(id)),
            Some(Due::TimedOut(_, query)) => return Some(Timeout::Unanswered(query)),
            None => {}
        }
        let (at, query) = *self.kept.front()?;
        if at > now {
            return None;
        }
        self.kept.pop_front();
        self.kept.push_back((now + KEEPALIVE, query));
        Some(Timeout::Keepalive(query))
    }

    /// When [`Self::poll_timeout`] has something.
    pub fn deadline(&self) -> Option<Instant> {
        crate::time::earliest(self.transactions.deadline(), self.kept.front().map(|(at, _)| *at))
    }

    /// Gives up on what is still open, and says which servers did not answer.
    pub fn give_up(&mut self) -> Vec<Query> {
        let open = std::mem::take(&mut self.transactions).into_owners();
        self.waiting.drain(..).chain(open).collect()
    }
}

/// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of servers that know RFC 3489 only (RFC 8445 §5.1.1.2).
fn mapped_address(answer: &Plain<'_>) -> Option<SocketAddr> {
    let attributes = answer.attributes();
    attributes.xor_address(attr::XOR_MAPPED_ADDRESS).or_else(|| attributes.address(attr::MAPPED_ADDRESS))
}
