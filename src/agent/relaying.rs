//! What a TURN client tells reaches the rest of the agent: relayed addresses become bases and candidates, permissions
//! open pairs, and what a server does not give is remembered.

use std::net::SocketAddr;

use super::Agent;
use super::bases::{Base, Via};
use super::event::{ServerId, ServerProblem};
use super::output::Intent;
use super::relays::{Link, Relay, RelayId};
use crate::candidate::{BaseId, CandidateType};
use crate::checks::Permission;
use crate::gather::Query;
use crate::io::CloseReason;
use crate::stun::Family;
use crate::time::{Duration, Instant};
use crate::turn::{self, Problem, Redirects, TurnServer};

/// Local ports that one relay tries while its server says that the 5-tuple is taken (RFC 8656 §7.4).
const MAX_PORTS: u8 = 3;
/// How often a relay that was lost while gathering goes on is allocated anew, and the pause before the first time; each
/// further one is twice as long.
const MAX_REVIVALS: u8 = 3;
const REVIVAL: Duration = Duration::from_secs(1);

impl Agent {
    /// The configured TURN server of this number.
    pub(super) fn turn_server(&self, server: ServerId) -> Option<&TurnServer> {
        let number = usize::from(server.0).checked_sub(self.config.stun_servers.len())?;
        self.config.turn_servers.get(number)
    }

    /// What a TURN client has to tell, and to send.
    pub(super) fn follow_relay(&mut self, now: Instant, id: RelayId) {
        while let Some(event) = self.relays.get_mut(id).and_then(|relay| relay.client.poll_event()) {
            self.follow_relay_event(now, id, event);
        }
        if let Some(relay) = self.relays.get_mut(id) {
            if let Some(news) = relay.client.take_news() {
                self.servers.learn(relay.server, relay.server_addr, news);
            }
            if relay.client.is_finished() {
                self.connections.end(&mut relay.link);
            } else if !relay.queued {
                relay.queued = true;
                self.intents.push(Intent::Relay(id));
            }
        }
        self.follow_gathering(now);
    }

    fn follow_relay_event(&mut self, now: Instant, id: RelayId, event: turn::Event) {
        match event {
            turn::Event::Allocated { relayed, mapped, .. } => {
                if let Some(relay) = self.relays.get_mut(id) {
                    relay.settled = true;
                }
                self.add_relayed(now, id, relayed, mapped);
            }
            // The other family serves; that this one is missing is remembered with the rest.
            turn::Event::Lacking { .. } => {}
            turn::Event::PermissionGranted { peer } => {
                if let Some(base) = self.relays.get(id).and_then(|relay| relay.base_of(peer)) {
                    self.checks.unblock(base, peer);
                }
            }
            turn::Event::PermissionRefused { peer, problem } => {
                self.note_refused_peer(id, peer, problem.into());
                if let Some(base) = self.relays.get(id).and_then(|relay| relay.base_of(peer)) {
                    self.checks.refuse(now, base, peer);
                    if let Some(previous) = &mut self.previous {
                        previous.refuse(now, base, peer);
                    }
                    self.follow_checks(now);
                }
            }
            turn::Event::ChannelBound { .. } | turn::Event::ChannelLost { .. } => self.follow_paths(now),
            turn::Event::Redirected(to) => self.follow_redirect(now, id, &to),
            turn::Event::Moved => self.follow_moved(now, id),
            turn::Event::Stalled => self.lose_relay(now, id, CloseReason::TimedOut),
            turn::Event::Problem(problem) => self.follow_problem(now, id, problem),
            turn::Event::Lost => {
                self.relay_problem(id, ServerProblem::AllocationLost);
                self.forget_relayed(now, id);
                self.revive(now, id);
                self.replace_awaited(id);
            }
        }
    }

    /// The relayed addresses of a client are gone.
    pub(super) fn forget_relayed(&mut self, now: Instant, id: RelayId) {
        let Some(relay) = self.relays.get_mut(id).filter(|relay| relay.is_allocated()) else { return };
        let bases = relay.bases();
        relay.home.stop();
        for family in [Family::V4, Family::V6] {
            relay.set_base(family, None);
        }
        for base in bases {
            self.forget_base(base);
        }
        self.follow_checks(now);
    }

