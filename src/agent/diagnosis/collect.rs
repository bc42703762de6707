//! From the agent's parts to the facts.

use std::net::SocketAddr;

use super::{Base, ConsentLoss, Diagnosis, End, Pair, Patience, Peer, Server, Service, Standing, infer};
use crate::agent::Agent;
use crate::agent::bases::Via;
use crate::agent::event::ServerId;
use crate::candidate::{BaseId, Candidate, CandidateType};
use crate::checks::{self, Failure, PairId, PairState};

impl Agent {
    /// What was sent, what came back, and the most probable causes of what is missing. The facts outlive the end of the
    /// session. It looks at everything there is, so do not call it for every packet.
    pub fn diagnosis(&self) -> Diagnosis {
        let patience = match self.pac.deadline() {
            _ if self.pac_over => Patience::Over,
            Some(_) => Patience::Running,
            None => Patience::NotStarted,
        };
        let losses = self.notes.losses.iter().map(|(component, (at, loss))| ConsentLoss {
            component: *component,
            at: at.saturating_duration_since(self.notes.born),
            loss: *loss,
        });
        let servers = self.servers();
        let mut diagnosis = Diagnosis {
            state: self.state,
            reason: self.notes.reason,
            role: self.role(),
            policy: self.config.policy,
            age: self.now.saturating_duration_since(self.notes.born),
            patience,
            gathering_ended: self.has_gathered_all(),
            peer: self.peer(),
            bases: self.bases.iter().map(|(id, base)| self.base(id, base, &servers)).collect(),
            servers,
            pairs: self.checks.pairs().filter_map(|(id, pair)| self.pair(id, pair)).collect(),
            losses: losses.collect(),
            requests_unverified: self.notes.strangers,
            causes: Vec::new(),
        };
        diagnosis.causes = infer::causes(&diagnosis, &self.config);
        diagnosis
    }

    fn peer(&self) -> Peer {
        let lists = self.checks.checklists();
        Peer {
            has_credentials: lists.iter().all(|list| list.remote.is_some()),
            has_ended: lists.iter().all(|list| list.remote_ended),
            candidates: self.checks.remotes().iter().map(far_end).collect(),
            names: self.notes.names.saturating_add(self.names.outstanding() as u32),
            unusable: self.notes.addresses,
            others_refused: self.notes.others,
        }
    }

    fn base(&self, id: BaseId, base: &crate::agent::bases::Base, servers: &[Server]) -> Base {
        let locals = self.checks.locals().iter().filter(|local| local.base == id);
        let pairs =
            || self.checks.pairs().filter(move |(_, pair)| pair.base == id).map(|(_, pair)| pair.quality);
        let asked = || servers.iter().filter(|server| server.base == base.addr);
        let relay = match base.via {
            Via::Socket | Via::Tcp(_) => None,
            Via::Relay(relay) => self.relays.get(relay).map(|relay| relay.server),
        };
        Base {
            addr: base.addr,
            relay,
            component: base.component,
            candidates: locals.filter_map(|local| end(&local.candidate)).collect(),
            requests_sent: pairs().map(|it| it.requests_sent).chain(asked().map(|it| it.requests)).sum(),
            answers_received: pairs()
                .map(|it| it.responses_received)
                .chain(asked().map(|it| it.answers))
                .sum(),
            requests_received: pairs().map(|it| it.requests_received).sum(),
        }
    }

    fn servers(&self) -> Vec<Server> {
        let addr_of = |base| self.bases.get(base).map(|base| base.addr);
        let stun = self.gatherer.asked().iter().filter_map(|asked| {
            let (id, base) = (ServerId(asked.query.server), addr_of(asked.query.base)?);
            let server = self.server(Service::Stun, id, asked.query.addr, base);
            Some(Server { requests: asked.requests, answers: asked.answers, mapped: asked.mapped, ..server })
        });
        let turn = self.relays.iter().filter_map(|(_, relay)| {
            let server = self.server(Service::Turn, relay.server, relay.server_addr, addr_of(relay.from)?);
            let traffic = relay.client.traffic();
            Some(Server { requests: traffic.requests, answers: traffic.answers, ..server })
        });
        stun.chain(turn).collect()
    }

    fn server(&self, service: Service, id: ServerId, addr: SocketAddr, base: SocketAddr) -> Server {
        let note = self.notes.servers.get(&(id, base)).cloned().unwrap_or_default();
        Server {
            id,
            service,
            addr,
            base,
            requests: 0,
            answers: 0,
            mapped: note.mapped,
            relayed: note.relayed,
            problem: note.problem,
            refused: note.refused,
        }
    }

    fn pair(&self, id: PairId, pair: &checks::Pair) -> Option<Pair> {
        let base = self.bases.get(pair.base)?;
        let seen = pair.valid.and_then(|local| self.checks.local(local));
        let kind = match base.via {
            Via::Socket | Via::Tcp(_) => CandidateType::Host,
            Via::Relay(_) => CandidateType::Relayed,
        };
        let own = End { kind, addr: base.addr };
        Some(Pair {
            component: pair.component,
            base: base.addr,
            local: seen.and_then(|local| end(&local.candidate)).unwrap_or(own),
            remote: End { addr: pair.destination, ..far_end(self.checks.remote(pair.remote)?) },
            state: pair.state,
            standing: self.standing(id, pair),
            quality: pair.quality,
        })
    }

    fn standing(&self, id: PairId, pair: &checks::Pair) -> Standing {
        let has_credentials =
            self.checks.checklist(pair.component.stream).is_some_and(|list| list.remote.is_some());
        match (pair.valid, pair.state) {
            (Some(_), _) if self.checks.is_selected(id) => Standing::Selected,
            (Some(_), _) => Standing::Works,
            (None, PairState::Failed) => match pair.failure {
                Some(failure) => Standing::Failed(failure),
                None => Standing::Retired,
            },
            _ if !has_credentials => Standing::NeedsCredentials,
            _ if pair.blocked => Standing::NeedsPermission,
            (None, PairState::InProgress) => Standing::Checking,
            // Succeeded without a local candidate: its answer fitted no base that is left.
            (None, PairState::Succeeded) => Standing::Failed(Failure::Incomplete),
            (None, PairState::Frozen | PairState::Waiting) => Standing::Waiting,
        }
    }
}

/// Where it is, also if it was signalled as a name.
fn far_end(remote: &checks::set::Remote) -> End {
    End { kind: remote.candidate.kind, addr: remote.addr }
}

fn end(candidate: &Candidate) -> Option<End> {
    Some(End { kind: candidate.kind, addr: candidate.address.socket()? })
}
