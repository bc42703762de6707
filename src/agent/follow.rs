//! An owner's outcome reaches the next owner: one can read here how data flows through the agent.

use super::Agent;
use super::bases::{Told, Via};
use super::event::{Event, Reason, Why};
use super::flow::{InUse, Lost};
use super::liveness::Liveness;
use super::path::Path;
use super::state::State;
use crate::checks::checklist::{Checklist, ChecklistState};
use crate::checks::request::Outcome;
use crate::checks::{PairId, Role};
use crate::consent::Consent;
use crate::io::ComponentId;
use crate::time::Instant;
use crate::trace::What;
use crate::turn::data::Framing;

impl Agent {
    /// The answer to a check of ours.
    pub(super) fn follow_outcome(&mut self, now: Instant, outcome: Outcome) {
        match outcome {
            Outcome::Ignored => self.stats.datagrams_dropped += 1,
            Outcome::Unchanged => {}
            Outcome::Validated { pair, selected } => {
                self.renew_consent(now, pair);
                if selected {
                    self.follow_selected(now, pair);
                }
                self.follow_stray(now, pair);
                self.follow_checks(now);
            }
            Outcome::Failed(_) => self.follow_checks(now),
            Outcome::Switched(role) => self.follow_role(role),
        }
    }

    pub(super) fn follow_role(&mut self, role: Role) {
        self.events.push_back(Event::RoleSwitched(role));
    }

    /// Pairs changed, or candidates, or time passed: nominate, announce, fail.
    pub(super) fn follow_checks(&mut self, now: Instant) {
        self.sweep_connections();
        self.checks.nominate(now);
        self.follow_unchecked(now);
        self.checks.keep_spares(now);
        if self.pac_over && !self.is_over() {
            let spent = self.checks.conclude_exhausted(now);
            let is_over = |list: &Checklist| list.is_removed() || list.state == ChecklistState::Failed;
            if self.checks.checklists().iter().all(is_over) && !self.is_on_previous() {
                return self.fail(now, self.why_failed(|_| true));
            }
            for stream in spent {
                let reason = self.why_failed(|at| at.stream == stream);
                self.events.push_back(Event::StreamFailed { stream, reason });
            }
        }
        self.follow_paths(now);
    }

    /// Why no checklist goes on, or that of a stream.
    fn why_failed(&self, concerns: impl Fn(ComponentId) -> bool) -> Reason {
        if !self.checks.locals().iter().any(|local| concerns(local.component)) {
            Reason::NoLocalCandidates
        } else if !self.checks.remotes().iter().any(|remote| concerns(remote.component)) {
            Reason::NoRemoteCandidates
        } else {
            Reason::ChecksFailed
        }
    }

    pub(super) fn fail(&mut self, now: Instant, reason: Reason) {
        self.notes.reason = Some(reason);
        self.events.push_back(Event::Failed(reason));
        self.end(now, State::Failed);
    }

    /// A pair was nominated.
    pub(super) fn follow_selected(&mut self, now: Instant, id: PairId) {
        self.record_nominated(now, id);
        let Some(pair) = self.checks.pair(id) else { return };
        // What was lost before is made good.
        self.notes.losses.remove(&pair.component);
        let (component, base, peer) = (pair.component, pair.base, pair.destination);
        let local = pair
            .valid
            .and_then(|local| self.checks.local(local))
            .map(|local| Box::new(local.candidate.clone()));
        let remote = self.checks.remote(pair.remote).map(|remote| Box::new(remote.candidate.clone()));
        if let (Some(local), Some(remote)) = (local, remote) {
            self.events.push_back(Event::Selected { component, local, remote });
        }
        self.follow_paths(now);
        if self.state == State::Completed {
            // Once more, for what a later selection leaves.
            self.free.completed(now);
        }
        // RFC 8445 §12.1: a selected relay gets a channel.
        if let Some(Via::Relay(relay)) = self.bases.get(base).map(|base| base.via) {
            if let Some(relay) = self.relays.get_mut(relay) {
                relay.client.bind(peer);
            }
            self.follow_relay(now, relay);
        }
    }

    /// Announces paths that changed, with a consent of their own.
    pub(super) fn follow_paths(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        for index in 0..self.flows.len() {
            let component = self.flows[index].component;
            let pair = self.pair_to_use(index);
            // The selected pair went with its base. Data takes the next valid pair meanwhile, if there is one.
            let bereft = self.checks.is_bereft(now, component);
            let stranded = self.is_stranded(component);
            let generation = self.checks.generation;
            let flow = &mut self.flows[index];
            if (bereft && !flow.bereft && flow.lost.is_none()) || (stranded && !flow.stranded) {
                self.events.push_back(Event::RestartNeeded(Why::PathGone));
            }
            (flow.bereft, flow.stranded) = (bereft, stranded);
            if bereft && pair.is_none() {
                flow.lost.get_or_insert(Lost { generation, why: Why::PathGone });
            }
            let path = pair.and_then(|pair| self.path_of(pair));
            let used = pair.and_then(|pair| self.pair_in_use(pair));
            let (answered, rtt) =
                (used.and_then(|pair| pair.answered), used.and_then(|pair| pair.quality.rtt));
            let flow = &mut self.flows[index];
            // A path over a new connection has consent of its own.
            if flow.pair != pair || (flow.path.is_none() && path.is_some()) {
                flow.pair = pair;
                // A lite agent asks for no consent (RFC 7675 §1): it has no answer of its own to begin with.
                flow.consent = answered.map(|answered| Consent::new(now, answered, &mut self.rng));
                let before = flow.liveness.take().is_some_and(|liveness| liveness.is_announced());
                flow.liveness = answered.map(|_| Liveness::new(now, rtt));
                if before && path.is_some() {
                    self.events.push_back(Event::Recovered { component });
                }
                flow.keepalive = pair
                    .filter(|_| !self.checks.sends_checks())
                    .map(|_| now + self.config.keepalive_interval())
                    .into();
                flow.busy = Some(now);
            }
            if path.is_some() {
                flow.lost = None;
            }
            if flow.path != path {
                flow.path = path;
                let destination = path.map(|path| path.destination());
                self.trace.push(now, What::Path { component, destination });
                self.events.push_back(Event::Path { component, path });
            }
        }
        self.update_state(now);
    }