    /// A server sends this client to another one (RFC 8489 §10), over the same transport and never to less than TLS.
    fn follow_redirect(&mut self, now: Instant, id: RelayId, to: &turn::Alternate) {
        let Some(relay) = self.relays.get_mut(id) else { return };
        let next = relay.redirects.follow(now, &relay.asked, to);
        let (from, number, is_udp) = (relay.from, relay.server, relay.is_udp());
        let next = next.and_then(|next| {
            // One 5-tuple, one allocation; and a server that wants to be left alone is.
            let is_taken = is_udp && self.relays.of_server(from, next.addr).is_some();
            if is_taken || self.servers.why_off(now, number, next.addr).is_some() {
                return Err(Problem::Redirected("one that was asked already"));
            }
            Ok(next)
        });
        match next {
            Ok(next) => {
                let seed = self.rng.seed();
                self.relays.begin_at(id, &next, seed, &mut self.connections);
            }
            Err(problem) => self.follow_problem(now, id, problem),
        }
    }

    /// A server does not allocate, or says why an allocation ends.
    fn follow_problem(&mut self, now: Instant, id: RelayId, problem: Problem) {
        let Some(relay) = self.relays.get_mut(id) else { return };
        if !relay.is_allocated() {
            // RFC 8656 §7.4: another local port, which a new connection has. The port of a socket is the driver's.
            let is_taken = matches!(problem, Problem::Error { code: 437, .. });
            if is_taken && !relay.is_udp() && relay.ports < MAX_PORTS && !relay.settled {
                relay.ports += 1;
                let (server, seed) = (relay.asked.clone(), self.rng.seed());
                self.relays.begin_at(id, &server, seed, &mut self.connections);
                return;
            }
            self.servers.leave_alone(now, relay.server, relay.server_addr, &problem);
            // The pause over, it may be asked again, if gathering still goes on then.
            if let Some(pause) = problem.pause().filter(|pause| !pause.is_zero()) {
                relay.revival.set(now + pause);
            }
        }
        self.relay_problem(id, problem.into());
    }

    /// While gathering goes on a relay that was lost is allocated anew, after a pause.
    fn revive(&mut self, now: Instant, id: RelayId) {
        if let Some(relay) = self.relays.get_mut(id).filter(|relay| relay.revivals < MAX_REVIVALS) {
            relay.revival.set(now + REVIVAL * (1 << relay.revivals));
            relay.revivals += 1;
        }
    }

    /// A paced transaction of this client may begin, with what is known of its server.
    pub(super) fn give_slot(&mut self, now: Instant, id: RelayId) {
        let Some(relay) = self.relays.get_mut(id) else { return };
        if let Some(known) = self.servers.knowledge(relay.server, relay.server_addr) {
            relay.client.learn(known.clone());
        }
        let _ = relay.client.handle_input(now, turn::Input::Slot);
    }

    /// The session that was restarted while its relay moved needs another one at once: gathering waits for it.
    fn replace_awaited(&mut self, id: RelayId) {
        let Some(relay) = self.relays.get_mut(id).filter(|relay| relay.awaited) else { return };
        relay.awaited = false;
        let (number, from) = (relay.server, relay.from);
        let Some(server) = self.turn_server(number).filter(|_| self.bases.get(from).is_some()).cloned()
        else {
            return;
        };
        let seed = self.rng.seed();
        self.relays.begin_at(id, &server, seed, &mut self.connections);
        if let Some(relay) = self.relays.get_mut(id) {
            relay.settled = false;
            relay.revival.stop();
        }
    }

    pub(super) fn run_revivals(&mut self, now: Instant) {
        for id in self.relays.ids() {
            let Some(relay) = self.relays.get_mut(id) else { continue };
            if !relay.revival.take_due(now) {
                continue;
            }
            let (number, component, is_allocated) = (relay.server, relay.component, relay.is_allocated());
            (relay.redirects, relay.ports) = (Redirects::default(), 1);
            let has_socket = self.bases.get(relay.from).is_some();
            if self.has_gathered(component.stream) || !has_socket || is_allocated {
                continue;
            }
            // As it is configured: a server that sent elsewhere may do so again, to one that is up.
            let Some(server) = self.turn_server(number).cloned() else { continue };
            if self.servers.why_off(now, number, server.addr).is_none() {
                let seed = self.rng.seed();
                self.relays.begin_at(id, &server, seed, &mut self.connections);
            }
        }
    }

