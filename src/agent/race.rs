//! A later offer that says how the session has ended for the peer, and may be faster than the answer to our own check
//! (RFC 8839 §4.4.2).

use std::net::SocketAddr;

use super::Agent;
use crate::candidate::BaseId;
use crate::checks::{Pair, PairId, PairState, Role};
use crate::io::ComponentId;
use crate::signal::{SelectedPair, What};
use crate::time::Instant;

/// A pair that the controlling peer has selected, as its offer tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The component within its stream.
    pub component: u16,
    /// Ours: what `remote-candidates` lists.
    pub local: SocketAddr,
    /// The peer's: its default destination.
    pub remote: SocketAddr,
}

/// As an offer of the peer lists it ([`Description::announced`](crate::sdp::Description::announced)).
impl From<SelectedPair> for Announced {
    fn from(pair: SelectedPair) -> Self {
        let SelectedPair { component, local, remote } = pair.from_afar();
        Self { component, local, remote }
    }
}

/// What to answer to an offer with `remote-candidates`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Race {
    /// Every pair is valid here too: answer with the listed candidates.
    Won,
    /// A check is under way: ask again after the next [`Event`](super::Event).
    Open,
    /// A check has failed: answer as if nothing were listed, then [`restart`](Agent::restart).
    Lost,
}

impl Agent {
    /// Compares the `remote-candidates` of an offer with the valid list. A lite agent, which has no checks of its own,
    /// takes the pairs, and emits [`What::Confirmed`] for its description; if it believed to control it does not any more, since of two such offers this one came through
    /// (RFC 8839 §4.4.2.2).
    pub fn handle_remote_candidates(&mut self, now: Instant, stream: u16, announced: &[Announced]) -> Race {
        self.wake_up(now);
        if !self.checks.sends_checks() {
            self.take_announced(now, stream, announced);
            return Race::Won;
        }
        let races = announced.iter().map(|pair| self.race(stream, pair));
        races.fold(Race::Won, |all, one| match (all, one) {
            (Race::Open, _) | (_, Race::Open) => Race::Open,
            (Race::Lost, _) | (_, Race::Lost) => Race::Lost,
            (Race::Won, Race::Won) => Race::Won,
        })
    }

    fn race(&self, stream: u16, announced: &Announced) -> Race {
        let component = ComponentId { stream, component: announced.component };
        let wanted = (Some(announced.local), Some(announced.remote));
        let mut valid = self.valid_pairs(component);
        if valid.any(|it| (it.local.address.socket(), it.remote.address.socket()) == wanted) {
            return Race::Won;
        }
        let pairs = || self.pairs_to(component, announced.remote).map(|(_, pair)| pair.state);
        let under_way = |state| matches!(state, PairState::Waiting | PairState::InProgress);
        if !pairs().any(under_way) && pairs().any(|state| state == PairState::Failed) {
            return Race::Lost;
        }
        Race::Open
    }

    pub(super) fn pairs_to(
        &self,
        at: ComponentId,
        remote: SocketAddr,
    ) -> impl Iterator<Item = (PairId, &Pair)> {
        self.checks.pairs().filter(move |(_, pair)| pair.component == at && pair.destination == remote)
    }

    fn take_announced(&mut self, now: Instant, stream: u16, announced: &[Announced]) {
        let is_at = |base: BaseId, addr| self.bases.get(base).is_some_and(|base| base.addr == addr);
        let pairs: Vec<PairId> = announced
            .iter()
            .filter_map(|it| {
                let component = ComponentId { stream, component: it.component };
                let mut pairs = self.pairs_to(component, it.remote);
                Some(pairs.find(|(_, pair)| is_at(pair.base, it.local))?.0)
            })
            .collect();
        if self.checks.yield_control() {
            self.follow_role(Role::Controlled);
        }
        for pair in pairs {
            // For the answer.
            self.signal_pair(pair, What::Confirmed);
            if self.checks.accept(pair) {
                self.follow_selected(now, pair);
            }
        }
        self.follow_checks(now);
    }
}
