//! Whether UDP gets to a server and back, and which server is used (RFC 5780 §4.2, §4.3 test I).

use std::net::SocketAddr;

use super::ask::{Ask, AskId, Outcome};
use super::asks::Asks;
use super::report::{Connectivity, Finding, Payload, Report};
use super::why::Why;
use crate::candidate::address::{Scope, scope};
use crate::io::{CloseReason, Connect, ConnectId, SocketId, StreamProtocol};

/// Connections that are tried.
const MAX_CONNECTIONS: usize = 3;

#[derive(Debug)]
enum Phase {
    /// One server after the other: those behind the first one that speaks RFC 5780 are not asked, since a filter may
    /// let in whoever this host has sent to.
    OneByOne(Option<AskId>),
    /// Nobody answered: all at once.
    All(Vec<AskId>),
    Connections,
}

#[derive(Debug)]
pub(super) struct Reach {
    phase: Phase,
    at: usize,
    /// What each server said.
    said: Vec<Outcome>,
    socket: Option<SocketId>,
    connections: Vec<Connection>,
    pub(super) to_connect: Vec<Connect>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Opening,
    Asked(AskId),
    /// It came about, and ended or brought what is not STUN.
    NotStun,
    None,
}

impl Reach {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::OneByOne(None),
            at: 0,
            said: Vec::new(),
            socket: None,
            connections: Vec::new(),
            to_connect: Vec::new(),
        }
    }

    /// Goes on; true when it is over.
    pub(super) fn poll(&mut self, servers: &[SocketAddr], asks: &mut Asks, report: &mut Report) -> bool {
        loop {
            match &mut self.phase {
                Phase::OneByOne(Some(id)) => {
                    let Some(outcome) = asks.outcome(*id) else { return false };
                    self.phase = Phase::OneByOne(None);
                    self.said.push(outcome);
                    self.at += 1;
                    if self.take(asks, servers[self.at - 1], outcome, report) {
                        return self.end(asks, report);
                    }
                }
                Phase::OneByOne(None) if self.at < servers.len() => {
                    let socket = *self.socket.get_or_insert_with(|| asks.open());
                    self.phase =
                        Phase::OneByOne(Some(asks.ask(Ask::new(socket, servers[self.at]).attempts(1))));
                }
                Phase::OneByOne(None) => {
                    if report.server.is_some() || self.said.iter().all(|it| *it == Outcome::NoSocket) {
                        return self.end(asks, report);
                    }
                    let fresh = asks.open();
                    self.socket.replace(fresh).into_iter().for_each(|socket| asks.sockets.close(socket));
                    let all = servers.iter().map(|to| asks.ask(Ask::new(fresh, *to).attempts(2)));
                    self.phase = Phase::All(all.collect());
                }
                Phase::All(ids) => {
                    let outcomes: Vec<_> = ids.iter().filter_map(|id| asks.outcome(*id)).collect();
                    if outcomes.len() < ids.len() {
                        return false;
                    }
                    for (server, outcome) in servers.iter().zip(&outcomes) {
                        if self.take(asks, *server, *outcome, report) {
                            break;
                        }
                    }
                    self.said.extend(outcomes);
                    if report.server.is_some() || self.udp_says().is_some() {
                        return self.end(asks, report);
                    }
                    for (request, remote) in (0..).zip(servers.iter().take(MAX_CONNECTIONS)) {
                        let local = SocketAddr::new(asks.sockets.local(), 0);
                        let protocol = StreamProtocol::Turn;
                        self.to_connect.push(Connect::new(ConnectId(request), local, *remote, protocol));
                        self.connections.push(Connection::Opening);
                    }
                    self.phase = Phase::Connections;
                }
                Phase::Connections => {
                    for connection in &mut self.connections {
                        if let Connection::Asked(id) = connection
                            && let Some(Outcome::Silent | Outcome::Garbage) = asks.outcome(*id)
                        {
                            *connection = Connection::NotStun;
                        }
                    }
                    let answered = self
                        .connections
                        .iter()
                        .any(|it| matches!(it, Connection::Asked(id) if asks.outcome(*id).is_some()));
                    let open = |it: &Connection| matches!(it, Connection::Opening | Connection::Asked(_));
                    if !answered && self.connections.iter().any(open) {
                        return false;
                    }
                    report.connectivity = Finding::Known(if answered {
                        Connectivity::TcpOnly
                    } else if self.connections.contains(&Connection::NotStun) {
                        Connectivity::Captive
                    } else {
                        Connectivity::Nothing
                    });
                    return self.end(asks, report);
                }
            }
        }
    }

    /// Takes what a server said; true if it is the one to use.
    fn take(&self, asks: &Asks, server: SocketAddr, outcome: Outcome, report: &mut Report) -> bool {
        if matches!(
            outcome,
            Outcome::Answer(_) | Outcome::Refused(_) | Outcome::Unreadable | Outcome::Implausible
        ) {
            report.connectivity = Finding::Known(Connectivity::Udp);
        }
        let Some(answer) = outcome.answer() else { return false };
        let other =
            answer.other.filter(|other| is_askable(server, *other, answer.mapped, asks.sockets.local()));
        if report.server.is_some() && other.is_none() {
            return false;
        }
        report.server = Some(server);
        report.mapped = Some(answer.mapped);
        report.other = other;
        if let Some(local) = self.socket.and_then(|socket| asks.local(socket)) {
            report.local = local;
        }
        report.payload = match answer.clear {
            None => Finding::Unknown(Why::NotInClear),
            Some(clear) if clear == answer.mapped => Finding::Known(Payload::Untouched),
            Some(_) => Finding::Known(Payload::Rewritten),
        };
        if other.is_none() {
            let why = if answer.other.is_some() { Why::BadOtherAddress } else { Why::NoOtherAddress };
            report.filtering = Finding::Unknown(why);
        }
        other.is_some()
    }

    /// What is wrong with UDP, if something comes back by it.
    fn udp_says(&self) -> Option<Why> {
        self.said.iter().find_map(|outcome| match outcome {
            Outcome::Refused(code) => Some(Why::Refused(*code)),
            Outcome::Unreadable => Some(Why::Unreadable),
            Outcome::Implausible => Some(Why::Implausible),
            Outcome::Elsewhere(_) => Some(Why::Elsewhere),
            Outcome::Garbage => Some(Why::Garbage),
            _ => None,
        })
    }

    fn end(&mut self, asks: &mut Asks, report: &mut Report) -> bool {
        if let Some(socket) = self.socket.take() {
            asks.sockets.close(socket);
        }
        if report.server.is_none() {
            let no_socket = self.said.first() == Some(&Outcome::NoSocket);
            let why = if no_socket { Some(Why::NoSocket) } else { self.udp_says() };
            if let (Some(why), Finding::Unknown(_)) = (why, report.connectivity) {
                report.connectivity = Finding::Unknown(why);
            }
            report.blame(why.unwrap_or(Why::NoAnswer));
        }
        true
    }

    pub(super) fn connected(
        &mut self,
        request: ConnectId,
        socket: SocketId,
        to: SocketAddr,
        asks: &mut Asks,
    ) {
        if let Some(it @ Connection::Opening) = self.connections.get_mut(request.0 as usize) {
            *it = Connection::Asked(asks.ask(Ask::on_connection(socket, to)));
        }
    }

    pub(super) fn not_connected(&mut self, request: ConnectId, why: CloseReason) {
        if let Some(it @ Connection::Opening) = self.connections.get_mut(request.0 as usize) {
            *it = if why == CloseReason::Malformed { Connection::NotStun } else { Connection::None };
        }
    }
}

/// Whether an OTHER-ADDRESS may be asked: another address and port of the same family, no nearer to this host than the
/// server itself, and neither this host nor its external endpoint.
fn is_askable(server: SocketAddr, other: SocketAddr, mapped: SocketAddr, local: std::net::IpAddr) -> bool {
    let scope = |addr: SocketAddr| scope(addr.ip());
    other.is_ipv4() == server.is_ipv4()
        && other.ip() != server.ip()
        && other.port() != server.port()
        && other.port() != 0
        && scope(other) != Scope::Unusable
        && scope(other) == scope(server)
        && (other.ip() != local || scope(other) == Scope::Loopback)
        && (other.ip() != mapped.ip() || scope(other) == Scope::Loopback)
}
