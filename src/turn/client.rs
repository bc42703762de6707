//! The client of one TURN server: one five-tuple, one allocation. It owns the parts and routes between them.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::allocation::{Allocation, Closing};
use super::channel::Channels;
use super::credential::Authentication;
use super::data::Framing;
use super::event::{Event, Input, Output, Received};
use super::knowledge::Knowledge;
use super::permission::{Permissions, Permit};
use super::problem::Problem;
use super::request::{Delivery, Purpose, Requests};
use super::{MAX_SOFTWARE, ServerTransport, TurnServer};
use crate::io::Wake;
use crate::stun::wire::{Class, Method};
use crate::stun::{Family, Writer, code};
use crate::time::{Duration, Instant, earliest};

/// The client of one TURN server (RFC 8656), from one local address and port, over UDP or over a connection that its
/// owner opens and frames: the client takes and gives whole messages.
///
/// It allocates in its first slot, answers the server's challenge in the second, and keeps what it has until
/// [`Client::close`]. Payloads do not pass through it: [`Client::framing`] says how they travel, and
/// [`wrap`](super::data::wrap) frames them in place.
#[derive(Debug)]
pub struct Client {
    pub(super) authentication: Authentication,
    pub(super) allocation: Allocation,
    pub(super) permissions: Permissions,
    pub(super) channels: Channels,
    pub(super) requests: Requests,
    pub(super) known: Knowledge,
    /// Something was learnt since the knowledge was told last.
    pub(super) has_news: bool,
    software: Option<String>,
    events: VecDeque<Event>,
    /// The last time that an input told.
    now: Option<Instant>,
    pub(super) traffic: Traffic,
}

/// What went to the server and came back, data apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent, retransmissions included.
    pub requests: u32,
    /// Answers received, those that are not authentic included.
    pub answers: u32,
}

impl Client {
    /// A client that will allocate in its first slot. All its randomness comes from `seed`.
    pub fn new(server: TurnServer, seed: [u8; 32]) -> Self {
        let delivery = match server.transport {
            ServerTransport::Udp => Delivery::Datagrams,
            ServerTransport::Tcp | ServerTransport::Tls { .. } => Delivery::Stream,
        };
        Self {
            allocation: Allocation::new(&server),
            authentication: Authentication::new(server.username, server.password),
            permissions: Permissions::default(),
            channels: Channels::default(),
            requests: Requests::new(seed, delivery),
            known: Knowledge::default(),
            has_news: false,
            software: server.software.filter(|software| software.len() <= MAX_SOFTWARE),
            events: VecDeque::new(),
            now: None,
            traffic: Traffic::default(),
        }
    }

    /// What went to the server and came back so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Begins with what other clients of this server have learnt, so that its first Allocate is signed and costs one round
    /// trip. Without effect on what this client has learnt by itself.
    pub fn learn(&mut self, known: Knowledge) {
        if let Some(challenge) = &known.challenge {
            self.authentication.adopt(challenge.clone());
        }
        self.known.update(known);
    }

    /// What it has learnt, if there was something new since the last call.
    pub fn take_news(&mut self) -> Option<Knowledge> {
        if !std::mem::take(&mut self.has_news) {
            return None;
        }
        self.known.challenge = self.authentication.challenged();
        Some(self.known.clone())
    }

    /// Asks for a permission for the IP address of `peer`, once the allocation exists and in slots; several peers share
    /// a request. The answer is [`Event::PermissionGranted`] or [`Event::PermissionRefused`], at once if it is known.
    pub fn permit(&mut self, peer: SocketAddr) {
        if self.allocation.is_over() {
            return;
        }
        let peer = peer.ip();
        let permit = if self.allocation.serves(peer.into()) {
            self.permissions.permit(peer, || self.requests.id())
        } else {
            Permit::Refused(Problem::of_code(code::PEER_ADDRESS_FAMILY_MISMATCH))
        };
        match permit {
            Permit::Pending => {}
            Permit::Granted => self.say(Event::PermissionGranted { peer }),
            Permit::Refused(problem) => self.say(Event::PermissionRefused { peer, problem }),
        }
    }

    /// Asks for a channel to `peer` (RFC 8656 §12), which permits it too. It serves data, not checks, so it is not
    /// paced: the request leaves with the next input, and until it is confirmed data goes in Send indications. Peers of
    /// another address family, and more than [`MAX_CHANNELS`](super::MAX_CHANNELS), stay without.
    pub fn bind(&mut self, peer: SocketAddr) {
        if !self.allocation.is_over() && self.allocation.serves(peer.ip().into()) {
            self.channels.bind(peer);
        }
    }

