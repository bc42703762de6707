//! The conversation with port 5351 of the gateway: PCP, and NAT-PMP where the gateway says that it knows no PCP
//! (RFC 6886 §1.1, RFC 6887 §9, appendix A).
//!
//! One request is open at a time (RFC 6886 §3.1). Answers are not bound to it: a gateway may answer late, twice, or tell
//! of a change by itself (RFC 6887 §8.3, §14.2), and what names a known mapping counts.

mod answers;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::config::Config;
use super::epoch::Epoch;
use super::event::{MappingId, Problem, Protocol};
use super::order::{Grant, Order, Outcome, Purpose};
use super::pcp;
use super::{CONTROL_PORT, nat_pmp};
use crate::rng::Rng;
use crate::time::{Duration, Instant, Timer};

/// RFC 6887 §8.1.1.
const IRT: Duration = Duration::from_secs(3);
const MRT: Duration = Duration::from_secs(1024);
/// RFC 6886 §3.1: the first interval, and how many requests there are.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const ATTEMPTS: u32 = 9;
/// A deletion is not worth more: the mapping ends by itself (RFC 6886 §3.1).
const DELETE_ATTEMPTS: u32 = 3;
/// RFC 6887 §7.4: short and long errors, where the gateway does not say how long.
const SHORT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(30 * 60);

/// What is being said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Pcp,
    NatPmp,
    /// NAT-PMP's question for the external address, which a mapping comes without (RFC 6886 §3.2).
    Address,
}

/// The open request.
#[derive(Debug, Clone, Copy)]
struct Flight {
    id: MappingId,
    dialect: Dialect,
    sent: u32,
    interval: Duration,
    /// When it is sent again, or given up.
    at: Instant,
}

/// A port that NAT-PMP has mapped, while the address is asked for.
#[derive(Debug, Clone, Copy)]
struct Half {
    id: MappingId,
    port: u16,
    lifetime: u32,
}

#[derive(Debug)]
pub(super) struct Control {
    local: IpAddr,
    server: SocketAddr,
    /// The dialect that a request begins with; `None` if neither is to be spoken.
    first: Option<Dialect>,
    falls_back: bool,
    rng: Rng,
    /// What was asked last for each port: answers are matched with it.
    asked: BTreeMap<MappingId, Order>,
    queue: VecDeque<MappingId>,
    flight: Option<Flight>,
    /// Something is to be sent.
    pending: bool,
    half: Option<Half>,
    external: Option<Ipv4Addr>,
    pcp_epoch: Epoch,
    nat_pmp_epoch: Epoch,
    /// NO_RESOURCES for a deletion: no request at all; for a mapping: no new ones (RFC 6887 §11.4).
    silence: Timer,
    no_new: Timer,
    /// UNSUPP_VERSION was told.
    told_version: bool,
    /// Requests that were given up while they were open: the gateway may have carried them out, so that each is taken
    /// back, once and without waiting for an answer.
    farewells: VecDeque<(Order, Dialect)>,
    outcomes: VecDeque<Outcome>,
}

impl Control {
    pub(super) fn new(config: &Config, seed: [u8; 32]) -> Self {
        let (has_pcp, has_nat_pmp) = (config.speaks(Protocol::Pcp), config.speaks(Protocol::NatPmp));
        let first = if has_pcp { Some(Dialect::Pcp) } else { has_nat_pmp.then_some(Dialect::NatPmp) };
        Self {
            local: config.local,
            server: config.server(CONTROL_PORT),
            first,
            falls_back: has_nat_pmp,
            rng: Rng::new(seed),
            asked: BTreeMap::new(),
            queue: VecDeque::new(),
            flight: None,
            pending: false,
            half: None,
            external: None,
            pcp_epoch: Epoch::default(),
            nat_pmp_epoch: Epoch::default(),
            silence: Timer::STOPPED,
            no_new: Timer::STOPPED,
            told_version: false,
            farewells: VecDeque::new(),
            outcomes: VecDeque::new(),
        }
    }

