//! The allocation: Allocate, Refresh, and its end (RFC 8656 §7, §8).
//!
//! ```text
//!              slot         success                437, end of time
//!    Wanted ─────────► Asked ─────────────► Live ─────────────────────► Over
//!      ▲                │ 401, 438           │ close                     ▲
//!      └────────────────┤                    ▼        answer, 3 requests │
//!                       └───────────────► Closing ───────────────────────┘
//!                          close
//! ```

use std::net::SocketAddr;

use super::lease::{Lease, RETRY};
use super::problem::Problem;
use crate::stun::codec::PROTOCOL_UDP;
use crate::stun::wire::attr;
use crate::stun::{Attributes, Family, TransactionId, Writer};
use crate::time::{Duration, Instant};

/// Longer lifetimes are taken as this: a server that promises more is asked once a day.
const MAX_LIFETIME: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, Copy)]
enum State {
    /// For a slot.
    Wanted,
    Asked(TransactionId),
    Live(Lease),
    /// Nobody needs it any more. The server is told, or is to be told if it allocates after all.
    Closing,
    Over,
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

#[derive(Debug)]
pub(super) struct Allocation {
    family: Family,
    state: State,
}

impl Allocation {
    /// To be allocated at a server of this family; the relayed address has the same.
    pub(super) fn new(server: SocketAddr) -> Self {
        Self { family: server.ip().into(), state: State::Wanted }
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.state, State::Wanted)
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// Whether it was closed, or has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Closing | State::Over)
    }

    /// Whether its time is over.
    pub(super) fn has_ended(&self, now: Instant) -> bool {
        matches!(self.state, State::Live(lease) if lease.end <= now)
    }

    pub(super) fn asked(&mut self, id: TransactionId) {
        self.state = State::Asked(id);
    }

    /// Asks for UDP. An absent family means IPv4 (RFC 8656 §7.2), which servers of RFC 5766 understand too.
    pub(super) fn put(&self, writer: &mut Writer<'_>) {
        writer.put_requested_transport(PROTOCOL_UDP);
        if self.family == Family::V6 {
            writer.put_requested_address_family(Family::V6);
        }
    }

    /// The server allocated (RFC 8656 §7.3); the request left at `since`. Returns the relayed and the mapped address,
    /// and the lifetime.
    ///
    /// # Errors
    /// What it allocated is of no use: give it back.
    pub(super) fn granted(
        &mut self,
        since: Instant,
        attributes: &Attributes<'_>,
    ) -> Result<(SocketAddr, SocketAddr, Duration), Problem> {
        let usable =
            |addr: &SocketAddr| Family::from(addr.ip()) == self.family && !addr.ip().is_unspecified();
        let relayed = attributes.relayed_addresses().flatten().find(|addr| usable(addr) && addr.port() != 0);
        let relayed = relayed.ok_or(Problem::Incomplete("a relayed address of the family asked for"))?;
        let mapped = attributes.xor_address(attr::XOR_MAPPED_ADDRESS).filter(usable);
        let mapped = mapped.ok_or(Problem::Incomplete("a mapped address"))?;
        let lifetime = lifetime(attributes)?;
        self.state = State::Live(Lease::new(since, lifetime));
        Ok((relayed, mapped, lifetime))
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

    pub(super) fn next_end(&self) -> Option<Instant> {
        match self.state {
            State::Live(lease) => Some(lease.end),
            _ => None,
        }
    }

    /// The request has to be made anew, if it is still wanted.
    pub(super) fn again(&mut self) {
        self.state = if self.is_over() { State::Over } else { State::Wanted };
    }

    pub(super) fn close(&mut self) -> Closing {
        let (state, closing) = match self.state {
            State::Wanted | State::Over => (State::Over, Closing::Nothing),
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
