//! Checks of no pair: probes of addresses that nobody has told (see `agent::hard`). Nothing is remembered of them. What
//! they find shows itself as a check of the peer, which makes a pair as every other one does (RFC 8445 §7.3.1.3).

use super::likelihood::is_private;
use super::nominate::Reach;
use super::pair::Pair;
use super::request::Check;
use super::set::{ChecklistSet, Local, Remote};
use crate::candidate::priority::candidate_priority;
use crate::candidate::{Candidate, CandidateType};
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

    /// The candidates over IPv4 of both ends that the other one sees, if its checks arrive: the best server-reflexive ones,
    /// else host candidates with a public address, before which there may be a firewall. Other NATs than those of IPv4
    /// translate no ports.
    pub fn outer_ends(&self, at: ComponentId) -> Option<(&Local, &Remote)> {
        let rank = |it: &Candidate| {
            let addr = it.address.socket().filter(|addr| addr.is_ipv4() && it.transport == Transport::Udp)?;
            match it.kind {
                CandidateType::ServerReflexive => Some((1, it.priority)),
                CandidateType::Host if !is_private(addr.ip()) => Some((0, it.priority)),
                _ => None,
            }
        };
        let locals = self.locals.iter().filter(|it| it.component == at);
        let remotes = self.remotes.iter().filter(|it| it.component == at);
        let local = locals.filter_map(|it| Some((rank(&it.candidate)?, it))).max_by_key(|(rank, _)| *rank)?;
        let remote =
            remotes.filter_map(|it| Some((rank(&it.candidate)?, it))).max_by_key(|(rank, _)| *rank)?;
        Some((local.1, remote.1))
    }
}
