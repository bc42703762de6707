//! What the gateway says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Control, Dialect, Flight, Half, LONG, SHORT};
use crate::io::Transport;
use crate::portmap::epoch::Memory;
use crate::portmap::event::{Channel, MappingId, Problem, Protocol};
use crate::portmap::lease::{LEAST_GAP, LONGEST};
use crate::portmap::order::{Outcome, Purpose};
use crate::portmap::pcp::{self, Name};
use crate::portmap::{CONTROL_PORT, nat_pmp};
use crate::time::{Duration, Instant};

impl Control {
    /// A datagram on the control socket, or an announcement. Only the gateway counts (RFC 6886 §3.2.1, RFC 6887 §8.3),
    /// and on the control socket only its port 5351.
    pub(in crate::portmap) fn handle_datagram(
        &mut self,
        now: Instant,
        channel: Channel,
        source: SocketAddr,
        payload: &[u8],
    ) {
        let is_gateway = source.ip() == self.server.ip();
        if !is_gateway || (channel == Channel::Control && source.port() != CONTROL_PORT) {
            return;
        }
        if pcp::is_nat_pmp(payload) && channel == Channel::Control {
            self.handle_old_gateway(now);
        } else if let Some(response) = pcp::response(payload) {
            self.handle_pcp(now, response);
        } else if let Some(response) = nat_pmp::response(payload)
            && self.falls_back
        {
            self.handle_nat_pmp(now, channel, response);
        }
        self.go_on(now);
    }

    /// The gateway knows NAT-PMP only: the same again, at once, as it can read it (RFC 6886 §1.1). It is not remembered:
    /// the next request is PCP again.
    fn handle_old_gateway(&mut self, now: Instant) {
        if self.first == Some(Dialect::NatPmp) {
            return self.refuse_nat_pmp_version(now, 0);
        }
        let Some(flight) = self.flight.filter(|flight| flight.dialect == Dialect::Pcp) else { return };
        if self.falls_back {
            self.open(now, flight.id, Dialect::NatPmp);
        } else {
            self.refuse_version(now, flight, 0, u32::MAX);
        }
    }

    /// The caller wanted no other protocol.
    fn refuse_nat_pmp_version(&mut self, now: Instant, version: u8) {
        if let Some(flight) = self.flight {
            self.give_up(now, flight, Problem::Version(version));
        }
    }

    /// RFC 6887 §9: after 30 minutes, or earlier if the gateway says so, it may have been updated.
    fn refuse_version(&mut self, now: Instant, flight: Flight, version: u8, lifetime: u32) {
        let pause = Duration::from_secs(u64::from(lifetime)).min(LONG).max(LEAST_GAP);
        self.silence.set(now + pause);
        self.flight = None;
        self.queue.push_front(flight.id);
        if !std::mem::replace(&mut self.told_version, true) {
            self.outcomes.push_back(Outcome::Ended(Protocol::Pcp, Problem::Version(version)));
        }
    }

    fn handle_pcp(&mut self, now: Instant, response: pcp::Response) {
        match response {
            pcp::Response::OtherVersion { version, lifetime } => {
                if self.first == Some(Dialect::NatPmp) {
                    self.refuse_nat_pmp_version(now, version);
                } else if let Some(flight) = self.flight.filter(|flight| flight.dialect == Dialect::Pcp) {
                    self.refuse_version(now, flight, version, lifetime);
                }
            }
            pcp::Response::Announce { epoch } => self.follow_pcp_epoch(now, epoch),
            pcp::Response::Map { name, result, lifetime, epoch, external } => {
                let named = self.asked.values().find(|order| order.name == name);
                let Some((id, purpose)) = named.map(|order| (order.id, order.purpose)) else { return };
                self.follow_pcp_epoch(now, epoch);
                self.close(id, Dialect::Pcp);
                let pause = Duration::from_secs(u64::from(lifetime)).clamp(LEAST_GAP, LONGEST);
                match (result, purpose) {
                    // §15.1: a lifetime that is left is one of idle time.
                    (0, Purpose::Delete) => self.follow_deleted(id),
                    (0, _) if lifetime == 0 || external.port() == 0 || external.ip().is_unspecified() => {
                        let problem =
                            Problem::Malformed("a mapping without an address, a port or a lifetime");
                        self.refuse(id, Protocol::Pcp, problem, SHORT);
                    }
                    (0, _) => self.grant(id, external, lifetime, Protocol::Pcp),
                    (pcp::RESULT_NO_RESOURCES, Purpose::Delete) => {
                        self.silence.set(now + pause);
                        self.follow_deleted(id);
                    }
                    (_, Purpose::Delete) => self.follow_deleted(id),
                    (code, _) => {
                        if code == pcp::RESULT_NO_RESOURCES {
                            self.no_new.set(now + pause);
                        }
                        self.refuse(id, Protocol::Pcp, pcp_problem(code), pause);
                    }
                }
            }
        }
    }

