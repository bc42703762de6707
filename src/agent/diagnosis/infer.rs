//! From the facts to the causes. Few and right ones: a rule says something only if what was recorded says so, and the
//! first rule that explains everything is the last one that is asked.

use super::nat;
use super::{Cause, Diagnosis, Pair, Server, Service, Standing};
use crate::agent::config::{Config, Implementation, Policy};
use crate::agent::event::ServerProblem;
use crate::agent::state::State;
use crate::candidate::CandidateType;
use crate::checks::Failure;
use crate::stun::{Family, code};

/// So many requests without an answer are silence: 1.5 s.
const SILENCE: u32 = 3;
/// A conflict is settled by one answer 487, or by two that crossed (RFC 8445 §7.2.5.1).
const CONFLICTS: u32 = 4;

pub(super) fn causes(facts: &Diagnosis, config: &Config) -> Vec<Cause> {
    let working: Vec<_> = facts.pairs.iter().filter(|pair| pair.works()).collect();
    let components: Vec<_> = config.component_ids().collect();
    let connected = components.iter().all(|at| working.iter().any(|pair| pair.component == *at));
    if connected && facts.losses.is_empty() || matches!(facts.state, State::Connected | State::Completed) {
        return relayed(facts, config);
    }
    let missing = |rule: fn(&Diagnosis, &Config) -> Vec<Cause>| rule(facts, config);
    [lost, ourselves, signaling, refused]
        .into_iter()
        .map(missing)
        .find(|causes| !causes.is_empty())
        .unwrap_or_else(|| {
            let silent = facts.pairs.iter().any(|pair| pair.quality.requests_sent >= SILENCE);
            let is_over = matches!(facts.state, State::Failed | State::Closed);
            // A lite agent asks nobody anything, so that nobody's silence means anything.
            let asks = config.implementation == Implementation::Full;
            if asks && (silent || is_over) { silence(facts, config) } else { servers(facts) }
        })
}

/// Why the path is not a direct one.
fn relayed(facts: &Diagnosis, config: &Config) -> Vec<Cause> {
    let mut used = facts.pairs.iter().filter(|pair| pair.standing == Standing::Selected).peekable();
    if used.peek().is_none() {
        // Nothing is nominated yet: a better path may come.
        return Vec::new();
    }
    let Some(relayed) = used.find(|pair| pair.is_relayed()) else { return Vec::new() };
    let direct: Vec<_> =
        facts.pairs.iter().filter(|pair| pair.component == relayed.component && !pair.is_relayed()).collect();
    let relays_only = facts.peer.candidates.iter().all(|end| end.kind == CandidateType::Relayed);
    vec![if config.policy == Policy::Relay {
        relay_policy(config)
    } else if relays_only {
        Cause::PeerRelayOnly
    } else if let Some(ends) = nat::dependent(facts) {
        Cause::DependentMapping { ends }
    } else if let (true, Some(mismatch)) = (direct.is_empty(), family_mismatch(facts)) {
        mismatch
    } else {
        let requests = direct.iter().map(|pair| pair.quality.requests_sent).sum();
        Cause::DirectBlocked { pairs: direct.len(), requests }
    }]
}

fn relay_policy(config: &Config) -> Cause {
    Cause::RelayPolicy { servers: config.turn_servers.len() }
}

/// A path that worked.
fn lost(facts: &Diagnosis, _: &Config) -> Vec<Cause> {
    let lost = |component| facts.pairs.iter().all(|pair| pair.component != component || !pair.works());
    let losses = facts.losses.iter().filter(|it| lost(it.component));
    losses.map(|it| Cause::ConsentLost { component: it.component, at: it.at, loss: it.loss }).collect()
}

/// What this side lacks.
fn ourselves(facts: &Diagnosis, config: &Config) -> Vec<Cause> {
    if facts.bases.is_empty() {
        return vec![Cause::NoSocket];
    }
    if facts.bases.iter().any(|base| !base.candidates.is_empty()) || !facts.gathering_ended {
        return Vec::new();
    }
    let mut causes = servers(facts);
    causes.push(relay_policy(config));
    causes
}

/// What the peer did not say.
fn signaling(facts: &Diagnosis, _: &Config) -> Vec<Cause> {
    let peer = &facts.peer;
    let cause = if !peer.has_credentials {
        let checks_received = facts.pairs.iter().map(|pair| pair.quality.requests_received).sum();
        Some(Cause::NoCredentials { checks_received })
    } else if !peer.candidates.is_empty() {
        family_mismatch(facts).filter(|_| facts.pairs.is_empty())
    } else if peer.names > 0 {
        Some(Cause::OnlyNames { names: peer.names })
    } else if peer.unusable > 0 {
        Some(Cause::OnlyUnusable { candidates: peer.unusable })
    } else {
        Some(Cause::NoCandidates { has_ended: peer.has_ended })
    };
    cause.into_iter().collect()
}

fn family_mismatch(facts: &Diagnosis) -> Option<Cause> {
    let mut ours = facts.bases.iter().filter(|base| !base.candidates.is_empty());
    let family = Family::from(ours.next()?.addr.ip());
    let theirs = Family::from(facts.peer.candidates.first()?.addr.ip());
    let disjoint = family != theirs
        && ours.all(|base| Family::from(base.addr.ip()) == family)
        && facts.peer.candidates.iter().all(|end| Family::from(end.addr.ip()) == theirs);
    disjoint.then_some(Cause::FamilyMismatch { ours: family, theirs })
}

