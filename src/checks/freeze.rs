//! Freezing over the whole checklist set (RFC 8445 §6.1.2.6, §6.1.4.2, §7.2.5.3.3, RFC 8838 §12).
//!
//! Pairs of one foundation are likely to share a fate, so one of them is checked first and the others wait
//! Frozen. A `Group` holds what the rules ask about a foundation, so that no rule has to scan pairs.
//!
//! # Silence
//! RFC 8445 §6.1.4.2 keeps the others Frozen until the first one has failed: 39.5 s, as long as the peer's patience, so
//! where the first one is dead and they are not, a path that exists is found by nobody. It is dead alone where a socket
//! goes while checks run, most of all that of a relay: all relayed candidates of a server have one foundation. Here
//! a pair that two requests in a row got no answer on does not hold the others back any more: when nothing is Waiting,
//! the next one is, 3 RTO after the first, and so on. That is all that is beyond the RFC. Freezing saves checks that are
//! likely to be vain (§2.4) and has no other use: the peer cannot tell, order, pacing and the number of checks are as
//! they were, and each pair is checked that would be checked later. The pair itself goes on until it fails.

use std::cmp::Reverse;

use super::pair::{Pair, PairId, PairState};
use super::request::Check;
use super::room::reserve_first;
use super::set::ChecklistSet;
use crate::candidate::Foundation;
use crate::hash::hash_of;
use crate::sorted::Sorted;
use crate::stun::TransactionId;
use crate::time::Instant;

/// The request of a check that leaves when the others have nothing to wait for any more.
const SILENT_FROM: u8 = 3;

/// A pair foundation, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(u16);

/// The order inside a foundation: first checklist, lowest component, highest priority.
pub(super) type Rank = (u16, u16, Reverse<u64>, PairId);

/// What the state of a pair means to the others of its foundation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Frozen,
    /// Waiting or In-Progress: the others wait for its outcome.
    Active,
    /// In-Progress, and nobody answers.
    Silent,
    Succeeded,
    Failed,
}

impl Standing {
    pub(super) fn of(pair: &Pair) -> Self {
        match pair.state {
            PairState::Frozen => Self::Frozen,
            PairState::InProgress if pair.silent => Self::Silent,
            PairState::Waiting | PairState::InProgress => Self::Active,
            PairState::Succeeded => Self::Succeeded,
            PairState::Failed => Self::Failed,
        }
    }
}

#[derive(Debug)]
struct Group {
    key: (Foundation, Foundation),
    /// Pairs of any state.
    members: u16,
    /// Pairs that are Waiting or In-Progress and not silent, in any checklist.
    active: u16,
    /// Pairs that Succeeded, in any checklist.
    succeeded: u16,
    frozen: Sorted<Rank>,
    /// The topmost pair so far.
    top: Option<Rank>,
}

/// All pair foundations of a set.
#[derive(Debug, Default)]
pub(super) struct Groups {
    list: Vec<Group>,
    /// Those that have pairs, by the hash of their key.
    by_hash: Sorted<(u64, GroupId)>,
    /// Places in the list that no pair needs any more.
    free: Vec<GroupId>,
    /// Those with Frozen pairs and nothing Waiting or In-Progress, silent ones aside.
    thawable: Sorted<GroupId>,
    /// Waiting and In-Progress pairs of all groups: Num-Waiting + Num-In-Progress of RFC 8445 §14.3.
    active: u32,
}

impl Groups {
    /// The group of the combination of a local and a remote foundation (RFC 8445 §6.1.2.6), with one more pair in it.
    pub(super) fn join(&mut self, local: Foundation, remote: Foundation) -> GroupId {
        let key = (local, remote);
        let hash = hash_of(&key);
        let mut like = self.by_hash.from(|(other, _)| *other >= hash).take_while(|(other, _)| *other == hash);
        let known = like.find(|(_, id)| self.list[usize::from(id.0)].key == key).map(|(_, id)| *id);
        let id = known.unwrap_or_else(|| self.found(key, hash));
        self.list[usize::from(id.0)].members += 1;
        id
    }

    fn found(&mut self, key: (Foundation, Foundation), hash: u64) -> GroupId {
        let group = Group { key, members: 0, active: 0, succeeded: 0, frozen: Sorted::default(), top: None };
        let id = if let Some(id) = self.free.pop() {
            self.list[usize::from(id.0)] = group;
            id
        } else {
            reserve_first(&mut self.list);
            self.list.push(group);
            GroupId((self.list.len() - 1) as u16)
        };
        self.by_hash.insert((hash, id));
        id
    }

    /// A pair is gone, after it left its state. A group without pairs makes room for another one: peer-reflexive
    /// candidates have foundations of their own and come and go.
    pub(super) fn part(&mut self, id: GroupId) {
        let group = &mut self.list[usize::from(id.0)];
        group.members -= 1;
        if group.members == 0 {
            self.by_hash.remove(&(hash_of(&group.key), id));
            self.free.push(id);
        }
    }

