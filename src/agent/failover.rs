//! What is done about a pair in use that is suspected: [`liveness`](super::liveness) says when to ask, this asks, and
//! lets the pair that answers take over.

use std::net::SocketAddr;

use super::Agent;
use super::config::Failover;
use super::event::Event;
use super::flow::{Flow, InUse};
use super::liveness::{Liveness, Means, News, Probe, Target};
use super::output::Intent;
use crate::candidate::BaseId;
use crate::checks::PairId;
use crate::io::ComponentId;
use crate::stun::wire::{Class, attr};
use crate::stun::{Message, TransactionId};
use crate::time::{Duration, Instant};

impl Agent {
    /// Tells that traffic of the peer arrived on this component that the application has authenticated, and that this agent
    /// has not seen: data that [`handle_input`](Self::handle_input) returned counts without it. The path in use is not
    /// suspected while there is such traffic; consent (RFC 7675) expires in any case.
    pub fn note_received(&mut self, now: Instant, component: ComponentId) {
        self.now = now;
        let index = self.flows.iter().position(|flow| flow.component == component);
        if let Some(index) = index {
            self.note_traffic(now, index);
        }
    }

    /// Data arrived from where the pair in use leads.
    pub(super) fn note_traffic(&mut self, now: Instant, index: usize) {
        let Some(flow) = self.flows.get_mut(index) else { return };
        let Some(liveness) = &mut flow.liveness else { return };
        flow.stray.silent = false;
        if liveness.heard(now) {
            let news = liveness.refute();
            self.announce(index, news);
            self.wake_up(now);
        }
    }

    /// A check of the peer arrived on this pair, and has not selected it.
    pub(super) fn note_check(&mut self, now: Instant, pair: PairId) {
        let generation = self.checks.generation;
        let valid = self.checks.pair(pair).filter(|pair| pair.valid.is_some());
        let Some(component) = valid.map(|pair| pair.component) else { return self.note_stray(now, pair) };
        let Some(index) = self.flows.iter().position(|flow| flow.component == component) else { return };
        let flow = &mut self.flows[index];
        let (used, Some(liveness)) = (flow.pair, flow.liveness.as_mut()) else { return };
        if used == Some(InUse { generation, id: pair }) {
            liveness.alive(now);
        } else if used.is_some_and(|used| used.generation == generation) {
            liveness.told(now);
            self.wake_up(now);
        }
    }

    /// A check of ours on this pair was answered, or a consent request.
    pub(super) fn note_alive(&mut self, now: Instant, index: usize, rtt: Option<Duration>) {
        let liveness = self.flows.get_mut(index).and_then(|flow| flow.liveness.as_mut());
        let news = liveness.and_then(|liveness| liveness.answered(now, rtt));
        self.announce(index, news);
    }

    /// A consent request leaves. That the one before is still open is a loss of its pair.
    pub(super) fn note_asked(&mut self, now: Instant, index: usize) {
        let flow = &mut self.flows[index];
        if let Some(liveness) = &mut flow.liveness {
            liveness.asked(now);
        }
        let lost = flow.consent.as_ref().is_some_and(|consent| consent.unanswered() > 1);
        if let Some(used) = flow.pair.filter(|_| lost)
            && let Some(session) = self.session_mut(used.generation)
        {
            session.note_loss(used.id);
        }
    }

    /// The flow and the probe of this id.
    pub(super) fn probe_of(&self, id: TransactionId) -> Option<(usize, Probe)> {
        let mut probes = self.flows.iter().enumerate();
        probes.find_map(|(index, flow)| Some((index, flow.probe(id)?)))
    }

    fn announce(&mut self, index: usize, news: Option<News>) {
        let component = self.flows[index].component;
        match news {
            Some(News::Suspected) => self.events.push_back(Event::Suspected { component }),
            Some(News::Recovered) => self.events.push_back(Event::Recovered { component }),
            None => {}
        }
    }

