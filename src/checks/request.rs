//! Our check and its answer (RFC 8445 §7.2).

use std::net::SocketAddr;

use super::pair::{Failure, Nominated, PairId, PairState, Quality};
use super::respond::KNOWN;
use super::role::{Role, Roles};
use super::set::ChecklistSet;
use crate::candidate::BaseId;
use crate::rng::Rng;
use crate::stun::auth::Integrity;
use crate::stun::transaction::{Due, Transaction, Transactions};
use crate::stun::wire::{Class, Method, attr};
use crate::stun::{Message, TransactionId, Verified, Writer};
use crate::time::{Duration, Instant};

/// What one check says: frozen when it starts, because a retransmission repeats it whatever happened since.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// The pair it was sent on.
    pub pair: PairId,
    /// It nominates (RFC 8445 §7.1.2).
    pub use_candidate: bool,
    /// The value of the nomination, for a peer that knows renomination.
    pub nomination: Option<u32>,
    pub(super) roles: Roles,
    pub(super) priority: u32,
}

impl Check {
    /// The same check as a consent request, which never nominates (RFC 7675 §5.1).
    #[must_use]
    pub fn without_nomination(self) -> Self {
        Self { use_candidate: false, nomination: None, ..self }
    }
}

/// What an answer, or its absence, changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It belongs to no check of ours, or nobody vouches for it: dropped, the check goes on.
    Ignored,
    /// It was taken and changed nothing.
    Unchanged,
    /// The pair is valid (RFC 8445 §7.2.5.3.2); `selected` if that nominated it.
    Validated {
        /// The pair.
        pair: PairId,
        /// Whether it is the selected pair now.
        selected: bool,
    },
    /// The pair failed.
    Failed(PairId),
    /// 487: the role switched (RFC 8445 §7.2.5.1).
    Switched(Role),
}

/// What is due in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Send this check again.
    Retransmit(TransactionId),
    /// The pair failed (RFC 8445 §7.2.5.2.3).
    Failed(PairId),
}

/// Where a written message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressed {
    /// From this base.
    pub base: BaseId,
    /// To this address.
    pub destination: SocketAddr,
    /// So many bytes were written.
    pub len: usize,
}

impl ChecklistSet {
    /// Whether a check of ours has this transaction id.
    pub fn has_transaction(&self, id: TransactionId) -> bool {
        self.transactions.find(id).is_some()
    }

    /// Whether the check of this transaction nominates.
    pub fn nominates(&self, id: TransactionId) -> bool {
        self.transactions.find(id).is_some_and(|transaction| transaction.owner.use_candidate)
    }

    /// Writes an open check; `None` if it ended meanwhile.
    pub fn write_check(&mut self, id: TransactionId, buf: &mut [u8]) -> Option<Addressed> {
        let check = self.transactions.find(id)?.owner;
        let written = self.write_request(id, &check, buf)?;
        self.pair_mut(check.pair)?.quality.requests_sent += 1;
        Some(written)
    }

    /// Writes a Binding request with the content of RFC 8445 §7.1 and the credentials of §7.2.2. Consent requests
    /// are made the same way (RFC 7675 §5.1).
    pub fn write_request(&self, id: TransactionId, check: &Check, buf: &mut [u8]) -> Option<Addressed> {
        let pair = self.pair(check.pair)?;
        let len = self.write_binding(pair.component.stream, id, check, buf)?;
        Some(Addressed { base: pair.base, destination: pair.destination, len })
    }

    /// The bytes of a check; how many they are.
    pub(super) fn write_binding(
        &self,
        stream: u16,
        id: TransactionId,
        check: &Check,
        buf: &mut [u8],
    ) -> Option<usize> {
        let remote = self.checklist(stream)?.remote.as_ref()?;
        let mut writer = Writer::new(buf, Class::Request, Method::BINDING, id);
        writer.put(attr::USERNAME, remote.username.as_bytes());
        writer.put_u32(attr::PRIORITY, check.priority);
        writer.put_u64(check.roles.role.attribute(), check.roles.tiebreaker);
        if check.use_candidate {
            writer.put(attr::USE_CANDIDATE, &[]);
        }
        if let Some(value) = check.nomination {
            writer.put_u32(attr::NOMINATION, value);
        }
        writer.integrity(&remote.key, Integrity::Sha1).fingerprint();
        Some(writer.finish().ok()?.len())
    }

