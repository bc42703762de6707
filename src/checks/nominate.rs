//! When the controlling agent nominates which pair (RFC 8445 §8.1.1): a pure function of a view.

use super::pair::{Link, Pair, PairId};
use super::role::Role;
use super::set::ChecklistSet;
use crate::candidate::CandidateType;
use crate::io::ComponentId;
use crate::time::{Duration, Instant};

/// When to nominate. Data flows on the first valid pair in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nomination {
    /// As [`Best`](Self::Best), and where the peer knows the ICE option `renomination` too, a better pair that becomes
    /// valid later is nominated with a higher value; both ends follow the highest. With other peers as `Best`.
    ///
    /// With such a peer each component keeps a [spare pair](super::spare) too: a valid one that leaves from another base or
    /// leads to another address, checked every 25 s, whose relay is not given back. Checks go on after the nomination until
    /// there is one. When the selected pair is lost, because consent expired or its socket went, the spare one is nominated
    /// at once; the controlled agent sends on its own spare one until then.
    Renominate {
        /// As in [`Best`](Self::Best).
        settle: Duration,
    },
    /// The best valid pair, once nothing better is likely to come or `settle` has passed since the first one.
    Best {
        /// How long to wait for a better pair, up to an hour. A pair through a relay or over TCP waits up to four times
        /// as long for a direct one over UDP.
        settle: Duration,
    },
    /// The first valid pair.
    First,
    /// What the application chooses, by [`Agent::nominate`](crate::agent::Agent::nominate).
    Manual,
}

/// Longer than this nobody waits for a better pair.
const MAX_SETTLE: Duration = Duration::from_secs(3600);

/// How a pair reaches the peer, as far as nomination cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Through a relay at either end.
    Relayed,
    /// Without a relay, over TCP.
    Stream,
    /// Without a relay, over UDP.
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
    /// Somebody else decides.
    Wait,
}

