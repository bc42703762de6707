//! Names in the place of addresses, both ways: host candidates of this agent that are signalled as `.local` names, and
//! names of the peer that have to be resolved first. Publishing and resolving is the driver's business.
//!
//! A name never delays anything: its candidate comes late or not at all, as any trickled one.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::Agent;
use super::config::{HostNames, Policy};
use super::event::Output;
use super::notes;
use crate::candidate::filter::is_private;
use crate::candidate::{Address, BaseId, Candidate, CandidateType, name};
use crate::checks::Generation;
use crate::error::SignalError;
use crate::io::ComponentId;
use crate::rng::Rng;
use crate::time::Instant;
use crate::trace::{Side, What};

/// Names of the peer that can be asked for at a time; the candidates of further ones are refused.
pub const MAX_OUTSTANDING: usize = 16;

/// One question of an agent to its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResolveId(pub u32);

/// A name to resolve: one label and `.local`, by multicast DNS (RFC 6762).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolve {
    /// Answer with [`Input::Resolved`](super::Input::Resolved) and this, once, also when there is no address.
    pub request: ResolveId,
    /// The name in lower case.
    pub name: Box<str>,
}

/// What the driver has to be told about names.
#[derive(Debug)]
pub(super) enum Errand {
    Publish(Box<str>, IpAddr),
    Withdraw(Box<str>),
    Resolve(Resolve),
}

impl Errand {
    pub(super) fn into_output(self) -> Output<'static> {
        match self {
            Self::Publish(name, address) => Output::Publish { name, address },
            Self::Withdraw(name) => Output::Withdraw { name },
            Self::Resolve(resolve) => Output::Resolve(resolve),
        }
    }
}

/// A candidate of the peer whose name is asked for.
#[derive(Debug)]
struct Outstanding {
    request: ResolveId,
    component: ComponentId,
    candidate: Candidate,
    port: u16,
    /// The ICE session that it was signalled in.
    generation: Generation,
    /// Generations of the peer's credentials that were known then.
    heard: u32,
}

/// The names of an agent and of its peer.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// A name for each address: all components share it.
    own: BTreeMap<IpAddr, Box<str>>,
    outstanding: Vec<Outstanding>,
    next: u32,
    pub(super) errands: VecDeque<Errand>,
}

impl Names {
    /// The name of an address, which is published when it is used first.
    fn of(&mut self, ip: IpAddr, rng: &mut Rng) -> Box<str> {
        let errands = &mut self.errands;
        let fresh = || {
            let name = name::random(rng);
            errands.push_back(Errand::Publish(name.clone(), ip));
            name
        };
        self.own.entry(ip).or_insert_with(fresh).clone()
    }

    /// How many names of the peer are asked for.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Withdraws the names of addresses that are not used.
    pub(super) fn retain(&mut self, is_used: impl Fn(IpAddr) -> bool) {
        let errands = &mut self.errands;
        self.own.retain(|ip, name| {
            let used = is_used(*ip);
            if !used {
                errands.push_back(Errand::Withdraw(name.clone()));
            }
            used
        });
    }

    /// The session is over.
    pub(super) fn end(&mut self) {
        self.outstanding.clear();
        self.errands.retain(|errand| !matches!(errand, Errand::Resolve(_)));
        self.retain(|_| false);
    }
}

impl Agent {
    /// Whether the peer learns the addresses of this host: else related addresses are hidden too (RFC 8839 §5.1).
    pub(super) fn shows_hosts(&self) -> bool {
        self.signals_hosts() && self.config.host_names == HostNames::Addresses
    }

    /// Whether host candidates are signalled at all (RFC 8828 §5.2).
    fn signals_hosts(&self) -> bool {
        matches!(self.config.policy, Policy::All | Policy::DefaultRoute)
    }

    /// Signals a host candidate as the configuration wants it: with its address, with a name, or not at all.
    pub(super) fn signal_host(&mut self, component: ComponentId, candidate: &Candidate) {
        if !self.signals_hosts() {
            return;
        }
        match (self.config.host_names, candidate.address.socket()) {
            (HostNames::Mdns, Some(addr)) => {
                self.record_candidate(self.now, Side::Local, candidate);
                let host = self.names.of(addr.ip(), &mut self.rng);
                let address = Address::Name { host, port: addr.port() };
                self.signal_candidate(component.stream, &Candidate { address, ..candidate.clone() });
            }
            _ => self.signal_candidate(component.stream, candidate),
        }
    }

