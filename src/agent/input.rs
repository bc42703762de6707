//! A datagram finds its owner.

use std::net::SocketAddr;

use super::Agent;
use super::bases::Via;
use super::config::Answer;
use super::connections::Owner;
use super::event::{Input, Received};
use super::flow::InUse;
use super::output::{Answering, Intent, Intents};
use super::relays::RelayId;
use crate::candidate::BaseId;
use crate::checks::ChecklistSet;
use crate::checks::respond::{Reply, Verdict};
use crate::io::Datagram;
use crate::stun::Message;
use crate::stun::wire::{Class, Kind, Method, attr, classify};
use crate::time::Instant;
use crate::turn;

impl Agent {
    /// Takes what happened outside. A hostile datagram is no error: it is counted and dropped.
    pub fn handle_input<'a>(&mut self, now: Instant, input: Input<'a>) -> Received<'a> {
        self.now = now;
        match input {
            Input::Timeout if self.rest.is_some_and(|rest| !rest.is_over(now)) => return Received::Consumed,
            // Most datagrams are data, which makes nothing due.
            Input::Datagram(_) => {}
            _ => self.wake_up(now),
        }
        match input {
            Input::Timeout => {
                self.handle_timeout(now);
                Received::Consumed
            }
            Input::Datagram(datagram) => self.handle_datagram(now, &datagram),
            Input::Resolved { request, address } => {
                self.follow_resolved(now, request, address);
                Received::Consumed
            }
            Input::Connected { request, socket, local } => {
                self.follow_connected(now, request, socket, local);
                Received::Consumed
            }
            Input::Accepted { listener, socket, local, remote } => {
                self.follow_accepted(now, listener, socket, local, remote);
                Received::Consumed
            }
            Input::Opened { socket, local } => {
                self.follow_opened(socket, local);
                Received::Consumed
            }
            Input::NotConnected { request, why } => {
                self.follow_not_connected(now, request, why);
                Received::Consumed
            }
            Input::Unreachable { socket, local, destination } => {
                self.follow_unreachable(now, socket, local, destination);
                Received::Consumed
            }
            Input::Closed { socket, why } => {
                self.follow_closed(now, socket, why);
                Received::Consumed
            }
        }
    }

    fn handle_datagram<'a>(&mut self, now: Instant, datagram: &Datagram<'a>) -> Received<'a> {
        let Some(base) = self.bases.of_socket(datagram.socket, datagram.local) else {
            return match self.connections.owner(datagram.socket) {
                Some(Owner::Relay(relay)) => self.handle_relayed(now, relay, datagram),
                Some(Owner::Pair(ends)) => self.handle_framed(now, datagram.socket, ends, datagram.payload),
                None => self.handle_probed(now, datagram).unwrap_or(Received::Unclaimed),
            };
        };
        match self.relays.of_server(base, datagram.source) {
            Some(relay) => self.handle_relayed(now, relay, datagram),
            None => self.handle_payload(now, base, datagram.source, datagram.payload),
        }
    }

    /// A message from a TURN server.
    fn handle_relayed<'a>(&mut self, now: Instant, relay: RelayId, datagram: &Datagram<'a>) -> Received<'a> {
        self.wake_up(now);
        let Some((base, is_udp)) = self.relays.get(relay).map(|relay| (relay.from, relay.is_udp())) else {
            return Received::Unclaimed;
        };
        let received = match self.relays.get_mut(relay) {
            Some(relay) => relay.client.handle_input(now, turn::Input::Datagram(datagram.payload)),
            None => turn::Received::Unclaimed,
        };
        if received == turn::Received::Consumed {
            self.record_received(now, base, datagram.source, datagram.payload);
        }
        self.follow_relay(now, relay);
        match received {
            // The same server may be asked as a STUN server, and may host the peer's relay.
            turn::Received::Unclaimed if is_udp => {
                self.handle_payload(now, base, datagram.source, datagram.payload)
            }
            turn::Received::Consumed | turn::Received::Unclaimed => Received::Consumed,
            turn::Received::Data { peer, payload } => {
                match self.relays.get(relay).and_then(|relay| relay.base_of(peer.ip())) {
                    Some(base) => self.handle_payload(now, base, peer, payload),
                    None => Received::Consumed,
                }
            }
        }
    }

    /// A payload that `source` sent to `base`, free of any TURN header.
    pub(super) fn handle_payload<'a>(
        &mut self,
        now: Instant,
        base: BaseId,
        source: SocketAddr,
        payload: &'a [u8],
    ) -> Received<'a> {
        if self.is_over() {
            return Received::Unclaimed;
        }
        self.record_received(now, base, source, payload);
        if classify(payload) != Kind::Stun {
            return self.handle_data(now, base, source, payload);
        }
        let Ok(message) = Message::parse(payload) else {
            // The cookie alone does not make it STUN: with another length or FINGERPRINT it is data (RFC 7983 §7).
            let received = self.handle_data(now, base, source, payload);
            if received == Received::Unclaimed {
                self.drop_datagram(now, base, source, "malformed");
                return Received::Consumed;
            }
            return received;
        };
        if message.method() != Method::BINDING {
            return Received::Unclaimed;
        }
        match message.class() {
            Class::Request => self.handle_request(now, base, source, message),
            Class::Indication => Received::Consumed,
            Class::Success | Class::Error => {
                self.wake_up(now);
                self.handle_answer(now, base, source, message)
            }
        }
    }

    /// RFC 8445 §12.2: data is taken from any address whose check, or whose answer to ours, was authenticated.
    fn handle_data<'a>(
        &mut self,
        now: Instant,
        base: BaseId,
        source: SocketAddr,
        payload: &'a [u8],
    ) -> Received<'a> {
        let known = |session: &ChecklistSet| {
            let id = session.pair_of(base, source)?;
            let pair = session.pair(id).filter(|pair| pair.authenticated || pair.valid.is_some())?;
            Some((pair.component, InUse { generation: session.generation, id }))
        };
        match known(&self.checks).or_else(|| self.previous.as_deref().and_then(known)) {
            Some((component, pair)) => {
                self.stats.packets_received += 1;
                self.stats.bytes_received += payload.len() as u64;
                self.note_data(now, component);
                if let Some(index) = self.flows.iter().position(|flow| flow.pair == Some(pair)) {
                    self.note_traffic(now, index);
                }
                Received::Data { component, payload }
            }
            _ => Received::Unclaimed,
        }
    }

    fn handle_request(
        &mut self,
        now: Instant,
        base: BaseId,
        source: SocketAddr,
        message: Message<'_>,
    ) -> Received<'static> {
        let Some(entry) = self.bases.get(base) else { return Received::Unclaimed };
        let hidden = !matches!(entry.via, Via::Relay(_)) && self.config.policy == super::Policy::Relay;
        if !message.has_fingerprint() || hidden {
            let why = if hidden { "not for a relay-only agent" } else { "no FINGERPRINT" };
            self.drop_datagram(now, base, source, why);
            return Received::Consumed;
        }
        let component = entry.component;
        let id = message.transaction_id();
        let answer = |intents: &mut Intents, generation, reply| {
            intents.push(Intent::Reply(Answering { base, source, id, generation, reply }));
        };
        let generation = self.checks.generation;
        match self.checks.handle_request(now, base, component, source, message) {
            Verdict::Stranger => {
                let previous = self.previous.as_ref();
                let late = previous
                    .and_then(|set| Some((set.generation, set.answer_late(component.stream, message)?)));
                match (late, self.config.unauthenticated) {
                    (Some((generation, reply)), _) => answer(&mut self.intents, generation, reply),
                    (None, Answer::Silent) => return Received::Unclaimed,
                    (None, Answer::Limited) => {
                        self.answer_stranger(now, base, source, Reply::UNKNOWN_USER, message);
                    }
                }
            }
            Verdict::Unauthenticated(reply) => self.answer_stranger(now, base, source, reply, message),
            Verdict::Refused(reply) => answer(&mut self.intents, generation, reply),
            Verdict::Accepted { reply, switched, learnt } => {
                answer(&mut self.intents, generation, reply);
                if let Some(role) = switched {
                    self.follow_role(role);
                }
                if let Some(learnt) = learnt {
                    self.note_heard(now, learnt.pair);
                    if !learnt.selected {
                        self.note_check(now, learnt.pair);
                    }
                    self.connections.introduce(base, source);
                }
                if let Some(learnt) = learnt.filter(|learnt| learnt.selected) {
                    self.follow_selected(now, learnt.pair);
                }
                if switched.is_some() || learnt.is_none_or(|learnt| !learnt.steady) {
                    self.wake_up(now);
                }
                let news = learnt.is_some_and(|it| it.new_remote.is_some() || it.selected || it.one_way);
                // In another role pairs have other priorities, and we may have to nominate.
                if news || switched.is_some() {
                    self.follow_checks(now);
                }
            }
        }
        Received::Consumed
    }

    /// Nobody vouches for this request: a short answer, seldom, or none.
    fn answer_stranger(
        &mut self,
        now: Instant,
        base: BaseId,
        source: SocketAddr,
        reply: Reply,
        message: Message<'_>,
    ) {
        self.drop_datagram(now, base, source, "not authenticated");
        self.notes.strangers = self.notes.strangers.saturating_add(1);
        let short = message.raw().len() >= Reply::UNSIGNED_LEN;
        if self.config.unauthenticated == Answer::Limited && short && self.allowance.take(now) {
            let (id, generation) = (message.transaction_id(), self.checks.generation);
            self.intents.push(Intent::Reply(Answering { base, source, id, generation, reply }));
        }
    }

    fn handle_answer(
        &mut self,
        now: Instant,
        base: BaseId,
        source: SocketAddr,
        message: Message<'_>,
    ) -> Received<'static> {
        let id = message.transaction_id();
        if self.checks.has_transaction(id) {
            let outcome = self.checks.handle_answer(now, base, source, message, &mut self.rng);
            self.follow_outcome(now, outcome);
        } else if self.gatherer.end_keepalive(base, source, id) {
            return Received::Consumed;
        } else if self.gatherer.has_transaction(id) {
            match self.gatherer.handle_answer(now, base, source, message) {
                Some(found) => self.follow_found(now, found),
                None => self.drop_datagram(now, base, source, "not from the server that was asked"),
            }
        } else if let Some(index) = self.flows.iter().position(|flow| flow.asks(id)) {
            self.handle_consent(now, index, base, source, message);
        } else if let Some((index, probe)) = self.probe_of(id) {
            self.handle_probe(now, index, &probe, (base, source), message);
        } else {
            self.drop_datagram(now, base, source, "no transaction of this id");
            return Received::Unclaimed;
        }
        Received::Consumed
    }

    /// RFC 7675 §5.1: authenticated, from the address that was asked, and no error.
    fn handle_consent(
        &mut self,
        now: Instant,
        index: usize,
        base: BaseId,
        source: SocketAddr,
        message: Message<'_>,
    ) {
        let (component, pair) = (self.flows[index].component, self.flows[index].pair);
        let session = pair.and_then(|pair| self.session(pair.generation));
        let asked = session.zip(pair).and_then(|(session, pair)| session.pair(pair.id));
        let right = asked.is_some_and(|pair| (pair.base, pair.destination) == (base, source));
        let answer = session.and_then(|session| session.verify_answer(component.stream, message));
        let consent = self.flows[index].consent.as_mut();
        let (Some(consent), Some(pair), Some(answer)) = (consent, pair, answer.filter(|_| right)) else {
            self.drop_datagram(now, base, source, "consent answer not authenticated");
            return;
        };
        match answer.message().class() {
            Class::Success => {
                let mapped = answer.attributes().xor_address(attr::XOR_MAPPED_ADDRESS);
                if let Some(rtt) = consent.renew(now, message.transaction_id()) {
                    self.note_alive(now, index, Some(rtt));
                    if let Some(session) = self.session_mut(pair.generation) {
                        session.note_consent(now, pair.id, rtt, mapped);
                    }
                }
            }
            _ if answer.attributes().error_code().is_some_and(|error| error.code == 403) => {
                consent.revoke(now);
            }
            _ => {}
        }
    }
}
