//! The spare pair: where both agents know renomination, each component keeps one more valid pair beside the selected one,
//! on another base or to another address, for the day when the selected one is lost.
//!
//! RFC 8445 §8.1.2 and §8.3.1 let everything else go, since a nomination is final there. With renomination it is not, and
//! a pair that is known to work makes the next one a matter of a round trip instead of a restart.
//!
//! ```text
//!  selected ─► the best valid pair on another base ─► checked after 1 s, then every 25 s ─► selected one lost ─► nominated
//!                 ▲                                          │ not answered                      (controlled: data goes
//!                 └──────────────────────────────────────────┘                                    on it until it is)
//! ```
//!
//! Its checks are new transactions like all others, and take slots: one each 25 s is not worth an exception from RFC 8445
//! §14. They come more often than consent expires, so that data may go on the spare pair at once (RFC 7675 §5.1), and than
//! NATs forget mappings.

use super::checklist::{Checklist, ChecklistState};
use super::pair::{Pair, PairId, PairState};
use super::set::{ChecklistSet, Remote};
use crate::candidate::CandidateType;
use crate::consent::EXPIRY;
use crate::io::ComponentId;
use crate::time::{Duration, Instant, Timer, earliest};

/// How often a spare pair is checked.
pub const INTERVAL: Duration = Duration::from_secs(25);
/// The first check after the choice. It tells the peer that the pair is in use before the peer frees what is not (RFC 8445
/// §8.3.1), and comes late enough not to be taken for one of the checks before the nomination.
pub const FIRST: Duration = Duration::from_secs(1);

/// The spare pair of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spare {
    pub(super) pair: PairId,
    /// When it is checked next; stopped until every stream has its selected pairs.
    due: Timer,
    /// The selected pair is gone: it was checked for that reason.
    called: bool,
}

/// How different the way of a pair is from that of another one: first the own base, then the peer's address. `None`: it
/// is the same way.
fn difference(pair: &Pair, from: &Pair) -> Option<(bool, bool)> {
    let difference = (pair.base != from.base, pair.destination.ip() != from.destination.ip());
    (difference != (false, false)).then_some(difference)
}

impl ChecklistSet {
    /// Chooses the spare pairs anew; to be called when pairs became valid, failed, were selected, or went.
    pub fn keep_spares(&mut self, now: Instant) {
        if !self.sends_checks() {
            return;
        }
        let has_failed = |list: &Checklist| list.state == ChecklistState::Failed;
        let concluded = self.checklists.iter().all(|list| list.is_selected() || has_failed(list));
        for stream in 0..self.checklists.len() as u16 {
            let components = self.checklist(stream).map_or(0, |list| list.components.len() as u16);
            if self.renominates(stream) {
                for component in 1..=components {
                    self.keep_spare(now, ComponentId { stream, component }, concluded);
                    self.keep_retries(now, ComponentId { stream, component });
                }
            }
        }
    }

