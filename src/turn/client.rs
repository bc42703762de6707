//! The client of one TURN server: one five-tuple, one allocation. It owns the parts and routes between them.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use super::TurnServer;
use super::allocation::{Allocation, Closing};
use super::channel::Channels;
use super::credential::Authentication;
use super::data::{Framing, read_channel_data, read_indication};
use super::permission::{Permissions, Permit};
use super::problem::Problem;
use super::request::{Purpose, Requests};
use crate::io::Wake;
use crate::stun::wire::{Class, Kind, Method, attr, classify};
use crate::stun::{Attributes, Family, Message, TransactionId, Writer, code};
use crate::time::{Duration, Instant, earliest};

/// The attributes that a response may have and that must be understood (RFC 8489 §6.3.3, §6.3.4). Those that are
/// known but not expected are ignored.
const KNOWN: [u16; 17] = [
    attr::MAPPED_ADDRESS,
    attr::USERNAME,
    attr::ERROR_CODE,
    attr::UNKNOWN_ATTRIBUTES,
    attr::CHANNEL_NUMBER,
    attr::LIFETIME,
    attr::XOR_PEER_ADDRESS,
    attr::REALM,
    attr::NONCE,
    attr::XOR_RELAYED_ADDRESS,
    attr::REQUESTED_ADDRESS_FAMILY,
    attr::EVEN_PORT,
    attr::REQUESTED_TRANSPORT,
    attr::DONT_FRAGMENT,
    attr::USERHASH,
    attr::XOR_MAPPED_ADDRESS,
    attr::RESERVATION_TOKEN,
];

/// What happened outside.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// The time of [`Client::deadline`] has come.
    Timeout,
    /// One new paced transaction may begin (RFC 8445 §14.2). Wasted if none waits: [`Client::wants_slot`].
    Slot,
    /// A datagram from the server's address. From any other it must not come here (RFC 8656 §11.4).
    Datagram(&'a [u8]),
}

/// What an input was.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'a> {
    /// A payload that a permitted peer sent to the relayed transport address; a sub-slice of the input.
    Data {
        /// Who sent it.
        peer: SocketAddr,
        /// What it sent; possibly empty.
        payload: &'a [u8],
    },
    /// It was for the client, or is to be dropped.
    Consumed,
    /// Not of this allocation.
    Unclaimed,
}

/// What the client has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// There is an allocation. It is refreshed until [`Client::close`].
    Allocated {
        /// The relayed transport address.
        relayed: SocketAddr,
        /// Where the server sees the client: a server-reflexive address.
        mapped: SocketAddr,
        /// How long it lasts without a refresh.
        lifetime: Duration,
    },
    /// There is no allocation and there will be none; [`Problem::pause`] says whether another client may try. Or, before
    /// [`Event::Lost`], why.
    Problem(Problem),
    /// All ports of this address may be sent to and heard. Said again when a granted permission is asked for.
    PermissionGranted {
        /// The peer.
        peer: IpAddr,
    },
    /// This address cannot be sent to, or not any more. Said again when it is asked for, unless its permission was only
    /// not renewed in time: then it is asked for anew.
    PermissionRefused {
        /// The peer.
        peer: IpAddr,
        /// Why.
        problem: Problem,
    },
    /// Data to this peer goes through a channel from now on.
    ChannelBound {
        /// The peer.
        peer: SocketAddr,
        /// 0x4000..=0x4FFF.
        number: u16,
    },
    /// The channel is over: data goes in Send indications again.
    ChannelLost {
        /// The peer.
        peer: SocketAddr,
    },
    /// The allocation is gone, and with it all permissions and channels. The client does nothing more.
    Lost,
}

/// What is next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'b> {
    /// A datagram for the server.
    Transmit(&'b [u8]),
    /// Something to know.
    Event(Event),
    /// Drained. Come back at that time with [`Input::Timeout`], or with [`Input::Slot`] if a slot is wanted. A client
    /// that has had no input yet knows no time: it waits for its first slot.
    Wait(Option<Wake>),
}

/// The client of one TURN server (RFC 8656), over UDP, from one local address and port.
///
/// It allocates in its first slot, answers the server's challenge in the second, and keeps what it has until
/// [`Client::close`]. Payloads do not pass through it: [`Client::framing`] says how they travel, and
/// [`wrap`](super::data::wrap) frames them in place.
#[derive(Debug)]
pub struct Client {
    authentication: Authentication,
    allocation: Allocation,
    permissions: Permissions,
    channels: Channels,
    requests: Requests,
    events: VecDeque<Event>,
    /// The last time that an input told.
    now: Option<Instant>,
}

impl Client {
    /// A client that will allocate in its first slot. All its randomness comes from `seed`.
    pub fn new(server: TurnServer, seed: [u8; 32]) -> Self {
        Self {
            allocation: Allocation::new(server.addr),
            authentication: Authentication::new(server.username, server.password),
            permissions: Permissions::default(),
            channels: Channels::default(),
            requests: Requests::new(seed),
            events: VecDeque::new(),
            now: None,
        }
    }

