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

/// The attributes that an answer may have and that must be understood (RFC 8489 §18.3), those of servers that know
/// RFC 3489 only among them: RESPONSE-ADDRESS, SOURCE-ADDRESS, CHANGED-ADDRESS, PASSWORD, REFLECTED-FROM
/// (RFC 8445 §5.1.1.2). All but the mapped addresses and the error are ignored.
const KNOWN: [u16; 17] = [
    attr::MAPPED_ADDRESS,
    0x0002,
    attr::CHANGE_REQUEST,
    0x0004,
    0x0005,
    attr::USERNAME,
    0x0007,
    attr::MESSAGE_INTEGRITY,
    attr::ERROR_CODE,
    attr::UNKNOWN_ATTRIBUTES,
    0x000B,
    attr::REALM,
    attr::NONCE,
    attr::MESSAGE_INTEGRITY_SHA256,
    attr::PASSWORD_ALGORITHM,
    attr::USERHASH,
    attr::XOR_MAPPED_ADDRESS,
];

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
}

/// What became of a query, kept after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The query.
    pub query: Query,
    /// Requests sent, retransmissions included.
    pub requests: u32,
    /// Answers, errors included.
    pub answers: u32,
    /// The address that the server saw.
    pub mapped: Option<SocketAddr>,
}

/// A mapping that is kept by further requests to the server that saw it (RFC 8445 §5.1.1.4). One that is lost is not
/// sent again: the next one is near.
#[derive(Debug)]
struct Kept {
    at: Instant,
    query: Query,
    /// The latest request, until it is answered.
    open: Option<TransactionId>,
}

/// All queries of an agent.
#[derive(Debug)]
pub struct Gatherer {
    limit: usize,
    waiting: VecDeque<Query>,
    transactions: Transactions<Query>,
    /// Mappings that are kept, in the order they are due.
    kept: VecDeque<Kept>,
    /// Mappings whose next request waits for a slot.
    due: VecDeque<Query>,
    /// Every query so far, in order.
    asked: Vec<Asked>,
}