    /// The state of a pair that joins (RFC 8838 §12): Waiting if it is the topmost of its foundation or one of
    /// the foundation succeeded, else Frozen. For pairs that all join before checks begin this gives exactly one
    /// Waiting pair a foundation if the topmost joins first, as RFC 8445 §6.1.2.6 wants.
    pub(super) fn initial_state(&mut self, id: GroupId, rank: Rank) -> PairState {
        let group = &mut self.list[usize::from(id.0)];
        let topmost = group.top.is_none_or(|top| rank < top);
        if topmost {
            group.top = Some(rank);
        }
        if topmost || group.succeeded > 0 { PairState::Waiting } else { PairState::Frozen }
    }

    /// A pair leaves its state, or the checklist.
    pub(super) fn leave(&mut self, id: GroupId, rank: Rank, standing: Standing) {
        let group = &mut self.list[usize::from(id.0)];
        match standing {
            Standing::Frozen => {
                group.frozen.remove(&rank);
            }
            Standing::Active => {
                group.active -= 1;
                self.active -= 1;
            }
            Standing::Silent => self.active -= 1,
            Standing::Succeeded => group.succeeded -= 1,
            Standing::Failed => {}
        }
        self.note_thawable(id);
    }

    /// A pair joins in this state.
    pub(super) fn enter(&mut self, id: GroupId, rank: Rank, standing: Standing) {
        let group = &mut self.list[usize::from(id.0)];
        match standing {
            Standing::Frozen => {
                group.frozen.insert(rank);
            }
            Standing::Active => {
                group.active += 1;
                self.active += 1;
            }
            Standing::Silent => self.active += 1,
            Standing::Succeeded => group.succeeded += 1,
            Standing::Failed => {}
        }
        self.note_thawable(id);
    }

    fn note_thawable(&mut self, id: GroupId) {
        let group = &self.list[usize::from(id.0)];
        if group.active == 0 && !group.frozen.is_empty() {
            self.thawable.insert(id);
        } else {
            self.thawable.remove(&id);
        }
    }

    /// The Frozen pairs of a foundation (RFC 8445 §7.2.5.3.3 sets them Waiting after a success).
    pub(super) fn frozen(&self, id: GroupId) -> Vec<PairId> {
        self.list[usize::from(id.0)].frozen.iter().map(|rank| rank.3).collect()
    }

    /// Whether `stream` has a pair that may thaw.
    pub(super) fn has_thawable(&self, stream: u16) -> bool {
        self.thawable.iter().any(|id| self.first_frozen(*id, stream).is_some())
    }

    /// The pair of each idle foundation that goes to Waiting when `stream` has nothing else to check (RFC 8445
    /// §6.1.4.2 step 2).
    pub(super) fn thawable(&self, stream: u16) -> Vec<PairId> {
        self.thawable.iter().filter_map(|id| self.first_frozen(*id, stream)).collect()
    }

    fn first_frozen(&self, id: GroupId, stream: u16) -> Option<PairId> {
        self.list[usize::from(id.0)].frozen.iter().find(|rank| rank.0 == stream).map(|rank| rank.3)
    }

    /// Places for groups.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Gives back the room of groups that are gone.
    pub(super) fn compact(&mut self) {
        let used = self.list.iter().rposition(|group| group.members > 0).map_or(0, |last| last + 1);
        self.list.truncate(used);
        self.list.shrink_to_fit();
        self.free.retain(|id| usize::from(id.0) < used);
        self.free.shrink_to_fit();
        for group in &mut self.list {
            group.frozen.shrink_to(0);
        }
        self.by_hash.shrink_to(0);
        self.thawable.shrink_to(0);
    }

    /// Num-Waiting + Num-In-Progress of RFC 8445 §14.3.
    pub(super) fn active(&self) -> u32 {
        self.active
    }
}

impl ChecklistSet {
    /// A check is sent again. A nomination that nobody answers makes room for one of another pair, if values say which of
    /// them counts.
    pub(super) fn note_silence(&mut self, now: Instant, id: TransactionId, check: &Check) {
        let is_late = self.transactions.find(id).is_some_and(|open| open.sent >= SILENT_FROM);
        if is_late && check.nomination.is_some() {
            self.nominate_instead(now, check.pair);
        }
        let waits = |pair: &Pair| pair.transaction == Some(id) && Standing::of(pair) == Standing::Active;
        if is_late && self.pair(check.pair).is_some_and(waits) {
            self.unindex(check.pair);
            if let Some(pair) = self.pair_mut(check.pair) {
                pair.silent = true;
            }
            self.index(check.pair);
        }
    }

    fn nominate_instead(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.pair_mut(id) else { return };
        pair.silent = true;
        let at = pair.component;
        let component = self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component));
        if let Some(component) = component.filter(|it| it.nominating == Some(id) && it.selected.is_none()) {
            component.nominating = None;
            self.nominate(now);
        }
    }
}
