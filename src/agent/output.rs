//! Intents become bytes, straight into the caller's buffer. What is queued is small and says what to do, so nothing
//! in the queue can be stale: a check that ended meanwhile is not written.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::bases::Via;
use super::event::Output;
use super::hard::Probe;
use super::relays::{Link, RelayId};
use super::{Agent, Rest};
use crate::candidate::BaseId;
use crate::checks::Generation;
use crate::checks::respond::Reply;
use crate::gather::Gatherer;
use crate::io::{ComponentId, SocketId, Transmit};
use crate::stun::TransactionId;
use crate::turn::data::{HEADROOM, TAILROOM, wrap};

/// What is to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Intent {
    /// A check, or its retransmission.
    Check(TransactionId),
    /// An answer to the peer.
    Reply(Answering),
    /// A query to a STUN server.
    Query(TransactionId),
    /// Whatever a TURN client has to send.
    Relay(RelayId),
    /// A consent request of a flow.
    Consent(usize, TransactionId),
    /// A check of an address that nobody has told.
    Guess(Probe),
    /// A check that asks whether a flow's pair, or another one, is alive.
    Probe(usize, TransactionId),
    /// A Binding indication on a flow.
    Indication(usize),
}

/// A request that is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answering {
    pub(super) base: BaseId,
    /// Where it came from.
    pub(super) source: SocketAddr,
    pub(super) id: TransactionId,
    /// The ICE session that it belongs to.
    pub(super) generation: Generation,
    pub(super) reply: Reply,
}

/// More than this is waiting only if the driver does not drain: the rest is dropped, as a network would.
const MAX_INTENTS: usize = 128;
/// Events, and intents, that there is always room for.
pub(super) const FEW: usize = 2;
/// Answers that wait; the peer retransmits.
const MAX_REPLIES: usize = 32;

/// A bounded queue of intents.
#[derive(Debug)]
pub(super) struct Intents {
    queue: VecDeque<Intent>,
    replies: usize,
    pub(super) dropped: u64,
}

impl Default for Intents {
    fn default() -> Self {
        Self { queue: VecDeque::with_capacity(FEW), replies: 0, dropped: 0 }
    }
}

impl Intents {
    pub(super) fn push(&mut self, intent: Intent) {
        let is_reply = matches!(intent, Intent::Reply(_));
        // A relay is queued once for all that it has to send, so that what waits for it must not be dropped.
        let is_full = self.queue.len() >= MAX_INTENTS && !matches!(intent, Intent::Relay(_));
        if is_full || (is_reply && self.replies >= MAX_REPLIES) {
            self.dropped += 1;
            return;
        }
        self.replies += usize::from(is_reply);
        self.queue.push_back(intent);
    }

    fn pop(&mut self) -> Option<Intent> {
        let intent = self.queue.pop_front()?;
        self.replies -= usize::from(matches!(intent, Intent::Reply(_)));
        Some(intent)
    }

    /// Gives back what many checks needed.
    pub(super) fn compact(&mut self) {
        self.queue.shrink_to(FEW);
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.replies = 0;
    }
}

/// A written datagram: where it goes, and where it lies in the buffer.
struct Written {
    socket: SocketId,
    local: IpAddr,
    destination: SocketAddr,
    at: Range<usize>,
}