    /// Gives one of two relayed addresses back (RFC 8656 §8.1), with the permissions and channels of its peers. Without
    /// effect on an allocation that has one.
    pub fn release(&mut self, now: Instant, family: Family) {
        if self.allocation.is_in_place() && self.allocation.release(family) {
            self.permissions.refuse_family(family, &Problem::of_code(code::PEER_ADDRESS_FAMILY_MISMATCH));
            self.channels.end_family(family);
            self.requests.begin(now, Purpose::Release(family));
        }
    }

    /// Refreshes the allocation now and not only when it is due, for whoever wants to know whether the server still has
    /// it: if not, [`Event::Lost`] follows. Nothing happens without an allocation, or while it is being refreshed.
    pub fn refresh(&mut self, now: Instant) {
        if self.allocation.next_renewal().is_some() {
            self.allocation.renew_at(now);
            self.begin_unpaced(now);
        }
    }

    /// Gives the allocation back (RFC 8656 §8): three requests at most, and no event any more. Poll and feed the client
    /// until [`Client::deadline`] is `None`, or forget it.
    pub fn close(&mut self, now: Instant) {
        self.events.clear();
        match self.allocation.close() {
            Closing::Nothing => {}
            Closing::Listen(id) => self.requests.cancel(id),
            Closing::Delete => self.delete(now),
        }
    }

    /// The connection to the server is gone, and with it the allocation (RFC 8656 §3.1): nothing is sent any more.
    /// Whether there was an allocation, of which [`Event::Lost`] tells.
    pub fn disconnected(&mut self) -> bool {
        let live = self.allocation.is_live();
        if live {
            self.say(Event::Lost);
        }
        self.allocation.end();
        self.forget();
        live
    }

    /// A hard ICMP error (RFC 8489 §6.2.1): nobody receives what is sent to the server. Anybody can forge it, so that it
    /// counts for a server that has never answered only: [`Event::Problem`] tells.
    pub fn unreachable(&mut self, now: Instant) {
        if self.traffic.requests > 0 && self.traffic.answers == 0 && !self.allocation.is_over() {
            self.requests.take();
            self.fail(now, Purpose::Allocate, Problem::Unreachable);
        }
    }

    /// Whether there is an allocation whose server does not know where its client is: from [`Client::detach`] until
    /// [`Event::Moved`].
    pub fn is_moving(&self) -> bool {
        self.allocation.is_live() && !self.allocation.is_in_place()
    }

    /// Whether there is nothing more to send or to wait for.
    pub fn is_finished(&self) -> bool {
        self.allocation.is_over() && self.requests.deadline().is_none()
    }

    /// Whether a paced transaction waits for [`Input::Slot`]: an allocation, or permissions for new peers.
    pub fn wants_slot(&self) -> bool {
        let permissions = self.allocation.is_in_place() && self.permissions.wants_slot();
        (self.allocation.is_wanted() || permissions) && self.requests.has_room()
    }

    /// When [`Input::Timeout`] is due; an instant in the past means at once.
    pub fn deadline(&self) -> Option<Instant> {
        let mut at = earliest(self.requests.deadline(), self.allocation.next_end());
        if self.allocation.is_live() {
            at = [self.permissions.next_end(), self.channels.next_end()].into_iter().fold(at, earliest);
            if self.allocation.is_in_place() && self.requests.has_room() {
                let renewals = [
                    self.allocation.next_renewal(),
                    self.permissions.next_renewal_at(),
                    self.channels.next_renewal(),
                    self.now.filter(|_| self.channels.is_waiting()),
                ];
                at = renewals.into_iter().fold(at, earliest);
            }
        }
        at
    }

    /// How a payload travels to `peer`; `None` without a permission for its address, and from [`Client::detach`] until
    /// [`Event::Moved`].
    pub fn framing(&self, peer: SocketAddr) -> Option<Framing> {
        // RFC 8016 §3.2.2: nothing from the new 5-tuple before the server knows it.
        if !self.allocation.is_in_place() {
            return None;
        }
        let id = self.permissions.send_id(peer.ip())?;
        Some(self.channels.number(peer).map_or(Framing::Send { peer, id }, Framing::Channel))
    }

