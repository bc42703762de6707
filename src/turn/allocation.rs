//! The allocation: Allocate, Refresh, and its end (RFC 8656 §7, §8).
//!
//! ```text
//!              slot         success                437, end of time
//!    Wanted ─────────► Asked ─────────────► Live ─────────────────────► Over
//!      ▲ ▲              │ │ 401, 438, 405    │ close                     ▲
//!      │ └ Pausing ◄────┘ │ 5xx              ▼        answer, 3 requests │
//!      └──────────────────┴──────────────► Closing ──────────────────────┘
//!                          close
//! ```

use std::net::SocketAddr;

use super::lease::{Lease, RETRY};
use super::problem::Problem;
use super::server::{Families, Mobility};
use super::{Knowledge, TurnServer};
use crate::stun::codec::PROTOCOL_UDP;
use crate::stun::wire::attr;
use crate::stun::{Attributes, Family, TransactionId, Writer};
use crate::time::{Duration, Instant};

/// Longer lifetimes are taken as this: a server that promises more is asked once a day.
const MAX_LIFETIME: Duration = Duration::from_secs(86_400);
/// How often an Allocate is repeated that failed by no fault of ours (RFC 8489 §6.3.4).
const MAX_REPEATS: u8 = 4;
/// The pause before the first repetition; each further one is twice as long.
const REPEAT: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
enum State {
    /// For a slot.
    Wanted,
    /// For a slot, then.
    Pausing(Instant),
    Asked(TransactionId),
    Live(Lease),
    /// Nobody needs it any more. The server is told, or is to be told if it allocates after all.
    Closing,
    Over,
}

/// Where the client of a live allocation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Where the server thinks it is.
    Known,
    /// Elsewhere, or on its way (RFC 8016): the server does not know where.
    Unknown,
}

/// What has to be done at a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// Nothing.
    Nothing,
    /// The request is sent no more, but an answer is waited for.
    Listen(TransactionId),
    /// The server is told.
    Delete,
}

/// What the server gave.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) relayed: Vec<SocketAddr>,
    pub(super) mapped: SocketAddr,
    pub(super) lifetime: Duration,
    /// Families that were asked for and are not there.
    pub(super) lacking: Vec<Family>,
}

#[derive(Debug)]
pub(super) struct Allocation {
    /// The family of the 5-tuple.
    transport: Family,
    wanted: Families,
    /// What the last Allocate asked for.
    asked: Families,
    /// The families of its relayed addresses.
    held: Vec<Family>,
    mobility: Mobility,
    /// The newest one (RFC 8016 §3.2.2).
    ticket: Option<Box<[u8]>>,
    place: Place,
    repeats: u8,
    state: State,
}

impl Allocation {
    /// To be allocated at this server.
    pub(super) fn new(server: &TurnServer) -> Self {
        Self {
            transport: server.addr.ip().into(),
            wanted: server.families,
            asked: server.families,
            held: Vec::new(),
            mobility: server.mobility,
            ticket: None,
            place: Place::Known,
            repeats: 0,
            state: State::Wanted,
        }
    }

    /// The family of the 5-tuple.
    pub(super) fn transport(&self) -> Family {
        self.transport
    }

    /// Whether it relays to peers of this family, or will if the server gives what it was asked for.
    pub(super) fn serves(&self, family: Family) -> bool {
        match self.state {
            State::Live(_) => self.held.contains(&family),
            _ => self.wanted.families().any(|wanted| wanted == family),
        }
    }

