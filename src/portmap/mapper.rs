//! The mapper: who has the mappings, and when what is due.

use std::collections::{BTreeMap, VecDeque};

use super::config::Config;
use super::control::Control;
use super::entry::{Entry, Side, Wish};
use super::event::{Channel, Event, Input, MapError, Mapping, MappingId, Output, wake};
use super::order::Purpose;
use super::upnp::{Turn, Upnp};
use crate::rng::Rng;
use crate::time::{Duration, Instant, Timer, earliest};

/// Ports that one mapper maps at most.
pub const MAX_MAPPINGS: usize = 64;
/// How long PCP is waited for before UPnP makes a mapping: an answer of the next hop takes milliseconds.
const HEAD_START: Duration = Duration::from_secs(1);
/// When a gateway that speaks nothing is asked again: it may have been updated, or set up.
pub(super) const AGAIN: Duration = Duration::from_secs(30 * 60);

/// A client of one gateway, for one address of this host: no sockets, no clock, deterministic from its seed.
#[derive(Debug)]
pub struct Mapper {
    pub(super) config: Config,
    pub(super) rng: Rng,
    pub(super) control: Control,
    pub(super) upnp: Option<Upnp>,
    pub(super) entries: BTreeMap<MappingId, Entry>,
    next: u32,
    /// Who has made a mapping first makes all of them.
    pub(super) winner: Option<Side>,
    /// Until then UPnP only prepares.
    pub(super) head_start: Timer,
    /// When mappings that the gateway has forgotten are asked for again.
    pub(super) recovery: Timer,
    pub(super) events: VecDeque<Event>,
    is_closed: bool,
}

impl Mapper {
    /// A mapper that asks for nothing yet.
    pub fn new(config: Config) -> Self {
        let mut rng = Rng::new(config.seed.0);
        let control = Control::new(&config, rng.seed());
        let upnp = Upnp::new(&config, rng.seed());
        Self {
            config,
            rng,
            control,
            upnp,
            entries: BTreeMap::new(),
            next: 0,
            winner: None,
            head_start: Timer::STOPPED,
            recovery: Timer::STOPPED,
            events: VecDeque::new(),
            is_closed: false,
        }
    }

    /// Maps a port, and keeps it mapped until [`unmap`](Self::unmap).
    ///
    /// # Errors
    /// [`MapError`]; nothing has changed then.
    pub fn map(&mut self, now: Instant, wish: Wish) -> Result<MappingId, MapError> {
        if self.is_closed {
            return Err(MapError::Closed);
        }
        if wish.internal == 0 {
            return Err(MapError::PortZero);
        }
        let same = |entry: &Entry| {
            let name = (entry.name.transport, entry.name.internal);
            name == (wish.transport, wish.internal) && !entry.is_ending
        };
        if self.entries.values().any(same) {
            return Err(MapError::Duplicate);
        }
        if self.entries.len() >= MAX_MAPPINGS {
            return Err(MapError::TooMany(MAX_MAPPINGS));
        }
        let id = MappingId(self.next);
        self.next = self.next.wrapping_add(1);
        let nonce = self.rng.transaction_id();
        self.entries.insert(id, Entry::new(id, wish, nonce, now + self.config.patience));
        self.want(now, id);
        self.settle(now);
        Ok(id)
    }