    /// Takes what happened outside. Poll until [`Output::Wait`] afterwards.
    pub fn handle_input<'a>(&mut self, now: Instant, input: Input<'a>) -> Received<'a> {
        self.now = Some(now);
        match input {
            Input::Timeout => self.handle_timeout(now),
            Input::Slot => self.use_slot(now),
            Input::Datagram(datagram) => return self.handle_datagram(now, datagram),
        }
        Received::Consumed
    }

    /// What comes next, until [`Output::Wait`].
    ///
    /// # Panics
    /// If `buf` is shorter than 1200 bytes.
    pub fn poll_output<'b>(&mut self, buf: &'b mut [u8]) -> Output<'b> {
        assert!(buf.len() >= 1200, "the buffer has {} bytes, 1200 are needed", buf.len());
        if let Some(event) = self.poll_event() {
            return Output::Event(event);
        }
        match self.write_transmit(buf) {
            Some(len) => Output::Transmit(&buf[..len]),
            None => Output::Wait(self.wake()),
        }
    }

    fn wake(&self) -> Option<Wake> {
        match self.now.filter(|_| self.wants_slot()) {
            Some(at) => Some(Wake { at, slot: true }),
            None => self.deadline().map(|at| Wake { at, slot: false }),
        }
    }

    /// The next request for the server; `buf` has 1200 bytes.
    pub(crate) fn write_transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        let (id, purpose) = self.requests.poll_outgoing()?;
        let mut writer = Writer::new(buf, Class::Request, purpose.method(), id);
        match purpose {
            Purpose::Allocate => self.allocation.put(&mut writer),
            Purpose::Refresh => {}
            Purpose::Delete => {
                writer.put_lifetime(Duration::ZERO);
            }
            Purpose::Release(family) => {
                writer.put_lifetime(Duration::ZERO).put_requested_address_family(family);
            }
            Purpose::Move => self.allocation.put_ticket(&mut writer),
            Purpose::Permit(batch) => self.permissions.put(batch, &mut writer),
            Purpose::Bind(number) => self.channels.put(number, &mut writer),
        }
        match (&self.software, purpose.method()) {
            // The ticket needs the room.
            _ if purpose == Purpose::Move => {}
            (Some(software), Method::ALLOCATE | Method::REFRESH) => {
                writer.put_software(software);
            }
            _ => {}
        }
        self.authentication.sign(&mut writer);
        let len = writer.finish().ok()?.len();
        self.traffic.requests = self.traffic.requests.saturating_add(1);
        Some(len)
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn say(&mut self, event: Event) {
        if !self.allocation.is_over() && !self.events.contains(&event) {
            self.events.push_back(event);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.allocation.end_pause(now);
        while let Some((purpose, problem)) = self.requests.poll_failed(now) {
            self.follow_silence(now, purpose, problem);
        }
        if self.allocation.has_ended(now) {
            self.lose();
        }
        while let Some(peer) = self.permissions.poll_end(now) {
            self.say(Event::PermissionRefused { peer, problem: Problem::Unreachable });
        }
        while let Some(peer) = self.channels.poll_end(now) {
            self.say(Event::ChannelLost { peer });
        }
        self.begin_unpaced(now);
    }

    /// No answer. On a connection of a live allocation that says that it is dead: the server may still have the allocation.
    fn follow_silence(&mut self, now: Instant, purpose: Purpose, problem: Problem) {
        let is_dead = self.requests.is_on_stream() && problem == Problem::Unreachable;
        if is_dead && self.allocation.is_in_place() {
            self.begin_anew(now, purpose);
            self.say(Event::Stalled);
        } else {
            self.fail(now, purpose, problem);
        }
    }

    /// Decision of RFC 8445 §14.1: what serves gathering and checks is paced.
    fn use_slot(&mut self, now: Instant) {
        if !self.wants_slot() {
            return;
        }
        if self.allocation.is_wanted() {
            let id = self.requests.begin(now, Purpose::Allocate);
            self.allocation.asked(id, now, &self.known);
        } else if let Some(batch) = self.permissions.next_new() {
            self.requests.begin(now, Purpose::Permit(batch));
        }
    }

    /// Renewals, and channels.
    pub(super) fn begin_unpaced(&mut self, now: Instant) {
        while self.allocation.is_in_place() && self.requests.has_room() {
            let purpose = if self.allocation.take_renewal(now) {
                Purpose::Refresh
            } else if let Some(batch) = self.permissions.next_renewal(now) {
                Purpose::Permit(batch)
            } else if let Some(number) = self.channels.next(now) {
                Purpose::Bind(number)
            } else {
                break;
            };
            self.requests.begin(now, purpose);
        }
    }

    pub(super) fn lose(&mut self) {
        self.say(Event::Lost);
        self.allocation.end();
        self.forget();
    }

    /// Tells the server that the allocation is not needed any more.
    pub(super) fn delete(&mut self, now: Instant) {
        self.forget();
        self.requests.begin(now, Purpose::Delete);
    }

    pub(super) fn forget(&mut self) {
        self.requests.take();
        self.permissions = Permissions::default();
        self.channels = Channels::default();
    }
}
