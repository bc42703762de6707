//! ICE-TCP (RFC 6544): listening sockets become candidates, pairs get connections, and connections that no pair needs
//! are closed.
//!
//! A connection is named as a pair is, by its base and its remote transport address: to checks, consent and paths TCP is
//! one more way for packets to leave a base.

use std::net::SocketAddr;

use super::Agent;
use super::bases::{Base, Via};
use super::config::Implementation;
use super::connections::{Ends, Errand, Owner};
use super::event::{Event, Received, Why};
use super::flow::InUse;
use super::output::Intent;
use crate::candidate::priority::MAX_OTHER_PREFERENCE;
use crate::candidate::sdp::DISCARD_PORT;
use crate::candidate::{BaseId, TcpType};
use crate::checks::connect::Loss;
use crate::error::AddSocketError;
use crate::io::{CloseReason, ComponentId, SocketId, StreamProtocol};
use crate::stun::Message;
use crate::stun::wire::{Kind, classify};
use crate::time::Instant;

impl Agent {
    /// A listening socket: one base that accepts connections, and one that opens them from the same address (RFC 6544
    /// §4.1); of a lite agent the former only (§4.4).
    pub(super) fn add_listener(
        &mut self,
        now: Instant,
        socket: SocketId,
        addr: SocketAddr,
        component: ComponentId,
    ) -> Result<(), AddSocketError> {
        if !self.config.has_tcp() {
            return Err(AddSocketError::NoTcp);
        }
        let preference = self.other_preference(component, addr);
        let local = addr.ip();
        let via = Via::Tcp(TcpType::Passive);
        let told = self.will_tell(component.stream);
        let passive = Base { component, addr, socket, local, via, preference, told };
        let mut bases = vec![passive];
        if self.config.implementation == Implementation::Full {
            let addr = SocketAddr::new(local, DISCARD_PORT);
            bases.insert(0, Base { addr, via: Via::Tcp(TcpType::Active), ..passive });
        }
        if !self.bases.has_room(bases.len(), usize::from(self.config.limits.bases)) {
            return Err(AddSocketError::TooMany(usize::from(self.config.limits.bases)));
        }
        for base in bases {
            let id = self.bases.add(base);
            self.gather_on(id, &base);
        }
        self.be_patient(now);
        self.follow_paths(now);
        Ok(())
    }

    /// 8191 for the first address, less for each further one; components share that of their address (RFC 6544 §4.2).
    fn other_preference(&mut self, component: ComponentId, addr: SocketAddr) -> u16 {
        let alike = |base: &&Base| {
            matches!(base.via, Via::Tcp(_)) && base.local == addr.ip() && base.component != component
        };
        let known: Vec<u16> =
            self.bases.iter().map(|(_, base)| base).filter(alike).map(|base| base.preference).collect();
        let taken = |preference: &u16| {
            self.bases.iter().any(|(_, base)| {
                matches!(base.via, Via::Tcp(_))
                    && base.component == component
                    && base.preference == *preference
            })
        };
        if let Some(preference) = known.into_iter().find(|preference| !taken(preference)) {
            return preference;
        }
        let below = u16::MAX - self.tcp_preference.next(addr.ip());
        MAX_OTHER_PREFERENCE.saturating_sub(below)
    }

    /// Opens the connection of a pair, from the address of its base and from any port (RFC 6544 §7.1).
    pub(super) fn connect_pair(&mut self, base: BaseId, remote: SocketAddr) {
        let Some(local) = self.bases.get(base).map(|base| base.addr) else { return };
        let owner = Owner::Pair(Ends { opened: Some(self.checks.generation), base, remote });
        self.connections.connect(owner, local, remote, StreamProtocol::Ice);
        self.hold_connections();
    }

    /// Says to the checks what they may not open now.
    pub(super) fn hold_connections(&mut self) {
        self.checks.hold(self.connections.hold(usize::from(self.config.limits.connections)));
    }

    pub(super) fn follow_pair_connected(&mut self, now: Instant, ends: Ends, socket: SocketId) {
        self.connections.add(ends, socket);
        let is_current = ends.opened == Some(self.checks.generation);
        let check = is_current.then(|| self.checks.connected(now, ends.base, ends.remote)).flatten();
        match check {
            Some(id) => self.intents.push(Intent::Check(id)),
            None => self.connections.close(socket),
        }
    }

