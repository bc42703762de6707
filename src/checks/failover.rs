//! The selected pair does not answer, and another one does: where renomination allows it, that one takes over.
//!
//! A pair that was left is not taken back as soon as it answers: it has to go on for 5 s, twice as long each time that it
//! was left before, so that a pair that comes and goes does not take the session along.

use super::better::{Facts, Trust, is_better};
use super::checklist::Component;
use super::pair::{Link, Pair, PairId, PairState};
use super::role::Role;
use super::set::ChecklistSet;
use super::spare::INTERVAL;
use crate::io::ComponentId;
use crate::time::{Duration, Instant, Timer, earliest};

/// How long a pair answers before it is trusted again, after it was left for the first time.
const HOLD: Duration = Duration::from_secs(5);
/// The longest hold, 10 min 40 s, is so many times doubled.
const MAX_DOUBLED: u8 = 7;
/// How long after it was left a pair is checked again, for the first time.
const RETRY: Duration = Duration::from_secs(2);
/// How often that is tried, twice as long after the last failure each time: the last time 17 min after the one before.
const MAX_RETRIES: u8 = 10;
/// A check of the peer says where it is for so long.
const FRESH: Duration = Duration::from_secs(10);
/// Other pairs that are asked.
pub const MAX_OTHERS: usize = 3;

/// What a pair has let this agent down for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Record {
    /// It does not answer.
    suspected: bool,
    /// How often it was left.
    left: u8,
    /// It is not trusted before.
    until: Option<Instant>,
    /// It was the selected one, and may be again.
    pub(super) has_served: bool,
}

impl Record {
    fn hold(self) -> Duration {
        HOLD * (1 << self.left.saturating_sub(1).min(MAX_DOUBLED))
    }

    /// It is left because it does not answer.
    fn fail(&mut self) {
        self.left = self.left.saturating_add(1);
        (self.suspected, self.until) = (true, None);
    }

    /// It has not answered, though nobody may have asked.
    pub(super) fn doubt(&mut self) {
        self.suspected = true;
    }

    /// Whether it has answered since it was doubted.
    pub(super) fn is_doubted(self) -> bool {
        self.suspected
    }

    /// It is left for a pair that measures better.
    fn yield_to_better(&mut self, now: Instant) {
        self.left = self.left.saturating_add(1);
        self.until = Some(now + self.hold());
    }

    /// It has answered.
    pub(super) fn answer(&mut self, now: Instant) {
        if std::mem::take(&mut self.suspected) {
            self.until = Some(now + self.hold());
        }
    }

    /// Until when it is not trusted although it answers.
    fn held(self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }
}

impl ChecklistSet {
    /// The pairs that could take over from the selected one: the [spare](super::spare) one, then those on other bases, then
    /// those to other addresses; none where renomination is not known to both.
    pub fn others(&self, selected: PairId) -> impl Iterator<Item = PairId> + '_ {
        let used = self.pair(selected).filter(|pair| {
            self.sends_checks() && self.is_selected(selected) && self.renominates(pair.component.stream)
        });
        used.into_iter().flat_map(move |used| {
            let at = used.component;
            let spare = self.spare(at).filter(|spare| *spare != selected);
            let list = self.checklist(at.stream).and_then(|list| list.component(at.component));
            let fits = move |id: &PairId| {
                // Behind one NAT a host that moves has another port only: then what it checked last says where it is.
                let fits = |pair: &Pair| {
                    let lately = pair.heard > used.heard;
                    pair.link != Link::Closed && (lately || self.may_be_spare(pair, selected))
                };
                *id != selected && Some(*id) != spare && self.pair(*id).is_some_and(fits)
            };
            let valid = move || list.into_iter().flat_map(Component::valid).filter(fits);
            let is_near = |id: &PairId| self.pair(*id).is_some_and(|pair| pair.base == used.base);
            let far = valid().filter(move |id| !is_near(id));
            spare.into_iter().chain(far).chain(valid().filter(is_near)).take(MAX_OTHERS)
        })
    }

    /// The selected pair does not answer and another one does, both asked since then: the controlling agent nominates that
    /// one. The others are not trusted either before they have answered for a while: one change is enough. Returns whether it does so now.
    pub fn fail_over(&mut self, now: Instant, selected: PairId, to: PairId, since: Instant) -> bool {
        let Some(at) = self.pair(selected).map(|pair| pair.component) else { return false };
        let component = self.checklist(at.stream).and_then(|list| list.component(at.component));
        let idle = component.is_some_and(|it| it.nominating != Some(to));
        let may = self.roles.role == Role::Controlling && self.renominates(at.stream) && idle;
        if !may || !self.is_selected(selected) || self.pair(to).is_none_or(|pair| pair.valid.is_none()) {
            return false;
        }
        let others =
            self.pairs().filter(|(id, pair)| *id != to && pair.component == at && pair.valid.is_some());
        for id in others.map(|(id, _)| id).collect::<Vec<_>>() {
            if let Some(pair) = self.pair_mut(id) {
                pair.record.doubt();
                if pair.answered.is_some_and(|answered| answered >= since) {
                    pair.record.answer(now);
                }
            }
        }
        if let Some(pair) = self.pair_mut(selected) {
            pair.record.fail();
        }
        self.nominate_pair(to);
        true
    }

    /// The peer has checked this pair, which is not valid, and the selected one is silent: it is checked back, if both know
    /// renomination. Returns whether it is.
    pub fn check_stray(&mut self, now: Instant, id: PairId) -> bool {
        let renominates = |pair: &&Pair| self.sends_checks() && self.renominates(pair.component.stream);
        let idle = |pair: &&Pair| {
            let lately = pair.heard.is_some_and(|at| now < at + FRESH);
            lately && pair.valid.is_none() && !pair.is_under_check()
        };
        let Some(state) = self.pair(id).filter(renominates).filter(idle).map(|pair| pair.state) else {
            return false;
        };
        self.check_back(id, state);
        true
    }

    /// A question on this pair has found no answer.
    pub fn note_loss(&mut self, id: PairId) {
        if let Some(pair) = self.pair_mut(id) {
            pair.quality.measured.lose();
        }
    }

    /// What is compared of a pair.
    fn facts(&self, now: Instant, pair: &Pair) -> Facts {
        let held = pair.record.held(now).is_some();
        let trust = if held || pair.record.suspected { Trust::Suspected } else { Trust::Trusted };
        let (reach, priority, measured) = (self.reach(pair), pair.valid_priority, pair.quality.measured);
        Facts { trust, reach, priority, measured }
    }

    /// The pair to leave the selected one for, if one is better.
    pub(super) fn promotion(&self, now: Instant, selected: PairId) -> Option<PairId> {
        let used = self.pair(selected)?;
        // While it answers, what it did before is no reason to leave it.
        let trust = if used.record.suspected { Trust::Suspected } else { Trust::Trusted };
        let mut best = (selected, Facts { trust, ..self.facts(now, used) });
        let component = self.checklist(used.component.stream)?.component(used.component.component)?;
        for id in component.valid().filter(|id| *id != selected) {
            let pair = self.pair(id).filter(|pair| pair.has_consent(now) && !pair.silent);
            let Some(facts) = pair.map(|pair| self.facts(now, pair)) else { continue };
            if is_better(&facts, &best.1) {
                best = (id, facts);
            }
        }
        Some(best.0).filter(|best| *best != selected)
    }

    /// Pairs that are not trusted yet are checked as often as the spare one, so that they are known to work when they are.
    /// Returns when to come back.
    pub(super) fn keep_held(&mut self, now: Instant, at: ComponentId) -> Option<Instant> {
        let component = self.checklist(at.stream)?.component(at.component)?;
        let (mut due, mut again) = (Vec::new(), None);
        for id in component.valid().filter(|id| Some(*id) != component.selected) {
            let Some(pair) = self.pair(id) else { continue };
            let (Some(until), Some(answered)) = (pair.record.held(now), pair.answered) else { continue };
            let next = answered + INTERVAL;
            if next <= now && !pair.is_under_check() {
                due.push(id);
            }
            again = earliest(again, Some(if next <= now { until } else { until.min(next) }));
        }
        for id in due {
            self.trigger(id);
        }
        again
    }

    /// The selected pair is left for a better one: where priority alone is not the reason, it has to prove itself before it
    /// is taken back.
    pub(super) fn step_down(&mut self, now: Instant, selected: PairId, better: PairId) {
        let priority = |id| self.pair(id).map(|pair| pair.valid_priority);
        if priority(selected) > priority(better)
            && let Some(pair) = self.pair_mut(selected)
        {
            pair.record.yield_to_better(now);
        }
    }
}

