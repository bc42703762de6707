//! What a nomination changes (RFC 8445 §8.1.1, §8.1.2): the selected pair, and the end of the others.

use super::better::outranks;
use super::checklist::ChecklistState;
use super::pair::{Nominated, Pair, PairId, PairState};
use super::role::Role;
use super::set::ChecklistSet;
use crate::io::ComponentId;

impl ChecklistSet {
    /// Makes a nominated pair the selected one of its component; of several the one of highest priority (RFC 8445
    /// §8.1.1), or with renomination that of the highest value. Returns whether it is new.
    pub(super) fn select(&mut self, id: PairId) -> bool {
        let Some(pair) = self.pair_mut(id) else { return false };
        pair.nominated = Nominated::Yes;
        pair.nominating = false;
        let (at, value) = (pair.component, pair.nomination);
        let renominates = self.renominates(at.stream);
        // A peer of RFC 8445 nominates once; if again, its pair is gone, which a lite agent has no consent to notice by.
        let remote = self.checklist(at.stream).and_then(|list| list.remote.as_ref());
        let last_counts = !self.sends_checks() && remote.is_some_and(|it| it.credentials.has_option("ice2"));
        let Some(component) = self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component))
        else {
            return false;
        };
        component.nominating = component.nominating.filter(|nominating| *nominating != id);
        let old = component.selected;
        if old == Some(id) {
            return false;
        }
        if let (Some(old), Some(new)) = (old.and_then(|old| self.pair(old)), self.pair(id)) {
            let stays = match (renominates, last_counts) {
                (true, _) => old.nomination > value,
                (false, true) => false,
                (false, false) => !outranks(new, old),
            };
            if stays {
                return false;
            }
        }
        let priority = self.pair(id).map_or(0, |pair| pair.priority);
        let follows = self.roles.role == Role::Controlled && renominates;
        if let Some(old) = old.and_then(|old| self.pair_mut(old)) {
            old.record.has_served = true;
            if follows && old.priority > priority {
                // The controlling agent has its reason to leave the better one.
                old.record.doubt();
            }
        }
        self.retire_others(id, at);
        let Some(checklist) = self.checklist_mut(at.stream) else { return false };
        if let Some(component) = checklist.component_mut(at.component) {
            component.selected = Some(id);
            component.spare = component.spare.filter(|spare| spare.pair != id);
            component.forsaken = false;
            component.decided = true;
            component.nomination = component.nomination.max(value);
            component.nominating = None;
            component.settle.stop();
        }
        if checklist.is_selected() {
            checklist.state = ChecklistState::Completed;
        }
        true
    }

    /// Between two lite agents nobody checks: each takes the pair of highest priority of each component, which is the
    /// same at both ends (RFC 8445 §6.2, §8.2). Returns what it took.
    pub fn select_unchecked(&mut self) -> Vec<PairId> {
        let mut selected = Vec::new();
        for stream in 0..self.checklists.len() as u16 {
            let Some(list) = self.checklist(stream) else { continue };
            let is_lite = list.remote.as_ref().is_some_and(|remote| remote.credentials.lite);
            if self.sends_checks() || !is_lite || !list.remote_ended || !self.local_ended {
                continue;
            }
            let undecided = list.components().iter().filter(|component| component.selected.is_none());
            let best: Vec<_> =
                undecided.filter_map(|component| component.open.first()).map(|(_, id)| *id).collect();
            selected.extend(best.into_iter().filter(|id| self.accept(*id)));
        }
        selected
    }

    /// A lite agent takes a pair without a check of its own: it is valid and selected (RFC 8445 §7.3.2).
    pub fn accept(&mut self, id: PairId) -> bool {
        let Some(base) = self.pair(id).map(|pair| pair.base) else { return false };
        let local = self.bases.get(base).map(|known| known.local);
        self.unindex(id);
        if let Some(pair) = self.pair_mut(id) {
            pair.state = PairState::Succeeded;
            pair.valid = local;
        }
        self.index(id);
        self.select(id)
    }

    /// Ends the conflict of two lite agents that believe to control, which no check can (RFC 8839 §4.4.2.2). Returns
    /// whether the role changed.
    pub fn yield_control(&mut self) -> bool {
        let yields = self.roles.role == Role::Controlling;
        if yields {
            self.roles.role = Role::Controlled;
            self.reprioritize();
        }
        yields
    }

    /// RFC 8445 §8.1.2: no further check of this component, but with renomination those of better pairs, and until there is
    /// a spare pair those of pairs that may become it, which stay for the day when it fails. Pairs that were never heard of
    /// go; of the others the peer may still send data or checks, so they stay to be recognised.
    pub(super) fn retire_others(&mut self, selected: PairId, at: ComponentId) {
        let Some(best) = self.pair(selected).map(|pair| pair.priority) else { return };
        let renominates = self.renominates(at.stream);
        let others = self.pairs().filter(|(id, pair)| *id != selected && pair.component == at);
        let has_spare = self.best_spare(at, selected).is_some();
        let goes_on = |pair: &Pair| {
            renominates && (pair.priority >= best || (!has_spare && self.is_wanted(pair, selected)))
        };
        let retired: Vec<_> = others.filter(|(_, pair)| !goes_on(pair)).map(|(id, _)| id).collect();
        for id in retired {
            let Some(pair) = self.pair(id) else { continue };
            let (state, stays) = (pair.state, pair.authenticated || self.may_be_spare(pair, selected));
            self.untrigger(id);
            match state {
                PairState::Succeeded | PairState::Failed => {}
                PairState::InProgress => self.cancel_check(id),
                _ if stays => self.set_state(id, PairState::Failed),
                _ => self.remove_pair(id),
            }
        }
    }
}