    /// Asks for a permission for the IP address of `peer`, once the allocation exists and in slots; several peers share
    /// a request. The answer is [`Event::PermissionGranted`] or [`Event::PermissionRefused`], at once if it is known.
    pub fn permit(&mut self, peer: SocketAddr) {
        if self.allocation.is_over() {
            return;
        }
        let (peer, id) = (peer.ip(), self.requests.id());
        let permit = if Family::from(peer) == self.allocation.family() {
            self.permissions.permit(peer, id)
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
        if !self.allocation.is_over() && Family::from(peer.ip()) == self.allocation.family() {
            self.channels.bind(peer);
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

    /// Whether a paced transaction waits for [`Input::Slot`]: an allocation, or permissions for new peers.
    pub fn wants_slot(&self) -> bool {
        let permissions = self.allocation.is_live() && self.permissions.wants_slot();
        (self.allocation.is_wanted() || permissions) && self.requests.has_room()
    }

    /// When [`Input::Timeout`] is due; an instant in the past means at once.
    pub fn deadline(&self) -> Option<Instant> {
        let mut at = self.requests.deadline();
        if self.allocation.is_live() {
            let ends = [self.allocation.next_end(), self.permissions.next_end(), self.channels.next_end()];
            at = ends.into_iter().fold(at, earliest);
            if self.requests.has_room() {
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

    /// How a payload travels to `peer`; `None` without a permission for its address.
    pub fn framing(&self, peer: SocketAddr) -> Option<Framing> {
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
            Purpose::Delete => drop(writer.put_lifetime(Duration::ZERO)),
            Purpose::Permit(batch) => self.permissions.put(batch, &mut writer),
            Purpose::Bind(number) => self.channels.put(number, &mut writer),
        }
        self.authentication.sign(&mut writer);
        writer.finish().ok().map(<[u8]>::len)
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn say(&mut self, event: Event) {
        if !self.allocation.is_over() && !self.events.contains(&event) {
            self.events.push_back(event);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some((purpose, problem)) = self.requests.poll_failed(now) {
            self.fail(now, purpose, problem);
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

    /// Decision of RFC 8445 §14.1: what serves gathering and checks is paced.
    fn use_slot(&mut self, now: Instant) {
        if !self.wants_slot() {
            return;
        }
        if self.allocation.is_wanted() {
            let id = self.requests.begin(now, Purpose::Allocate);
            self.allocation.asked(id);
        } else if let Some(batch) = self.permissions.next_new() {
            self.requests.begin(now, Purpose::Permit(batch));
        }
    }

    /// Renewals, and channels.
    fn begin_unpaced(&mut self, now: Instant) {
        while self.allocation.is_live() && self.requests.has_room() {
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

    fn handle_datagram<'a>(&mut self, now: Instant, datagram: &'a [u8]) -> Received<'a> {
        let live = self.allocation.is_live();
        match classify(datagram) {
            Kind::ChannelData if live => self.handle_channel_data(now, datagram),
            Kind::Stun => match Message::parse(datagram) {
                Ok(message) => match (message.class(), message.method()) {
                    (Class::Indication, Method::DATA) if live => self.handle_indication(now, &message),
                    (Class::Success | Class::Error, _) => self.handle_answer(now, message),
                    _ => Received::Unclaimed,
                },
                Err(_) => Received::Unclaimed,
            },
            _ => Received::Unclaimed,
        }
    }

    fn handle_channel_data<'a>(&self, now: Instant, datagram: &'a [u8]) -> Received<'a> {
        let read = read_channel_data(datagram);
        let known = read.and_then(|(number, payload)| Some((self.channels.peer(number)?, payload)));
        match known {
            Some(((peer, confirmed), payload))
                if !confirmed || self.permissions.is_active(peer.ip(), now) =>
            {
                Received::Data { peer, payload }
            }
            _ => Received::Consumed,
        }
    }

    fn handle_indication<'a>(&self, now: Instant, message: &Message<'a>) -> Received<'a> {
        match read_indication(message) {
            Some((peer, payload)) if self.permissions.is_active(peer.ip(), now) => {
                Received::Data { peer, payload }
            }
            _ => Received::Consumed,
        }
    }

    fn handle_answer(&mut self, now: Instant, message: Message<'_>) -> Received<'static> {
        let id = message.transaction_id();
        let Some(purpose) = self.requests.find(id) else { return Received::Unclaimed };
        if message.method() != purpose.method() {
            return Received::Consumed;
        }
        let plain = message.plain();
        let challenge = plain.attributes().error_code().map(|error| error.code);
        match challenge.filter(|_| message.class() == Class::Error) {
            Some(code @ (code::UNAUTHENTICATED | code::STALE_NONCE)) => {
                self.follow_challenge(now, id, purpose, code, &plain.attributes());
            }
            _ => match self.authentication.verify(message) {
                Some(verified) => {
                    let since = self.requests.end(id).map_or(now, |ended| ended.started);
                    match problem_of(message.class(), &verified.attributes()) {
                        None => self.succeed(now, since, purpose, &verified.attributes()),
                        Some(problem) => self.fail(now, purpose, problem),
                    }
                }
                None => self.requests.doubt(id),
            },
        }
        self.begin_unpaced(now);
        Received::Consumed
    }

    /// A challenge that is met changes the credential, so that every open transaction begins anew.
    fn follow_challenge(
        &mut self,
        now: Instant,
        id: TransactionId,
        purpose: Purpose,
        code: u16,
        attributes: &Attributes<'_>,
    ) {
        self.requests.end(id);
        match self.authentication.challenge(code, attributes) {
            Ok(()) => {
                let others = self.requests.take();
                for purpose in std::iter::once(purpose).chain(others) {
                    self.begin_anew(now, purpose);
                }
            }
            Err(problem) => self.fail(now, purpose, problem),
        }
    }

    fn begin_anew(&mut self, now: Instant, purpose: Purpose) {
        match purpose {
            Purpose::Allocate => self.allocation.again(),
            Purpose::Refresh => self.allocation.renew_at(now),
            Purpose::Delete => self.delete(now),
            Purpose::Permit(batch) => self.permissions.again(batch, now),
            Purpose::Bind(number) => self.channels.again(number, now),
        }
    }

    fn succeed(&mut self, now: Instant, since: Instant, purpose: Purpose, attributes: &Attributes<'_>) {
        match purpose {
            // It was closed meanwhile.
            Purpose::Allocate if self.allocation.is_over() => self.delete(now),
            Purpose::Allocate => match self.allocation.granted(since, attributes) {
                Ok((relayed, mapped, lifetime)) => self.say(Event::Allocated { relayed, mapped, lifetime }),
                Err(problem) => {
                    self.say(Event::Problem(problem));
                    self.allocation.close();
                    self.delete(now);
                }
            },
            Purpose::Refresh => self.allocation.refreshed(since, now, attributes),
            Purpose::Delete => self.allocation.end(),
            Purpose::Permit(batch) => {
                for peer in self.permissions.granted(batch, since) {
                    self.say(Event::PermissionGranted { peer });
                }
            }
            Purpose::Bind(number) => {
                let Some((peer, new)) = self.channels.bound(number, since) else { return };
                let id = self.requests.id();
                if self.permissions.bound(peer.ip(), since, id) {
                    self.say(Event::PermissionGranted { peer: peer.ip() });
                }
                if new {
                    self.say(Event::ChannelBound { peer, number });
                }
            }
        }
    }

    fn fail(&mut self, now: Instant, purpose: Purpose, problem: Problem) {
        match purpose {
            Purpose::Allocate => {
                self.say(Event::Problem(problem));
                self.allocation.end();
            }
            Purpose::Delete => self.allocation.end(),
            // RFC 8656 §5: 437 to anything but an Allocate means that the allocation is gone.
            _ if problem.has_code(code::ALLOCATION_MISMATCH) => self.lose(),
            // Nothing can be asked for any more, so it would end soon.
            _ if problem == Problem::Unauthorized => {
                self.say(Event::Problem(problem));
                self.lose();
            }
            Purpose::Refresh => self.allocation.renew_at(now + super::lease::RETRY),
            Purpose::Permit(batch) => {
                for peer in self.permissions.failed(batch, now, &problem) {
                    self.say(Event::PermissionRefused { peer, problem: problem.clone() });
                }
            }
            // RFC 8656 §12.3: server and client disagree on what is bound. The allocation is given up.
            Purpose::Bind(_) if problem.has_code(code::BAD_REQUEST) => {
                self.say(Event::Problem(problem));
                self.say(Event::Lost);
                self.allocation.close();
                self.delete(now);
            }
            Purpose::Bind(number) => {
                if let Some(peer) = self.channels.failed(number, now, &problem) {
                    self.say(Event::ChannelLost { peer });
                }
            }
        }
    }

    fn lose(&mut self) {
        self.say(Event::Lost);
        self.allocation.end();
        self.forget();
    }

    /// Tells the server that the allocation is not needed any more.
    fn delete(&mut self, now: Instant) {
        self.forget();
        self.requests.begin(now, Purpose::Delete);
    }

    fn forget(&mut self) {
        self.requests.take();
        self.permissions = Permissions::default();
        self.channels = Channels::default();
    }
}

/// What is wrong with an authentic answer.
fn problem_of(class: Class, attributes: &Attributes<'_>) -> Option<Problem> {
    if attributes.unknown_required(&KNOWN).next().is_some() {
        return Some(Problem::Unsupported("an attribute"));
    }
    if class == Class::Success {
        return None;
    }
    Some(attributes.error_code().map_or(Problem::Incomplete("an ERROR-CODE"), Problem::from))
}
