//! Forming pairs (RFC 8445 §6.1.2.2 to §6.1.2.5, RFC 8838 §10, §11).

use std::cmp::Reverse;
use std::net::SocketAddr;

use super::checklist::{Checklist, Component};
use super::connect::link;
use super::failover::Record;
use super::pair::{LocalId, Nominated, Pair, PairId, PairState, Quality, RemoteId};
use super::room::reserve_first;
use super::set::{ChecklistSet, Local, Place, Remote};
use crate::candidate::BaseId;
use crate::candidate::address::{can_pair, on_link_of};
use crate::candidate::{Candidate, CandidateType};
use crate::io::ComponentId;

/// Whether a pair may be checked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// The base sends directly, or the relay has the permission.
    Granted,
    /// A TURN permission is asked for first (RFC 8445 §7.2.1).
    Needed,
}

impl ChecklistSet {
    /// Adds a candidate that is its own base, host or relayed, and pairs it with all remote candidates of its
    /// component. `Permission::Needed` holds ordinary checks back until [`Self::unblock`].
    pub fn add_base(
        &mut self,
        base: BaseId,
        component: ComponentId,
        candidate: Candidate,
        permission: Permission,
    ) {
        let Some(local) = self.add_local(base, component, candidate) else { return };
        self.bases.insert(base, local);
        if self.is_passive(base) {
            return;
        }
        for index in 0..self.remotes.len() {
            let remote = RemoteId(index as u16);
            if self.remotes[index].component == component {
                self.form_pair(base, remote, permission);
            }
        }
    }

    /// Adds a reflexive candidate. It forms no pairs: in them it would be replaced by its base (RFC 8445
    /// §6.1.2.4). Where a check was faster than the server, it takes the place of the peer-reflexive candidate.
    pub fn add_reflexive(&mut self, base: BaseId, component: ComponentId, candidate: Candidate) {
        let twin = |local: &&mut Local| {
            local.base == base
                && local.candidate.kind == CandidateType::PeerReflexive
                && local.candidate.address == candidate.address
        };
        if let Some(local) = self.locals.iter_mut().find(twin) {
            local.candidate = candidate;
        } else if self.add_local(base, component, candidate).is_none() {
            return;
        }
        if let Some(known) = self.bases.get_mut(base) {
            known.is_told = true;
        }
        self.reconsider(base);
    }

    /// Whether a candidate of this address and base is among those of the types that `told` (RFC 8445 §5.1.3, RFC 8838
    /// §9).
    pub fn is_redundant(&self, base: BaseId, addr: SocketAddr, told: impl Fn(CandidateType) -> bool) -> bool {
        let same = |local: &&Local| local.base == base && local.candidate.address.socket() == Some(addr);
        self.locals.iter().filter(same).any(|local| told(local.candidate.kind))
    }

    pub(super) fn add_local(
        &mut self,
        base: BaseId,
        component: ComponentId,
        candidate: Candidate,
    ) -> Option<LocalId> {
        if self.locals.len() >= usize::from(self.limits.local_candidates) {
            // The place of a candidate whose base is gone: no pair has it any more.
            let gone = self.locals.iter().position(|local| self.bases.get(local.base).is_none())?;
            self.locals[gone] = Local { candidate, base, component };
            return Some(LocalId(gone as u16));
        }
        reserve_first(&mut self.locals);
        self.locals.push(Local { candidate, base, component });
        Some(LocalId((self.locals.len() - 1) as u16))
    }

    /// Removes a base and its pairs.
    pub fn remove_base(&mut self, base: BaseId) {
        self.bases.remove(base);
        let pairs: Vec<_> = self.pairs().filter(|(_, pair)| pair.base == base).map(|(id, _)| id).collect();
        for id in pairs {
            self.remove_pair(id);
        }
    }

