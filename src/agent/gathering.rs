//! Sockets and servers become candidates (RFC 8445 §5.1).

use std::net::{IpAddr, SocketAddr};

use super::Agent;
use super::bases::{Base, Told, Via};
use super::config::{Implementation, Policy};
use super::event::{Event, ServerId, ServerProblem};
use super::relays::RelayId;
use super::state::State;
use crate::candidate::address::{is_unicast, precedence};
use crate::candidate::priority::{candidate_priority, priority, tcp_local_preference, tcp_type_preference};
use crate::candidate::{BaseId, Candidate, CandidateType, TcpType};
use crate::checks::Permission;
use crate::error::AddSocketError;
use crate::gather::{Asked, Found, Query};
use crate::io::{ComponentId, Socket, SocketId, Transport};
use crate::signal::{Signal, What};
use crate::time::{Duration, Instant};
use crate::trace::Side;
use crate::turn::ServerTransport;

/// Servers that have not answered by then do not delay the end of gathering.
const PATIENCE: Duration = Duration::from_secs(10);

impl Agent {
    /// Takes a socket of the driver. Its host candidate is signalled at once and every server is asked through it;
    /// after the end of gathering its candidates are not signalled any more (RFC 8838 §13).
    ///
    /// # Errors
    /// [`AddSocketError`]; the agent is unchanged.
    pub fn add_socket(&mut self, now: Instant, id: SocketId, socket: Socket) -> Result<(), AddSocketError> {
        let (local, component) = socket.place();
        self.wake_up(now);
        if self.is_over() {
            return Err(AddSocketError::Closed);
        }
        if local.ip().is_unspecified() || local.port() == 0 {
            return Err(AddSocketError::NotConcrete(local));
        }
        if !is_unicast(local.ip()) {
            return Err(AddSocketError::NotUnicast(local));
        }
        let known = self.bases.of_socket(id, local.ip()).or(self.bases.of_listener(id, local.ip()));
        if known.is_some() {
            return Err(AddSocketError::Duplicate(id, local));
        }
        if self.flow_of(component).is_none() {
            return Err(AddSocketError::UnknownComponent(component));
        }
        if self.bases.is_full(usize::from(self.config.limits.bases)) {
            return Err(AddSocketError::TooMany(usize::from(self.config.limits.bases)));
        }
        if let Socket::TcpListener { .. } = socket {
            return self.add_listener(now, id, local, component);
        }
        let preference = match self.config.implementation {
            Implementation::Full => self.host_preference.next(local.ip()),
            Implementation::Lite => self.lite_preference(component, local.ip()),
        };
        let addr = local;
        let (socket, local, via, told) = (id, local.ip(), Via::Socket, self.will_tell(component.stream));
        let base = Base { component, addr, socket, local, via, preference, told };
        let base_id = self.bases.add(base);
        self.take_in(now, base_id);
        self.gather_on(base_id, &base);
        self.be_patient(now);
        self.follow_paths(now);
        Ok(())
    }

    /// RFC 8445 §5.2: 65535 as long as there is IPv4 only, else the precedence of RFC 6724; for a further address of
    /// the same precedence the next one that is free.
    fn lite_preference(&self, component: ComponentId, ip: IpAddr) -> u16 {
        let has_ipv6 = ip.is_ipv6() || self.bases.iter().any(|(_, base)| base.addr.is_ipv6());
        let wanted = if has_ipv6 { precedence(ip) } else { u16::MAX };
        let of_component = self.bases.iter().filter(|(_, base)| base.component == component);
        let taken: Vec<u16> = of_component.map(|(_, base)| base.preference).collect();
        let mut free = (0..=wanted).rev().chain(wanted..=u16::MAX).filter(|it| !taken.contains(it));
        free.next().unwrap_or(0)
    }

    /// No pair of any session leaves from there any more.
    pub(super) fn forget_base(&mut self, base: BaseId) {
        self.checks.remove_base(base);
        if let Some(previous) = &mut self.previous {
            previous.remove_base(base);
        }
        self.bases.remove(base);
    }

    /// Servers have a time to answer, from the first socket on.
    pub(super) fn be_patient(&mut self, now: Instant) {
        if self.gather_patience.deadline().is_none() && !self.has_gathered_all() {
            self.gather_patience.set(now + PATIENCE);
        }
    }

