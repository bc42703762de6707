//! A peer that has moved, before its signals say so: it checks from an address that nobody knew, while nothing comes on the
//! pair in use any more and no other one is valid.
//!
//! ```text
//!  the peer's check on a pair that is not valid ─┐
//!                                                ├─► a check back ─► valid ─► suspicion of the pair in use ─► failover
//!  the pair in use falls silent ─────────────────┘
//! ```
//!
//! Either alone is no reason: between NATs that map each destination anew, checks come from ever new addresses.

use super::Agent;
use super::config::Failover;
use super::flow::InUse;
use super::liveness::Liveness;
use crate::checks::PairId;
use crate::time::Instant;

/// What is known of a component whose peer may be elsewhere.
#[derive(Debug, Default)]
pub(super) struct Stray {
    /// The pair that the peer has checked last of those that are not valid.
    pair: Option<PairId>,
    /// Nothing comes on the pair in use.
    pub(super) silent: bool,
}

impl Liveness {
    /// Whether regular traffic has fallen silent, or a consent request is unanswered.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        [self.silence(), self.answer()].into_iter().flatten().any(|at| at <= now)
    }
}

impl Agent {
    /// A check of the peer arrived on a pair that is not valid.
    pub(super) fn note_stray(&mut self, now: Instant, pair: PairId) {
        let generation = self.checks.generation;
        let Some(component) = self.checks.pair(pair).map(|pair| pair.component) else { return };
        let index = self.flows.iter().position(|flow| flow.component == component);
        let Some(index) = index.filter(|index| self.is_current(*index, generation)) else { return };
        self.flows[index].stray.pair = Some(pair);
        if self.flows[index].stray.silent {
            self.check_stray(now, index);
        }
    }

    /// The pair in use has fallen silent, or leaves a consent request unanswered, and there is no other valid one.
    pub(super) fn note_silence(&mut self, now: Instant, index: usize) {
        self.flows[index].stray.silent = true;
        self.check_stray(now, index);
    }

    fn check_stray(&mut self, now: Instant, index: usize) {
        if let Some(pair) = self.flows[index].stray.pair.take()
            && self.config.failover == Failover::On
            && self.checks.check_stray(now, pair)
        {
            self.wake_up(now);
        }
    }

    /// A pair has become valid: if the one in use is silent, it is asked whether it is alive.
    pub(super) fn follow_stray(&mut self, now: Instant, id: PairId) {
        let generation = self.checks.generation;
        let Some(component) = self.checks.pair(id).map(|pair| pair.component) else { return };
        for index in 0..self.flows.len() {
            if self.flows[index].component != component || !self.is_current(index, generation) {
                continue;
            }
            let flow = &mut self.flows[index];
            let is_other = flow.pair.is_some_and(|used| used.id != id);
            if is_other
                && std::mem::take(&mut flow.stray.silent)
                && let Some(liveness) = &mut flow.liveness
            {
                liveness.doubt(now);
            }
        }
    }

    fn is_current(&self, index: usize, generation: crate::checks::Generation) -> bool {
        self.flows[index].pair.is_some_and(|InUse { generation: of, .. }| of == generation)
    }
}
