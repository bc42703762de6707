//! All questions of a probe: paced, sent again, and matched with what comes back.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::ask::{Answer, Ask, AskId, Outcome, Seal, Whom};
use super::loss::{Answered, Loss};
use super::report::Sample;
use super::sockets::{Sockets, State};
use crate::io::{Datagram, SocketId};
use crate::rng::Rng;
use crate::stun::transaction::{Due, RTO, Transactions};
use crate::stun::wire::{Class, HEADER, Malformed, Method};
use crate::stun::{Message, TransactionId};
use crate::time::{Duration, Instant, earliest};

/// One transaction over UDP: four requests, at 0, 0.5, 1.5 and 3.5 s (RFC 8489 §6.2.1 with Rc = 4, Rm = 8). A question
/// has several.
const PATIENCE: Duration = Duration::from_millis(7500);
/// How long a server on a connection may take.
const STREAM_PATIENCE: Duration = Duration::from_secs(10);
/// Between new transactions, in milliseconds: never more than ten a second, and not in step (RFC 5780 §5).
const PACE: (u64, u64) = (101_000, 140_000);
/// Questions of a probe, at most.
const MAX_ASKS: usize = 1024;

#[derive(Debug)]
struct Entry {
    ask: Ask,
    outcome: Option<Outcome>,
    /// Requests of all its transactions so far.
    requests: u32,
    /// Those of the present one.
    requests_now: u32,
    attempts: u8,
    /// What came instead of an answer.
    instead: Option<Outcome>,
}

#[derive(Debug)]
pub(super) struct Asks {
    pub(super) rng: Rng,
    pub(super) sockets: Sockets,
    pub(super) loss: Loss,
    list: Vec<Entry>,
    waiting: VecDeque<AskId>,
    transactions: Transactions<AskId>,
    next_slot: Instant,
    /// Requests that are due.
    outbox: VecDeque<TransactionId>,
    /// Servers that have answered a plain request.
    live: BTreeSet<SocketAddr>,
    pub(super) samples: Vec<Sample>,
}

impl Asks {
    pub(super) fn new(now: Instant, rng: Rng, sockets: Sockets) -> Self {
        Self {
            rng,
            sockets,
            loss: Loss::default(),
            list: Vec::new(),
            waiting: VecDeque::new(),
            transactions: Transactions::default(),
            next_slot: now,
            outbox: VecDeque::new(),
            live: BTreeSet::new(),
            samples: Vec::new(),
        }
    }

    pub(super) fn open(&mut self) -> SocketId {
        self.sockets.open(&mut self.rng)
    }

    /// Where a socket is bound.
    pub(super) fn local(&self, socket: SocketId) -> Option<SocketAddr> {
        match self.sockets.state(socket) {
            State::Open(local) => Some(local),
            State::Opening(_) | State::Failed => None,
        }
    }

    /// Queues a question.
    pub(super) fn ask(&mut self, ask: Ask) -> AskId {
        let id = AskId(self.list.len());
        let is_over = self.list.len() >= MAX_ASKS;
        let outcome = is_over.then_some(Outcome::NoSocket);
        let attempts = ask.attempts;
        self.list.push(Entry { ask, outcome, requests: 0, requests_now: 0, attempts, instead: None });
        if !is_over {
            self.waiting.push_back(id);
        }
        id
    }

    pub(super) fn outcome(&self, id: AskId) -> Option<Outcome> {
        self.list.get(id.0)?.outcome
    }

    /// Requests that were sent for a question.
    pub(super) fn requests(&self, id: AskId) -> u32 {
        self.list.get(id.0).map_or(0, |entry| entry.requests)
    }

    /// The question itself.
    pub(super) fn asked(&self, id: AskId) -> Option<Ask> {
        Some(self.list.get(id.0)?.ask)
    }

    /// Forgets questions that nobody needs any more: they count as silent.
    pub(super) fn drop_open(&mut self) {
        self.waiting.clear();
        self.transactions = Transactions::default();
        self.outbox.clear();
        for entry in &mut self.list {
            entry.outcome.get_or_insert(Outcome::Silent);
        }
    }