    /// Takes a mapping back. [`Event::Unmapped`] tells when the gateway has confirmed it, or does not answer.
    pub fn unmap(&mut self, now: Instant, id: MappingId) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.is_ending) else { return };
        entry.is_ending = true;
        (entry.retry, entry.patience) = (Timer::STOPPED, Timer::STOPPED);
        match entry.held.map(|held| Side::from(held.grant.protocol)) {
            Some(side) => self.ask(now, side, id, Purpose::Delete),
            None => self.end(now, id),
        }
        self.settle(now);
    }

    /// Takes all mappings back; no further ones are made. It is over when [`is_over`](Self::is_over) says so.
    pub fn close(&mut self, now: Instant) {
        self.is_closed = true;
        let ids: Vec<_> = self.entries.keys().copied().collect();
        for id in ids {
            self.unmap(now, id);
        }
    }

    /// Whether it was closed, and all mappings are gone.
    pub fn is_over(&self) -> bool {
        self.is_closed && self.entries.is_empty()
    }

    /// The network has changed, although address and gateway are the same: what the gateway refused counts no longer, and
    /// all mappings are asked for again (RFC 6886 §3.1, RFC 6887 §8.3). After a change of either make a new mapper, and
    /// close this one while its address still works (RFC 6887 §8.4).
    pub fn rediscover(&mut self, now: Instant) {
        self.control.begin_anew();
        if let Some(upnp) = &mut self.upnp {
            upnp.begin_anew();
        }
        for id in self.ids(|entry| !entry.is_ending) {
            self.want(now, id);
        }
        for id in self.ids(|entry| entry.is_ending) {
            self.end(now, id);
        }
        self.settle(now);
    }

    /// The mapping of a port, if there is one.
    pub fn mapping(&self, id: MappingId) -> Option<Mapping> {
        self.entries.get(&id)?.mapping(self.config.local)
    }

    /// Takes what has happened. Nothing here fails: what makes no sense is dropped.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let upnp = self.upnp.as_mut();
        match (input, upnp) {
            (Input::Timeout, _) => self.handle_timeout(now),
            (Input::Datagram { channel: Channel::Search, source, payload }, Some(upnp)) => {
                upnp.handle_datagram(now, source, payload);
            }
            (Input::Datagram { channel, source, payload }, _) if channel != Channel::Search => {
                self.control.handle_datagram(now, channel, source, payload);
            }
            (Input::Unreachable, _) => self.control.handle_unreachable(now),
            (Input::Connected(stream), Some(upnp)) => upnp.handle_connected(stream),
            (Input::Received { stream, bytes }, Some(upnp)) => upnp.handle_received(now, stream, bytes),
            (Input::Closed { stream, why }, Some(upnp)) => upnp.handle_closed(now, stream, why),
            // Of sockets that nobody has asked for.
            (_, _) => {}
        }
        self.settle(now);
    }

    /// What is to be done next; drain it until it [waits](Output::Wait). What has no room in `buf` (1500 bytes have) is cut.
    pub fn poll_output<'b>(&mut self, buf: &'b mut [u8]) -> Output<'b> {
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(len) = self.control.poll(buf) {
            let destination = self.control.server();
            return Output::Transmit { channel: Channel::Control, destination, payload: &buf[..len] };
        }
        let deadline = self.deadline();
        match self.upnp.as_mut().and_then(|upnp| upnp.poll(buf)) {
            Some(output) => output,
            None => Output::Wait(deadline.map(wake)),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let entries = self.entries.values().filter_map(Entry::deadline).min();
        let timers = [
            self.control.deadline(),
            self.upnp.as_ref().and_then(Upnp::deadline),
            self.head_start.deadline(),
            self.recovery.deadline(),
        ];
        timers.into_iter().fold(entries, earliest)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.control.handle_timeout(now);
        if let Some(upnp) = &mut self.upnp {
            upnp.handle_timeout(now);
        }
        if self.head_start.take_due(now) {
            self.let_upnp(now);
        }
        if self.recovery.take_due(now) {
            // RFC 6886 §3.7: one at a time, which the control side sees to.
            for id in self.ids(|entry| entry.is_held_by(Side::Control)) {
                self.ask(now, Side::Control, id, Purpose::Create);
            }
        }
        for id in self.ids(|entry| entry.deadline().is_some_and(|at| at <= now)) {
            self.handle_due(now, id);
        }
    }

    fn handle_due(&mut self, now: Instant, id: MappingId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.patience.take_due(now) {
            self.events.push_back(Event::Unavailable { id });
        }
        if entry.retry.take_due(now) {
            return self.want(now, id);
        }
        let Some(held) = entry.held.as_mut().filter(|_| !entry.is_ending) else { return };
        if held.lease.end().is_some_and(|end| end <= now) {
            entry.held = None;
            self.events.push_back(Event::Lost { id });
            if !self.entries.values().any(|entry| entry.held.is_some()) {
                self.winner = None;
            }
            return self.want(now, id);
        }
        if held.lease.renewal.is_some_and(|at| at <= now) {
            held.lease.begin_renewal(now, &mut self.rng);
            let side = held.grant.protocol.into();
            self.ask(now, side, id, Purpose::Renew);
        }
    }

    /// Asks for a mapping: whoever makes them, or both if nobody does yet.
    pub(super) fn want(&mut self, now: Instant, id: MappingId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.refused.clear();
        entry.retry.stop();
        if let Some(side) = self.winner {
            return self.ask(now, side, id, Purpose::Create);
        }
        if self.control.is_on() {
            self.head_start.set(now + HEAD_START);
            if let Some(upnp) = &mut self.upnp {
                upnp.set_turn(now, Turn::Waits);
            }
        }
        self.ask(now, Side::Control, id, Purpose::Create);
        self.ask(now, Side::Upnp, id, Purpose::Create);
        if !self.control.is_on() {
            self.let_upnp(now);
        }
    }

    pub(super) fn ask(&mut self, now: Instant, side: Side, id: MappingId, purpose: Purpose) {
        let Some(entry) = self.entries.get(&id) else { return };
        let order = entry.order(purpose, self.config.lifetime, self.config.local);
        match (side, &mut self.upnp) {
            (Side::Control, _) => self.control.ask(now, order),
            (Side::Upnp, Some(upnp)) => upnp.ask(now, order),
            (Side::Upnp, None) => {}
        }
    }

    /// UPnP may make mappings.
    pub(super) fn let_upnp(&mut self, now: Instant) {
        self.head_start.stop();
        if let Some(upnp) = self.upnp.as_mut().filter(|_| self.winner != Some(Side::Control)) {
            upnp.set_turn(now, Turn::Has);
        }
    }

    /// The last of a mapping.
    pub(super) fn end(&mut self, now: Instant, id: MappingId) {
        self.control.forget(now, id);
        if let Some(upnp) = &mut self.upnp {
            upnp.forget(now, id);
        }
        if self.entries.remove(&id).is_some() {
            self.events.push_back(Event::Unmapped { id });
        }
    }

    pub(super) fn ids(&self, which: impl Fn(&Entry) -> bool) -> Vec<MappingId> {
        self.entries.values().filter(|entry| which(entry)).map(|entry| entry.id).collect()
    }
}
