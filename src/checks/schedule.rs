//! What is checked next (RFC 8445 §6.1.4.2), and how long its answer is waited for (§14.3).

use super::checklist::{Checklist, ChecklistState, Withheld};
use super::pair::{Link, PairId, PairState};
use super::request::Check;
use super::role::Role;
use super::set::ChecklistSet;
use crate::candidate::CandidateType;
use crate::candidate::priority::{candidate_priority, local_preference, priority, tcp_type_preference};
use crate::io::Transport;
use crate::rng::Rng;
use crate::stun::TransactionId;
use crate::stun::transaction::{RTO, TI, lifetime};
use crate::time::{Duration, Instant};

/// After so many triggered checks in a row an ordinary one has its turn, so that a peer that checks from ever new
/// addresses cannot keep the agent from the pairs that work. Short of that, RFC 8445 §6.1.4.2 to the letter.
const MAX_IN_A_ROW: u8 = 8;
/// The longest RTO of a check: the product of RFC 8445 §14.3 is capped, so that a hundred pairs do not make the
/// first retransmission wait for a minute.
const MAX_RTO: Duration = Duration::from_secs(3);

impl ChecklistSet {
    /// Our credentials of this stream wait to be signalled, or not any more.
    pub fn withhold(&mut self, stream: u16, credentials: Withheld) {
        if let Some(checklist) = self.checklist_mut(stream) {
            checklist.is_withheld = credentials == Withheld::Yes;
        }
    }

    /// Whether a triggered check waits: those go before gathering.
    pub fn has_triggered(&self) -> bool {
        let waits = |list: &Checklist| list.may_check() && list.triggered.iter().any(|id| !self.is_held(*id));
        self.sends_checks() && self.checklists.iter().any(waits)
    }

    /// Whether [`Self::begin_check`] has something to do.
    pub fn wants_slot(&self, now: Instant) -> bool {
        if self.recheck_deadline().is_some_and(|at| at <= now) && self.sends_checks() {
            return true;
        }
        let mut lists = self.checklists.iter().enumerate().filter(|_| self.sends_checks());
        lists.any(|(stream, checklist)| {
            let waits = || checklist.waiting.iter().any(|(.., id)| !self.is_held(*id));
            let ordinary = checklist.state != ChecklistState::Failed
                && (waits() || self.groups.has_thawable(stream as u16));
            let triggered = || checklist.triggered.iter().any(|id| !self.is_held(*id));
            checklist.may_check() && (ordinary || triggered())
        })
    }

    /// The slot of this Ta: starts one check, of the next checklist in turn that has one.
    pub fn begin_check(&mut self, now: Instant, rng: &mut Rng) -> Option<TransactionId> {
        if !self.sends_checks() {
            return None;
        }
        if !self.has_triggered()
            && let Some(pair) = self.next_recheck(now)
        {
            return self.start_check(now, pair, rng);
        }
        let count = self.checklists.len();
        for offset in 0..count {
            let stream = (self.turn + offset) % count;
            if let Some(pair) = self.next_pair(now, stream as u16) {
                self.turn = (stream + 1) % count;
                self.allow_recheck();
                return self.start_check(now, pair, rng);
            }
        }
        None
    }

    /// Steps 1 to 3 of RFC 8445 §6.1.4.2 for one checklist.
    fn next_pair(&mut self, now: Instant, stream: u16) -> Option<PairId> {
        let checklist = self.checklist(stream).filter(|list| list.may_check())?;
        if checklist.in_a_row < MAX_IN_A_ROW {
            self.next_triggered(now, stream).or_else(|| self.next_ordinary(stream))
        } else {
            self.next_ordinary(stream).or_else(|| self.next_triggered(now, stream))
        }
    }

    fn next_triggered(&mut self, now: Instant, stream: u16) -> Option<PairId> {
        let at = self.checklist(stream)?.triggered.iter().position(|id| !self.is_held(*id))?;
        let checklist = self.checklist_mut(stream)?;
        let id = checklist.triggered.remove(at)?;
        checklist.in_a_row = checklist.in_a_row.saturating_add(1);
        if let Some(pair) = self.pair_mut(id) {
            pair.queued = false;
            pair.triggered = Some(now);
        }
        Some(id)
    }

