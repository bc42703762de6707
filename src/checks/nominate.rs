//! When the controlling agent nominates which pair (RFC 8445 §8.1.1): a pure function of a view.

use super::better::is_better;
use super::checklist::ChecklistState;
use super::pair::{Nominated, Pair, PairId, PairState};
use super::role::Role;
use super::set::ChecklistSet;
use crate::candidate::CandidateType;
use crate::io::ComponentId;
use crate::time::{Duration, Instant};

/// When to nominate. Data flows on the first valid pair in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nomination {
    /// The best valid pair, once nothing better is likely to come or `settle` has passed since the first one.
    Best {
        /// How long to wait for a better pair, up to an hour. A relayed pair waits up to four times as long for a
        /// direct one.
        settle: Duration,
    },
    /// The first valid pair.
    First,
}

/// Longer than this nobody waits for a better pair.
const MAX_SETTLE: Duration = Duration::from_secs(3600);

/// How a pair reaches the peer, as far as nomination cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Through a relay at either end.
    Relayed,
    /// Without a relay.
    Direct,
}

/// What nomination looks at, for one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The best valid pair.
    pub best: Reach,
    /// When the first pair of the component became valid.
    pub first_valid: Instant,
    /// Whether a pair that is not decided yet would be better.
    pub better_open: bool,
    /// Whether neither side will add candidates.
    pub all_candidates_known: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nominate the best valid pair now.
    Nominate,
    /// Decide again then, or when something changes.
    WaitUntil(Instant),
}

/// Decides for one component that has a valid pair and no nominated one.
pub fn decide(strategy: Nomination, view: &View, now: Instant) -> Decision {
    let Nomination::Best { settle } = strategy else { return Decision::Nominate };
    let more_may_come = view.better_open || (view.best == Reach::Relayed && !view.all_candidates_known);
    if !more_may_come {
        return Decision::Nominate;
    }
    let patience = match view.best {
        Reach::Direct => settle,
        Reach::Relayed => settle.saturating_mul(4),
    };
    let until = view.first_valid + patience.min(MAX_SETTLE);
    if now >= until { Decision::Nominate } else { Decision::WaitUntil(until) }
}

impl ChecklistSet {
    /// Lets the controlling agent decide for every component that has no nominated pair; to be called when a pair
    /// was validated or failed, a candidate or its end arrived, or the time of [`Self::settle_deadline`] has come.
    pub fn nominate(&mut self, now: Instant) {
        for stream in 0..self.checklists.len() as u16 {
            let components = self.checklist(stream).map_or(0, |checklist| checklist.components.len() as u16);
            for component in 1..=components {
                self.nominate_component(now, stream, component);
            }
        }
    }

    fn nominate_component(&mut self, now: Instant, stream: u16, number: u16) {
        let Some(component) = self.checklist_mut(stream).and_then(|list| list.component_mut(number)) else {
            return;
        };
        component.settle.stop();
        let busy = component.selected.is_some() || component.nominating.is_some();
        let (Some(first_valid), Some(&(_, id)), false) =
            (component.first_valid, component.valid.first(), busy)
        else {
            return;
        };
        let Some(pair) = self.pair(id).filter(|_| self.roles.role == Role::Controlling) else { return };
        let view = View {
            best: self.reach(pair),
            first_valid,
            better_open: self.best_open(stream, number).is_some_and(|open| open > pair.priority),
            all_candidates_known: self.local_ended
                && self.checklist(stream).is_some_and(|list| list.remote_ended),
        };
        let decision = decide(self.nomination, &view, now);
        let Some(component) = self.checklist_mut(stream).and_then(|list| list.component_mut(number)) else {
            return;
        };
        match decision {
            Decision::WaitUntil(until) => component.settle.set(until),
            Decision::Nominate => {
                component.nominating = Some(id);
                if let Some(pair) = self.pair_mut(id) {
                    pair.nominating = true;
                }
                self.trigger(id);
            }
        }
    }