    fn follow_pcp_epoch(&mut self, now: Instant, epoch: u32) {
        if self.pcp_epoch.follow_pcp(now, epoch) == Memory::Lost {
            self.outcomes.push_back(Outcome::StateLost);
        }
    }

    fn handle_nat_pmp(&mut self, now: Instant, channel: Channel, response: nat_pmp::Response) {
        let (nat_pmp::Response::Address { epoch, .. } | nat_pmp::Response::Map { epoch, .. }) = response;
        match response {
            nat_pmp::Response::Address { external, .. } if channel == Channel::Announcements => {
                self.follow_nat_pmp_epoch(now, epoch);
                if let Some(external) = external
                    && self.external.is_some_and(|known| known != external)
                {
                    self.external = Some(external);
                    self.outcomes.push_back(Outcome::Moved(external));
                }
            }
            nat_pmp::Response::Address { result, external, .. } => {
                let asked = self.flight.filter(|flight| flight.dialect == Dialect::Address);
                let (Some(flight), Some(half)) = (asked, self.half) else { return };
                self.follow_nat_pmp_epoch(now, epoch);
                (self.flight, self.half) = (None, None);
                match external.filter(|ip| !ip.is_unspecified()) {
                    Some(ip) => self.complete(half, ip),
                    None if result == 0 => {
                        self.refuse(flight.id, Protocol::NatPmp, Problem::NoExternalAddress, SHORT);
                    }
                    None => self.refuse_nat_pmp(flight.id, result),
                }
            }
            nat_pmp::Response::Map { transport, result, internal, external, lifetime, .. } => {
                let Some((id, purpose)) = self.open_nat_pmp(transport, internal) else { return };
                self.follow_nat_pmp_epoch(now, epoch);
                self.flight = None;
                match (result, purpose) {
                    (_, Purpose::Delete) => self.follow_deleted(id),
                    (0, _) if external == 0 || lifetime == 0 => {
                        let problem = Problem::Malformed("a mapping without a port or a lifetime");
                        self.refuse(id, Protocol::NatPmp, problem, SHORT);
                    }
                    (0, _) => {
                        self.half = Some(Half { id, port: external, lifetime });
                        self.open(now, id, Dialect::Address);
                    }
                    (code, _) => self.refuse_nat_pmp(id, code),
                }
            }
        }
    }

    /// RFC 6886 has no transaction ids: an answer belongs to the open request if opcode and internal port do (§3.3).
    fn open_nat_pmp(&self, transport: Transport, internal: u16) -> Option<(MappingId, Purpose)> {
        let flight = self.flight.filter(|flight| flight.dialect == Dialect::NatPmp)?;
        let order = self.asked.get(&flight.id)?;
        let Name { transport: asked, internal: port, .. } = order.name;
        ((asked, port) == (transport, internal)).then_some((order.id, order.purpose))
    }

    fn complete(&mut self, half: Half, ip: Ipv4Addr) {
        self.external = Some(ip);
        self.grant(half.id, SocketAddr::new(IpAddr::V4(ip), half.port), half.lifetime, Protocol::NatPmp);
    }

    fn follow_nat_pmp_epoch(&mut self, now: Instant, epoch: u32) {
        if self.nat_pmp_epoch.follow_nat_pmp(now, epoch) == Memory::Lost {
            self.outcomes.push_back(Outcome::StateLost);
        }
    }

    /// The open request for this port is answered.
    fn close(&mut self, id: MappingId, dialect: Dialect) {
        if self.flight.is_some_and(|flight| (flight.id, flight.dialect) == (id, dialect)) {
            self.flight = None;
        }
        self.queue.retain(|queued| *queued != id);
    }

    fn follow_deleted(&mut self, id: MappingId) {
        self.asked.remove(&id);
        self.outcomes.push_back(Outcome::Deleted(id));
    }

    fn refuse(&mut self, id: MappingId, protocol: Protocol, problem: Problem, pause: Duration) {
        self.outcomes.push_back(Outcome::Refused { id, protocol, problem, pause });
    }

    /// RFC 6886 §3.5: an unknown code is fatal too.
    fn refuse_nat_pmp(&mut self, id: MappingId, code: u16) {
        let (problem, pause) = match code {
            nat_pmp::RESULT_NETWORK_FAILURE => (Problem::NoExternalAddress, SHORT),
            nat_pmp::RESULT_NO_RESOURCES => (refused(code, nat_pmp::result_text(code)), SHORT),
            code => (refused(code, nat_pmp::result_text(code)), LONG),
        };
        self.refuse(id, Protocol::NatPmp, problem, pause);
    }
}

fn refused(code: u16, text: &str) -> Problem {
    Problem::Refused { code, text: text.to_owned() }
}

fn pcp_problem(code: u8) -> Problem {
    match code {
        pcp::RESULT_ADDRESS_MISMATCH => Problem::NatBetween,
        code => refused(code.into(), pcp::result_text(code)),
    }
}
