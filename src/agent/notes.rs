//! What nobody else keeps and a [`Diagnosis`](super::Diagnosis) needs. It outlives the end of the session.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::Agent;
use super::event::{Reason, ServerId, ServerProblem};
use super::flow::InUse;
use super::relays::RelayId;
use crate::candidate::Address;
use crate::checks::PairId;
use crate::consent::Loss;
use crate::error::SignalError;
use crate::io::ComponentId;
use crate::signal::{Signal, What};
use crate::time::Instant;

/// Servers times bases that are remembered.
const MAX_SERVERS: usize = 256;

/// What became of one server, asked from one base.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerNote {
    pub(super) problem: Option<ServerProblem>,
    pub(super) relayed: Option<SocketAddr>,
    pub(super) mapped: Option<SocketAddr>,
    /// The peer that the relay refused last, and why.
    pub(super) refused: Option<(IpAddr, ServerProblem)>,
}

/// Whether the candidate of a signal names a host instead of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Host,
    Address,
}

#[derive(Debug)]
pub(super) struct Notes {
    pub(super) born: Instant,
    pub(super) reason: Option<Reason>,
    pub(super) servers: BTreeMap<(ServerId, SocketAddr), ServerNote>,
    /// The last loss of consent of each component.
    pub(super) losses: BTreeMap<ComponentId, (Instant, Loss)>,
    /// Requests that were not authenticated.
    pub(super) strangers: u32,
    /// Candidates that were not taken because their address is a name, or that nobody has resolved.
    pub(super) names: u32,
    /// Candidates that were not taken because nobody may be there.
    pub(super) addresses: u32,
    /// Other signals that were not taken, after the end apart.
    pub(super) others: u32,
}

impl Notes {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            born: now,
            reason: None,
            servers: BTreeMap::new(),
            losses: BTreeMap::new(),
            strangers: 0,
            names: 0,
            addresses: 0,
            others: 0,
        }
    }

    pub(super) fn server(&mut self, server: ServerId, base: SocketAddr, note: impl FnOnce(&mut ServerNote)) {
        if self.servers.len() < MAX_SERVERS || self.servers.contains_key(&(server, base)) {
            note(self.servers.entry((server, base)).or_default());
        }
    }

    pub(super) fn lost(&mut self, now: Instant, component: ComponentId, loss: Loss) {
        self.losses.insert(component, (now, loss));
    }

    pub(super) fn names(signal: &Signal) -> Names {
        match &signal.what {
            What::Candidate(candidate) if matches!(candidate.address, Address::Name { .. }) => Names::Host,
            _ => Names::Address,
        }
    }

    pub(super) fn refused(&mut self, names: Names, error: &SignalError) {
        let count = match (names, error) {
            (_, SignalError::Closed) => return,
            (Names::Host, _) => &mut self.names,
            (_, SignalError::Address(_)) => &mut self.addresses,
            _ => &mut self.others,
        };
        *count = count.saturating_add(1);
    }
}

impl Agent {
    pub(super) fn note_relayed(&mut self, relay: RelayId, relayed: SocketAddr, mapped: SocketAddr) {
        self.note_relay(relay, |note| {
            // Of two the one of IPv4.
            note.relayed = note.relayed.filter(|_| relayed.is_ipv6()).or(Some(relayed));
            note.mapped = Some(mapped);
        });
    }

    pub(super) fn note_refused_peer(&mut self, relay: RelayId, peer: IpAddr, problem: ServerProblem) {
        self.note_relay(relay, |note| note.refused = Some((peer, problem)));
    }

    fn note_relay(&mut self, relay: RelayId, note: impl FnOnce(&mut ServerNote)) {
        let Some(relay) = self.relays.get(relay) else { return };
        if let Some(base) = self.bases.get(relay.from) {
            self.notes.server(relay.server, base.addr, note);
        }
    }

    /// A request of the peer on this pair.
    pub(super) fn note_heard(&mut self, now: Instant, pair: PairId) {
        let used = InUse { generation: self.checks.generation, id: pair };
        let flow = self.flows.iter_mut().find(|flow| flow.pair == Some(used));
        if let Some(consent) = flow.and_then(|flow| flow.consent.as_mut()) {
            consent.hear(now);
        }
    }
}
