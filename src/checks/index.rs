//! The indexes over pairs: every question that a packet or a tick asks is answered by one of them, so that no
//! rule scans pairs.

use std::cmp::Reverse;
use std::net::IpAddr;

use super::checklist::Component;
use super::freeze::Standing;
use super::pair::{Failure, Nominated, Pair, PairId, PairState};
use super::role::Role;
use super::set::ChecklistSet;
use crate::candidate::BaseId;
use crate::candidate::priority::pair_priority;
use crate::time::Instant;

impl ChecklistSet {
    /// Moves a pair to another state.
    pub(super) fn set_state(&mut self, id: PairId, state: PairState) {
        self.unindex(id);
        if let Some(pair) = self.pair_mut(id) {
            pair.state = state;
        }
        self.index(id);
    }

    /// Takes a pair out of the indexes; it is about to change.
    pub(super) fn unindex(&mut self, id: PairId) {
        let Some(pair) = self.pair(id) else { return };
        let (order, rank, group) = (pair.order(id), pair.rank(id), pair.group);
        let (ranked, likelihood) = ((Reverse(pair.priority), id), pair.likelihood);
        let valid = (Reverse(pair.valid_priority), id);
        let (standing, component) = (Standing::of(pair), pair.component);
        let (is_waiting, is_failed) = (pair.state == PairState::Waiting, pair.state == PairState::Failed);
        let is_valid = pair.valid.is_some();
        self.groups.leave(group, rank, standing);
        if let Some(checklist) = self.checklist_mut(component.stream) {
            if is_waiting {
                checklist.waiting.remove(&order);
            }
            if let Some(component) = checklist.component_mut(component.component) {
                if component.open.remove(&ranked) {
                    component.likely[likelihood as usize] -= 1;
                }
                if is_failed {
                    component.failed.remove(&ranked);
                }
                if is_valid {
                    component.valid.remove(&valid);
                }
            }
        }
    }

    /// Puts a pair into the indexes of its present state and priority.
    pub(super) fn index(&mut self, id: PairId) {
        let Some(pair) = self.pair(id) else { return };
        let (order, rank, group) = (pair.order(id), pair.rank(id), pair.group);
        let (ranked, likelihood) = ((Reverse(pair.priority), id), pair.likelihood);
        let (state, standing, component) = (pair.state, Standing::of(pair), pair.component);
        let checkable = state == PairState::Waiting && !pair.blocked && !pair.queued && !self.is_late(pair);
        let valid = pair.valid.map(|_| (Reverse(pair.valid_priority), id));
        self.groups.enter(group, rank, standing);
        if let Some(checklist) = self.checklist_mut(component.stream) {
            if checkable {
                checklist.waiting.insert(order);
            }
            if let Some(component) = checklist.component_mut(component.component) {
                if state.is_open() {
                    component.open.insert(ranked);
                    component.likely[likelihood as usize] += 1;
                } else if state == PairState::Failed {
                    component.failed.insert(ranked);
                }
                if let Some(valid) = valid {
                    component.valid.insert(valid);
                }
            }
        }
    }

    /// Whether a pair comes after the decision: a component with a selected pair is not checked any more (RFC 8445
    /// §8.1.2), but for better pairs if the decision may change, and for a spare one.
    fn is_late(&self, pair: &Pair) -> bool {
        let at = pair.component;
        let component = self.checklist(at.stream).and_then(|list| list.component(at.component));
        let Some(id) = component.and_then(|component| component.selected) else { return false };
        let is_better = |selected: &Pair| self.renominates(at.stream) && pair.priority > selected.priority;
        self.pair(id).is_some_and(|selected| !is_better(selected) && !self.is_wanted(pair, id))
    }

    /// RFC 8445 §6.1.2.3, by the present role.
    pub(super) fn pair_priority(&self, local: u32, remote: u32) -> u64 {
        match self.roles.role {
            Role::Controlling => pair_priority(local, remote),
            Role::Controlled => pair_priority(remote, local),
        }
    }

