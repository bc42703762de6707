//! What an agent keeps whatever happens, held against each datagram that it sends and all data that it takes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use floe::io::SocketId;
use floe::stun::wire::{Kind, classify};
use floe::stun::{Class, Message, Method, TransactionId};
use floe::turn::data::{read_channel_data, read_indication};

use super::peer::{turn_server, unscoped};

/// Transmissions of one request: Rc of RFC 8489 §6.2.1.
const MAX_TRANSMISSIONS: usize = 7;
/// Answers to strangers in any second: the agent's ten, at the end of one of its seconds and at the start of the next.
const MAX_STRANGERS: usize = 20;
/// How long a permission lives (RFC 8656 §9).
const PERMISSION: Duration = Duration::from_secs(300);
/// How long a check lives (RFC 8489 §6.2.1).
const CHECK: Duration = Duration::from_millis(39_500);

/// From where to which server.
pub(crate) type Leg = (SocketId, IpAddr, SocketAddr);

/// A datagram without a relay's framing.
pub(crate) struct Bare<'a> {
    /// The peer, where it goes or comes through a relay.
    pub(crate) relayed: Option<SocketAddr>,
    pub(crate) raw: &'a [u8],
}

struct Channel {
    peer: SocketAddr,
    confirmed: bool,
}

/// What was said so far that binds the agent.
pub(crate) struct Promises {
    ta: Duration,
    silent: bool,
    /// Where the agent may send: servers, candidates, sources of checks that the peer's key vouched for.
    allowed: BTreeSet<SocketAddr>,
    /// Sources that data may come from: a check of theirs or an answer was authentic.
    vouched: BTreeSet<SocketAddr>,
    /// The length of the datagram that came last, until all is drained.
    owed: Option<usize>,
    /// Peers of a relay, and when its server agreed to them last.
    permitted: BTreeMap<(Leg, IpAddr), Instant>,
    /// When a permission that had ended was given again: a check that had its slot before, and went nowhere, leaves when it
    /// is its time to be sent again.
    regained: BTreeMap<(Leg, IpAddr), Instant>,
    channels: BTreeMap<(Leg, u16), Channel>,
    requests: BTreeMap<TransactionId, (Vec<u8>, usize)>,
    /// When the last paced transaction began.
    paced: Option<Instant>,
    /// When the last answers to strangers left.
    strangers: VecDeque<Instant>,
}

impl Promises {
    pub(crate) fn new(ta: Duration, silent: bool, servers: &[SocketAddr]) -> Self {
        Self {
            ta,
            silent,
            allowed: servers.iter().copied().collect(),
            vouched: BTreeSet::new(),
            owed: None,
            permitted: BTreeMap::new(),
            regained: BTreeMap::new(),
            channels: BTreeMap::new(),
            requests: BTreeMap::new(),
            paced: None,
            strangers: VecDeque::new(),
        }
    }

    pub(crate) fn allow(&mut self, peer: SocketAddr) {
        self.allowed.insert(unscoped(peer));
    }

    pub(crate) fn is_allowed(&self, peer: SocketAddr) -> bool {
        self.allowed.contains(&unscoped(peer))
    }

    pub(crate) fn vouch(&mut self, peer: SocketAddr) {
        self.vouched.insert(unscoped(peer));
    }

    /// All outputs of the last input are out.
    pub(crate) fn drained(&mut self) {
        self.owed = None;
    }

    /// With the socket its allocations are gone.
    pub(crate) fn socket_gone(&mut self, socket: SocketId) {
        self.permitted.retain(|((of, ..), _), _| *of != socket);
        self.regained.retain(|((of, ..), _), _| *of != socket);
        self.channels.retain(|((of, ..), _), _| *of != socket);
    }

    /// A server agreed to a request.
    pub(crate) fn agreed(&mut self, now: Instant, leg: Leg, request: &Message<'_>) {
        let attributes = request.plain().attributes();
        match request.method() {
            Method::CREATE_PERMISSION => {
                for peer in attributes.peer_addresses().flatten() {
                    self.permit(now, leg, peer.ip());
                }
            }
            Method::CHANNEL_BIND => {
                let (Some(number), Some(peer)) = (attributes.channel_number(), attributes.peer_address())
                else {
                    return;
                };
                self.permit(now, leg, peer.ip());
                if let Some(channel) = self.channels.get_mut(&(leg, number)) {
                    channel.confirmed = true;
                }
            }
            _ => {}
        }
    }

    fn permit(&mut self, now: Instant, leg: Leg, peer: IpAddr) {
        let before = self.permitted.insert((leg, peer), now);
        if before.is_some_and(|before| now - before > PERMISSION) {
            self.regained.insert((leg, peer), now);
        }
    }

    /// The channel of this peer that a server has confirmed.
    pub(crate) fn channel(&self, leg: Leg, peer: SocketAddr) -> Option<u16> {
        let found = self.channels.iter().find(|((of, _), channel)| *of == leg && channel.peer == peer);
        found.filter(|(_, channel)| channel.confirmed).map(|((_, number), _)| *number)
    }

    /// Whose channel it is, as far as the agent has said.
    pub(crate) fn peer(&self, leg: Leg, number: u16) -> Option<SocketAddr> {
        self.channels.get(&(leg, number)).map(|channel| channel.peer)
    }