    /// Adds a signalled candidate and pairs it with all bases of its component, in the order they were added. A
    /// peer-reflexive candidate of the same address takes over its data; its pairs keep their state (RFC 8445
    /// §7.3.1.3, RFC 8838 §11).
    ///
    /// # Errors
    /// With the limit that was reached.
    pub fn add_remote(
        &mut self,
        component: ComponentId,
        addr: SocketAddr,
        candidate: Candidate,
        permission: impl Fn(BaseId) -> Permission,
    ) -> Result<(), usize> {
        let transport = candidate.transport;
        let same = |remote: &Remote| {
            remote.component == component && remote.addr == addr && remote.candidate.transport == transport
        };
        let known = self.remotes.iter().position(same);
        let limit = usize::from(self.limits.remote_candidates);
        let id = if let Some(index) = known {
            if self.remotes[index].candidate.kind == CandidateType::PeerReflexive {
                self.remotes[index].candidate = candidate;
            }
            RemoteId(index as u16)
        } else {
            self.push_remote(component, addr, candidate).ok_or(limit)?
        };
        for base in self.bases.numbers() {
            if self.local_at(base).is_some_and(|local| local.component == component) && !self.is_passive(base)
            {
                self.form_pair(base, id, permission(base));
            }
        }
        Ok(())
    }

    pub(super) fn push_remote(
        &mut self,
        component: ComponentId,
        addr: SocketAddr,
        candidate: Candidate,
    ) -> Option<RemoteId> {
        if self.remotes.len() >= usize::from(self.limits.remote_candidates) {
            return None;
        }
        let priority = candidate.priority;
        reserve_first(&mut self.remotes);
        self.remotes.push(Remote { candidate, addr, component, priority });
        Some(RemoteId((self.remotes.len() - 1) as u16))
    }

    /// Forms a pair and keeps the set within its limit.
    fn form_pair(&mut self, base: BaseId, remote: RemoteId, permission: Permission) {
        if !self.is_superfluous(base, remote) && self.insert_pair(base, remote, permission).is_some() {
            self.limit_pairs();
        }
    }

    /// Whether this pair would be the one that [`Self::limit_pairs`] removes, so that of many candidates those pairs cost
    /// next to nothing that are not kept.
    fn is_superfluous(&self, base: BaseId, remote: RemoteId) -> bool {
        if self.by_path.len() < usize::from(self.limits.pairs) || self.failed_pair().is_some() {
            return false;
        }
        let (Some(local), Some(far)) = (self.local_at(base), self.remote(remote)) else { return false };
        let own = usize::from(local.component.stream);
        let mut others = self.checklists.iter().enumerate().filter(|(stream, _)| *stream != own);
        let Some(list) = self.checklists.get(own) else { return false };
        if others.any(|(_, other)| other.pairs > list.pairs) {
            return false;
        }
        let priority = self.pair_priority(local.candidate.priority, far.priority);
        self.last_unchecked(list).is_none_or(|(Reverse(last), _)| priority < last)
    }

    /// Forms the pair of a base and a remote candidate, if they fit and it does not exist (RFC 8445 §6.1.2.2).
    pub(super) fn insert_pair(
        &mut self,
        base: BaseId,
        remote: RemoteId,
        permission: Permission,
    ) -> Option<PairId> {
        let local = self.local_at(base)?;
        let far = self.remotes.get(usize::from(remote.0))?;
        let near = local.candidate.address.socket()?;
        let destination = on_link_of(near, far.addr);
        let path = (base, destination);
        if !can_pair(near, far.addr) {
            return None;
        }
        let link = link(&local.candidate, &far.candidate)?;
        if self.by_path.contains_key(&path) {
            return None;
        }
        let component = local.component;
        let priority = self.pair_priority(local.candidate.priority, far.priority);
        let likelihood = self.likelihood(base, far);
        let group = self.groups.join(local.candidate.foundation, far.candidate.foundation);
        let has_free = self.by_path.len() < self.places.len();
        let free = has_free.then(|| self.places.iter().position(|place| place.pair.is_none())).flatten();
        let index = free.unwrap_or(self.places.len());
        if free.is_none() {
            reserve_first(&mut self.places);
            self.places.push(Place { stamp: self.first_stamp, pair: None });
        }
        let id = PairId { index: index as u16, stamp: self.places[index].stamp };
        let pair = Pair {
            base,
            remote,
            destination,
            component,
            priority,
            valid_priority: 0,
            state: PairState::Frozen,
            valid: None,
            answered: None,
            nominated: Nominated::No,
            nomination: 0,
            authenticated: false,
            heard: None,
            quality: Quality::default(),
            failure: None,
            asked: None,
            group,
            queued: false,
            nominating: false,
            blocked: permission == Permission::Needed,
            silent: false,
            likelihood,
            recheck: None,
            rechecks: 0,
            triggered: None,
            unanswered: None,
            unreachable: None,
            link,
            record: Record::default(),
            transaction: None,
        };
        let state = self.groups.initial_state(group, pair.rank(id));
        self.places[index].pair = Some(Pair { state, ..pair });
        self.by_path.insert(path, id);
        self.checklist_mut(component.stream)?.pairs += 1;
        self.index(id);
        Some(id)
    }