    /// The address outside of a NAT that translates this base one to one: signalled as a server would have told it.
    pub(super) fn add_external(&mut self, id: BaseId, local: SocketAddr) {
        let external = self.config.external.iter().find(|(known, _)| *known == local.ip());
        if let Some((_, ip)) = external {
            self.add_reflexive(id, SocketAddr::new(*ip, local.port()), None);
        }
    }

    /// Whether a reflexive address says where this host is although names stand for its addresses: no NAT is there, and
    /// the address is none of the public Internet.
    pub(super) fn gives_host_away(&self, mapped: SocketAddr) -> bool {
        self.config.host_names == HostNames::Mdns
            && is_private(mapped.ip())
            && self.bases.iter().any(|(_, base)| base.addr.ip() == mapped.ip())
    }

    /// Has the name of a remote candidate resolved. Only names of the link: RFC 8839 §5.1 has other ones ignored, and
    /// whoever resolved them would ask servers that the peer chose. Never for an agent that uses relays only: on the
    /// same link the peer would see it ask.
    pub(super) fn ask_name(
        &mut self,
        component: ComponentId,
        candidate: Candidate,
    ) -> Result<(), SignalError> {
        let Address::Name { host, port } = &candidate.address else {
            return Err(SignalError::Unsupported("a candidate without a name"));
        };
        let Some(name) = name::canonical(host) else {
            return Err(SignalError::Unsupported("a name other than one label and .local"));
        };
        if self.config.policy == Policy::Relay {
            return Err(SignalError::Unsupported("a name, for an agent that uses relays only"));
        }
        if self.names.outstanding.len() >= MAX_OUTSTANDING {
            return Err(SignalError::TooMany(MAX_OUTSTANDING));
        }
        let request = ResolveId(self.names.next);
        self.names.next = self.names.next.wrapping_add(1);
        let (port, generation, heard) = (*port, self.checks.generation, self.heard_of(component.stream));
        let asked = Outstanding { request, component, candidate, port, generation, heard };
        self.names.outstanding.push(asked);
        self.names.errands.push_back(Errand::Resolve(Resolve { request, name }));
        Ok(())
    }

    fn heard_of(&self, stream: u16) -> u32 {
        self.heard.get(usize::from(stream)).copied().unwrap_or(0)
    }

    /// What a name stands for. Nobody on the way vouches for it: the filter judges the address as it would a signalled
    /// one. The candidate keeps its name, so that whoever shows it shows no address.
    pub(super) fn follow_resolved(&mut self, now: Instant, request: ResolveId, address: Option<IpAddr>) {
        let asked = self.names.outstanding.iter().position(|asked| asked.request == request);
        let Some(asked) = asked.map(|at| self.names.outstanding.swap_remove(at)) else { return };
        // The first credentials may come after the candidate; later ones are those of a restart.
        let heard = self.heard_of(asked.component.stream);
        if asked.generation != self.checks.generation || asked.heard.max(1) != heard.max(1) {
            return;
        }
        let Outstanding { component, candidate, port, .. } = asked;
        let Some(ip) = address else {
            self.stats.names_unresolved += 1;
            self.notes.names = self.notes.names.saturating_add(1);
            let (kind, priority) = (candidate.kind, candidate.priority);
            self.trace.push(now, What::Unresolved { kind, priority, port });
            return;
        };
        if let Err(error) = self.admit_candidate(now, component, SocketAddr::new(ip, port), candidate) {
            self.stats.signals_refused += 1;
            self.notes.refused(notes::Names::Address, &error);
        }
    }

    /// The types that the peer was told of by their address, so that another candidate of that address says nothing
    /// new (RFC 8445 §5.1.3).
    pub(super) fn was_told(&self, kind: CandidateType) -> bool {
        match kind {
            // Not signalled, or with a name that the peer may be too far away to resolve.
            CandidateType::Host => self.shows_hosts(),
            CandidateType::ServerReflexive | CandidateType::Relayed => true,
            // What the peer's answer told before a server did.
            CandidateType::PeerReflexive => false,
        }
    }
}