impl Agent {
    /// The next output, until [`Output::Wait`]. Drain at once after every other call.
    ///
    /// # Panics
    /// If `buf` is shorter than 1280 bytes.
    pub fn poll_output<'b>(&mut self, buf: &'b mut [u8]) -> Output<'b> {
        assert!(buf.len() >= 1280, "the buffer has {} bytes, 1280 are needed", buf.len());
        // Before the signal that tells of it, a name is published.
        if let Some(errand) = self.names.errands.pop_front() {
            return errand.into_output();
        }
        if let Some(errand) = self.connections.errands.pop_front() {
            return errand.into_output();
        }
        if let Some(errand) = self.hard.as_mut().and_then(|hard| hard.errands.pop_front()) {
            return errand.into_output();
        }
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(Written { socket, local, destination, at }) = self.write_next(buf) {
            return Output::Transmit(Transmit::new(socket, local, destination, &buf[at]));
        }
        if self.events.capacity() > FEW {
            // An agent begins with many things to tell, and has few later on.
            self.events.shrink_to(FEW);
        }
        let Rest(wake) = self.rest.unwrap_or_else(|| Rest(self.wake()));
        self.rest = Some(Rest(wake));
        Output::Wait(wake)
    }

    fn write_next(&mut self, buf: &mut [u8]) -> Option<Written> {
        while let Some(intent) = self.intents.pop() {
            let body = HEADROOM..buf.len() - TAILROOM;
            let room = &mut buf[body];
            let mut generation = self.checks.generation;
            let addressed = match intent {
                Intent::Check(id) => {
                    self.checks.write_check(id, room).map(|to| (to.base, to.destination, to.len))
                }
                Intent::Reply(Answering { base, source, id, generation: of, reply }) => {
                    generation = of;
                    let session = self.session(generation);
                    let len = session.and_then(|session| session.write_reply(&reply, id, source, room));
                    len.map(|len| (base, source, len))
                }
                Intent::Query(id) => {
                    self.gatherer.write(id, room).map(|(query, len)| (query.base, query.addr, len))
                }
                Intent::Consent(index, id) => {
                    generation = self.generation_of(index).unwrap_or(generation);
                    self.write_consent(index, id, room)
                }
                Intent::Probe(index, id) => self.write_probe(index, id, room),
                Intent::Indication(index) => {
                    generation = self.generation_of(index).unwrap_or(generation);
                    self.write_indication(index, room)
                }
                Intent::Guess(Probe { socket, local, to }) => {
                    let Some(len) = self.checks.write_probe(ComponentId::FIRST, &mut self.rng, room) else {
                        continue;
                    };
                    return Some(Written { socket, local, destination: to, at: HEADROOM..HEADROOM + len });
                }
                Intent::Relay(id) => {
                    if let Some(written) = self.write_relay(id, buf) {
                        // It may have more.
                        self.intents.queue.push_front(intent);
                        return Some(written);
                    }
                    None
                }
            };
            let Some((base, to, len)) = addressed else { continue };
            if let Some(written) = self.address(generation, base, to, len, buf) {
                self.record_sent(base, to, &buf[HEADROOM..HEADROOM + len]);
                return Some(written);
            }
        }
        None
    }

    /// The ICE session whose pair a flow uses.
    fn generation_of(&self, index: usize) -> Option<Generation> {
        Some(self.flows.get(index)?.pair?.generation)
    }

    fn write_consent(
        &mut self,
        index: usize,
        id: TransactionId,
        room: &mut [u8],
    ) -> Option<(BaseId, SocketAddr, usize)> {
        let pair = self.flows.get(index)?.pair?;
        let session = self.session(pair.generation)?;
        let check = session.check_of(pair.id)?;
        let to = session.write_request(id, &check.without_nomination(), room)?;
        Some((to.base, to.destination, to.len))
    }

    fn write_indication(&mut self, index: usize, room: &mut [u8]) -> Option<(BaseId, SocketAddr, usize)> {
        let pair = self.pair_in_use(self.flows.get(index)?.pair?)?;
        let (base, destination) = (pair.base, pair.destination);
        Gatherer::write_keepalive(room, &mut self.rng).map(|len| (base, destination, len))
    }

    /// A request to a TURN server, on the socket of its base or on its connection.
    fn write_relay(&mut self, id: RelayId, buf: &mut [u8]) -> Option<Written> {
        let relay = self.relays.get_mut(id)?;
        relay.queued = false;
        let base = self.bases.get(relay.from);
        let (socket, local) = match relay.link {
            Link::Datagrams => base.map(|base| (base.socket, base.local)),
            Link::Open(socket, local) => Some((socket, local)),
            Link::Unopened | Link::Opening(_) | Link::Gone => None,
        }?;
        let len = relay.client.write_transmit(buf)?;
        relay.queued = true;
        let (from, destination) = (relay.from, relay.server_addr);
        self.record_sent(from, destination, &buf[..len]);
        Some(Written { socket, local, destination, at: 0..len })
    }

    /// Frames the message that lies at `HEADROOM` for its base: as it is, or through the relay.
    fn address(
        &self,
        generation: Generation,
        id: BaseId,
        to: SocketAddr,
        len: usize,
        buf: &mut [u8],
    ) -> Option<Written> {
        let base = self.bases.get(id)?;
        let (socket, local) = (base.socket, base.local);
        match base.via {
            Via::Tcp(_) => {
                let socket = self.connections.between(generation, id, to)?;
                Some(Written { socket, local, destination: to, at: HEADROOM..HEADROOM + len })
            }
            Via::Socket => Some(Written { socket, local, destination: to, at: HEADROOM..HEADROOM + len }),
            Via::Relay(relay) => {
                let relay = self.relays.get(relay)?;
                let framing = relay.client.framing(to)?;
                let start = HEADROOM - framing.overhead();
                let framed = wrap(framing, buf, len).len();
                Some(Written { socket, local, destination: relay.server_addr, at: start..start + framed })
            }
        }
    }
}