    /// A TURN server allocated a relayed transport address.
    pub(super) fn add_relayed(
        &mut self,
        now: Instant,
        relay: RelayId,
        relayed: SocketAddr,
        mapped: SocketAddr,
    ) {
        let Some(known) = self.relays.get(relay) else { return };
        let (from, server, link) = (known.from, known.server_addr, known.link);
        let Some(mut host) = self.bases.get(from).copied() else { return };
        let is_first = !known.is_allocated();
        self.note_relayed(relay, relayed, mapped);
        if let Link::Open(socket, local) = link {
            (host.socket, host.local) = (socket, local);
        } else if is_first {
            self.add_reflexive(from, mapped, Some(server));
            self.gatherer.keep(now, Query { base: from, server: 0, addr: server });
        }
        // RFC 8445 §5.1.1.2: a relayed address that is a host's is none.
        if self.bases.is_full(usize::from(self.config.limits.bases))
            || self.bases.iter().any(|(_, base)| base.addr == relayed)
        {
            return;
        }
        let preference = self.relay_preference.next(relayed.ip());
        let told = self.will_tell(host.component.stream);
        let base = Base { addr: relayed, via: Via::Relay(relay), preference, told, ..host };
        let id = self.bases.add(base);
        if let Some(relay) = self.relays.get_mut(relay) {
            relay.set_base(relayed.ip().into(), Some(id));
            relay.mapped = Some(mapped);
        }
        self.offer_relayed(now, id, &base, server, mapped);
    }

    /// Asks this server for an allocation through a base, unless it wants to be left alone.
    pub(super) fn ask_for_relay(&mut self, now: Instant, server: ServerId, from: BaseId) {
        let Some(known) = self.turn_server(server) else { return };
        let (addr, known) = (known.addr, known.clone());
        let Some(component) = self.bases.get(from).map(|base| base.component) else { return };
        match self.servers.why_off(now, server, addr) {
            None => {
                let seed = self.rng.seed();
                self.relays.add(Relay::new(&known, server, from, component, seed));
            }
            Some(problem) => {
                if matches!(problem, ServerProblem::Error { code: 486 | 508, .. }) {
                    self.ask_without_allocation(Query { base: from, server: server.0, addr });
                }
                self.server_problem(server, from, problem);
            }
        }
    }

    /// Signals a relayed candidate and pairs it.
    pub(super) fn offer_relayed(
        &mut self,
        now: Instant,
        id: BaseId,
        base: &Base,
        server: SocketAddr,
        mapped: SocketAddr,
    ) {
        // RFC 8828 §5.2: the other policies hide where this host is.
        let shown = Some(mapped).filter(|_| self.shows_hosts());
        let candidate = self.candidate(base, CandidateType::Relayed, base.addr, Some(server), shown);
        self.signal_candidate(base.component.stream, &candidate);
        self.checks.add_base(id, base.component, candidate, Permission::Needed);
        self.ask_permissions(now);
    }

    /// Asks every relay for the permissions that its pairs need (RFC 8445 §7.2.1).
    pub(super) fn ask_permissions(&mut self, now: Instant) {
        let wanted: Vec<_> = self
            .checks
            .pairs()
            .filter_map(|(_, pair)| match self.bases.get(pair.base)?.via {
                Via::Relay(relay) => Some((relay, pair.destination)),
                Via::Socket | Via::Tcp(_) => None,
            })
            .collect();
        for (relay, peer) in wanted {
            if let Some(relay) = self.relays.get_mut(relay) {
                relay.client.permit(peer);
            }
        }
        for id in self.relays.ids() {
            self.follow_relay(now, id);
        }
    }

    pub(super) fn relay_problem(&mut self, id: RelayId, problem: ServerProblem) {
        let Some(relay) = self.relays.get_mut(id) else { return };
        let allocating = !std::mem::replace(&mut relay.settled, true);
        let (server, from, addr) = (relay.server, relay.from, relay.server_addr);
        // RFC 8445 §5.1.1.2: a server without room for an allocation still tells the mapped address.
        if allocating && matches!(problem, ServerProblem::Error { code: 486 | 508, .. }) {
            self.ask_without_allocation(Query { base: from, server: server.0, addr });
        }
        self.server_problem(server, from, problem);
    }
}
