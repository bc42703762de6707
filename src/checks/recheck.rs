//! The re-check: a likely pair that has not answered is checked again, with a new transaction, long before RFC 8489
//! would repeat the first request.
//!
//! A request is lost where the peer's NAT is not open yet, because the peer learns of us later than we of it, or simply
//! on the way; the next one would leave half a second later. This is beyond RFC 8445, which neither forbids a further
//! check of a pair nor asks for it; every one is a transaction of its own, paced as all are (§14.2), at most
//! - every second one of the slots where less likely pairs wait for their first check,
//! - one per pair in 56 ms, or in a Ta if that is longer,
//! - eight per pair, and as many again for its nomination.
//!
//! The transaction before is not repeated any more; its answer still counts. [`Recheck::Off`] switches all of it off.

use super::checklist::{Checklist, ChecklistState};
use super::likelihood::Likelihood;
use super::pair::{Pair, PairId, PairState};
use super::set::ChecklistSet;
use crate::sorted::Sorted;
use crate::time::{Duration, Instant};

/// Whether likely pairs are checked again early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Recheck {
    /// They are.
    On,
    /// RFC 8489 §6.2.1 alone repeats requests.
    Off,
}

/// From one check of a pair to the next; what is more than 50 ms lets an answer after just that arrive first, also where
/// the check before had to wait for a slot or two.
const SPACING: Duration = Duration::from_millis(56);
/// From the first check of a pair to that after a triggered one: the peer's NAT is open then, only a loss is a reason to
/// ask again, and most round trips are shorter.
const UNHINDERED: Duration = Duration::from_millis(105);
/// Re-checks of a pair.
const MAX_RECHECKS: u8 = 8;

/// When which pair may be checked again.
#[derive(Debug, Default)]
pub(super) struct Rechecks {
    due: Sorted<(Instant, PairId)>,
    /// The slot before was that of a re-check, and the next one is not before then.
    not_before: Option<Instant>,
}

impl ChecklistSet {
    /// A check of this pair begins.
    pub(super) fn arm_recheck(&mut self, now: Instant, id: PairId) {
        self.disarm_recheck(id);
        let spacing = SPACING.max(self.ta());
        let Some(pair) = self.pair_mut(id) else { return };
        let first = *pair.unanswered.get_or_insert(now);
        let is_triggered = pair.triggered == Some(now) && !pair.nominating;
        let at = if is_triggered { (now + spacing).max(first + UNHINDERED) } else { now + spacing };
        let wanted = |pair: &Pair| pair.rechecks < MAX_RECHECKS && pair.transaction.is_some();
        if self.recheck == Recheck::Off || !self.pair(id).is_some_and(wanted) {
            return;
        }
        if let Some(pair) = self.pair_mut(id) {
            pair.recheck = Some(at);
            self.rechecks.due.insert((at, id));
        }
    }

    /// Its outcome is known, or it is gone.
    pub(super) fn disarm_recheck(&mut self, id: PairId) {
        if let Some(at) = self.pair_mut(id).and_then(|pair| pair.recheck.take()) {
            self.rechecks.due.remove(&(at, id));
        }
    }

    /// When a pair may be checked again, if one may.
    pub fn recheck_deadline(&self) -> Option<Instant> {
        let due = self.rechecks.due.first().map(|(at, _)| *at)?;
        Some(self.not_before().map_or(due, |not_before| due.max(not_before)))
    }

    /// Where a first check waits, the slot after a re-check is its.
    fn not_before(&self) -> Option<Instant> {
        self.rechecks.not_before.filter(|_| self.likeliest_waiting().is_some())
    }

    /// The pair whose turn it is. Those that are not worth it any more are forgotten.
    pub(super) fn next_recheck(&mut self, now: Instant) -> Option<PairId> {
        if self.not_before().is_some_and(|at| now < at) {
            return None;
        }
        let due = self.rechecks.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id);
        for id in due.collect::<Vec<_>>() {
            match self.pair(id).map_or(Worth::Nothing, |pair| self.worth_of(pair)) {
                Worth::Nothing => self.disarm_recheck(id),
                Worth::Later => {}
                Worth::Now => {
                    self.disarm_recheck(id);
                    self.cancel_check(id);
                    self.pair_mut(id)?.rechecks += 1;
                    self.rechecks.not_before = Some(now + self.ta() * 2);
                    return Some(id);
                }
            }
        }
        None
    }

    /// Whether a triggered check of this pair is under way that was sent so lately, and has its re-check to come, that a
    /// further request of the peer needs no other one.
    pub(super) fn is_checked_back(&self, now: Instant, id: PairId) -> bool {
        self.pair(id).is_some_and(|pair| {
            let lately = pair.triggered.is_some_and(|at| now < at + UNHINDERED);
            pair.recheck.is_some() && pair.transaction.is_some() && lately
        })
    }

    /// A slot was used for something else.
    pub(super) fn allow_recheck(&mut self) {
        self.rechecks.not_before = None;
    }

    fn worth_of(&self, pair: &Pair) -> Worth {
        if pair.transaction.is_none() || pair.queued {
            return Worth::Nothing;
        }
        if pair.nominating {
            return Worth::Now;
        }
        let component =
            self.checklist(pair.component.stream).and_then(|it| it.component(pair.component.component));
        // Where data flows, time is not short any more.
        let has_path = component.is_none_or(|component| component.usable().is_some());
        if pair.state != PairState::InProgress || has_path || !self.is_likely(pair) {
            return Worth::Nothing;
        }
        // The peer reaches us on another pair: that one is more than likely.
        if !pair.authenticated && component.is_some_and(|component| component.is_heard) {
            return Worth::Nothing;
        }
        if self.likeliest_waiting().is_some_and(|waiting| waiting >= pair.likelihood) {
            Worth::Later
        } else {
            Worth::Now
        }
    }

    /// How likely the next pair is that has not been checked yet, and may be: a TCP pair that has to wait for other
    /// connections holds nobody back.
    fn likeliest_waiting(&self) -> Option<Likelihood> {
        let running = |list: &&Checklist| list.may_check() && list.state != ChecklistState::Failed;
        let first = self
            .checklists
            .iter()
            .filter(running)
            .filter_map(|list| list.waiting.iter().find(|(.., id)| !self.is_held(*id)));
        first.map(|(likelihood, ..)| likelihood.0).max()
    }
}

/// What a further check of a pair is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Nothing,
    /// Pairs that are as likely have not had their first one.
    Later,
    Now,
}