    /// The host candidate of a socket is signalled, and every server is asked through it.
    pub(super) fn gather_on(&mut self, id: BaseId, base: &Base) {
        if self.config.policy != Policy::Relay {
            let candidate = self.candidate(base, CandidateType::Host, base.addr, None, None);
            self.signal_host(base.component, &candidate);
            self.checks.add_base(id, base.component, candidate, Permission::Granted);
            if base.via != Via::Tcp(TcpType::Active) {
                self.add_external(id, base.addr);
                self.offer_mapped(id);
            }
        }
        // A lite agent has host candidates only (RFC 8445 §5.2), and servers are asked over UDP.
        if self.checks.sends_checks() && base.via == Via::Socket {
            self.ask_servers(id, base);
        }
    }

    fn ask_servers(&mut self, id: BaseId, base: &Base) {
        let reachable = |server: SocketAddr| {
            server.is_ipv4() == base.addr.is_ipv4()
                && (!base.addr.ip().is_loopback() || server.ip().is_loopback())
        };
        if self.config.policy != Policy::Relay {
            for (number, addr) in self.config.stun_servers.iter().enumerate() {
                if reachable(*addr) {
                    self.gatherer.ask(Query { base: id, server: number as u16, addr: *addr });
                }
            }
        }
        let first = self.config.stun_servers.len();
        for number in first..first + self.config.turn_servers.len() {
            let number = ServerId(number as u16);
            let Some(server) = self.turn_server(number) else { continue };
            // One five-tuple, one allocation.
            let taken =
                server.transport == ServerTransport::Udp && self.relays.of_server(id, server.addr).is_some();
            if reachable(server.addr) && !taken && !self.relays.has(id, number) {
                self.ask_for_relay(self.now, number, id);
            } else if self.relays.of_server(id, server.addr).is_some_and(|relay| self.has_moved(relay)) {
                // The allocation told where it was made, and not where it has moved to.
                self.ask_without_allocation(Query { base: id, server: number.0, addr: server.addr });
            }
        }
    }

    fn has_moved(&self, relay: RelayId) -> bool {
        self.relays.get(relay).is_some_and(|relay| relay.moved_at.is_some())
    }

    /// Asks a TURN server for the mapped address alone, unless that is known already or is not to be shown.
    pub(super) fn ask_without_allocation(&mut self, query: Query) {
        let same = |asked: &Asked| (asked.query.base, asked.query.addr) == (query.base, query.addr);
        if self.config.policy != Policy::Relay && !self.gatherer.asked().iter().any(same) {
            self.gatherer.ask(query);
        }
    }

    /// Forgets a socket: pairs from it are gone, and so is a path that used it. With one that listens go its connections:
    /// the driver is told to close them. An allocation at a TURN server that knows
    /// mobility (RFC 8016) goes on from another socket of its component, from one that is added within ten seconds at the
    /// latest; its pairs stay, and [`Event::Path`] tells when data may be sent again.
    pub fn remove_socket(&mut self, now: Instant, id: SocketId) {
        self.wake_up(now);
        if let Some(hard) = &mut self.hard {
            hard.forget(id);
        }
        let on_it = |base: &Base| base.socket == id && matches!(base.via, Via::Socket | Via::Tcp(_));
        let gone: Vec<_> = self.bases.iter().filter(|(_, base)| on_it(base)).map(|(id, _)| id).collect();
        for base in gone {
            self.gatherer.remove_base(base);
            self.forget_base(base);
            self.leave_base(now, base);
        }
        let bases = &self.bases;
        self.names.retain(|ip| bases.iter().any(|(_, base)| base.addr.ip() == ip));
        self.follow_checks(now);
        self.follow_gathering(now);
    }

    /// There will be no further sockets for now: gathering ends when the servers have answered. To be said again for the
    /// sockets of a stream that was [added](Self::add_stream) since.
    pub fn end_of_sockets(&mut self, now: Instant) {
        self.wake_up(now);
        self.sockets_ended = true;
        self.follow_gathering(now);
    }

    /// What a STUN server said.
    pub(super) fn follow_found(&mut self, now: Instant, found: Found) {
        match found {
            Found::Mapped(query, mapped) => self.add_reflexive(query.base, mapped, Some(query.addr)),
            Found::Refused(query, code, reason) => {
                self.query_problem(query, ServerProblem::Error { code, reason });
            }
            Found::Incomplete(query) => {
                self.query_problem(query, ServerProblem::Incomplete("a mapped address"));
            }
        }
        self.follow_gathering(now);
    }

