//! Forming pairs (RFC 8445 §6.1.2.2 to §6.1.2.5, RFC 8838 §10, §11).

use std::net::SocketAddr;

use super::checklist::Checklist;
use super::connect::link;
use super::pair::{LocalId, Nominated, Pair, PairId, PairState, Quality, RemoteId};
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
            if self.remotes[index].component == component
                && self.insert_pair(base, remote, permission).is_some()
            {
                self.limit_pairs();
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
        match self.locals.iter_mut().find(twin) {
            Some(local) => local.candidate = candidate,
            None => drop(self.add_local(base, component, candidate)),
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
        if self.locals.len() >= self.limits.local_candidates {
            // The place of a candidate whose base is gone: no pair has it any more.
            let gone = self.locals.iter().position(|local| !self.bases.contains_key(&local.base))?;
            self.locals[gone] = Local { candidate, base, component };
            return Some(LocalId(gone as u16));
        }
        self.locals.push(Local { candidate, base, component });
        Some(LocalId((self.locals.len() - 1) as u16))
    }

    /// Removes a base and its pairs.
    pub fn remove_base(&mut self, base: BaseId) {
        self.bases.remove(&base);
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
        let limit = self.limits.remote_candidates;
        let id = if let Some(index) = known {
            if self.remotes[index].candidate.kind == CandidateType::PeerReflexive {
                self.remotes[index].candidate = candidate;
            }
            RemoteId(index as u16)
        } else {
            self.push_remote(component, addr, candidate).ok_or(limit)?
        };
        let mut bases: Vec<_> = self.bases.iter().map(|(base, local)| (*base, *local)).collect();
        bases.sort_unstable();
        for (base, local) in bases {
            if self.locals[usize::from(local.0)].component == component
                && !self.is_passive(base)
                && self.insert_pair(base, id, permission(base)).is_some()
            {
                self.limit_pairs();
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
        if self.remotes.len() >= self.limits.remote_candidates {
            return None;
        }
        let priority = candidate.priority;
        self.remotes.push(Remote { candidate, addr, component, priority });
        Some(RemoteId((self.remotes.len() - 1) as u16))
    }

    /// Forms the pair of a base and a remote candidate, if they fit and it does not exist (RFC 8445 §6.1.2.2).
    pub(super) fn insert_pair(
        &mut self,
        base: BaseId,
        remote: RemoteId,
        permission: Permission,
    ) -> Option<PairId> {
        let local = self.locals.get(usize::from(self.bases.get(&base)?.0))?;
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
        let free = self.places.iter().position(|place| place.pair.is_none());
        let index = free.unwrap_or(self.places.len());
        if free.is_none() {
            self.places.push(Place { stamp: 0, pair: None });
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
        while self.by_path.len() > self.limits.pairs {
            let Some(victim) = self.failed_pair().or_else(|| self.unchecked_pair()) else { break };
            self.remove_pair(victim);
        }
    }

    fn failed_pair(&self) -> Option<PairId> {
        let mut components = self.checklists.iter().flat_map(Checklist::components);
        components.find_map(|component| component.failed.last()).map(|(_, id)| *id)
    }

    fn unchecked_pair(&self) -> Option<PairId> {
        let unchecked = |id: &PairId| {
            let unchecked = |pair: &Pair| pair.state != PairState::InProgress && !pair.queued;
            self.pair(*id).is_some_and(unchecked)
        };
        let last = |list: &Checklist| {
            let components = list.components().iter();
            let worst = components
                .filter_map(|component| component.open.iter().rev().find(|(_, id)| unchecked(id)).copied());
            worst.max()
        };
        let lists = self.checklists.iter().filter_map(|list| Some((list.pairs, last(list)?)));
        lists.max().map(|(_, (_, id))| id)
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