    /// Whether there is anything to speak.
    pub(super) fn is_on(&self) -> bool {
        self.first.is_some()
    }

    /// Whether a request for this port is open, or waits for its turn.
    pub(super) fn is_asking(&self, id: MappingId) -> bool {
        self.flight.is_some_and(|flight| flight.id == id) || self.queue.contains(&id)
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    /// Asks for this, in the place of what was asked for the same port before.
    pub(super) fn ask(&mut self, now: Instant, order: Order) {
        if !self.is_on() {
            return;
        }
        self.asked.insert(order.id, order);
        self.half = self.half.filter(|half| half.id != order.id);
        if self.flight.is_some_and(|flight| flight.id == order.id) {
            self.flight = None;
        }
        if !self.queue.contains(&order.id) {
            self.queue.push_back(order.id);
        }
        self.go_on(now);
    }

    /// Drops what was asked and is not answered. Mappings stay known.
    pub(super) fn stop(&mut self) {
        self.queue.clear();
        self.flight = None;
        self.half = None;
        self.pending = false;
    }

    /// Nothing is known of this port any more.
    pub(super) fn forget(&mut self, now: Instant, id: MappingId) {
        let order = self.asked.remove(&id);
        let is_open = |flight: &Flight| flight.id == id;
        if let (Some(order), Some(flight)) = (order, self.flight.filter(is_open)) {
            let dialect = if flight.dialect == Dialect::Pcp { Dialect::Pcp } else { Dialect::NatPmp };
            self.farewells.push_back((Order { purpose: Purpose::Delete, ..order }, dialect));
        }
        self.queue.retain(|queued| *queued != id);
        self.half = self.half.filter(|half| half.id != id);
        if self.flight.is_some_and(|flight| flight.id == id) {
            self.flight = None;
            self.go_on(now);
        }
    }

    /// Another network: what the gateway said before counts no longer.
    pub(super) fn begin_anew(&mut self) {
        self.stop();
        (self.silence, self.no_new) = (Timer::STOPPED, Timer::STOPPED);
        (self.pcp_epoch, self.nat_pmp_epoch) = (Epoch::default(), Epoch::default());
        self.external = None;
        self.told_version = false;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let flight = self.flight.map(|flight| flight.at);
        let waits = self.flight.is_none() && !self.queue.is_empty();
        let hold = crate::time::earliest(self.silence.deadline(), self.no_new.deadline());
        crate::time::earliest(flight, hold.filter(|_| waits))
    }

    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(flight) = self.flight.filter(|flight| flight.at <= now) {
            self.handle_silence(now, flight);
        }
        self.go_on(now);
    }

    /// ICMP says that nobody listens (RFC 6886 §3.1): there is nothing to wait for.
    pub(super) fn handle_unreachable(&mut self, now: Instant) {
        let Some(flight) = self.flight else { return };
        self.give_up(now, flight, Problem::NoAnswer);
    }

    /// No answer to the open request so far.
    fn handle_silence(&mut self, now: Instant, mut flight: Flight) {
        let purpose = self.asked.get(&flight.id).map(|order| order.purpose);
        let most = match (flight.dialect, purpose) {
            (_, Some(Purpose::Delete)) => DELETE_ATTEMPTS,
            // The next renewal has a time of its own (RFC 6887 §11.2.1).
            (Dialect::Pcp, Some(Purpose::Renew)) => 1,
            // RFC 6887 §8.1.1, MRC and MRD: as long as it is wanted.
            (Dialect::Pcp, _) => u32::MAX,
            (Dialect::NatPmp | Dialect::Address, _) => ATTEMPTS,
        };
        if flight.sent >= most {
            return self.give_up(now, flight, Problem::NoAnswer);
        }
        // The others have their turn.
        if flight.dialect == Dialect::Pcp && !self.queue.is_empty() {
            self.queue.push_back(flight.id);
            self.flight = None;
            return self.go_on(now);
        }
        flight.interval = match flight.dialect {
            Dialect::Pcp => {
                let twice = (flight.interval * 2).min(MRT);
                self.jitter(twice)
            }
            _ => flight.interval * 2,
        };
        flight.sent += 1;
        flight.at = now + flight.interval;
        self.flight = Some(flight);
        self.pending = true;
    }