    /// A datagram came.
    pub(crate) fn received<'a>(&mut self, leg: Leg, raw: &'a [u8]) -> Bare<'a> {
        let bare = self.unwrap(leg, raw, Method::DATA);
        self.owed = Some(bare.raw.len());
        bare
    }

    /// RFC 8445 §12.2: data is taken only from where a check, or an answer to ours, was authentic.
    pub(crate) fn data(&self, source: SocketAddr, bare: &Bare<'_>) {
        let sources = [Some(source), bare.relayed];
        let vouched = sources.into_iter().flatten().any(|source| self.vouched.contains(&unscoped(source)));
        assert!(vouched, "data of {source} or {:?}, whom nobody vouched for", bare.relayed);
    }

    /// A datagram left. `on_path`: to where data goes too, so that it may be a consent request, which is not paced.
    pub(crate) fn sent<'a>(&mut self, now: Instant, leg: Leg, raw: &'a [u8], on_path: bool) -> Bare<'a> {
        let bare = self.unwrap(leg, raw, Method::SEND);
        let (_, _, server) = leg;
        if let Some(peer) = bare.relayed {
            match read_channel_data(raw).filter(|_| classify(raw) == Kind::ChannelData) {
                Some((number, _)) => {
                    let channel = self.channels.get(&(leg, number)).expect("a channel that was asked for");
                    assert!(channel.confirmed, "channel {number:#x} is not confirmed");
                }
                // RFC 8656 §10, RFC 8445 §7.2.1.
                None => assert!(self.permitted.contains_key(&(leg, peer.ip())), "{peer} is not permitted"),
            }
        }
        let message = Message::parse(bare.raw).expect("an agent sends STUN");
        self.may_send(now, bare.relayed.unwrap_or(server), &message);
        if message.class() == Class::Request {
            let late = bare.relayed.and_then(|peer| self.regained.get(&(leg, peer.ip())));
            let had_its_slot = late.is_some_and(|at| now - *at < CHECK);
            self.request(now, leg, &message, on_path || had_its_slot);
        }
        bare
    }

    /// RFC 8445 §7.2, §19.5: nothing goes to an address that neither signaling nor the peer's key vouches for, but
    /// for one answer to each request, not longer than that, and not many.
    fn may_send(&mut self, now: Instant, destination: SocketAddr, message: &Message<'_>) {
        let stranger = message.class() == Class::Error && !message.has_integrity();
        if stranger {
            assert!(!self.silent, "an answer to a stranger");
            let owed = self.owed.take().expect("an answer to somebody who asked");
            assert!(message.raw().len() <= owed, "{} bytes for {owed}", message.raw().len());
            self.strangers.push_back(now);
            if self.strangers.len() > MAX_STRANGERS {
                let first = self.strangers.pop_front().expect("more than one");
                assert!(now - first >= Duration::from_secs(1), "too many answers to strangers");
            }
        }
        let known = self.allowed.contains(&unscoped(destination));
        assert!(known || stranger, "{:?} to {destination}", message.class());
    }

    /// RFC 8489 §6.2.1: what is sent again is the same. RFC 8445 §14.2: what is new is paced.
    fn request(&mut self, now: Instant, leg: Leg, message: &Message<'_>, on_path: bool) {
        let id = message.transaction_id();
        if let Some((first, count)) = self.requests.get_mut(&id) {
            assert_eq!(*first, message.raw(), "a retransmission differs");
            *count += 1;
            assert!(*count <= MAX_TRANSMISSIONS, "{count} transmissions");
            return;
        }
        self.requests.insert(id, (message.raw().to_vec(), 1));
        let attributes = message.plain().attributes();
        let paced = match message.method() {
            Method::ALLOCATE => true,
            Method::BINDING => message.username().is_none() || !on_path,
            Method::CREATE_PERMISSION => {
                let mut peers = attributes.peer_addresses().flatten();
                peers.any(|peer| !self.permitted.contains_key(&(leg, peer.ip())))
            }
            Method::CHANNEL_BIND => {
                let number = attributes.channel_number().expect("a number");
                let peer = attributes.peer_address().expect("a peer");
                let new = Channel { peer, confirmed: false };
                let channel = self.channels.entry((leg, number)).or_insert(new);
                assert_eq!(channel.peer, peer, "channel {number:#x} belongs to another peer");
                false
            }
            _ => false,
        };
        if paced {
            let gap = self.paced.map(|last| now - last);
            assert!(gap.is_none_or(|gap| gap >= self.ta), "{:?} after {gap:?}", message.method());
            self.paced = Some(now);
        }
    }

    fn unwrap<'a>(&self, leg: Leg, raw: &'a [u8], method: Method) -> Bare<'a> {
        let (_, _, server) = leg;
        let direct = Bare { relayed: None, raw };
        if ![turn_server(false), turn_server(true)].contains(&server) {
            return direct;
        }
        let relayed = match classify(raw) {
            Kind::ChannelData => read_channel_data(raw)
                .and_then(|(number, raw)| Some((self.channels.get(&(leg, number))?.peer, raw))),
            Kind::Stun => match Message::parse(raw) {
                Ok(message) if (message.class(), message.method()) == (Class::Indication, method) => {
                    read_indication(&message)
                }
                _ => None,
            },
            Kind::Other => None,
        };
        relayed.map_or(direct, |(peer, raw)| Bare { relayed: Some(peer), raw })
    }
}