/// The pairs of the components that have no path.
fn stuck(facts: &Diagnosis) -> impl Iterator<Item = &Pair> {
    let works = |component| facts.pairs.iter().any(|pair| pair.component == component && pair.works());
    facts.pairs.iter().filter(move |pair| !works(pair.component))
}

/// What the peer's packets say.
fn refused(facts: &Diagnosis, _: &Config) -> Vec<Cause> {
    let sum = |count: fn(&Pair) -> u32| stuck(facts).map(count).sum::<u32>();
    if sum(|pair| pair.quality.responses_received) > 0 {
        return Vec::new();
    }
    let answers = sum(|pair| pair.quality.answers_unverified);
    let heard = sum(|pair| pair.quality.requests_received);
    let conflicts = sum(|pair| pair.quality.role_conflicts);
    let requests = facts.requests_unverified;
    let failure = |pair: &Pair| match pair.standing {
        Standing::Failed(Failure::Asymmetric(from)) => {
            Some(Cause::AnswersFromElsewhere { asked: pair.remote.addr, from })
        }
        Standing::Failed(Failure::Refused(code)) => Some(Cause::PeerRefuses { code }),
        _ => None,
    };
    let cause = if answers > 0 || (requests > 0 && heard == 0) {
        Some(Cause::CredentialsDiffer { answers, requests })
    } else if conflicts >= CONFLICTS {
        Some(Cause::RoleConflict { answers: conflicts })
    } else {
        stuck(facts).find_map(failure)
    };
    cause.into_iter().collect()
}

/// The peer says nothing, or not any more.
fn silence(facts: &Diagnosis, config: &Config) -> Vec<Cause> {
    let sum = |count: fn(&Pair) -> u32| stuck(facts).map(count).sum::<u32>();
    let requests = sum(|pair| pair.quality.requests_sent);
    let received = sum(|pair| pair.quality.requests_received);
    let answered = sum(|pair| pair.quality.responses_received);
    let pairs = stuck(facts).count();
    if answered > 0 {
        return vec![Cause::PathBroke { sent: requests, answered }];
    }
    if pairs == 0 && !facts.pairs.is_empty() {
        // Other components have some.
        return vec![Cause::NoCandidates { has_ended: facts.peer.has_ended }];
    }
    let asked = || facts.servers.iter().filter(|server| server.requests > 0);
    let mut causes = Vec::new();
    if asked().all(|server| server.answers == 0) && received == 0 && asked().next().is_some() {
        let to_servers: u32 = asked().map(|server| server.requests).sum();
        causes.push(Cause::UdpBlocked { servers: distinct(asked()), requests: requests + to_servers });
        causes.extend(servers(facts));
        return causes;
    }
    let foreign = nat::are_foreign(&facts.peer.candidates, &facts.bases);
    let relays = facts.bases.iter().any(|base| base.relay.is_some())
        || facts.peer.candidates.iter().any(|end| end.kind == CandidateType::Relayed);
    if received > 0 {
        causes.push(Cause::OneWay { received, sent: requests });
        causes.extend(servers(facts));
        return causes;
    }
    causes.extend(forbidden(facts));
    if !relays {
        causes.extend(servers(facts));
    }
    if foreign {
        causes.push(Cause::PrivateOnly { candidates: facts.peer.candidates.len() });
    } else if !relays && config.turn_servers.is_empty() && nat::between(facts) {
        causes.push(Cause::RelayNeeded { mapping: nat::dependent(facts) });
    }
    causes.push(Cause::PeerSilent { pairs, requests });
    causes
}

fn forbidden(facts: &Diagnosis) -> impl Iterator<Item = Cause> {
    facts.servers.iter().filter_map(|server| {
        let (peer, problem) = server.refused.clone()?;
        Some(Cause::RelayForbidsPeer { server: server.id, addr: server.addr, peer, problem })
    })
}

/// Servers that are of no use from any base, relays first.
fn servers(facts: &Diagnosis) -> Vec<Cause> {
    let of_no_use = |server: &&Server| {
        let same = |other: &&Server| other.id == server.id;
        facts.servers.iter().filter(same).all(|other| other.problem.is_some())
    };
    let mut causes: Vec<_> = [Service::Turn, Service::Stun]
        .into_iter()
        .flat_map(|service| facts.servers.iter().filter(move |server| server.service == service))
        .filter(of_no_use)
        .filter_map(of_server)
        .collect();
    causes.dedup_by(|a, b| {
        let same = |cause: &Cause| match cause {
            Cause::ServerUnreachable { server, .. }
            | Cause::TurnCredentials { server, .. }
            | Cause::ServerProblem { server, .. } => Some(*server),
            _ => None,
        };
        same(a) == same(b)
    });
    causes
}

fn of_server(it: &Server) -> Option<Cause> {
    let (server, addr) = (it.id, it.addr);
    Some(match it.problem.clone()? {
        ServerProblem::Unreachable => Cause::ServerUnreachable { server, addr, requests: it.requests },
        ServerProblem::Unauthorized | ServerProblem::Error { code: code::WRONG_CREDENTIALS, .. } => {
            Cause::TurnCredentials { server, addr }
        }
        problem => Cause::ServerProblem { server, addr, problem },
    })
}

fn distinct<'a>(servers: impl Iterator<Item = &'a Server>) -> usize {
    let mut addrs: Vec<_> = servers.map(|server| server.addr).collect();
    addrs.sort_unstable();
    addrs.dedup();
    addrs.len()
}
