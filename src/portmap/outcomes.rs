//! What the protocols tell, and what follows from it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::entry::{Held, Side};
use super::event::{Event, MappingId, Problem, Protocol};
use super::lease::Lease;
use super::mapper::{AGAIN, Mapper};
use super::order::{Grant, Outcome, Purpose};
use super::upnp::Upnp;
use crate::time::{Duration, Instant, Timer};

/// The longest delay before mappings are asked for again (RFC 6886 §3.7, RFC 6887 §14.1.3).
const RECOVERY: Duration = Duration::from_secs(5);

impl Mapper {
    /// Follows what there is to follow.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            self.make_way();
            let outcome = self.control.outcome();
            let outcome = outcome.or_else(|| self.upnp.as_mut().and_then(Upnp::outcome));
            match outcome {
                Some(Outcome::Granted(id, grant)) => self.follow_grant(now, id, grant),
                Some(Outcome::Refused { id, protocol, problem, pause }) => {
                    self.events.push_back(Event::Problem { id: Some(id), protocol, problem });
                    self.follow_refusal(now, id, protocol, pause);
                }
                Some(Outcome::Deleted(id)) => self.follow_deleted(now, id),
                Some(Outcome::Ended(protocol, problem)) => self.follow_end(now, protocol, problem),
                Some(Outcome::StateLost) => self.follow_state_lost(now),
                Some(Outcome::Moved(ip)) => self.follow_move(ip),
                None => return,
            }
        }
    }

    /// While UPnP makes a mapping, PCP does not.
    fn make_way(&mut self) {
        if self.winner.is_none() && self.upnp.as_ref().is_some_and(Upnp::is_making) {
            self.control.stop();
        }
    }

    fn follow_grant(&mut self, now: Instant, id: MappingId, grant: Grant) {
        let side = Side::from(grant.protocol);
        let is_making = self.upnp.as_ref().is_some_and(Upnp::is_making);
        let has_lost = match self.winner {
            Some(winner) => winner != side,
            None => side == Side::Control && is_making,
        };
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.is_ending) else { return };
        if has_lost {
            // An answer that comes after all: nobody renews this mapping.
            return self.ask(now, side, id, Purpose::Delete);
        }
        let lease = Lease::new(now, grant.lifetime, grant.protocol, &mut self.rng);
        let before = entry.held.replace(Held { grant, lease }).map(|held| held.grant);
        (entry.retry, entry.patience) = (Timer::STOPPED, Timer::STOPPED);
        entry.refused.clear();
        if self.winner.replace(side).is_none() {
            self.head_start.stop();
            match (side, &mut self.upnp) {
                (Side::Control, Some(upnp)) => upnp.stop(),
                (Side::Upnp, _) => self.control.stop(),
                _ => {}
            }
        }
        let is_same = before.is_some_and(|it| (it.external, it.protocol) == (grant.external, grant.protocol));
        self.tell_mapping(id, is_same);
    }

    fn tell_mapping(&mut self, id: MappingId, is_same: bool) {
        let Some(mapping) = self.mapping(id) else { return };
        if is_same {
            self.events.push_back(Event::Renewed { id, mapping });
            return;
        }
        self.events.push_back(Event::Mapped { id, mapping });
        if !mapping.is_public() {
            let problem = Problem::GatewayBehindNat(mapping.external.ip());
            let protocol = mapping.protocol;
            self.events.push_back(Event::Problem { id: Some(id), protocol, problem });
        }
    }

    fn follow_refusal(&mut self, now: Instant, id: MappingId, protocol: Protocol, pause: Duration) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.is_ending) else { return };
        if let Some(held) = &mut entry.held {
            // It lasts as long as it was granted for.
            held.lease.pause(now + pause);
        } else {
            let until = entry.retry.deadline().map_or(now + pause, |at| at.max(now + pause));
            entry.retry.set(until);
        }
        self.follow_no(now, id, protocol.into());
    }

    /// One side will not map this port for now.
    fn follow_no(&mut self, now: Instant, id: MappingId, side: Side) {
        if self.winner.is_none() && side == Side::Control {
            self.let_upnp(now);
        }
        let has_other = match (self.winner, side) {
            (Some(_), _) => false,
            (None, Side::Control) => self.upnp.is_some(),
            (None, Side::Upnp) => self.control.is_on(),
        };
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.held.is_none()) else { return };
        if !entry.refused.contains(&side) {
            entry.refused.push(side);
        }
        let is_hopeless = !has_other || entry.refused.len() > 1;
        if is_hopeless && entry.patience.deadline().is_some() {
            entry.patience.stop();
            self.events.push_back(Event::Unavailable { id });
        }
        // UPnP may have stopped PCP, which has not said no.
        if side == Side::Upnp && !is_hopeless && !self.control.is_asking(id) {
            self.ask(now, Side::Control, id, Purpose::Create);
        }
    }

    fn follow_deleted(&mut self, now: Instant, id: MappingId) {
        match self.entries.get(&id) {
            Some(entry) if entry.is_ending => self.end(now, id),
            // What the loser of the race had made.
            _ => {}
        }
    }

    fn follow_end(&mut self, now: Instant, protocol: Protocol, problem: Problem) {
        self.events.push_back(Event::Problem { id: None, protocol, problem });
        for id in self.ids(|entry| entry.is_ending && entry.is_held_by(protocol.into())) {
            self.end(now, id);
        }
        for id in self.ids(|entry| entry.held.is_none()) {
            if let Some(entry) = self.entries.get_mut(&id)
                && entry.retry.deadline().is_none()
            {
                entry.retry.set(now + AGAIN);
            }
            self.follow_no(now, id, protocol.into());
        }
        // PCP stays silent for its own time; UPnP has its chance.
        if self.winner.is_none() && Side::from(protocol) == Side::Control {
            self.let_upnp(now);
        }
    }

    /// RFC 6886 §3.7, RFC 6887 §14.1.3: not all clients of a network at once.
    fn follow_state_lost(&mut self, now: Instant) {
        let has_mappings = self.entries.values().any(|entry| entry.is_held_by(Side::Control));
        if !has_mappings || self.recovery.deadline().is_some() {
            return;
        }
        let most = RECOVERY.as_millis() as u64;
        let delay = Duration::from_millis(self.rng.between(0, most));
        self.recovery.set(now + delay);
        self.events.push_back(Event::Restarted);
    }

    /// NAT-PMP tells of a new address of the gateway: its ports are the same (RFC 6886 §3.2.1).
    fn follow_move(&mut self, ip: Ipv4Addr) {
        for id in self.ids(|entry| entry.held.is_some_and(|it| it.grant.protocol == Protocol::NatPmp)) {
            let held = self.entries.get_mut(&id).and_then(|entry| entry.held.as_mut());
            if let Some(held) = held {
                let port = held.grant.external.port();
                held.grant.external = SocketAddr::new(IpAddr::V4(ip), port);
            }
            self.tell_mapping(id, false);
        }
    }
}
