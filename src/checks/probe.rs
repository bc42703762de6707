//! Checks of no pair: probes of addresses that nobody has told (see `agent::hard`). Nothing is remembered of them. What
//! they find shows itself as a check of the peer, which makes a pair as every other one does (RFC 8445 §7.3.1.3).

use super::nominate::Reach;
use super::pair::Pair;
use super::request::Check;
use super::set::{ChecklistSet, Local, Remote};
use crate::candidate::CandidateType;
use crate::candidate::priority::candidate_priority;
use crate::io::{ComponentId, Transport};
use crate::rng::Rng;
use crate::stun::{Message, TransactionId};

impl ChecklistSet {
    /// Writes a check with a new transaction id, and says how long it is; `None` without credentials of the peer.
    pub fn write_probe(&mut self, at: ComponentId, rng: &mut Rng, buf: &mut [u8]) -> Option<usize> {
        let id = TransactionId(rng.transaction_id());
        let kind = CandidateType::PeerReflexive;
        let priority = candidate_priority(kind, 0, at.component);
        let (roles, pair) = (self.roles, super::PairId { index: u16::MAX, stamp: u16::MAX });
        let check = Check { pair, use_candidate: false, nomination: None, roles, priority };
        self.write_binding(at.stream, id, &check, buf)
    }

    /// Whether a request is one of the peer's checks of this stream.
    pub fn vouches_for(&self, stream: u16, message: Message<'_>) -> bool {
        let Some(list) = self.checklist(stream).filter(|list| !list.is_removed()) else { return false };
        let names = |username: &[u8]| super::respond::names(username, list.local.ufrag.as_str());
        message.username().is_some_and(names) && message.verify(&list.local.key).is_ok()
    }

    /// Whether a pair of this component without a relay is valid.
    pub fn has_direct(&self, at: ComponentId) -> bool {
        let component = self.checklist(at.stream).and_then(|list| list.component(at.component));
        let is_direct = |pair: &Pair| self.reach(pair) == Reach::Direct;
        component.is_some_and(|it| it.valid().any(|id| self.pair(id).is_some_and(is_direct)))
    }

    /// The best server-reflexive candidates over IPv4 of both ends, where a NAT is at each: other NATs than those of IPv4
    /// translate no ports.
    pub fn reflexive_ends(&self, at: ComponentId) -> Option<(&Local, &Remote)> {
        let fits = |it: &crate::candidate::Candidate| {
            (it.kind, it.transport) == (CandidateType::ServerReflexive, Transport::Udp)
                && it.address.socket().is_some_and(|addr| addr.is_ipv4())
        };
        let locals = self.locals.iter().filter(|it| it.component == at && fits(&it.candidate));
        let remotes = self.remotes.iter().filter(|it| it.component == at && fits(&it.candidate));
        let local = locals.max_by_key(|it| it.candidate.priority)?;
        Some((local, remotes.max_by_key(|it| it.candidate.priority)?))
    }
}