    /// The pairs that could take over from the one that a flow uses.
    fn others(&self, flow: &Flow) -> impl Iterator<Item = PairId> + '_ {
        let current = flow.pair.filter(|used| used.generation == self.checks.generation);
        let current = current.filter(|_| self.config.failover == Failover::On);
        current.into_iter().flat_map(|used| self.checks.others(used.id))
    }

    /// Suspicions that begin, and rounds that are due.
    pub(super) fn run_liveness(&mut self, now: Instant) {
        let ta = self.checks.ta();
        for index in 0..self.flows.len() {
            let flow = &self.flows[index];
            let is_due = |at: Instant| at <= now;
            if !flow.liveness.as_ref().and_then(Liveness::deadline).is_some_and(is_due) {
                continue;
            }
            let means = if self.others(flow).next().is_some() { Means::Probe } else { Means::Wait };
            let Some(liveness) = &mut self.flows[index].liveness else { continue };
            let is_silent = means == Means::Wait && liveness.is_silent(now);
            let news = liveness.poll(now, means, ta);
            self.announce(index, news);
            if is_silent {
                self.note_silence(now, index);
            }
            self.fail_over(now, index);
        }
    }

    /// Lets the pair that answers take over.
    fn fail_over(&mut self, now: Instant, index: usize) {
        let flow = &self.flows[index];
        let replacement = flow.liveness.as_ref().and_then(Liveness::replacement);
        if let Some((used, (to, since))) = flow.pair.zip(replacement)
            && used.generation == self.checks.generation
            && self.checks.fail_over(now, used.id, to, since)
        {
            self.wake_up(now);
        }
    }

    pub(super) fn wants_probe(&self) -> bool {
        self.flows.iter().any(|flow| flow.liveness.as_ref().is_some_and(Liveness::wants_slot))
    }

    /// The slot of this Ta goes to a probe, if one waits.
    pub(super) fn slot_for_probe(&mut self, now: Instant) -> bool {
        for index in 0..self.flows.len() {
            let Some(liveness) = &mut self.flows[index].liveness else { continue };
            let Some(target) = liveness.next_target() else { continue };
            let flow = &self.flows[index];
            let pair = match target {
                Target::InUse => flow.pair.map(|used| used.id),
                Target::Other(turn) => {
                    let count = self.others(flow).count().max(1);
                    self.others(flow).nth(usize::from(turn) % count)
                }
            };
            let Some(pair) = pair else { continue };
            let id = TransactionId(self.rng.transaction_id());
            if let Some(liveness) = &mut self.flows[index].liveness {
                liveness.sent(now, id, pair, target);
            }
            self.intents.push(Intent::Probe(index, id));
            return true;
        }
        false
    }

    pub(super) fn write_probe(
        &mut self,
        index: usize,
        id: TransactionId,
        room: &mut [u8],
    ) -> Option<(BaseId, SocketAddr, usize)> {
        let probe = self.flows.get(index)?.probe(id)?;
        let check = self.checks.check_of(probe.pair)?;
        let to = self.checks.write_request(id, &check.without_nomination(), room)?;
        Some((to.base, to.destination, to.len))
    }

    /// The answer to a probe counts as that to a check does (RFC 8445 §7.2.5), which is consent as well (RFC 7675 §5.1).
    pub(super) fn handle_probe(
        &mut self,
        now: Instant,
        index: usize,
        probe: &Probe,
        from: (BaseId, SocketAddr),
        message: Message<'_>,
    ) {
        let asked = self.checks.pair(probe.pair);
        let right = asked.filter(|pair| (pair.base, pair.destination) == from);
        let answer = right.and_then(|pair| self.checks.verify_answer(pair.component.stream, message));
        let Some(answer) = answer.filter(|answer| answer.message().class() == Class::Success) else {
            return self.drop_datagram(
                now,
                from.0,
                from.1,
                "answer to a probe not authenticated, or an error",
            );
        };
        let mapped = answer.attributes().xor_address(attr::XOR_MAPPED_ADDRESS);
        let Some(liveness) = &mut self.flows[index].liveness else { return };
        let (rtt, news) = liveness.take_answer(now, probe);
        self.announce(index, news);
        self.checks.note_consent(now, probe.pair, rtt, mapped);
        if probe.target == Target::InUse {
            self.renew_consent(now, probe.pair);
        }
        self.fail_over(now, index);
        self.follow_checks(now);
    }
}
