//! Ports that a gateway has mapped (RFC 6886, RFC 6887, UPnP): NAT-assisted candidates (RFC 6544 §4.2).

use std::net::SocketAddr;

use super::Agent;
use super::bases::{Base, Told, Via};
use super::config::Policy;
use crate::candidate::priority::{nat_assisted_preference, priority, tcp_local_preference};
use crate::candidate::{BaseId, CandidateType, TcpType};
use crate::io::Transport;
use crate::time::Instant;

/// What became of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapped {
    /// It is a candidate, and was signalled.
    Signalled,
    /// It is a candidate, and too late to be signalled (RFC 8838 §13): peers that come to it are answered.
    Late,
    /// It is none: the peer knows that address already, or the [`Policy`] does not show it, or there is no such
    /// socket.
    Redundant,
}

impl Agent {
    /// Whether mapped ports make candidates: not with [`Policy::Relay`], and not of a lite agent.
    pub fn wants_mappings(&self) -> bool {
        self.config.policy != Policy::Relay && self.checks.sends_checks()
    }

    /// The transport addresses that a gateway could map: UDP sockets, and TCP ones that listen. None of an agent that
    /// would make no candidates of it.
    pub fn sockets(&self) -> Vec<(Transport, SocketAddr)> {
        if !self.wants_mappings() {
            return Vec::new();
        }
        let transport = |base: &Base| match base.via {
            Via::Socket => Some(Transport::Udp),
            Via::Tcp(TcpType::Passive) => Some(Transport::Tcp),
            Via::Tcp(_) | Via::Relay(_) => None,
        };
        self.bases.iter().filter_map(|(_, base)| Some((transport(base)?, base.addr))).collect()
    }

    /// A gateway leads `external` to the socket at `local`, a UDP one or a listening TCP one. That is a server-reflexive
    /// candidate with the type preference of NAT-assisted ones, so it comes before what a STUN server tells. Call it
    /// before [`end_of_sockets`](Self::end_of_sockets) has let gathering end: a candidate is not signalled after that.
    ///
    /// Call it again when the address outside has changed. The old candidate stays with the peer, as any does, and its
    /// checks are not answered.
    pub fn add_mapped(
        &mut self,
        now: Instant,
        transport: Transport,
        local: SocketAddr,
        external: SocketAddr,
    ) -> Mapped {
        self.wake_up(now);
        let is_it = |base: &Base| (base.via, base.addr) == (via(transport), local);
        let found = self.bases.iter().find(|(_, base)| is_it(base)).map(|(id, _)| id);
        let (Some(id), false) = (found, self.is_over()) else { return Mapped::Redundant };
        self.remove_mapped(transport, local);
        self.mapped.push((transport, local, external));
        self.offer_mapped(id)
    }

    /// The mapping is no more: a restart does not signal it again.
    pub fn remove_mapped(&mut self, transport: Transport, local: SocketAddr) {
        self.mapped.retain(|(known, at, _)| (*known, *at) != (transport, local));
    }

    /// The mapping of a base, if it has one, becomes a candidate.
    pub(super) fn offer_mapped(&mut self, id: BaseId) -> Mapped {
        let Some(base) = self.bases.get(id).copied() else { return Mapped::Redundant };
        let mut mapped = self.mapped.iter();
        let is_it =
            |(transport, local): (Transport, SocketAddr)| (base.via, base.addr) == (via(transport), local);
        let Some((_, _, external)) =
            mapped.find(|(transport, local, _)| is_it((*transport, *local))).copied()
        else {
            return Mapped::Redundant;
        };
        // A lite agent has host candidates only (RFC 8445 §5.2).
        if !self.wants_mappings() || self.gives_host_away(external) {
            return Mapped::Redundant;
        }
        if self.checks.is_redundant(id, external, |kind| self.was_told(kind)) {
            return Mapped::Redundant;
        }
        let kind = CandidateType::ServerReflexive;
        let related = Some(base.addr).filter(|_| self.shows_hosts());
        let mut candidate = self.candidate(&base, kind, external, None, related);
        let (preference, rank) = match base.via {
            Via::Tcp(direction) => {
                let rank = self.config.tcp.unwrap_or_default();
                (tcp_local_preference(kind, direction, base.preference), Some(rank))
            }
            _ => (base.preference, None),
        };
        candidate.priority = priority(nat_assisted_preference(rank), preference, base.component.component);
        let is_late = self.will_tell(base.component.stream) == Told::No;
        self.signal_candidate(base.component.stream, &candidate);
        self.checks.add_reflexive(id, base.component, candidate);
        if is_late { Mapped::Late } else { Mapped::Signalled }
    }
}

/// The base that a mapping of this transport leads to.
fn via(transport: Transport) -> Via {
    match transport {
        Transport::Udp => Via::Socket,
        Transport::Tcp => Via::Tcp(TcpType::Passive),
    }
}

#[cfg(test)]
mod tests;