    /// Keeps the set within [`Limits::pairs`](super::Limits::pairs): a Failed pair goes, or else of the largest checklist the pair of lowest
    /// priority that was not checked (RFC 8445 §6.1.2.5, RFC 8838 §10).
    pub(super) fn limit_pairs(&mut self) {
        while self.by_path.len() > usize::from(self.limits.pairs) {
            let Some(victim) = self.failed_pair().or_else(|| self.unchecked_pair()) else { break };
            self.remove_pair(victim);
        }
    }

    fn failed_pair(&self) -> Option<PairId> {
        let mut components = self.checklists.iter().flat_map(Checklist::components);
        components.find_map(|component| component.failed.last()).map(|(_, id)| *id)
    }

    fn unchecked_pair(&self) -> Option<PairId> {
        let lists = self.checklists.iter();
        let last = lists.filter_map(|list| Some((list.pairs, self.last_unchecked(list)?))).max();
        last.map(|(_, (_, id))| id)
    }

    /// The pair of lowest priority of a checklist that was not checked.
    fn last_unchecked(&self, list: &Checklist) -> Option<(Reverse<u64>, PairId)> {
        let unchecked = |pair: &Pair| pair.state != PairState::InProgress && !pair.queued;
        let is_unchecked = |id: &PairId| self.pair(*id).is_some_and(unchecked);
        let of =
            |component: &Component| component.open.iter().rev().find(|(_, id)| is_unchecked(id)).copied();
        list.components().iter().filter_map(of).max()
    }

    pub(super) fn remove_pair(&mut self, id: PairId) {
        let Some(pair) = self.pair(id) else { return };
        let (component, transaction, group) = (pair.component, pair.transaction, pair.group);
        let path = (pair.base, pair.destination);
        let was_selected = self.is_selected(id);
        self.disarm_recheck(id);
        self.unindex(id);
        self.groups.part(group);
        if let Some(transaction) = transaction {
            self.transactions.end(transaction);
        }
        if let Some(checklist) = self.checklist_mut(component.stream) {
            checklist.triggered.retain(|queued| *queued != id);
            checklist.pairs -= 1;
            if let Some(component) = checklist.component_mut(component.component) {
                component.nominating = component.nominating.filter(|nominating| *nominating != id);
                component.selected = component.selected.filter(|selected| *selected != id);
            }
        }
        self.by_path.remove(&path);
        let place = &mut self.places[usize::from(id.index)];
        place.pair = None;
        place.stamp = place.stamp.wrapping_add(1);
        if was_selected {
            self.resume(component);
        }
    }

    /// A component without a selected pair may be checked again; so are pairs whose check the nomination has ended (RFC
    /// 8445 §8.1.2) before it had an outcome.
    pub(super) fn resume(&mut self, at: ComponentId) {
        let pairs: Vec<_> = self.pairs().filter(|(_, pair)| pair.component == at).map(|(id, _)| id).collect();
        for id in pairs {
            self.unindex(id);
            if let Some(pair) = self.pair_mut(id)
                && pair.state == PairState::InProgress
                && pair.transaction.is_none()
            {
                pair.state = PairState::Waiting;
            }
            self.index(id);
        }
    }
}
