//! What a timeout does, and who gets the slot of this Ta.

use super::Agent;
use super::event::{Reason, ServerProblem};
use super::output::Intent;
use super::relays::Link;
use super::state::State;
use crate::checks::request::Timeout;
use crate::consent;
use crate::gather;
use crate::io::Wake;
use crate::time::{Instant, earliest};
use crate::turn;

/// Checks in a row while triggered ones wait: after them a transaction of gathering has its turn.
const MAX_TRIGGERED: u8 = 4;

impl Agent {
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.run_consent(now);
        self.run_liveness(now);
        self.run_checks(now);
        self.run_gathering(now);
        self.run_relays(now);
        self.run_homeless(now);
        self.run_revivals(now);
        if self.pac.take_due(now) {
            self.pac_over = true;
            self.checks.lose_patience();
            self.follow_checks(now);
        }
        self.dismiss_strangers(now);
        self.run_free(now);
        self.run_hard(now);
        if self.give_up.take_due(now) && self.state == State::Disconnected {
            self.fail(now, Reason::ConsentExpired);
        }
        if !self.is_over() {
            self.use_slot(now);
        }
    }

    fn run_checks(&mut self, now: Instant) {
        let mut failed = false;
        while let Some(due) = self.checks.poll_timeout(now) {
            match due {
                Timeout::Retransmit(id) => self.intents.push(Intent::Check(id)),
                Timeout::Failed(_) => failed = true,
            }
        }
        let settled = self.checks.settle_deadline().is_some_and(|at| at <= now);
        if failed || settled {
            self.follow_checks(now);
        }
        self.checks.check_spares(now);
    }

    fn run_gathering(&mut self, now: Instant) {
        while let Some(due) = self.gatherer.poll_timeout(now) {
            match due {
                gather::Timeout::Retransmit(id) => self.intents.push(Intent::Query(id)),
                gather::Timeout::Unanswered(query) => {
                    self.query_problem(query, ServerProblem::Unreachable);
                    self.follow_gathering(now);
                }
            }
        }
        if self.gather_patience.take_due(now) {
            self.lose_patience(now);
        }
    }

    fn run_relays(&mut self, now: Instant) {
        for id in self.relays.ids() {
            let Some(relay) = self.relays.get_mut(id) else { continue };
            if relay.client.deadline().is_some_and(|at| at <= now) {
                let _ = relay.client.handle_input(now, turn::Input::Timeout);
                self.follow_relay(now, id);
            }
        }
    }

    fn run_consent(&mut self, now: Instant) {
        for index in 0..self.flows.len() {
            self.pace_consent(now, index);
            let due =
                self.flows[index].consent.as_mut().and_then(|consent| consent.poll_due(now, &mut self.rng));
            match due {
                Some(consent::Due::Request(id)) => {
                    self.note_asked(now, index);
                    self.intents.push(Intent::Consent(index, id));
                }
                Some(consent::Due::Expired) => self.follow_expiry(now, index),
                None => {}
            }
            if self.flows[index].keepalive.is_due(now) {
                self.flows[index].keepalive.set(now + self.config.keepalive_interval());
                self.intents.push(Intent::Indication(index));
            }
        }
    }

    /// One new transaction a Ta, for gathering and checks together (RFC 8445 §14.1). Triggered checks go first, but
    /// not without end; then TURN, which checks through a relay wait for; then queries and ordinary checks by turns, so
    /// that a server that does not answer never holds checks up.
    fn use_slot(&mut self, now: Instant) {
        if !self.wants_slot() {
            return;
        }
        let ta = self.checks.ta();
        if !self.pacer.take(now, ta) {
            return;
        }
        if self.slot_for_probe(now) {
            return;
        }
        let turns = if self.checks.has_triggered() { MAX_TRIGGERED } else { 1 };
        let checks_first = self.checks_in_a_row < turns;
        if checks_first && self.slot_for_check(now) {
            self.checks_in_a_row = self.checks_in_a_row.saturating_add(1);
        } else if self.slot_for_gathering(now) {
            self.checks_in_a_row = 0;
        } else {
            let is_taken = (!checks_first && self.slot_for_check(now)) || self.slot_for_guess();
            if !is_taken {
                self.pacer.give_back(now);
            }
        }
    }

    fn slot_for_check(&mut self, now: Instant) -> bool {
        let Some(id) = self.checks.begin_check(now, &mut self.rng) else { return false };
        match self.checks.connection_of(id) {
            Some((base, remote)) => self.connect_pair(base, remote),
            None => self.intents.push(Intent::Check(id)),
        }
        true
    }

    fn slot_for_gathering(&mut self, now: Instant) -> bool {
        if let Some(id) = self.relays.next_for_slot() {
            match self.relays.get_mut(id) {
                Some(relay) if relay.link == Link::Unopened => self.connect_relay(id),
                Some(_) => self.give_slot(now, id),
                None => {}
            }
            self.follow_relay(now, id);
            return true;
        }
        let query = self.gatherer.begin(now, self.checks.ta(), &mut self.rng);
        query.inspect(|id| self.intents.push(Intent::Query(*id))).is_some()
    }

    fn wants_slot(&self) -> bool {
        !self.is_over()
            && (self.checks.wants_slot(self.now)
                || self.wants_probe()
                || self.relays.wants_slot()
                || self.gatherer.wants_slot()
                || self.hard.as_ref().is_some_and(|hard| hard.wants_slot()))
    }

    /// When the next thing is due.
    pub(super) fn wake(&self) -> Option<Wake> {
        let timers = [self.pac, self.give_up, self.gather_patience];
        let consent = self.flows.iter().filter_map(|flow| Some(flow.consent.as_ref()?.deadline())).min();
        let liveness = self.flows.iter().filter_map(|flow| flow.liveness.as_ref()?.deadline()).min();
        let keepalive = self.flows.iter().filter_map(|flow| flow.keepalive.deadline()).min();
        let mut at = self.relays.deadline();
        if !self.is_over() {
            at = timers.iter().fold(at, |at, timer| earliest(at, timer.deadline()));
            for deadline in [
                self.checks.transaction_deadline(),
                self.checks.settle_deadline(),
                self.checks.spare_deadline(),
                self.free.deadline(),
                self.hard.as_ref().and_then(|hard| hard.deadline()),
                self.gatherer.deadline(),
                self.connections.deadline(),
                consent,
                liveness,
                keepalive,
            ] {
                at = earliest(at, deadline);
            }
        }
        let recheck = self.checks.recheck_deadline().filter(|_| !self.is_over());
        let slot = if self.wants_slot() {
            Some(self.pacer.next())
        } else {
            recheck.map(|at| at.max(self.pacer.next()))
        };
        match (at, slot) {
            (at, Some(slot)) if at.is_none_or(|at| slot <= at) => Some(Wake { at: slot, slot: true }),
            (at, _) => at.map(|at| Wake { at, slot: false }),
        }
    }
}