    /// A listening socket has accepted a connection (RFC 6544 §7.2). Who opened it is not known before a check.
    pub(super) fn follow_accepted(
        &mut self,
        now: Instant,
        listener: SocketId,
        socket: SocketId,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        let base = self.bases.of_listener(listener, local.ip()).filter(|_| !self.is_over());
        let Some(base) = base else {
            self.connections.errands.push_back(Errand::Close(socket));
            return;
        };
        let ends = Ends { opened: None, base, remote };
        let is_double = self.connections.of_pairs().any(|(known, _)| known == ends);
        let strangers = usize::from(self.config.limits.strangers);
        if is_double || self.connections.count() >= usize::from(self.config.limits.connections) {
            self.connections.errands.push_back(Errand::Close(socket));
            return;
        }
        self.connections.add_stranger(now, ends, socket, strangers);
        self.hold_connections();
    }

    /// A message on a connection of a pair.
    pub(super) fn handle_framed<'a>(
        &mut self,
        now: Instant,
        socket: SocketId,
        ends: Ends,
        payload: &'a [u8],
    ) -> Received<'a> {
        let is_stun = || classify(payload) == Kind::Stun && Message::parse(payload).is_ok();
        if self.is_over() || self.is_proven(ends) || is_stun() {
            return self.handle_payload(now, ends.base, ends.remote, payload);
        }
        // RFC 4571 §2: a null packet, which says nothing.
        if payload.is_empty() {
            return Received::Consumed;
        }
        // RFC 6544 §7.1: whoever begins with anything else is not the peer.
        self.wake_up(now);
        self.drop_datagram(now, ends.base, ends.remote, "not STUN, on a new connection");
        self.connections.close(socket);
        if ends.opened.is_some() {
            self.checks.disown(ends.remote);
        }
        self.hold_connections();
        self.follow_checks(now);
        Received::Consumed
    }

    fn is_proven(&self, ends: Ends) -> bool {
        let sessions = [Some(&self.checks), self.previous.as_deref()];
        sessions.into_iter().flatten().any(|session| session.is_proven(ends.base, ends.remote))
    }

    pub(super) fn lose_pair(&mut self, now: Instant, ends: Ends, why: CloseReason) {
        if self.is_over() {
            return;
        }
        let concerns = |generation| ends.opened.is_none_or(|opened| opened == generation);
        if let Some(previous) = self.previous.as_mut().filter(|previous| concerns(previous.generation)) {
            let _ = previous.disconnected(ends.base, ends.remote, why);
        }
        if concerns(self.checks.generation)
            && let Loss::Selected(component) = self.checks.disconnected(ends.base, ends.remote, why)
            && !self.checks.is_bereft(now, component)
        {
            // Other pairs are still tried, but it is time to restart (RFC 6544 §11.1).
            self.events.push_back(Event::RestartNeeded(Why::PathGone));
        }
        self.follow_checks(now);
    }

    /// Connections without a pair are closed, and those that are being opened for none will be.
    pub(super) fn sweep_connections(&mut self) {
        let useless = |(ends, socket): &(Ends, SocketId)| {
            let sessions = [Some(&self.checks), self.previous.as_deref()].into_iter().flatten();
            let mut own =
                sessions.filter(|session| ends.opened.is_none_or(|opened| opened == session.generation));
            let is_stranger = self.connections.is_stranger(*socket) && self.bases.get(ends.base).is_some();
            !is_stranger && !own.any(|session| session.uses_connection(ends.base, ends.remote))
        };
        let useless: Vec<_> = self.connections.of_pairs().filter(useless).map(|(_, socket)| socket).collect();
        if useless.is_empty() {
            return;
        }
        for socket in useless {
            self.connections.close(socket);
        }
        self.hold_connections();
    }

    /// Accepted connections that bring no check in time are closed.
    pub(super) fn dismiss_strangers(&mut self, now: Instant) {
        while let Some(socket) = self.connections.next_overdue(now) {
            self.connections.close(socket);
            self.hold_connections();
        }
    }

    /// After completion the connections of pairs that carry nothing are closed (RFC 6544 §8).
    pub(super) fn release_connections(&mut self) {
        let generation = self.checks.generation;
        let flows = &self.flows;
        let is_used = |id| flows.iter().any(|flow| flow.pair == Some(InUse { generation, id }));
        self.checks.release_connections(is_used);
        self.sweep_connections();
    }
}