    /// Whether the candidates that were signalled are all gone while nothing is decided yet, and those that came instead
    /// are not signalled in this session: whether the peer lets their checks in is left to chance.
    fn is_stranded(&self, at: ComponentId) -> bool {
        let locals = self.checks.locals().iter().filter(|local| local.component == at);
        let mut bases = locals.filter_map(|local| self.bases.get(local.base)).peekable();
        self.checks.is_undecided(at) && bases.peek().is_some() && bases.all(|base| base.told == Told::No)
    }

    /// The selected pair; until there is one that of the session before (RFC 8445 §9), or any valid one (§12.1).
    pub(super) fn pair_to_use(&self, index: usize) -> Option<InUse> {
        let flow = &self.flows[index];
        let at = flow.component;
        let list = self.checks.checklist(at.stream)?;
        let generation = self.checks.generation;
        let old = flow.pair.filter(|pair| pair.generation != generation);
        let old = old.filter(|pair| self.pair_in_use(*pair).is_some());
        let new = |id| InUse { generation, id };
        // RFC 8445 §12.1: nothing is sent on a stream of which one component has no pair; nor by a lite agent before all
        // of them have one (§12.1.1).
        let may_send = list.state != ChecklistState::Failed;
        let may_send = may_send && (self.checks.sends_checks() || list.is_selected());
        let component = list.component(at.component).filter(|_| may_send);
        let selected = component.and_then(|component| component.selected).map(new);
        // Where no answer gave consent, or too long ago, no data goes (RFC 7675 §5.1).
        let agrees = |id: &PairId| self.checks.pair(*id).is_some_and(|pair| pair.has_consent(self.now));
        let spare = || self.checks.spare(at).filter(agrees);
        let valid = || spare().or_else(|| component?.valid().find(agrees)).map(new);
        let pair = selected.or(old).or_else(valid);
        let ended = flow.lost.filter(|lost| lost.why == Why::ConsentExpired).map(|lost| lost.generation);
        pair.filter(|pair| ended != Some(pair.generation))
    }

    /// The way that data of a pair takes; `None` while its relay has no permission.
    fn path_of(&mut self, used: InUse) -> Option<Path> {
        let pair = self.pair_in_use(used)?;
        let base = self.bases.get(pair.base)?;
        let mut socket = base.socket;
        let (destination, framing) = match base.via {
            Via::Socket => (pair.destination, Framing::Direct),
            Via::Tcp(_) => {
                // RFC 6544 §11.1: on each connection only after a check of its own.
                pair.valid?;
                socket = self.connections.between(used.generation, pair.base, pair.destination)?;
                (pair.destination, Framing::Direct)
            }
            Via::Relay(relay) => {
                let relay = self.relays.get(relay)?;
                (relay.server_addr, relay.client.framing(pair.destination)?)
            }
        };
        Some(Path { socket, local: base.local, destination, framing })
    }

    /// Consent on the path of a component is lost (RFC 7675 §5.1).
    pub(super) fn follow_expiry(&mut self, now: Instant, index: usize) {
        let Some(flow) = self.flows.get_mut(index) else { return };
        flow.liveness = None;
        if let Some(consent) = flow.consent.take() {
            self.notes.lost(now, flow.component, consent.loss(now));
        }
        if let Some(InUse { generation, id }) = flow.pair {
            // A pair that was only valid gives way to the next one; a selected one is the session's only path.
            // The next session, if it has begun, has its own chance.
            let current = generation == self.checks.generation;
            if current {
                self.checks.fall_back(now, id);
            }
            let lost = Lost { generation, why: Why::ConsentExpired };
            flow.lost = (!current || self.checks.is_selected(id)).then_some(lost);
            if current && flow.lost.is_some() {
                self.events.push_back(Event::RestartNeeded(Why::ConsentExpired));
            }
            if let Some(session) = self.session_mut(generation) {
                session.expire(now, id);
            }
            if !current {
                self.flows[index].pair = None;
            }
        }
        self.follow_checks(now);
    }

    pub(super) fn flow_of(&self, component: ComponentId) -> Option<usize> {
        let is_removed = self.checks.checklist(component.stream).is_none_or(Checklist::is_removed);
        self.flows.iter().position(|flow| flow.component == component && !is_removed)
    }
}