    /// An answer that the peer's key vouches for, protected as our requests are (RFC 8489 §7, §9.1.4).
    pub fn verify_answer<'a>(&self, stream: u16, message: Message<'a>) -> Option<Verified<'a>> {
        let answer = message.verify(&self.checklist(stream)?.remote.as_ref()?.key).ok()?;
        (answer.by() == Integrity::Sha1 && message.has_fingerprint()).then_some(answer)
    }

    /// Processes the answer to a check of ours (RFC 8445 §7.2.5).
    pub fn handle_answer(
        &mut self,
        now: Instant,
        base: BaseId,
        source: SocketAddr,
        message: Message<'_>,
        rng: &mut Rng,
    ) -> Outcome {
        let id = message.transaction_id();
        let Some(check) = self.transactions.find(id).map(|transaction| transaction.owner) else {
            return Outcome::Ignored;
        };
        let Some(pair) = self.pair(check.pair) else { return Outcome::Ignored };
        let symmetric = (pair.base, pair.destination) == (base, source);
        let Some(answer) = self.verify_answer(pair.component.stream, message) else {
            if let Some(pair) = self.pair_mut(check.pair) {
                pair.quality.answers_unverified += 1;
            }
            return Outcome::Ignored;
        };
        let Some(transaction) = self.transactions.end(id) else { return Outcome::Ignored };
        let code = answer.attributes().error_code().map_or(0, |error| error.code);
        match message.class() {
            // A conflict of roles concerns the session, whatever way the peer's word of it took.
            Class::Error if code == 487 => self.switch(id, &check, rng),
            // RFC 8445 §7.2.5.2.1.
            _ if !symmetric => self.fail(id, &check, Failure::Asymmetric(source)),
            Class::Success => self.succeed(now, &transaction, &answer),
            _ => self.fail(id, &check, Failure::Refused(code)),
        }
    }

    /// RFC 8445 §7.2.5.3.
    fn succeed(&mut self, now: Instant, transaction: &Transaction<Check>, answer: &Verified<'_>) -> Outcome {
        let check = transaction.owner;
        // RFC 8489 §6.3.3.
        let understood = Some(answer.attributes()).filter(|it| it.unknown_required(&KNOWN).next().is_none());
        let Some(mapped) = understood.and_then(|it| it.xor_address(attr::XOR_MAPPED_ADDRESS)) else {
            return self.fail(answer.message().transaction_id(), &check, Failure::Incomplete);
        };
        let Some(local) = self.local_of(&check, mapped) else { return Outcome::Unchanged };
        let Some(pair) = self.pair(check.pair) else { return Outcome::Unchanged };
        let (group, component, other) = (pair.group, pair.component, pair.transaction);
        let id = answer.message().transaction_id();
        // The answer to a check that a triggered one had replaced: the later one has nothing left to prove, unless
        // it nominates.
        let superseded = other.filter(|other| *other != id);
        let still_open = superseded.filter(|other| !check.use_candidate && self.nominates(*other));
        if let (Some(other), None) = (superseded, still_open) {
            self.transactions.cancel(other);
        }
        if still_open.is_none() {
            self.disarm_recheck(check.pair);
        }
        self.unindex(check.pair);
        let nominated = self.pair_mut(check.pair).is_some_and(|pair| {
            pair.state = PairState::Succeeded;
            pair.note_answer(now, transaction.rtt(now));
            pair.asked = None;
            pair.unanswered = None;
            pair.silent = false;
            pair.transaction = still_open;
            check.use_candidate || pair.nominated == Nominated::OnSuccess
        });
        let valid = self.prove(now, check.pair, local);
        self.index(check.pair);
        if !nominated && self.pair(check.pair).is_some_and(|pair| !pair.nominating) {
            self.untrigger(check.pair);
        }
        // RFC 8445 §7.2.5.3.3: over all checklists.
        for id in self.groups.frozen(group) {
            self.set_state(id, PairState::Waiting);
        }
        if let Some(component) =
            self.checklist_mut(component.stream).and_then(|c| c.component_mut(component.component))
        {
            component.first_valid.get_or_insert(now);
        }
        let selected = (nominated && self.select(valid)) || self.take_over(valid);
        Outcome::Validated { pair: valid, selected }
    }

    /// RFC 8445 §7.2.5.1: the pair is checked again, in the other role.
    fn switch(&mut self, id: TransactionId, check: &Check, rng: &mut Rng) -> Outcome {
        let switched = self.roles.refused(check.roles.role, rng);
        if switched {
            self.reprioritize();
        }
        if let Some(pair) = self.pair_mut(check.pair) {
            pair.quality.role_conflicts += 1;
            if pair.transaction == Some(id) {
                pair.transaction = None;
            }
            if pair.state != PairState::Succeeded {
                self.set_state(check.pair, PairState::Waiting);
            }
            self.trigger(check.pair);
        }
        if switched { Outcome::Switched(self.roles.role) } else { Outcome::Unchanged }
    }

    /// An answer to a consent request is a measurement of its pair. It shows that the pair works: a nominating check
    /// that waits for a late retransmission is replaced by a new one (RFC 8445 §7.3.1.4), and so is never the last.
    ///
    /// Where it shows that a NAT has given us another address, the peer has to hear the nomination from there: a peer
    /// that follows nominations has no other reason to leave the address that is gone.
    pub fn note_consent(&mut self, now: Instant, id: PairId, rtt: Duration, mapped: Option<SocketAddr>) {
        let Some(pair) = self.pair_mut(id) else { return };
        pair.note_answer(now, Some(rtt));
        let nominating = pair.transaction.filter(|_| pair.nominating);
        if nominating.and_then(|id| self.transactions.find(id)).is_some_and(|open| open.sent > 1) {
            self.cancel_check(id);
            self.trigger(id);
        }
        if let Some(mapped) = mapped.filter(|_| self.roles.role == Role::Controlling && self.is_selected(id))
        {
            self.follow_mapping(id, mapped);
        }
    }

    fn follow_mapping(&mut self, id: PairId, mapped: SocketAddr) {
        let known = self.pair(id).and_then(|pair| self.local(pair.valid?)?.candidate.address.socket());
        let Some(check) = self.check_of(id).filter(|_| known != Some(mapped)) else { return };
        let Some(local) = self.local_of(&check, mapped) else { return };
        self.unindex(id);
        self.make_valid(id, local);
        self.index(id);
        self.nominate_pair(id);
    }

    /// The next retransmission or failure, until `None`.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Timeout> {
        loop {
            match self.transactions.poll_due(now)? {
                Due::Retransmit(id, check) => {
                    self.note_silence(now, id, &check);
                    return Some(Timeout::Retransmit(id));
                }
                Due::TimedOut(id, check) => {
                    let why = self.why_unanswered(check.pair);
                    if let Outcome::Failed(pair) = self.fail(id, &check, why) {
                        return Some(Timeout::Failed(pair));
                    }
                }
            }
        }
    }

    /// Whether nothing came back, or only what the peer cannot have signed.
    fn why_unanswered(&self, id: PairId) -> Failure {
        let forged = |quality: &Quality| quality.answers_unverified > 0 && quality.responses_received == 0;
        match self.pair(id) {
            Some(pair) if forged(&pair.quality) => Failure::IntegrityViolated,
            _ => Failure::Unanswered,
        }
    }

    /// ICMP says that nobody receives what goes from this base to this address (RFC 8445 §7.2.5.2.2). Whether a pair failed:
    /// one that is being checked, of which nothing was ever heard, and only the second time, since the first request may
    /// have come before the peer's NAT was open, or the error from somebody else.
    pub fn note_unreachable(&mut self, base: BaseId, destination: SocketAddr) -> bool {
        let Some(id) = self.pair_of(base, destination) else { return false };
        let Some(pair) = self.pair_mut(id) else { return false };
        let (Some(open), false) = (pair.transaction, pair.authenticated || pair.answered.is_some()) else {
            return false;
        };
        let sent = pair.quality.requests_sent;
        if pair.unreachable.is_none_or(|before| before == sent) {
            pair.unreachable = Some(sent);
            return false;
        }
        pair.unreachable = None;
        let check = self.transactions.end(open).map(|open| open.owner);
        check.is_some_and(|check| matches!(self.fail(open, &check, Failure::Unreachable), Outcome::Failed(_)))
    }

    /// RFC 8445 §7.2.5.2: the pair fails, unless a later check is under way. A pair whose nomination fails is not
    /// valid any more (§7.2.5.3.4); the checklist goes on while it can (RFC 8863 §4).
    fn fail(&mut self, id: TransactionId, check: &Check, why: Failure) -> Outcome {
        let Some(pair) = self.pair_mut(check.pair) else { return Outcome::Unchanged };
        if pair.transaction != Some(id) {
            return Outcome::Unchanged;
        }
        pair.transaction = None;
        pair.nominating = false;
        let component = pair.component;
        self.disarm_recheck(check.pair);
        self.unindex(check.pair);
        if let Some(pair) = self.pair_mut(check.pair) {
            pair.state = PairState::Failed;
            pair.failure = Some(why);
            pair.valid = None;
            pair.nominated = Nominated::No;
            if matches!(why, Failure::Unanswered | Failure::IntegrityViolated) {
                pair.hang_up();
            }
        }
        self.index(check.pair);
        if let Some(component) =
            self.checklist_mut(component.stream).and_then(|c| c.component_mut(component.component))
        {
            component.nominating = component.nominating.filter(|nominating| *nominating != check.pair);
        }
        Outcome::Failed(check.pair)
    }

    /// Takes a pair out of the triggered-check queue.
    pub(super) fn untrigger(&mut self, id: PairId) {
        let Some(stream) = self.pair(id).filter(|pair| pair.queued).map(|pair| pair.component.stream) else {
            return;
        };
        self.unindex(id);
        if let Some(pair) = self.pair_mut(id) {
            pair.queued = false;
        }
        self.index(id);
        if let Some(checklist) = self.checklist_mut(stream) {
            checklist.triggered.retain(|queued| *queued != id);
        }
    }

    /// Takes the transaction of a pair out of retransmission; its answer still counts (RFC 8445 §7.3.1.4).
    pub(super) fn cancel_check(&mut self, id: PairId) {
        let transaction = self.pair_mut(id).and_then(|pair| pair.transaction.take());
        if let Some(transaction) = transaction {
            self.transactions.cancel(transaction);
        }
    }

    /// The agent is over: no check is sent again, and no answer counts.
    pub fn conclude(&mut self) {
        self.transactions = Transactions::default();
    }

    /// When [`Self::poll_timeout`] has something.
    pub fn transaction_deadline(&self) -> Option<Instant> {
        self.transactions.deadline()
    }
}