    /// One of two addresses is not needed any more. Whether it is one of two.
    pub(super) fn release(&mut self, family: Family) -> bool {
        let is_one_of_two = self.is_live() && self.held.len() == 2 && self.held.contains(&family);
        if is_one_of_two {
            self.held.retain(|held| *held != family);
        }
        is_one_of_two
    }

    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.state, State::Wanted)
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// Whether the server takes requests and data of it from where the client is.
    pub(super) fn is_in_place(&self) -> bool {
        self.is_live() && self.place == Place::Known
    }

    /// Whether it was closed, or has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Closing | State::Over)
    }

    /// Whether its time is over.
    pub(super) fn has_ended(&self, now: Instant) -> bool {
        matches!(self.state, State::Live(lease) if lease.end <= now)
    }

    /// Whether it can be moved: it has a ticket.
    pub(super) fn is_mobile(&self) -> bool {
        self.is_live() && self.ticket.is_some()
    }

    /// Its 5-tuple is gone.
    pub(super) fn uproot(&mut self) {
        self.place = Place::Unknown;
    }

    /// The server knows the new 5-tuple. An old ticket is of no use any more.
    pub(super) fn moved(&mut self, attributes: &Attributes<'_>, room: usize) {
        self.place = Place::Known;
        self.take_ticket(attributes, room);
    }

    fn take_ticket(&mut self, attributes: &Attributes<'_>, room: usize) {
        let ticket = attributes.find(attr::MOBILITY_TICKET);
        self.ticket = ticket.filter(|ticket| !ticket.is_empty() && ticket.len() <= room).map(Into::into);
    }

    pub(super) fn put_ticket(&self, writer: &mut Writer<'_>) {
        if let Some(ticket) = &self.ticket {
            writer.put(attr::MOBILITY_TICKET, ticket);
        }
    }

    /// Whether the last Allocate left it to the server which families it gives.
    pub(super) fn has_asked_for_both(&self) -> bool {
        self.asked == Families::Both
    }

    /// The server forbids mobility. Whether it was asked for it.
    pub(super) fn do_without_mobility(&mut self) -> bool {
        std::mem::replace(&mut self.mobility, Mobility::Never) == Mobility::Ask
    }

    /// Asks for what the server may have.
    pub(super) fn asked(&mut self, id: TransactionId, now: Instant, known: &Knowledge) {
        self.asked = known.narrow(self.wanted, now);
        if known.is_immobile {
            self.mobility = Mobility::Never;
        }
        self.state = State::Asked(id);
    }

    /// Asks for UDP. An absent family means IPv4 (RFC 8656 §7.2), which servers of RFC 5766 understand too.
    pub(super) fn put(&self, writer: &mut Writer<'_>) {
        writer.put_requested_transport(PROTOCOL_UDP);
        match self.asked {
            Families::Both => writer.put_additional_address_family(Family::V6),
            Families::V4 => writer,
            Families::V6 => writer.put_requested_address_family(Family::V6),
        };
        if self.mobility == Mobility::Ask {
            writer.put(attr::MOBILITY_TICKET, &[]);
        }
    }

    /// The server allocated (RFC 8656 §7.3); the request left at `since`.
    ///
    /// # Errors
    /// What it allocated is of no use: give it back.
    pub(super) fn granted(
        &mut self,
        since: Instant,
        attributes: &Attributes<'_>,
        room: usize,
    ) -> Result<Granted, Problem> {
        let all: Vec<SocketAddr> = attributes.relayed_addresses().flatten().collect();
        let of = |family| {
            let usable = |addr: &&SocketAddr| {
                Family::from(addr.ip()) == family && !addr.ip().is_unspecified() && addr.port() != 0
            };
            all.iter().find(usable).copied()
        };
        let relayed: Vec<SocketAddr> = self.asked.families().filter_map(of).collect();
        if relayed.is_empty() {
            return Err(Problem::Incomplete("a relayed address of the family asked for"));
        }
        let usable =
            |addr: &SocketAddr| Family::from(addr.ip()) == self.transport && !addr.ip().is_unspecified();
        let mapped = attributes.xor_address(attr::XOR_MAPPED_ADDRESS).filter(usable);
        let mapped = mapped.ok_or(Problem::Incomplete("a mapped address"))?;
        let lifetime = lifetime(attributes)?;
        self.held = relayed.iter().map(|addr| addr.ip().into()).collect();
        let lacking = self.wanted.families().filter(|family| !self.held.contains(family)).collect();
        self.state = State::Live(Lease::new(since, lifetime));
        self.take_ticket(attributes, room);
        Ok(Granted { relayed, mapped, lifetime, lacking })
    }

    /// The server failed by no fault of ours. Whether it is asked again, after a pause.
    pub(super) fn repeat(&mut self, now: Instant) -> bool {
        let again = self.repeats < MAX_REPEATS && matches!(self.state, State::Asked(_));
        if again {
            self.state = State::Pausing(now + REPEAT * (1 << self.repeats));
            self.repeats += 1;
        }
        again
    }

    /// Time passes.
    pub(super) fn end_pause(&mut self, now: Instant) {
        if matches!(self.state, State::Pausing(until) if until <= now) {
            self.state = State::Wanted;
        }
    }

    /// The server gave more time (RFC 8656 §8.3); the request left at `since`.
    pub(super) fn refreshed(&mut self, since: Instant, now: Instant, attributes: &Attributes<'_>) {
        match (lifetime(attributes), &mut self.state) {
            (Ok(lifetime), State::Live(lease)) => *lease = Lease::new(since, lifetime),
            _ => self.renew_at(now + RETRY),
        }
    }

    /// Wants a refresh at `at`: the one under way failed, or has to begin anew.
    pub(super) fn renew_at(&mut self, at: Instant) {
        if let State::Live(lease) = &mut self.state {
            lease.renewal = Some(at);
        }
    }

    /// Whether a refresh is due; it is taken to be sent.
    pub(super) fn take_renewal(&mut self, now: Instant) -> bool {
        match &mut self.state {
            State::Live(lease) => lease.renewal.take_if(|at| *at <= now).is_some(),
            _ => false,
        }
    }

    pub(super) fn next_renewal(&self) -> Option<Instant> {
        match self.state {
            State::Live(lease) => lease.renewal,
            _ => None,
        }
    }

    /// When it ends, or its pause does.
    pub(super) fn next_end(&self) -> Option<Instant> {
        match self.state {
            State::Live(lease) => Some(lease.end),
            State::Pausing(until) => Some(until),
            _ => None,
        }
    }

    /// The request has to be made anew, if it is still wanted.
    pub(super) fn again(&mut self) {
        self.state = if self.is_over() { State::Over } else { State::Wanted };
    }

    pub(super) fn close(&mut self) -> Closing {
        let (state, closing) = match self.state {
            State::Wanted | State::Pausing(_) | State::Over => (State::Over, Closing::Nothing),
            // Where the server thinks that the client is, it is no more: it ends by itself.
            State::Live(_) if self.place == Place::Unknown => (State::Over, Closing::Nothing),
            State::Asked(id) => (State::Closing, Closing::Listen(id)),
            State::Live(_) => (State::Closing, Closing::Delete),
            State::Closing => (State::Closing, Closing::Nothing),
        };
        self.state = state;
        closing
    }

    /// It is gone.
    pub(super) fn end(&mut self) {
        self.state = State::Over;
    }
}

/// The time that the server gives, not the one that it was asked for.
fn lifetime(attributes: &Attributes<'_>) -> Result<Duration, Problem> {
    let lifetime = attributes.lifetime().filter(|lifetime| !lifetime.is_zero());
    Ok(lifetime.ok_or(Problem::Incomplete("a lifetime"))?.min(MAX_LIFETIME))
}