    fn next_ordinary(&mut self, stream: u16) -> Option<PairId> {
        let checklist = self.checklist_mut(stream)?;
        checklist.in_a_row = 0;
        if checklist.state == ChecklistState::Failed {
            return None;
        }
        if let Some(id) = self.first_waiting(stream) {
            return Some(id);
        }
        for id in self.groups.thawable(stream) {
            self.set_state(id, PairState::Waiting);
        }
        self.first_waiting(stream)
    }

    fn first_waiting(&self, stream: u16) -> Option<PairId> {
        let mut waiting = self.checklist(stream)?.waiting.iter().map(|(.., id)| *id);
        waiting.find(|id| !self.is_held(*id))
    }

    fn start_check(&mut self, now: Instant, id: PairId, rng: &mut Rng) -> Option<TransactionId> {
        let check = self.check_of(id)?;
        let transaction = TransactionId(rng.transaction_id());
        let rto = self.rto();
        if self.transactions.len() >= self.limits.open_transactions() {
            self.transactions.forget_cancelled();
        }
        let pair = self.pair_mut(id)?;
        pair.transaction = Some(transaction);
        if pair.authenticated && pair.valid.is_none() {
            pair.asked.get_or_insert(now);
        }
        if pair.state != PairState::Succeeded {
            self.unindex(id);
            let pair = self.pair_mut(id)?;
            (pair.state, pair.silent) = (PairState::InProgress, false);
            self.index(id);
        }
        if self.begin_link(id) == Some(Link::Datagrams) {
            self.transactions.start_within(now, transaction, check, rto, lifetime(RTO));
            self.arm_recheck(now, id);
        } else {
            // TCP delivers it (RFC 6544 §7.1).
            self.transactions.start_reliable(now, transaction, check, TI);
        }
        Some(transaction)
    }

    /// What a check on this pair says now; retransmissions repeat it.
    pub fn check_of(&self, id: PairId) -> Option<Check> {
        let pair = self.pair(id)?;
        let local = self.local_at(pair.base)?;
        let preference = local_preference(local.candidate.priority);
        // RFC 8445 §7.1.1: as if it were learnt by the peer.
        let kind = CandidateType::PeerReflexive;
        let priority = match local.candidate.transport {
            Transport::Udp => candidate_priority(kind, preference, local.component.component),
            Transport::Tcp => {
                priority(tcp_type_preference(kind, self.tcp), preference, local.component.component)
            }
        };
        let use_candidate = pair.nominating && self.roles.role == Role::Controlling;
        let renominates = use_candidate && self.renominates(pair.component.stream);
        let nomination = renominates.then_some(pair.nomination);
        Some(Check { pair: id, roles: self.roles, priority, use_candidate, nomination })
    }

    /// RFC 8445 §14.3 with the product of Ta and the checks to be done, within 500 ms and 3 s. Whatever it is, a check fails
    /// after 39.5 s, as the peer's patience is no longer either (RFC 8863 §4).
    fn rto(&self) -> Duration {
        (self.ta() * self.groups.active()).clamp(RTO, MAX_RTO)
    }

    /// Puts a pair into the triggered-check queue, once; there it waits, not among the ordinary ones. If the queue is
    /// full it stays among these. A nomination has room in any case.
    pub(super) fn trigger(&mut self, id: PairId) {
        let Some(pair) = self.pair(id).filter(|pair| !pair.queued) else { return };
        let stream = pair.component.stream;
        if !pair.nominating && self.checklist(stream).is_none_or(|list| self.is_full(list)) {
            return;
        }
        self.unindex(id);
        if let Some(pair) = self.pair_mut(id) {
            pair.queued = true;
        }
        self.index(id);
        if let Some(checklist) = self.checklist_mut(stream) {
            checklist.triggered.push_back(id);
        }
    }

    fn is_full(&self, list: &Checklist) -> bool {
        let early = list.remote.is_none() && list.triggered.len() >= usize::from(self.limits.early_checks);
        early || list.triggered.len() >= usize::from(self.limits.triggered_checks)
    }
}
