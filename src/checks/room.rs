//! The room that a session takes: little at first, and what many pairs needed is given back once it has its pairs.

use std::cmp::Reverse;

use super::pair::{Pair, PairId, PairState};
use super::set::ChecklistSet;

/// Pairs that were given up and are kept when a session has completed.
const RESERVE: usize = 5;

/// Room for one element where a vector would make room for four: most sessions have one of what is large here.
pub(crate) fn reserve_first<T>(list: &mut Vec<T>) {
    if list.capacity() == 0 {
        list.reserve_exact(1);
    }
}

impl ChecklistSet {
    /// The session has its pairs (RFC 8445 §8.3.1): of those that nobody was heard on some stay for the day when a spare one
    /// is looked for, and the room of the others is given back.
    pub fn compact(&mut self) {
        for id in self.given_up().into_iter().skip(RESERVE) {
            self.remove_pair(id);
        }
        let used = self.places.iter().rposition(|place| place.pair.is_some()).map_or(0, |last| last + 1);
        let stamps = self.places.drain(used..).map(|place| place.stamp);
        self.first_stamp = stamps.fold(self.first_stamp, u16::max);
        self.places.shrink_to_fit();
        self.by_path.shrink_to_fit();
        self.locals.shrink_to_fit();
        self.remotes.shrink_to_fit();
        self.groups.compact();
        // Their checks go on.
        let spares = self.spares().count();
        self.transactions.shrink_to(spares);
        for list in &mut self.checklists {
            list.waiting.shrink_to(0);
            list.triggered.shrink_to(4);
            for component in &mut list.components {
                for pairs in [&mut component.valid, &mut component.open, &mut component.failed] {
                    pairs.shrink_to(0);
                }
            }
        }
    }

    /// The pairs whose checks were given up before anything was heard on them, best first.
    fn given_up(&self) -> Vec<PairId> {
        let is_given_up = |pair: &Pair| {
            let is_silent = !pair.authenticated && pair.valid.is_none() && pair.failure.is_none();
            is_silent && pair.state == PairState::Failed && !pair.is_under_check()
        };
        let mut pairs: Vec<_> = self.pairs().filter(|(_, pair)| is_given_up(pair)).collect();
        pairs.sort_by_key(|(id, pair)| (Reverse(pair.priority), *id));
        pairs.into_iter().map(|(id, _)| id).collect()
    }
}