    /// What time demands: retransmissions, failures, and the next question in its slot.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(due) = self.transactions.poll_due(now) {
            match due {
                Due::Retransmit(id, _) => self.outbox.push_back(id),
                Due::TimedOut(_, id) => self.time_out(id),
            }
        }
        let sockets = &self.sockets;
        let list = &mut self.list;
        self.waiting.retain(|id| {
            let entry = &mut list[id.0];
            let is_gone = entry.ask.whom != Whom::Connection
                && [entry.ask.socket, entry.ask.hears]
                    .iter()
                    .any(|socket| sockets.state(*socket) == State::Failed);
            if is_gone {
                entry.outcome = Some(Outcome::NoSocket);
            }
            !is_gone
        });
        if now >= self.next_slot
            && let Some(at) = self.waiting.iter().position(|id| self.is_ready(*id, now))
            && let Some(id) = self.waiting.remove(at)
        {
            self.begin(now, id);
            self.next_slot = now + Duration::from_micros(self.rng.between(PACE.0, PACE.1));
        }
    }

    fn is_ready(&self, id: AskId, now: Instant) -> bool {
        let ask = &self.list[id.0].ask;
        ask.not_before.is_none_or(|at| at <= now)
            && (ask.whom == Whom::Connection || self.local(ask.socket).is_some())
    }

    fn begin(&mut self, now: Instant, id: AskId) {
        let transaction = TransactionId(self.rng.transaction_id());
        let entry = &mut self.list[id.0];
        entry.attempts = entry.attempts.saturating_sub(1);
        entry.requests_now = 0;
        match entry.ask.whom {
            Whom::Connection => self.transactions.start_reliable(now, transaction, id, STREAM_PATIENCE),
            Whom::Server | Whom::Own => self.transactions.start_within(now, transaction, id, RTO, PATIENCE),
        }
        self.outbox.push_back(transaction);
    }

    fn time_out(&mut self, id: AskId) {
        let entry = &mut self.list[id.0];
        if entry.ask.is_plain() && self.live.contains(&entry.ask.to) {
            self.loss.note(entry.requests_now, Answered::No);
        }
        if entry.attempts > 0 {
            self.waiting.push_back(id);
        } else {
            entry.outcome = Some(entry.instead.unwrap_or(Outcome::Silent));
        }
    }

    /// When [`Self::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ready = self.waiting.iter().filter_map(|id| {
            let ask = &self.list[id.0].ask;
            let is_open = ask.whom == Whom::Connection || self.local(ask.socket).is_some();
            is_open.then(|| ask.not_before.map_or(self.next_slot, |at| at.max(self.next_slot)))
        });
        earliest(self.transactions.deadline(), ready.min())
    }

    /// The next request to send: its socket, its destination, its length in the buffer.
    pub(super) fn write(&mut self, buf: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        while let Some(transaction) = self.outbox.pop_front() {
            let Some(id) = self.transactions.find(transaction).map(|found| found.owner) else { continue };
            let entry = &mut self.list[id.0];
            let Some(len) = entry.ask.write(buf, transaction) else { continue };
            entry.requests += 1;
            entry.requests_now += 1;
            return Some((entry.ask.socket, entry.ask.to, len));
        }
        None
    }

    /// Takes what has arrived. Nobody vouches for it: it counts if it has the id of an open transaction, and comes from
    /// where it has to, to where it has to.
    pub(super) fn receive(&mut self, datagram: &Datagram<'_>) {
        let unsealed;
        let (message, seal) = match Message::parse(datagram.payload) {
            Ok(message) => (message, Seal::Whole),
            Err(Malformed::Fingerprint) => {
                unsealed = without_fingerprint(datagram.payload);
                match Message::parse(&unsealed) {
                    Ok(message) => (message, Seal::Broken),
                    Err(_) => return self.note_garbage(datagram),
                }
            }
            Err(_) => return self.note_garbage(datagram),
        };
        let transaction = message.transaction_id();
        let Some(id) = self.transactions.find(transaction).map(|found| found.owner) else { return };
        if message.method() != Method::BINDING {
            return;
        }
        let ask = self.list[id.0].ask;
        let outcome = match (message.class(), ask.whom) {
            (Class::Request, Whom::Own) if datagram.socket == ask.hears => Outcome::Returned(datagram.source),
            (Class::Success | Class::Error, Whom::Server | Whom::Connection) => {
                let local = self.local(ask.hears).unwrap_or(SocketAddr::new(self.sockets.local(), 0));
                match (Outcome::of(&message.plain(), seal, local), datagram.source, datagram.socket) {
                    // An error is the same wherever it was asked for.
                    (refused @ Outcome::Refused(_), source, _) if source == ask.to || source == ask.from => {
                        refused
                    }
                    (outcome, source, socket) if source == ask.from && socket == ask.hears => outcome,
                    (_, source, socket) if source == ask.to && socket == ask.socket => Outcome::Ignored,
                    (_, source, _) => {
                        self.list[id.0].instead = Some(Outcome::Elsewhere(source));
                        return;
                    }
                }
            }
            _ => return,
        };
        self.transactions.end(transaction);
        self.note_outcome(id, outcome);
    }

    fn note_outcome(&mut self, id: AskId, outcome: Outcome) {
        let entry = &mut self.list[id.0];
        entry.outcome = Some(outcome);
        let (ask, requests) = (entry.ask, entry.requests);
        if !ask.is_plain() {
            return;
        }
        self.live.insert(ask.to);
        self.loss.note(entry.requests_now, Answered::Yes);
        if let (Outcome::Answer(Answer { mapped, .. }), Some(local)) = (outcome, self.local(ask.socket)) {
            self.samples.push(Sample { local, to: ask.to, mapped, in_order: requests == 1 });
        }
    }

    fn note_garbage(&mut self, datagram: &Datagram<'_>) {
        let entry = self.list.iter_mut().rev().find(|entry| {
            entry.outcome.is_none()
                && entry.ask.hears == datagram.socket
                && entry.ask.from == datagram.source
                && entry.requests > 0
        });
        if let Some(entry) = entry {
            entry.instead.get_or_insert(Outcome::Garbage);
        }
    }

    /// A connection is over: what was asked on it is not answered.
    pub(super) fn lose(&mut self, socket: SocketId) {
        for entry in &mut self.list {
            if entry.ask.whom == Whom::Connection && entry.ask.socket == socket {
                entry.outcome.get_or_insert(Outcome::Silent);
            }
        }
        let list = &self.list;
        self.transactions.retain(|id| list[id.0].outcome.is_none());
        self.waiting.retain(|id| list[id.0].outcome.is_none());
    }
}

/// The same message without its last attribute, which is a FINGERPRINT that does not fit.
fn without_fingerprint(datagram: &[u8]) -> Vec<u8> {
    let mut copy = datagram.to_vec();
    copy.truncate(datagram.len().saturating_sub(8).max(HEADER));
    let length = (copy.len() - HEADER) as u16;
    if let Some(field) = copy.get_mut(2..4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    copy
}