    fn give_up(&mut self, now: Instant, flight: Flight, problem: Problem) {
        self.flight = None;
        self.half = None;
        let protocol = flight.dialect.protocol();
        match self.asked.get(&flight.id).map(|order| order.purpose) {
            Some(Purpose::Delete) => {
                self.asked.remove(&flight.id);
                self.outcomes.push_back(Outcome::Deleted(flight.id));
            }
            Some(Purpose::Create) => {
                self.queue.clear();
                self.outcomes.push_back(Outcome::Ended(protocol, problem));
            }
            // It is repeated by its own schedule.
            Some(Purpose::Renew) | None => {}
        }
        self.go_on(now);
    }

    /// (1 + RAND) times `interval`, RAND uniform in ±0.1 (RFC 6887 §8.1.1).
    fn jitter(&mut self, interval: Duration) -> Duration {
        interval * self.rng.between(900, 1100) as u32 / 1000
    }

    /// Opens the next request, if none is open.
    fn go_on(&mut self, now: Instant) {
        let (Some(dialect), None) = (self.first, self.flight) else { return };
        if self.silence.is_due(now) {
            self.silence.stop();
        }
        if self.no_new.is_due(now) {
            self.no_new.stop();
        }
        if self.silence.deadline().is_some() {
            return;
        }
        let no_new = self.no_new.deadline().is_some();
        let may = |id: &MappingId| {
            let order = self.asked.get(id);
            order.is_some_and(|order| !no_new || order.purpose != Purpose::Create)
        };
        let Some(at) = self.queue.iter().position(may) else { return };
        if let Some(id) = self.queue.remove(at) {
            self.open(now, id, dialect);
        }
    }

    fn open(&mut self, now: Instant, id: MappingId, dialect: Dialect) {
        let interval = match dialect {
            Dialect::Pcp => self.jitter(IRT),
            Dialect::NatPmp | Dialect::Address => FIRST_WAIT,
        };
        self.flight = Some(Flight { id, dialect, sent: 1, interval, at: now + interval });
        self.pending = true;
    }

    /// Writes what is to be sent, and says how long it is.
    pub(super) fn poll(&mut self, buf: &mut [u8]) -> Option<usize> {
        if let Some((order, dialect)) = self.farewells.pop_front() {
            return self.write(buf, &order, dialect);
        }
        if !std::mem::take(&mut self.pending) {
            return None;
        }
        let flight = self.flight?;
        let order = self.asked.get(&flight.id)?;
        self.write(buf, order, flight.dialect)
    }

    fn write(&self, buf: &mut [u8], order: &Order, dialect: Dialect) -> Option<usize> {
        let suggested = order.suggested;
        let write = |buf: &mut [u8], bytes: &[u8]| {
            buf.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(bytes.len())
        };
        match dialect {
            Dialect::Pcp => {
                write(buf, &pcp::map_request(self.local, &order.name, order.seconds(), suggested))
            }
            Dialect::NatPmp => {
                let (transport, internal) = (order.name.transport, order.name.internal);
                let port = suggested.map(|addr| addr.port());
                write(buf, &nat_pmp::map_request(transport, internal, port, order.seconds()))
            }
            Dialect::Address => write(buf, &nat_pmp::address_request()),
        }
    }

    fn grant(&mut self, id: MappingId, external: SocketAddr, lifetime: u32, protocol: Protocol) {
        let lifetime = Some(Duration::from_secs(u64::from(lifetime)));
        self.outcomes.push_back(Outcome::Granted(id, Grant { external, lifetime, protocol }));
    }
}

impl Dialect {
    fn protocol(self) -> Protocol {
        match self {
            Self::Pcp => Protocol::Pcp,
            Self::NatPmp | Self::Address => Protocol::NatPmp,
        }
    }
}
