//! What a nomination changes (RFC 8445 §8.1.1, §8.1.2): the selected pair, and the end of the others.

use super::better::outranks;
use super::checklist::{Checklist, ChecklistState, Component};
use super::pair::{Nominated, Pair, PairId, PairState};
use super::role::Role;
use super::set::ChecklistSet;
use crate::credentials::IceOption;
use crate::io::ComponentId;

/// What a lite agent does about pairs that nobody checks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unchecked {
    /// These are selected now.
    pub selected: Vec<PairId>,
    /// These are to be told to the peer.
    pub proposed: Vec<PairId>,
}

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
        let last_counts =
            !self.sends_checks() && remote.is_some_and(|it| it.credentials.has_option(&IceOption::ICE2));
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
        let priority = self.pair(id).map_or(0, |pair| pair.valid_priority);
        let follows = self.roles.role == Role::Controlled && renominates;
        if let Some(old) = old.and_then(|old| self.pair_mut(old)) {
            old.record.has_served = true;
            if follows && old.valid_priority > priority {
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

    /// Between two lite agents nobody checks: once both have ended their candidates, each takes the only pair of each
    /// component. If some component has several, the controlling one proposes the best of each, by RFC 6724 as both rank
    /// them (RFC 8445 §6.2), and nothing is concluded before the other one confirms it (§8.2).
    pub fn select_unchecked(&mut self) -> Unchecked {
        let mut unchecked = Unchecked::default();
        let lists = self.checklists.iter().filter(|list| !list.is_removed());
        let is_ready = |list: &Checklist| list.local_ended && list.remote_ended && list.is_peer_lite();
        if self.sends_checks() || !lists.clone().all(is_ready) {
            return unchecked;
        }
        let open = lists.flat_map(Checklist::shared).filter(|component| component.selected.is_none());
        let is_clear = open.clone().all(|component| component.open().nth(1).is_none());
        let proposes = self.roles.role == Role::Controlling;
        let waits = |component: &&Component| is_clear || component.nominating.is_none();
        let best: Vec<PairId> = open.filter(waits).filter_map(|component| component.open().next()).collect();
        for id in best {
            if is_clear && self.accept(id) {
                unchecked.selected.push(id);
            } else if !is_clear && proposes {
                let at = self.pair(id).map(|pair| pair.component);
                let list = at.and_then(|at| Some((self.checklist_mut(at.stream)?, at)));
                if let Some(component) = list.and_then(|(list, at)| list.component_mut(at.component)) {
                    component.nominating = Some(id);
                    unchecked.proposed.push(id);
                }
            }
        }
        unchecked
    }

    /// Whether a lite agent has proposed this pair to a lite peer.
    pub fn is_proposed(&self, id: PairId) -> bool {
        let at = self.pair(id).map(|pair| pair.component);
        let component = at.and_then(|at| self.checklist(at.stream)?.component(at.component));
        component.is_some_and(|component| component.nominating == Some(id))
    }

    /// Whether a component that is checked has neither a selected nor a valid pair yet.
    pub fn is_undecided(&self, at: ComponentId) -> bool {
        let list = self.checklist(at.stream).filter(|list| list.state == ChecklistState::Running);
        let component = list.and_then(|list| list.component(at.component));
        component.is_some_and(|it| !it.decided && it.usable().is_none())
    }

    /// A lite agent takes a pair without a check of its own: it is valid and selected (RFC 8445 §7.3.2).
    pub fn accept(&mut self, id: PairId) -> bool {
        let Some(base) = self.pair(id).map(|pair| pair.base) else { return false };
        let local = self.bases.get(base).map(|known| known.local);
        self.unindex(id);
        if let Some(pair) = self.pair_mut(id) {
            pair.state = PairState::Succeeded;
        }
        if let Some(local) = local {
            self.make_valid(id, local);
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
