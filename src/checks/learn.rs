//! Peer-reflexive remote candidates (RFC 8445 §7.3.1.3): learnt from the peer's checks, and forgotten when there are too
//! many.
//!
//! There is no end of them between two NATs that map each destination anew and filter nothing: each check comes from
//! another address, and the check back to it from another one again.

use std::net::SocketAddr;

use super::form::Permission;
use super::pair::{PairId, PairState, RemoteId};
use super::set::{ChecklistSet, Remote};
use crate::candidate::address::without_link;
use crate::candidate::{BaseId, Candidate, CandidateType, Foundation, TcpType};
use crate::io::{ComponentId, Transport};

impl ChecklistSet {
    /// The pair of an address that was never heard of.
    pub(super) fn learn_pair(
        &mut self,
        base: BaseId,
        component: ComponentId,
        source: SocketAddr,
        priority: u32,
    ) -> Option<PairId> {
        let remote = self.learn_remote(base, component, source, priority)?;
        let id = self.insert_pair(base, remote, Permission::Granted)?;
        if self.pair(id)?.state == PairState::Frozen {
            self.set_state(id, PairState::Waiting);
        }
        Some(id)
    }

    /// The remote candidate of this address, or a new one with the PRIORITY of the check that revealed it. Its
    /// foundation differs from all others.
    fn learn_remote(
        &mut self,
        base: BaseId,
        component: ComponentId,
        addr: SocketAddr,
        priority: u32,
    ) -> Option<RemoteId> {
        let addr = without_link(addr);
        let transport = self.local_at(base)?.candidate.transport;
        let same = |remote: &Remote| {
            remote.component == component && remote.addr == addr && remote.candidate.transport == transport
        };
        if let Some(index) = self.remotes.iter().position(same) {
            return Some(RemoteId(index as u16));
        }
        let list = self.checklist(component.stream)?;
        if list.component(component.component)?.usable().is_none()
            && let Some(left) = &mut self.late
        {
            *left = left.checked_sub(1)?;
        }
        let foundation = self.learn_foundation();
        let kind = CandidateType::PeerReflexive;
        let mut candidate = Candidate::udp(foundation, component.component, priority, addr, kind, None);
        // RFC 6544 §7.2: whoever checks a passive candidate has opened the connection.
        if transport == Transport::Tcp {
            candidate = candidate.over_tcp(TcpType::Active);
        }
        let learnt = self.remotes.iter().filter(|remote| remote.candidate.kind == kind).count();
        if learnt < usize::from(self.limits.peer_reflexive)
            && self.remotes.len() < usize::from(self.limits.remote_candidates)
        {
            return self.push_remote(component, addr, candidate);
        }
        let id = self.forget_remote()?;
        self.remotes[usize::from(id.0)] = Remote { candidate, addr, component, priority };
        Some(id)
    }

    /// Forgets the peer-reflexive candidate that was learnt first, of those that no valid pair has, and its pairs.
    fn forget_remote(&mut self) -> Option<RemoteId> {
        let used: Vec<_> =
            self.pairs().filter(|(_, pair)| pair.valid.is_some()).map(|(_, pair)| pair.remote).collect();
        let victims = self.remotes.iter().enumerate().map(|(index, remote)| (RemoteId(index as u16), remote));
        let unused = victims.filter(|(id, remote)| {
            remote.candidate.kind == CandidateType::PeerReflexive && !used.contains(id)
        });
        let (victim, _) = unused.min_by_key(|(_, remote)| remote.candidate.foundation.number())?;
        let pairs: Vec<_> =
            self.pairs().filter(|(_, pair)| pair.remote == victim).map(|(id, _)| id).collect();
        for id in pairs {
            self.remove_pair(id);
        }
        Some(victim)
    }

    /// A foundation that no signalled candidate of either side is likely to have.
    pub(super) fn learn_foundation(&mut self) -> Foundation {
        self.learnt += 1;
        Foundation::from_number(1_000_000 + self.learnt)
    }
}
