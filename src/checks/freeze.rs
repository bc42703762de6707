//! Freezing over the whole checklist set (RFC 8445 §6.1.2.6, §6.1.4.2, §7.2.5.3.3, RFC 8838 §12).
//!
//! Pairs of one foundation are likely to share a fate, so one of them is checked first and the others wait
//! Frozen. A `Group` holds what the rules ask about a foundation, so that no rule has to scan pairs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::pair::{PairId, PairState};
use crate::candidate::Foundation;

/// A pair foundation, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(u16);

/// The order inside a foundation: first checklist, lowest component, highest priority.
pub(super) type Rank = (u16, u16, Reverse<u64>, PairId);

#[derive(Debug)]
struct Group {
    key: (Foundation, Foundation),
    /// Pairs of any state.
    members: u16,
    /// Pairs that are Waiting or In-Progress, in any checklist.
    active: u16,
    /// Pairs that Succeeded, in any checklist.
    succeeded: u16,
    frozen: BTreeSet<Rank>,
    /// The topmost pair so far.
    top: Option<Rank>,
}

/// All pair foundations of a set.
#[derive(Debug, Default)]
pub(super) struct Groups {
    ids: BTreeMap<(Foundation, Foundation), GroupId>,
    list: Vec<Group>,
    /// Places in the list that no pair needs any more.
    free: Vec<GroupId>,
    /// Those with Frozen pairs and nothing Waiting or In-Progress.
    thawable: BTreeSet<GroupId>,
    /// Waiting and In-Progress pairs of all groups: Num-Waiting + Num-In-Progress of RFC 8445 §14.3.
    active: u32,
}

impl Groups {
    /// The group of the combination of a local and a remote foundation (RFC 8445 §6.1.2.6), with one more pair in it.
    pub(super) fn join(&mut self, local: Foundation, remote: Foundation) -> GroupId {
        let key = (local, remote);
        let id = match self.ids.get(&key) {
            Some(id) => *id,
            None => self.found(key),
        };
        self.list[usize::from(id.0)].members += 1;
        id
    }

    fn found(&mut self, key: (Foundation, Foundation)) -> GroupId {
        let group = Group { key, members: 0, active: 0, succeeded: 0, frozen: BTreeSet::new(), top: None };
        let id = if let Some(id) = self.free.pop() {
            self.list[usize::from(id.0)] = group;
            id
        } else {
            self.list.push(group);
            GroupId((self.list.len() - 1) as u16)
        };
        self.ids.insert(key, id);
        id
    }

    /// A pair is gone, after it left its state. A group without pairs makes room for another one: peer-reflexive
    /// candidates have foundations of their own and come and go.
    pub(super) fn part(&mut self, id: GroupId) {
        let group = &mut self.list[usize::from(id.0)];
        group.members -= 1;
        if group.members == 0 {
            self.ids.remove(&group.key);
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
    pub(super) fn leave(&mut self, id: GroupId, rank: Rank, state: PairState) {
        let group = &mut self.list[usize::from(id.0)];
        match state {
            PairState::Frozen => {
                group.frozen.remove(&rank);
            }
            PairState::Waiting | PairState::InProgress => {
                group.active -= 1;
                self.active -= 1;
            }
            PairState::Succeeded => group.succeeded -= 1,
            PairState::Failed => {}
        }
        self.note_thawable(id);
    }

    /// A pair joins in this state.
    pub(super) fn enter(&mut self, id: GroupId, rank: Rank, state: PairState) {
        let group = &mut self.list[usize::from(id.0)];
        match state {
            PairState::Frozen => {
                group.frozen.insert(rank);
            }
            PairState::Waiting | PairState::InProgress => {
                group.active += 1;
                self.active += 1;
            }
            PairState::Succeeded => group.succeeded += 1,
            PairState::Failed => {}
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

    /// Num-Waiting + Num-In-Progress of RFC 8445 §14.3.
    pub(super) fn active(&self) -> u32 {
        self.active
    }
}