/// Decides for one component that has a valid pair and no nominated one.
pub fn decide(strategy: Nomination, view: &View, now: Instant) -> Decision {
    let settle = match strategy {
        Nomination::Best { settle } | Nomination::Renominate { settle } => settle,
        Nomination::First => return Decision::Nominate,
        Nomination::Manual => return Decision::Wait,
    };
    let more_may_come = view.better_open || (view.best != Reach::Direct && !view.all_candidates_known);
    if !more_may_come {
        return Decision::Nominate;
    }
    let patience = match view.best {
        Reach::Direct => settle,
        Reach::Relayed | Reach::Stream => settle.saturating_mul(4),
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
        let renominates = self.renominates(stream);
        let Some(component) = self.checklist_mut(stream).and_then(|list| list.component_mut(number)) else {
            return;
        };
        component.settle.stop();
        let (selected, idle) = (component.selected, component.nominating.is_none());
        if component.decided && !renominates {
            return;
        }
        let first_valid = component.first_valid;
        if let Some(selected) = selected {
            if idle && self.roles.role == Role::Controlling && renominates {
                self.promote(now, ComponentId { stream, component: number }, selected);
            }
            return;
        }
        // One whose consent has lapsed would have to be checked in any case, and one that was nominated in vain was.
        let component = self.checklist(stream).and_then(|list| list.component(number));
        let agrees = |pair: &Pair| pair.has_consent(now) && !pair.silent;
        let best = component.and_then(|it| it.valid().find(|id| self.pair(*id).is_some_and(agrees)));
        let (Some(first_valid), Some(id), true) = (first_valid, best, idle) else { return };
        let Some(pair) = self.pair(id).filter(|_| self.roles.role == Role::Controlling) else { return };
        if let Some(next) = self.next_in_line(now, ComponentId { stream, component: number }, None) {
            // The selected pair is lost, and this one is known to work.
            return self.nominate_pair(next);
        }
        let view = View {
            best: self.reach(pair),
            first_valid,
            better_open: self.best_open(stream, number).is_some_and(|open| open > pair.priority),
            all_candidates_known: self
                .checklist(stream)
                .is_some_and(|list| list.local_ended && list.remote_ended),
        };
        match decide(self.nomination, &view, now) {
            Decision::Wait => {}
            Decision::WaitUntil(until) => {
                let component = self.checklist_mut(stream).and_then(|list| list.component_mut(number));
                if let Some(component) = component {
                    component.settle.set(until);
                }
            }
            Decision::Nominate => self.nominate_pair(id),
        }
    }

    /// With renomination a better pair that comes later is nominated with a higher value. Of one that was valid long ago
    /// nobody knows whether it still is.
    fn promote(&mut self, now: Instant, at: ComponentId, selected: PairId) {
        if let Some(better) = self.promotion(now, selected) {
            self.step_down(now, selected, better);
            return self.nominate_pair(better);
        }
        let again = self.keep_held(now, at);
        let component = self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component));
        if let (Some(component), Some(again)) = (component, again) {
            component.settle.set(again);
        }
    }

    /// Checks a valid pair with USE-CANDIDATE (RFC 8445 §8.1.1).
    pub(super) fn nominate_pair(&mut self, id: PairId) {
        let Some(at) = self.pair(id).map(|pair| pair.component) else { return };
        let renominates = self.renominates(at.stream);
        let Some(component) = self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component))
        else {
            return;
        };
        component.nominating = Some(id);
        if renominates {
            component.nomination += 1;
        }
        let value = component.nomination;
        let plain = self.pair(id).and_then(|pair| pair.transaction).filter(|open| !self.nominates(*open));
        if plain.is_some() {
            self.cancel_check(id);
        }
        if let Some(pair) = self.pair_mut(id) {
            pair.nominating = true;
            pair.nomination = value;
            pair.rechecks = 0;
        }
        self.trigger(id);
    }

    /// Nominates the pair that the application chose. Returns whether it can be: the agent is controlling, the pair is
    /// valid, and no other pair was nominated before, unless the peer knows renomination.
    pub fn nominate_chosen(&mut self, id: PairId) -> bool {
        let Some(pair) = self.pair(id).filter(|pair| pair.valid.is_some()) else { return false };
        let at = pair.component;
        let component = self.checklist(at.stream).and_then(|list| list.component(at.component));
        let decided = component.is_some_and(|it| it.decided || it.nominating.is_some());
        let may = self.roles.role == Role::Controlling && (!decided || self.renominates(at.stream));
        if may {
            self.nominate_pair(id);
        }
        may
    }

    /// Whether a component has lost its selected pair with a base, and this agent will not nominate another one: because
    /// it may not (RFC 8445 §8.1.1), is controlled, or has none left. Only a restart brings both ends to one pair again. One
    /// whose pair lost consent goes on as long as another pair is alive: the peer lost it too.
    pub fn is_bereft(&self, now: Instant, at: ComponentId) -> bool {
        let component = self.checklist(at.stream).and_then(|list| list.component(at.component));
        let may = self.roles.role == Role::Controlling && self.renominates(at.stream);
        component.filter(|it| it.decided && it.selected.is_none()).is_some_and(|component| {
            if component.forsaken {
                return self.next_in_line(now, at, None).is_none();
            }
            let agrees = |id: &PairId| self.pair(*id).is_some_and(|pair| pair.has_consent(now));
            let next = component.valid().filter(agrees).chain(component.open()).next();
            !may || next.or(component.nominating).is_none()
        })
    }

    /// Whether nominations carry values on this stream, so that a later one replaces an earlier one.
    pub fn renominates(&self, stream: u16) -> bool {
        let offered = self.checklist(stream).and_then(|list| list.remote.as_ref());
        matches!(self.nomination, Nomination::Renominate { .. })
            && offered.is_some_and(|remote| remote.renominates)
    }

    pub(super) fn reach(&self, pair: &Pair) -> Reach {
        let local = self.local_at(pair.base);
        let near = local.is_some_and(|local| local.candidate.kind == CandidateType::Relayed);
        let far =
            self.remote(pair.remote).is_some_and(|remote| remote.candidate.kind == CandidateType::Relayed);
        match pair.link {
            _ if near || far => Reach::Relayed,
            Link::Datagrams => Reach::Direct,
            Link::Closed | Link::Opening | Link::Open => Reach::Stream,
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
            (Nomination::Manual, view(Reach::Direct, false, true), 0, Decision::Wait),
            (
                Nomination::Renominate { settle },
                view(Reach::Direct, true, false),
                0,
                Decision::WaitUntil(start + settle),
            ),
            (best, view(Reach::Direct, false, false), 0, Decision::Nominate),
            (best, view(Reach::Direct, true, false), 0, Decision::WaitUntil(start + settle)),
            (best, view(Reach::Direct, true, false), 500, Decision::Nominate),
            (best, view(Reach::Relayed, false, true), 0, Decision::Nominate),
            (best, view(Reach::Relayed, false, false), 500, Decision::WaitUntil(start + settle * 4)),
            (best, view(Reach::Stream, true, true), 500, Decision::WaitUntil(start + settle * 4)),
            (best, view(Reach::Stream, false, true), 0, Decision::Nominate),
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
