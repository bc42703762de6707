//! ICE restart (RFC 8445 §9), make-before-break: the next ICE session is checked beside the one in use, whose pairs
//! carry data and consent until the next one has selected its own.
//!
//! ```text
//!  restart ─► new credentials and candidates are signalled ─► the peer's arrive ─► checks ─► selected
//!             └───────────── data and consent on the pair of the session before ───────────┘
//! ```
//!
//! A restart concerns all streams. The sessions share sockets and relays, and nothing else.

use super::Agent;
use super::bases::{Base, Via};
use super::flow::InUse;
use super::free::Free;
use super::signals::GIVE_UP;
use super::state::State;
use crate::candidate::BaseId;
use crate::checks::{ChecklistSet, Generation, Pair};
use crate::gather::Gatherer;
use crate::time::Instant;

impl Agent {
    /// Begins the next ICE session: new credentials and candidates are signalled, and the peer has to answer with its
    /// own. Allowed at any time before the end; roles stay (RFC 8445 §9). It brings a session back that has lost
    /// consent.
    pub fn restart(&mut self, now: Instant) {
        self.wake_up(now);
        if !self.is_over() {
            self.begin_session(now);
        }
    }

    /// The session of the next generation, with fresh credentials and the candidates of every socket.
    pub(super) fn begin_session(&mut self, now: Instant) {
        let settings = self.config.settings();
        let next = self.checks.next_generation(settings, &self.config.components, &mut self.rng);
        let mut ended = std::mem::replace(&mut self.checks, next);
        ended.cease();
        for (stream, list) in ended.checklists().iter().enumerate() {
            if let Some(remote) = &list.remote {
                self.forget(stream as u16, remote.credentials.ufrag.clone());
            }
        }
        // Several restarts in a row: what is kept is the session whose pairs are in use.
        if self.flows.iter().any(|flow| flow.pair.is_some_and(|pair| pair.generation == ended.generation)) {
            self.previous = Some(Box::new(ended));
        }
        self.free = Free::default();
        for timer in [&mut self.pac, &mut self.gather_patience] {
            timer.stop();
        }
        if self.state == State::Disconnected {
            // The peer has time to answer.
            self.give_up.set(now + GIVE_UP);
        }
        self.pac_over = false;
        self.gatherer = Gatherer::new(usize::from(self.config.limits.queries));
        self.relays.remove_ended(&mut self.connections);
        self.hold_connections();
        // Not Completed any more: candidates are signalled again.
        self.follow_paths(now);
        self.signal_credentials();
        self.gather_again(now);
        self.follow_gathering(now);
    }

    fn gather_again(&mut self, now: Instant) {
        self.be_patient(now);
        self.bases.tell_all();
        let mut bases: Vec<(BaseId, Base)> = self.bases.iter().map(|(id, base)| (id, *base)).collect();
        // A relay has its candidate at hand, and gathering may end with it. One that has moved is older than its socket.
        bases.sort_by_key(|(_, base)| matches!(base.via, Via::Relay(_)));
        for (id, base) in bases {
            if self.flow_of(base.component).is_none() {
                continue;
            }
            match base.via {
                Via::Socket | Via::Tcp(_) => self.gather_on(id, &base),
                // On its way to another place, or lost: it is offered when its server says which.
                Via::Relay(relay) if self.await_relay(relay) => {}
                Via::Relay(relay) => {
                    let relay = self.relays.get(relay);
                    let known = relay.and_then(|relay| {
                        // From where it moved to, its server has seen nothing.
                        let tells = relay.is_udp() && relay.moved_at.is_none();
                        Some((relay.from, relay.server_addr, relay.mapped?, tells))
                    });
                    if let Some((from, server, mapped, tells)) = known {
                        if tells {
                            self.add_reflexive(from, mapped, Some(server));
                        }
                        self.offer_relayed(now, id, &base, server, mapped);
                    }
                }
            }
        }
    }

    /// The session of a generation, if it is still known.
    pub(super) fn session(&self, generation: Generation) -> Option<&ChecklistSet> {
        let previous = self.previous.as_deref().filter(|set| set.generation == generation);
        if self.checks.generation == generation { Some(&self.checks) } else { previous }
    }

    pub(super) fn session_mut(&mut self, generation: Generation) -> Option<&mut ChecklistSet> {
        if self.checks.generation == generation {
            return Some(&mut self.checks);
        }
        self.previous.as_deref_mut().filter(|set| set.generation == generation)
    }

    pub(super) fn pair_in_use(&self, pair: InUse) -> Option<&Pair> {
        self.session(pair.generation)?.pair(pair.id)
    }

    /// Whether data still flows on a pair of the session before: then that of the next one may fail without harm. A lite
    /// agent has no consent that would end it.
    pub(super) fn is_on_previous(&self) -> bool {
        let current = self.checks.generation;
        let mut flows = self.flows.iter();
        self.checks.sends_checks()
            && flows
                .any(|flow| flow.path.is_some() && flow.pair.is_some_and(|pair| pair.generation != current))
    }
}