    fn keep_spare(&mut self, now: Instant, at: ComponentId, concluded: bool) {
        let Some(component) = self.checklist(at.stream).and_then(|list| list.component(at.component)) else {
            return;
        };
        let (before, selected, decided) = (component.spare, component.selected, component.decided);
        let known = before.filter(|_| self.spare(at).is_some());
        let chosen = match selected {
            Some(selected) => self.best_spare(at, selected),
            None => known.map(|known| known.pair),
        };
        let mut spare = chosen.map(|pair| match known.filter(|known| known.pair == pair) {
            Some(known) => known,
            None => Spare { pair, due: Timer::STOPPED, called: false },
        });
        let mut calls = None;
        if let Some(spare) = &mut spare {
            if concluded && spare.due.deadline().is_none() {
                spare.due.set(now + FIRST);
            }
            if selected.is_none() && decided && !std::mem::replace(&mut spare.called, true) {
                calls = Some(spare.pair);
            }
        }
        if let Some(component) =
            self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component))
        {
            component.spare = spare;
        }
        match (before, spare, selected) {
            // There is one: the search is over.
            (None, Some(_), Some(selected)) => self.retire_others(selected, at),
            (Some(_), None, Some(selected)) => self.search_spare(at, selected),
            _ => {}
        }
        if let Some(pair) = calls {
            // Data goes on it meanwhile: consent to that is renewed, and not only with luck before it expires.
            self.cancel_check(pair);
            self.trigger(pair);
        }
    }

    /// The best valid pair that differs from the selected one.
    pub(super) fn best_spare(&self, at: ComponentId, selected: PairId) -> Option<PairId> {
        let component = self.checklist(at.stream)?.component(at.component)?;
        let used = self.pair(selected)?;
        let others = component.valid().filter(|id| *id != selected).enumerate();
        let ranked = others.filter_map(|(place, id)| {
            let pair = self.pair(id)?;
            Some(((!pair.record.is_doubted(), difference(pair, used)?, std::cmp::Reverse(place)), id))
        });
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, id)| id)
    }

    /// Whether a pair would do as the spare one of a component that has none.
    pub(super) fn is_wanted(&self, pair: &Pair, selected: PairId) -> bool {
        let at = pair.component;
        let component = self.checklist(at.stream).and_then(|list| list.component(at.component));
        component.is_some_and(|component| component.spare.is_none()) && self.may_be_spare(pair, selected)
    }

    /// Whether a pair would do as the spare one of its component.
    pub(super) fn may_be_spare(&self, pair: &Pair, selected: PairId) -> bool {
        self.renominates(pair.component.stream)
            && self.pair(selected).is_some_and(|selected| difference(pair, selected).is_some())
    }

    /// Whether a pair that the peer has checked after the nomination, `before` too, is worth a check of our own: where a
    /// spare one is wanted, or where the peer goes on to check it, because it is the peer's spare one. Between NATs that map
    /// each destination anew every check comes from another address, and a check back to each would find no end: what was
    /// learnt has to be heard twice.
    pub(super) fn is_of_use(&self, now: Instant, id: PairId, before: Option<Instant>) -> bool {
        let Some(pair) = self.pair(id) else { return false };
        let at = pair.component;
        let component = self.checklist(at.stream).and_then(|list| list.component(at.component));
        let Some(selected) = component.and_then(|component| component.selected) else { return true };
        let is_learnt = |remote: &Remote| remote.candidate.kind == CandidateType::PeerReflexive;
        let goes_on = before.is_some_and(|before| now >= before + INTERVAL / 2);
        (goes_on && self.may_be_spare(pair, selected))
            || (self.is_wanted(pair, selected) && !self.remote(pair.remote).is_some_and(is_learnt))
    }

    /// The spare pair failed and no valid one is left: those whose checks were given up for it are checked again.
    fn search_spare(&mut self, at: ComponentId, selected: PairId) {
        let given_up = |pair: &Pair| match pair.state {
            PairState::Failed => pair.failure.is_none(),
            PairState::InProgress => pair.transaction.is_none(),
            _ => false,
        };
        let pairs =
            self.pairs().filter(|(id, pair)| *id != selected && pair.component == at && given_up(pair));
        let wanted = pairs.filter(|(_, pair)| self.is_wanted(pair, selected)).map(|(id, _)| id);
        for id in wanted.collect::<Vec<_>>() {
            self.set_state(id, PairState::Waiting);
        }
    }

    /// The spare pair of a component, if it has one that is valid.
    pub fn spare(&self, at: ComponentId) -> Option<PairId> {
        let component = self.checklist(at.stream)?.component(at.component)?;
        let spare = component.spare?.pair;
        self.pair(spare).filter(|pair| pair.valid.is_some()).map(|_| spare)
    }

    /// The spare pairs of all components.
    pub fn spares(&self) -> impl Iterator<Item = PairId> + '_ {
        let components = self.checklists.iter().flat_map(Checklist::components);
        components.filter_map(|component| Some(component.spare?.pair))
    }

    /// Queues the checks of spare pairs that are due.
    pub fn check_spares(&mut self, now: Instant) {
        self.retry(now);
        while let Some(spare) = self
            .checklists
            .iter_mut()
            .flat_map(|list| &mut list.components)
            .filter_map(|component| component.spare.as_mut())
            .find(|spare| spare.due.is_due(now))
        {
            spare.due.set(now + INTERVAL);
            let id = spare.pair;
            // One that is under way answers the question too.
            if self.pair(id).is_some_and(|pair| pair.valid.is_some() && pair.transaction.is_none()) {
                self.trigger(id);
            }
        }
    }

    /// When [`Self::check_spares`] has something.
    pub fn spare_deadline(&self) -> Option<Instant> {
        let components = self.checklists.iter().flat_map(Checklist::components);
        components
            .filter_map(|it| earliest(it.spare.and_then(|spare| spare.due.deadline()), it.retry.deadline()))
            .min()
    }

    /// The pair that takes the place of a lost one: the spare one if it is alive, or that which the peer has chosen for itself
    /// and still checks.
    pub(super) fn next_in_line(&self, now: Instant, at: ComponentId, lost: Option<PairId>) -> Option<PairId> {
        let component = self.checklist(at.stream)?.component(at.component).filter(|it| it.decided)?;
        let is_alive = |id: &PairId| {
            let heard = |pair: &Pair| pair.heard.is_some_and(|heard| now < heard + EXPIRY);
            Some(*id) != lost && self.pair(*id).is_some_and(|pair| pair.has_consent(now) || heard(pair))
        };
        self.spare(at).filter(is_alive).or_else(|| component.valid().find(is_alive))
    }

    /// The selected pair is lost to both ends: where another one is alive it takes over. The controlling agent nominates it,
    /// the controlled one sends on it until the nomination comes.
    pub fn fall_back(&mut self, now: Instant, lost: PairId) {
        let Some(at) = self.pair(lost).map(|pair| pair.component).filter(|_| self.is_selected(lost)) else {
            return;
        };
        if !self.renominates(at.stream) || self.next_in_line(now, at, Some(lost)).is_none() {
            return;
        }
        if let Some(component) =
            self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component))
        {
            component.selected = None;
            component.forsaken = true;
        }
        self.resume(at);
    }
}