    /// `server` has told it, or the configuration did.
    pub(super) fn add_reflexive(&mut self, id: BaseId, mapped: SocketAddr, server: Option<SocketAddr>) {
        let Some(base) = self.bases.get(id).copied() else { return };
        if self.config.policy == Policy::Relay || self.gives_host_away(mapped) {
            return;
        }
        // Without a NAT a host candidate says the same, unless it is not signalled (RFC 8828 §5.2).
        if self.checks.is_redundant(id, mapped, |kind| self.was_told(kind)) {
            return;
        }
        let kind = CandidateType::ServerReflexive;
        let related = Some(base.addr).filter(|_| self.shows_hosts());
        let candidate = self.candidate(&base, kind, mapped, server, related);
        self.signal_candidate(base.component.stream, &candidate);
        self.checks.add_reflexive(id, base.component, candidate);
    }

    pub(super) fn candidate(
        &mut self,
        base: &Base,
        kind: CandidateType,
        addr: SocketAddr,
        server: Option<SocketAddr>,
        related: Option<SocketAddr>,
    ) -> Candidate {
        let (number, server) = (base.component.component, server.map(|server| server.ip()));
        let transport = if let Via::Tcp(_) = base.via { Transport::Tcp } else { Transport::Udp };
        let foundation = self.foundations.foundation(kind, base.addr.ip(), server, transport);
        if let Via::Tcp(direction) = base.via {
            let local = tcp_local_preference(kind, direction, base.preference);
            let rank = self.config.tcp.unwrap_or_default();
            let priority = priority(tcp_type_preference(kind, rank), local, number);
            return Candidate::udp(foundation, number, priority, addr, kind, related).over_tcp(direction);
        }
        let priority = candidate_priority(kind, base.preference, number);
        Candidate::udp(foundation, number, priority, addr, kind, related)
    }

    /// RFC 8838 §13: no candidate is signalled after the end, and none after nomination.
    pub(super) fn will_tell(&self, stream: u16) -> Told {
        let is_over = self.has_gathered(stream) || self.state == State::Completed;
        if is_over { Told::No } else { Told::Yes }
    }

    pub(super) fn signal_candidate(&mut self, stream: u16, candidate: &Candidate) {
        self.record_candidate(self.now, Side::Local, candidate);
        if self.will_tell(stream) == Told::No {
            return;
        }
        let mut signal = Signal::new(stream, What::Candidate(candidate.clone()));
        signal.ufrag = self.checks.checklist(stream).map(|checklist| checklist.local.ufrag.clone());
        self.tell(signal);
    }

    /// What is wrong with a STUN server. Of a TURN server without room for an allocation that was said already.
    pub(super) fn query_problem(&mut self, query: Query, problem: ServerProblem) {
        if usize::from(query.server) < self.config.stun_servers.len() {
            self.server_problem(ServerId(query.server), query.base, problem);
        }
    }

    pub(super) fn server_problem(&mut self, server: ServerId, base: BaseId, problem: ServerProblem) {
        if let Some(base) = self.bases.get(base).map(|base| base.addr) {
            if !self.is_over() {
                self.notes.server(server, base, |note| note.problem = Some(problem.clone()));
            }
            self.events.push_back(Event::Server { server, base, problem });
        }
    }

    /// Time is over for servers that have not answered; what they allocate later is of no use to the peer.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        for query in self.gatherer.give_up() {
            self.query_problem(query, ServerProblem::Unreachable);
        }
        for id in self.relays.ids() {
            let Some(relay) = self.relays.get_mut(id).filter(|relay| !relay.settled) else { continue };
            relay.settled = true;
            let (server, from) = (relay.server, relay.from);
            self.server_problem(server, from, ServerProblem::Unreachable);
        }
        self.follow_gathering(now);
    }

    /// Ends gathering when nothing more is to be expected.
    pub(super) fn follow_gathering(&mut self, now: Instant) {
        if self.has_gathered_all() || self.is_over() || !self.sockets_ended {
            return;
        }
        if !self.gatherer.is_done() || !self.relays.all_settled() {
            return;
        }
        self.gather_patience.stop();
        let lists = self.checks.checklists().iter().enumerate();
        let ended = lists.filter(|(_, list)| !list.local_ended && !list.is_removed());
        let ended: Vec<_> = ended.map(|(stream, list)| (stream as u16, list.local.ufrag.clone())).collect();
        self.checks.end_local_candidates();
        self.tell_untold();
        for (stream, ufrag) in ended {
            let mut signal = Signal::new(stream, What::EndOfCandidates);
            signal.ufrag = Some(ufrag);
            self.tell(signal);
        }
        self.follow_checks(now);
    }
}
