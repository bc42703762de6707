//! What a success proves: the local candidate that the peer saw, and with it the valid pair (RFC 8445 §7.2.5.3.1,
//! §7.2.5.3.2).
//!
//! | the peer saw | the valid pair is |
//! |---|---|
//! | the candidate of the pair itself | the pair |
//! | that of another base, which has a pair to the same address | that pair |
//! | a reflexive address | one that is in no checklist: the pair, with a priority of its own |

use std::net::SocketAddr;

use super::pair::{LocalId, PairId};
use super::request::Check;
use super::set::ChecklistSet;
use crate::candidate::{Candidate, CandidateType};
use crate::time::Instant;

impl ChecklistSet {
    /// The local candidate that the peer saw, a new peer-reflexive one if it is not known (RFC 8445 §7.2.5.3.1).
    pub(super) fn local_of(&mut self, check: &Check, mapped: SocketAddr) -> Option<LocalId> {
        let pair = self.pair(check.pair)?;
        let (base, component) = (pair.base, pair.component);
        let near = &self.local_at(base)?.candidate;
        let (transport, tcp_type) = (near.transport, near.tcp_type);
        let known = self.locals.iter().position(|local| {
            local.component == component
                && local.candidate.transport == transport
                && local.candidate.address.socket() == Some(mapped)
        });
        if let Some(index) = known {
            return Some(LocalId(index as u16));
        }
        let kind = CandidateType::PeerReflexive;
        if self.locals.iter().filter(|local| local.candidate.kind == kind).count()
            >= usize::from(self.limits.peer_reflexive)
        {
            return self.bases.get(base).map(|known| known.local);
        }
        let related = self.local_at(base)?.candidate.address.socket();
        let foundation = self.learn_foundation();
        let mut candidate =
            Candidate::udp(foundation, component.component, check.priority, mapped, kind, related);
        // RFC 6544 §7.1: of the direction of its base.
        if let Some(direction) = tcp_type {
            candidate = candidate.over_tcp(direction);
        }
        self.add_local(base, component, candidate).or_else(|| self.bases.get(base).map(|known| known.local))
    }

    /// Adds the valid pair to the valid list, and says which it is. `id` is the pair of the check, out of the indexes.
    pub(super) fn prove(&mut self, now: Instant, id: PairId, seen: LocalId) -> PairId {
        let Some(other) = self.equal_to(id, seen) else {
            if self.pair(id).is_some_and(|pair| pair.valid.is_none()) {
                self.make_valid(id, seen);
            }
            return id;
        };
        let Some(pair) = self.pair_mut(id) else { return id };
        let (at, nomination) = (pair.component, pair.nomination);
        pair.nominating = false;
        self.unindex(other);
        if let Some(other) = self.pair_mut(other) {
            other.answered = Some(now);
            other.record.answer(now);
            other.nomination = other.nomination.max(nomination);
        }
        self.make_valid(other, seen);
        self.index(other);
        if let Some(component) =
            self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component))
        {
            component.nominating = component.nominating.filter(|nominating| *nominating != id);
        }
        other
    }

    /// The other pair of the checklist that the peer has seen, if it has.
    fn equal_to(&self, id: PairId, seen: LocalId) -> Option<PairId> {
        let (pair, local) = (self.pair(id)?, self.local(seen)?);
        let is_own_base = self.bases.get(local.base).is_some_and(|known| known.local == seen);
        self.pair_of(local.base, pair.destination).filter(|other| is_own_base && *other != id)
    }

    /// Makes a pair valid with the local candidate that the peer saw; it is out of the indexes.
    pub(super) fn make_valid(&mut self, id: PairId, seen: LocalId) {
        if let Some(pair) = self.pair_mut(id) {
            pair.valid = Some(seen);
        }
        self.rank_valid(id);
    }

    /// The priority of a valid pair, by its two candidates: a peer-reflexive one has the PRIORITY of the check that
    /// revealed it. The pair is out of the indexes.
    pub(super) fn rank_valid(&mut self, id: PairId) {
        let priority = self.pair(id).and_then(|pair| {
            let (local, remote) = (self.local(pair.valid?)?, self.remote(pair.remote)?);
            Some(self.pair_priority(local.candidate.priority, remote.priority))
        });
        if let (Some(pair), Some(priority)) = (self.pair_mut(id), priority) {
            pair.valid_priority = priority;
        }
    }
}
