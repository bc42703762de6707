//! What the agent writes into its trace.

use std::net::SocketAddr;

use super::Agent;
use super::state::State;
use crate::candidate::{BaseId, Candidate};
use crate::checks::PairId;
use crate::stun::Message;
use crate::stun::wire::{Class, attr};
use crate::time::Instant;
use crate::trace::{self, Content, MessageSummary, Side, What};

impl Agent {
    /// What happened on the wire and in the state machine, if [`Config::trace`](super::Config::trace) asked for it.
    pub fn trace(&self) -> &trace::Trace {
        &self.trace
    }

    pub(super) fn record_received(&mut self, now: Instant, base: BaseId, remote: SocketAddr, payload: &[u8]) {
        if let Some(base) = self.traced(base) {
            self.trace.push(now, What::Received { base, remote, content: content(payload) });
        }
    }

    /// What is polled counts as sent when the agent was called last.
    pub(super) fn record_sent(&mut self, base: BaseId, remote: SocketAddr, payload: &[u8]) {
        if let Some(base) = self.traced(base) {
            self.trace.push(self.now, What::Sent { base, remote, content: content(payload) });
        }
    }

    pub(super) fn drop_datagram(
        &mut self,
        now: Instant,
        base: BaseId,
        remote: SocketAddr,
        why: &'static str,
    ) {
        self.stats.datagrams_dropped += 1;
        if let Some(base) = self.traced(base) {
            self.trace.push(now, What::Dropped { base, remote, why });
        }
    }

    pub(super) fn record_candidate(&mut self, now: Instant, side: Side, candidate: &Candidate) {
        if let Some(address) = candidate.address.socket() {
            self.record_candidate_at(now, side, candidate, address);
        }
    }

    /// For a candidate whose address is a name: what it stands for.
    pub(super) fn record_candidate_at(
        &mut self,
        now: Instant,
        side: Side,
        candidate: &Candidate,
        address: SocketAddr,
    ) {
        let (kind, priority) = (candidate.kind, candidate.priority);
        self.trace.push(now, What::Candidate { side, kind, address, priority });
    }

    pub(super) fn record_nominated(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.checks.pair(id) else { return };
        let (base, remote) = (pair.base, pair.destination);
        if let Some(local) = self.traced(base) {
            self.trace.push(now, What::Nominated { local, remote });
        }
    }

    pub(super) fn record_state(&mut self, now: Instant, state: State) {
        self.trace.push(now, What::State(state.as_str()));
    }

    fn traced(&self, base: BaseId) -> Option<SocketAddr> {
        let base = self.bases.get(base).filter(|_| self.trace.is_on())?;
        Some(base.addr)
    }
}

fn content(payload: &[u8]) -> Content {
    let Ok(message) = Message::parse(payload) else { return Content::Data(payload.len()) };
    let attributes = message.plain().attributes();
    let class = match message.class() {
        Class::Request => trace::Class::Request,
        Class::Indication => trace::Class::Indication,
        Class::Success => trace::Class::Success,
        Class::Error => trace::Class::Error(attributes.error_code().map_or(0, |error| error.code)),
    };
    Content::Stun(MessageSummary {
        class,
        method: message.method().0,
        transaction_id: message.transaction_id().0,
        nominates: attributes.has(attr::USE_CANDIDATE),
    })
}