    fn reach(&self, pair: &Pair) -> Reach {
        let local = self.bases.get(&pair.base).and_then(|local| self.local(*local));
        let near = local.is_some_and(|local| local.candidate.kind == CandidateType::Relayed);
        let far =
            self.remote(pair.remote).is_some_and(|remote| remote.candidate.kind == CandidateType::Relayed);
        if near || far { Reach::Relayed } else { Reach::Direct }
    }

    /// Makes a nominated pair the selected one of its component; of several the one of highest priority (RFC 8445
    /// §8.1.1). Returns whether it is new.
    pub(super) fn select(&mut self, id: PairId) -> bool {
        let Some(pair) = self.pair_mut(id) else { return false };
        pair.nominated = Nominated::Yes;
        pair.nominating = false;
        let at = pair.component;
        let Some(old) = self.checklist(at.stream).and_then(|list| list.component(at.component)) else {
            return false;
        };
        let old = old.selected.and_then(|old| self.pair(old).map(|pair| (old, pair)));
        if let (Some((_, old)), Some(new)) = (old, self.pair(id))
            && !is_better(new, old)
        {
            return false;
        }
        self.retire_others(id, at);
        let Some(checklist) = self.checklist_mut(at.stream) else { return false };
        if let Some(component) = checklist.component_mut(at.component) {
            component.selected = Some(id);
            component.nominating = None;
            component.settle.stop();
        }
        if checklist.is_selected() {
            checklist.state = ChecklistState::Completed;
        }
        true
    }

    /// RFC 8445 §8.1.2: no further check of this component. Pairs that were never heard of go; of the others the
    /// peer may still send data or checks, so they stay to be recognised.
    fn retire_others(&mut self, selected: PairId, at: ComponentId) {
        let others: Vec<_> = self
            .pairs()
            .filter(|(id, pair)| *id != selected && pair.component == at)
            .map(|(id, _)| id)
            .collect();
        for id in others {
            let Some(pair) = self.pair(id) else { continue };
            match pair.state {
                PairState::Succeeded | PairState::Failed => {}
                PairState::InProgress => self.cancel_check(id),
                _ if pair.authenticated => self.set_state(id, PairState::Failed),
                _ => self.remove_pair(id),
            }
        }
        let queue =
            self.checklist_mut(at.stream).map(|list| std::mem::take(&mut list.triggered)).unwrap_or_default();
        for id in queue {
            if self.pair(id).is_some_and(|pair| pair.component != at) {
                if let Some(checklist) = self.checklist_mut(at.stream) {
                    checklist.triggered.push_back(id);
                }
            } else if let Some(pair) = self.pair_mut(id) {
                pair.queued = false;
            }
        }
    }

    /// When [`Self::nominate`] is due.
    pub fn settle_deadline(&self) -> Option<Instant> {
        let components = self.checklists.iter().flat_map(|checklist| &checklist.components);
        components.filter_map(|component| component.settle.deadline()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_only_while_something_better_may_come() {
        let start = crate::time::test_epoch();
        let settle = Duration::from_millis(500);
        let best = Nomination::Best { settle };
        let view = |best, better_open, all_candidates_known| View {
            best,
            first_valid: start,
            better_open,
            all_candidates_known,
        };
        for (strategy, view, after_ms, expected) in [
            (Nomination::First, view(Reach::Relayed, true, false), 0, Decision::Nominate),
            (best, view(Reach::Direct, false, false), 0, Decision::Nominate),
            (best, view(Reach::Direct, true, false), 0, Decision::WaitUntil(start + settle)),
            (best, view(Reach::Direct, true, false), 500, Decision::Nominate),
            (best, view(Reach::Relayed, false, true), 0, Decision::Nominate),
            (best, view(Reach::Relayed, false, false), 500, Decision::WaitUntil(start + settle * 4)),
            (best, view(Reach::Relayed, true, true), 1999, Decision::WaitUntil(start + settle * 4)),
            (best, view(Reach::Relayed, true, true), 2000, Decision::Nominate),
            (
                Nomination::Best { settle: Duration::MAX },
                view(Reach::Relayed, true, true),
                0,
                Decision::WaitUntil(start + MAX_SETTLE),
            ),
        ] {
            assert_eq!(
                decide(strategy, &view, start + Duration::from_millis(after_ms)),
                expected,
                "{view:?}"
            );
        }
    }
}