impl Gatherer {
    /// Asks so many queries at most.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            waiting: VecDeque::new(),
            transactions: Transactions::default(),
            kept: VecDeque::new(),
            due: VecDeque::new(),
            asked: Vec::new(),
        }
    }

    /// Queues a query; it begins in a slot.
    pub fn ask(&mut self, query: Query) {
        if self.asked.len() < self.limit {
            self.asked.push(Asked { query, requests: 0, answers: 0, mapped: None });
            self.waiting.push_back(query);
        }
    }

    /// Keeps the mapping towards a server that is asked otherwise, such as for an allocation.
    pub fn keep(&mut self, now: Instant, query: Query) {
        self.kept.push_back(Kept { at: now + KEEPALIVE, query, open: None });
    }

    /// Whether a request waits for a slot.
    pub fn wants_slot(&self) -> bool {
        !self.waiting.is_empty() || !self.due.is_empty()
    }

    /// Whether every query was answered or given up.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.transactions.is_empty()
    }

    /// Begins the next query in the slot of this Ta, with the RTO of RFC 8445 §14.3, or else sends a keepalive.
    pub fn begin(&mut self, now: Instant, ta: Duration, rng: &mut Rng) -> Option<TransactionId> {
        let id = TransactionId(rng.transaction_id());
        if let Some(query) = self.waiting.pop_front() {
            self.transactions.start(now, id, query, RTO.max(ta * self.asked.len() as u32));
        } else {
            let query = self.due.pop_front()?;
            self.kept.push_back(Kept { at: now + KEEPALIVE, query, open: Some(id) });
        }
        Some(id)
    }

    /// Forgets everything about a base.
    pub fn remove_base(&mut self, base: BaseId) {
        self.waiting.retain(|query| query.base != base);
        self.transactions.retain(|query| query.base != base);
        self.kept.retain(|kept| kept.query.base != base);
        self.due.retain(|query| query.base != base);
        self.asked.retain(|asked| asked.query.base != base);
    }

    /// ICE is concluded: no mapping needs to be kept any more (RFC 8445 §8.3.1), and nothing more is asked.
    pub fn conclude(&mut self) {
        self.waiting.clear();
        self.kept.clear();
        self.due.clear();
        self.transactions = Transactions::default();
    }

    /// Whether a query has this transaction id.
    pub fn has_transaction(&self, id: TransactionId) -> bool {
        self.transactions.find(id).is_some() || self.kept.iter().any(|kept| kept.open == Some(id))
    }

    /// Every query so far, in the order they were asked.
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    fn note(&mut self, query: Query, note: impl FnOnce(&mut Asked)) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.query == query) {
            note(asked);
        }
    }

    /// Writes the request of an open query: no credentials (RFC 8445 §5.1.1.2).
    pub fn write(&mut self, id: TransactionId, buf: &mut [u8]) -> Option<(Query, usize)> {
        let open = self.transactions.find(id).map(|transaction| transaction.owner);
        let kept = || self.kept.iter().find(|kept| kept.open == Some(id)).map(|kept| kept.query);
        let query = open.or_else(kept)?;
        let mut writer = Writer::new(buf, Class::Request, Method::BINDING, id);
        writer.fingerprint();
        let len = writer.finish().ok()?.len();
        if open.is_some() {
            self.note(query, |asked| asked.requests += 1);
        }
        Some((query, len))
    }

    /// Writes the keepalive of a pair without consent: a Binding indication with FINGERPRINT and nothing else (RFC 8445 §11).
    pub fn write_keepalive(buf: &mut [u8], rng: &mut Rng) -> Option<usize> {
        let mut writer =
            Writer::new(buf, Class::Indication, Method::BINDING, TransactionId(rng.transaction_id()));
        writer.fingerprint();
        Some(writer.finish().ok()?.len())
    }

    /// Takes the answer to a keepalive, which says nothing new; false if it is none.
    #[must_use]
    pub fn end_keepalive(&mut self, base: BaseId, source: SocketAddr, id: TransactionId) -> bool {
        let answered =
            |kept: &&mut Kept| kept.open == Some(id) && (kept.query.base, kept.query.addr) == (base, source);
        self.kept.iter_mut().find(answered).is_some_and(|kept| kept.open.take().is_some())
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
        self.note(query, |asked| asked.answers += 1);
        let answer = message.plain();
        // RFC 8489 §6.3.3, §6.3.4.
        if answer.attributes().unknown_required(&KNOWN).next().is_some() {
            return Some(Found::Incomplete(query));
        }
        if answer.message().class() != Class::Success {
            let error = answer.attributes().error_code();
            return Some(match error {
                Some(error) => Found::Refused(query, error.code, error.reason.into_owned()),
                None => Found::Incomplete(query),
            });
        }
        Some(match mapped_address(&answer) {
            Some(mapped) => {
                self.note(query, |asked| asked.mapped = Some(mapped));
                self.keep(now, query);
                Found::Mapped(query, mapped)
            }
            None => Found::Incomplete(query),
        })
    }

    /// What is due next, until `None`.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Timeout> {
        while let Some(kept) = self.kept.pop_front() {
            if kept.at > now {
                self.kept.push_front(kept);
                break;
            }
            self.due.push_back(kept.query);
        }
        Some(match self.transactions.poll_due(now)? {
            Due::Retransmit(id, _) => Timeout::Retransmit(id),
            Due::TimedOut(_, query) => Timeout::Unanswered(query),
        })
    }

    /// When [`Self::poll_timeout`] has something.
    pub fn deadline(&self) -> Option<Instant> {
        crate::time::earliest(self.transactions.deadline(), self.kept.front().map(|kept| kept.at))
    }

    /// Nobody receives what is sent from this base to this address: what is asked there ends, and is returned.
    pub fn end_unreachable(&mut self, base: BaseId, addr: SocketAddr) -> Vec<Query> {
        let is_it = |query: &Query| (query.base, query.addr) == (base, addr);
        let ended = self.transactions.owners().filter(is_it).collect();
        self.transactions.retain(|query| !is_it(query));
        ended
    }

    /// Gives up on what is still open, and says which servers did not answer.
    pub fn give_up(&mut self) -> Vec<Query> {
        let open = std::mem::take(&mut self.transactions);
        self.waiting.drain(..).chain(open.owners()).collect()
    }
}

/// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of servers that know RFC 3489 only (RFC 8445 §5.1.1.2).
fn mapped_address(answer: &Plain<'_>) -> Option<SocketAddr> {
    let attributes = answer.attributes();
    attributes.xor_address(attr::XOR_MAPPED_ADDRESS).or_else(|| attributes.address(attr::MAPPED_ADDRESS))
}