    /// After a role switch all pair priorities are computed anew, and nominations that did not happen are dropped
    /// (RFC 8445 §7.2.5.1).
    pub(super) fn reprioritize(&mut self) {
        let ids: Vec<_> = self.pairs().map(|(id, _)| id).collect();
        for id in ids {
            let Some(pair) = self.pair(id) else { continue };
            let Some(local) = self.local_at(pair.base) else {
                continue;
            };
            let Some(remote) = self.remote(pair.remote) else { continue };
            let priority = self.pair_priority(local.candidate.priority, remote.priority);
            self.unindex(id);
            self.rank_valid(id);
            if let Some(pair) = self.pair_mut(id) {
                pair.priority = priority;
                pair.nominating = false;
                pair.nomination = 0;
                if pair.nominated == Nominated::OnSuccess {
                    pair.nominated = Nominated::No;
                }
            }
            self.index(id);
        }
        for component in self.checklists.iter_mut().flat_map(|checklist| &mut checklist.components) {
            component.nominating = None;
            component.nomination = 0;
        }
    }

    /// A TURN permission for this address exists: the pairs that waited for it may be checked.
    pub fn unblock(&mut self, base: BaseId, peer: IpAddr) {
        for id in self.pairs_to(base, peer, |pair| pair.blocked) {
            self.unindex(id);
            if let Some(pair) = self.pair_mut(id) {
                pair.blocked = false;
            }
            self.index(id);
        }
    }

    /// The relay does not send to this address, or not any more: its pairs fail, those that work among them.
    pub fn refuse(&mut self, now: Instant, base: BaseId, peer: IpAddr) {
        for id in self.pairs_to(base, peer, |_| true) {
            self.fall_back(now, id);
            self.cancel_check(id);
            self.give_up(id, Failure::NotPermitted);
        }
    }

    fn pairs_to(&self, base: BaseId, peer: IpAddr, which: impl Fn(&Pair) -> bool) -> Vec<PairId> {
        let to = self.pairs().filter(|(_, pair)| pair.base == base && pair.destination.ip() == peer);
        to.filter(|(_, pair)| which(pair)).map(|(id, _)| id).collect()
    }

    /// Consent on this pair is lost (RFC 7675 §5.1): it is not valid any more. Where none is selected, the other valid pairs
    /// of its component are checked again if theirs has lapsed too: nobody has asked there since.
    pub fn expire(&mut self, now: Instant, id: PairId) {
        self.give_up(id, Failure::ConsentLost);
        let Some(at) = self.pair(id).map(|pair| pair.component) else { return };
        let component = self.checklist(at.stream).and_then(|list| list.component(at.component));
        let valid = component.filter(|it| it.selected.is_none()).into_iter().flat_map(Component::valid);
        let lapsed = |id: &PairId| self.pair(*id).is_some_and(|pair| !pair.has_consent(now));
        for id in valid.filter(lapsed).collect::<Vec<_>>() {
            self.trigger(id);
        }
    }

    pub(super) fn give_up(&mut self, id: PairId, why: Failure) {
        self.unindex(id);
        if let Some(pair) = self.pair_mut(id) {
            pair.state = PairState::Failed;
            pair.failure = Some(why);
            pair.valid = None;
            pair.hang_up();
        }
        self.index(id);
    }

    /// Whether this is the selected pair of its component.
    pub fn is_selected(&self, id: PairId) -> bool {
        let component = self.pair(id).map(|pair| pair.component);
        let list = component.and_then(|at| self.checklist(at.stream)?.component(at.component));
        list.is_some_and(|component| component.selected == Some(id))
    }

    /// The best pair of a component that is not decided yet.
    pub(super) fn best_open(&self, stream: u16, component: u16) -> Option<u64> {
        let component = self.checklist(stream)?.component(component)?;
        component.open.first().map(|(Reverse(priority), _)| *priority)
    }
}
