//! What is given back when the session has its pairs (RFC 8445 §8.3.1).

use super::Agent;
use super::flow::InUse;
use super::relays::RelayId;
use crate::candidate::BaseId;
use crate::checks::PairId;
use crate::stun::Family;
use crate::time::{Duration, Instant, Timer};

/// After Completed, candidates that were not selected are kept for this long (RFC 8445 §8.3.1).
const GRACE: Duration = Duration::from_secs(3);
/// A relay that the peer has checked in that time is perhaps its spare one: two checks and their retransmissions.
const SIGN_OF_USE: Duration = Duration::from_secs(60);
/// The same at the first time: what arrived later than 500 ms after completion is no check from before the nomination, and
/// half the time until the first one of a spare pair.
const SIGN_AT_FIRST: Duration = Duration::from_millis(2500);

/// When relays are given back that carry nothing.
#[derive(Debug, Default)]
pub(super) struct Free {
    timer: Timer,
    /// It was done once in this session.
    again: bool,
}

impl Free {
    /// The session has completed.
    pub(super) fn completed(&mut self, now: Instant) {
        self.timer.set(now + GRACE);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timer.deadline()
    }
}

impl Agent {
    pub(super) fn run_free(&mut self, now: Instant) {
        if self.free.timer.take_due(now) {
            self.free_unselected(now);
        }
    }

    /// Three seconds after completion, allocations that carry nothing are given back (RFC 8445 §8.3.1), and the session
    /// before a restart is forgotten. With renomination those of spare pairs stay, and those that the peer still checks: it
    /// chose its spare pair for itself. These are looked at again.
    fn free_unselected(&mut self, now: Instant) {
        self.gatherer.conclude();
        self.previous = None;
        self.release_connections();
        self.checks.compact();
        self.intents.compact();
        self.events.shrink_to_fit();
        let in_use = self.flows.iter().filter_map(|flow| Some(self.pair_in_use(flow.pair?)?.base));
        let in_use: Vec<BaseId> = in_use.collect();
        let spare = self.spare_bases(now);
        let kept: Vec<BaseId> = in_use.iter().chain(&spare).copied().collect();
        self.free.again = true;
        let mut is_over = true;
        for id in self.relays.ids() {
            let Some(relay) = self.relays.get_mut(id) else { continue };
            if relay.bases().any(|base| kept.contains(&base)) {
                is_over &= !relay.bases().any(|base| spare.contains(&base) && !in_use.contains(&base));
                self.free_unused_families(now, id, &kept);
                continue;
            }
            relay.client.close(now);
            relay.revival.stop();
            // A restart must not offer it again.
            self.forget_relayed(now, id);
            self.follow_relay(now, id);
        }
        if !is_over {
            self.free.timer.set(now + SIGN_OF_USE);
        }
    }

    /// The bases of spare pairs, and those that the peer has checked of late.
    fn spare_bases(&self, now: Instant) -> Vec<BaseId> {
        let spares = self.checks.spares().filter_map(|spare| Some(self.checks.pair(spare)?.base));
        let of_late = if self.free.again { SIGN_OF_USE } else { SIGN_AT_FIRST };
        let is_heard = |heard: Instant| now.saturating_duration_since(heard) <= of_late;
        let heard = self.checks.pairs().filter(|(_, pair)| {
            pair.heard.is_some_and(is_heard) && self.checks.renominates(pair.component.stream)
        });
        spares.chain(heard.map(|(_, pair)| pair.base)).collect()
    }

    /// Of an allocation with an address of each family the one that carries nothing is given back.
    fn free_unused_families(&mut self, now: Instant, id: RelayId, used: &[BaseId]) {
        let Some(relay) = self.relays.get(id) else { return };
        let unused = relay.bases().filter(|base| !used.contains(base));
        for base in unused {
            let Some(family) = self.bases.get(base).map(|base| Family::from(base.addr.ip())) else {
                continue;
            };
            if let Some(relay) = self.relays.get_mut(id) {
                relay.set_base(family, None);
                relay.client.release(now, family);
            }
            self.forget_base(base);
            self.follow_relay(now, id);
        }
    }

    /// A check on the pair of a flow was answered.
    pub(super) fn renew_consent(&mut self, now: Instant, pair: PairId) {
        let used = InUse { generation: self.checks.generation, id: pair };
        let Some(index) = self.flows.iter().position(|flow| flow.pair == Some(used)) else { return };
        if let Some(consent) = &mut self.flows[index].consent {
            consent.grant(now);
        }
        self.note_alive(now, index, None);
    }
}