impl ChecklistSet {
    /// Pairs that were selected once and do not answer any more are worth a check later: networks come back. To be called
    /// when pairs became valid or failed.
    pub(super) fn keep_retries(&mut self, now: Instant, at: ComponentId) {
        let (mut any, mut idle) = (false, false);
        for (_, pair) in self.pairs().filter(|(_, pair)| pair.component == at && pair.is_lost()) {
            any = true;
            idle |= !pair.is_under_check();
        }
        let component = self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component));
        let Some(component) = component.filter(|component| component.selected.is_some()) else { return };
        if !any {
            (component.retry, component.retries) = (Timer::STOPPED, 0);
        } else if idle && component.retry.deadline().is_none() && component.retries < MAX_RETRIES {
            component.retry.set(now + RETRY * (1 << component.retries));
        }
    }

    /// Checks those whose time has come.
    pub(super) fn retry(&mut self, now: Instant) {
        let mut due = Vec::new();
        for (stream, list) in self.checklists.iter_mut().enumerate() {
            for (component, number) in list.components.iter_mut().zip(1..) {
                if component.retry.take_due(now) {
                    component.retries += 1;
                    due.push(ComponentId { stream: stream as u16, component: number });
                }
            }
        }
        if due.is_empty() {
            return;
        }
        let again = |pair: &Pair| due.contains(&pair.component) && pair.is_lost() && !pair.is_under_check();
        let pairs = self.pairs().filter(|(id, pair)| again(pair) && !self.is_selected(*id));
        for (id, state) in pairs.map(|(id, pair)| (id, pair.state)).collect::<Vec<_>>() {
            match state {
                PairState::Failed => self.set_state(id, PairState::Waiting),
                _ => self.trigger(id),
            }
        }
    }
}

impl Pair {
    /// It was selected once, and has not answered since it was left, or failed.
    fn is_lost(&self) -> bool {
        self.record.has_served && (self.valid.is_none() || self.record.suspected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_was_left_is_held_twice_as_long_each_time() {
        let mut record = Record::default();
        let mut now = crate::time::test_epoch();
        let mut holds = Vec::new();
        for _ in 0..10 {
            record.fail();
            assert!(record.suspected && record.held(now).is_none());
            now += Duration::from_secs(60);
            record.answer(now);
            holds.extend(record.held(now).map(|until| (until - now).as_secs()));
            // Further answers do not prolong it.
            record.answer(now + Duration::from_secs(1));
            assert_eq!(record.until, Some(now + record.hold()));
        }
        assert_eq!(holds, [5, 10, 20, 40, 80, 160, 320, 640, 640, 640]);
    }
}
