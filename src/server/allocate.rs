//! Allocate (RFC 8656 §7.2): checks, a relay socket from the driver, the answer when it is open.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Server;
use super::allocation::{Allocation, Client, Half, Origin};
use super::auth::Asker;
use super::config::DEFAULT_LIFETIME;
use super::event::{Open, OpenId};
use super::mobility::{Mobility, Ticketing};
use super::peers::is_tunnel;
use super::ports::{Place, Token};
use super::reply::{Answer, Granted, Reply, Request};
use super::table::AllocationId;
use crate::io::SocketId;
use crate::stun::codec::{EvenPort, PROTOCOL_UDP};
use crate::stun::wire::attr;
use crate::stun::{Attributes, Family, TransactionId, Verified, code};
use crate::time::{Duration, Instant};

/// How long the answer to an Allocate is remembered for its retransmissions (RFC 8489 §6.3.1).
const MEMORY: Duration = Duration::from_secs(40);
/// Ports that are tried for one allocation.
const MAX_TRIES: u32 = 8;

/// An allocation whose relay socket the driver is opening.
#[derive(Debug)]
pub(super) struct Opening {
    request: Request,
    asker: Asker,
    wish: Wish,
    /// What is being opened.
    place: Place,
    local: SocketAddr,
    tries: u32,
    /// What was opened before, of a dual request.
    first: Option<(SocketId, SocketAddr)>,
}

/// What an Allocate asks for, after the checks.
#[derive(Debug, Clone, Copy)]
struct Wish {
    place: Place,
    /// Of a dual request, the IPv6 half, which comes after the other.
    then: Option<Place>,
    lifetime: Duration,
    lacks: Option<(Family, u16)>,
    ticket: Ticketing,
}

/// The relay sockets that are being opened.
#[derive(Debug, Default)]
pub(super) struct Openings {
    by_id: BTreeMap<OpenId, Opening>,
    by_client: BTreeMap<Client, (OpenId, TransactionId)>,
    next: u64,
}

impl Openings {
    fn insert(&mut self, opening: Opening) -> Open {
        let request = OpenId(self.next);
        self.next += 1;
        let open = Open { request, local: opening.local };
        self.by_client.insert(opening.request.client, (request, opening.request.id));
        self.by_id.insert(request, opening);
        open
    }

    fn remove(&mut self, id: OpenId) -> Option<Opening> {
        let opening = self.by_id.remove(&id)?;
        self.by_client.remove(&opening.request.client);
        Some(opening)
    }

    /// Whether an allocation of this client is under way.
    pub(super) fn is_opening(&self, client: &Client) -> bool {
        self.by_client.contains_key(client)
    }
}

impl Server {
    /// The answer to an Allocate; `None` while the relay socket is being opened.
    pub(super) fn allocate(
        &mut self,
        request: Request,
        asker: Asker,
        verified: &Verified<'_>,
    ) -> Option<Answer> {
        match self.check_allocate(&request, &asker, verified) {
            Ok(Some(wish)) => {
                self.allocations.take_slot(asker.user);
                self.open(request, asker, wish, wish.place, None)
            }
            Ok(None) => None,
            Err(answer) => Some(answer),
        }
    }

    /// The checks of RFC 8656 §7.2 in their order. `None` for a retransmission whose answer is under way.
    fn check_allocate(
        &self,
        request: &Request,
        asker: &Asker,
        verified: &Verified<'_>,
    ) -> Result<Option<Wish>, Answer> {
        let attributes = verified.attributes();
        if let Some(allocation) = self.allocations.get(&request.client) {
            let Origin { id, at, granted } = allocation.origin;
            let is_repeated = id == request.id && self.now.saturating_duration_since(at) < MEMORY;
            return Err(if is_repeated && allocation.user == asker.user {
                let ticket = allocation.mobility.as_ref().map(|mobility| mobility.ticket);
                Answer::Allocated { relayed: allocation.relayed(), granted, ticket }
            } else {
                Answer::Error(code::ALLOCATION_MISMATCH)
            });
        }
        if let Some((_, id)) = self.openings.by_client.get(&request.client) {
            return if *id == request.id { Ok(None) } else { Err(Answer::Error(code::ALLOCATION_MISMATCH)) };
        }
        let source = request.client.source.ip();
        if let Some(server) = self.config.redirects.get(&Family::from(source)) {
            return Err(Answer::Redirect(*server));
        }
        if is_tunnel(source) {
            return Err(Answer::Error(code::FORBIDDEN));
        }
        match attributes.requested_transport() {
            Some(PROTOCOL_UDP) => {}
            Some(_) => return Err(Answer::Error(code::UNSUPPORTED_TRANSPORT)),
            None => return Err(Answer::Error(code::BAD_REQUEST)),
        }
        if attributes.has_dont_fragment() {
            return Err(Answer::Unknown(vec![attr::DONT_FRAGMENT]));
        }
        let ticket = self.ticketing(&attributes).map_err(Answer::Error)?;
        let wish = Wish { ticket, ..self.wish(&attributes).map_err(Answer::Error)? };
        let (of_user, of_all) = self.allocations.taken(asker.user);
        if of_user >= self.config.quota {
            return Err(Answer::Error(code::ALLOCATION_QUOTA_REACHED));
        }
        if of_all >= self.config.max_allocations {
            return Err(Answer::Error(code::INSUFFICIENT_CAPACITY));
        }
        Ok(Some(wish))
    }

    /// Ports, families and lifetime (RFC 8656 §7.2, checks 5 to 9).
    fn wish(&self, attributes: &Attributes<'_>) -> Result<Wish, u16> {
        let requested = attributes.has(attr::REQUESTED_ADDRESS_FAMILY);
        let additional = attributes.has(attr::ADDITIONAL_ADDRESS_FAMILY);
        let lifetime = self.granted_lifetime(attributes);
        let one = |place| Wish { place, then: None, lifetime, lacks: None, ticket: Ticketing::Unwanted };
        if attributes.has(attr::RESERVATION_TOKEN) {
            if requested || additional || attributes.has(attr::EVEN_PORT) {
                return Err(code::BAD_REQUEST);
            }
            let token =
                attributes.reservation_token().map(Token).filter(|token| self.ports.is_reserved(*token));
            return Ok(one(Place::Reserved(token.ok_or(code::INSUFFICIENT_CAPACITY)?)));
        }
        if requested && additional {
            return Err(code::BAD_REQUEST);
        }
        let family = match attributes.requested_address_family() {
            None if requested => return Err(code::ADDRESS_FAMILY_NOT_SUPPORTED),
            family => family.unwrap_or(Family::V4),
        };
        let even = match attributes.even_port() {
            None if attributes.has(attr::EVEN_PORT) => return Err(code::BAD_REQUEST),
            Some(EvenPort::EvenAndNext) if additional => return Err(code::BAD_REQUEST),
            even => even,
        };
        let place = |ip| match even {
            Some(EvenPort::EvenAndNext) => Place::EvenAndNext(ip),
            Some(EvenPort::Even) => Place::Even(ip),
            None => Place::Any(ip),
        };
        let of = |family| self.ports.relay_of(family).map(place);
        if !additional {
            return of(family).map(one).ok_or(code::ADDRESS_FAMILY_NOT_SUPPORTED);
        }
        if attributes.additional_address_family() != Some(Family::V6) {
            return Err(code::BAD_REQUEST);
        }
        let lacks = |family| Some((family, code::ADDRESS_FAMILY_NOT_SUPPORTED));
        match (of(Family::V4), of(Family::V6)) {
            (Some(v4), then @ Some(_)) => Ok(Wish { then, ..one(v4) }),
            (Some(v4), None) => Ok(Wish { lacks: lacks(Family::V6), ..one(v4) }),
            (None, Some(v6)) => Ok(Wish { lacks: lacks(Family::V4), ..one(v6) }),
            (None, None) => Err(code::ADDRESS_FAMILY_NOT_SUPPORTED),
        }
    }

    /// RFC 8656 §7.2: the requested lifetime up to the maximum, never below the default.
    pub(super) fn granted_lifetime(&self, attributes: &Attributes<'_>) -> Duration {
        let requested = attributes.lifetime().unwrap_or(DEFAULT_LIFETIME);
        requested.min(self.config.max_lifetime).max(DEFAULT_LIFETIME)
    }

    /// Asks the driver for a relay socket.
    fn open(
        &mut self,
        request: Request,
        asker: Asker,
        wish: Wish,
        place: Place,
        first: Option<(SocketId, SocketAddr)>,
    ) -> Option<Answer> {
        match self.ports.draw(&mut self.rng, place) {
            Some(local) => {
                self.open_at(Opening { request, asker, wish, place, local, tries: 1, first });
                None
            }
            None => self.lack(request, asker, wish, first),
        }
    }

    fn open_at(&mut self, opening: Opening) {
        let open = self.openings.insert(opening);
        self.opens.push_back(open);
    }

    /// There is no port for what was to be opened. The other half of a dual request may be had still
    /// (RFC 8656 §7.2).
    fn lack(
        &mut self,
        request: Request,
        asker: Asker,
        mut wish: Wish,
        first: Option<(SocketId, SocketAddr)>,
    ) -> Option<Answer> {
        let lacks = |family| Some((family, code::INSUFFICIENT_CAPACITY));
        match (first, wish.then.take()) {
            (Some(opened), _) => {
                wish.lacks = lacks(Family::V6);
                self.allocated(request, asker, wish, &[opened], None);
                None
            }
            (None, Some(then)) => {
                wish.lacks = lacks(Family::V4);
                self.open(request, asker, wish, then, None)
            }
            (None, None) => {
                self.allocations.free_slot(asker.user);
                Some(Answer::Error(code::INSUFFICIENT_CAPACITY))
            }
        }
    }

    /// The driver opened a relay socket.
    pub(super) fn opened(&mut self, now: Instant, id: OpenId, relay: SocketId, local: SocketAddr) {
        let Some(opening) = self.openings.remove(id) else {
            self.closes.push_back(relay);
            return;
        };
        let Opening { request, asker, mut wish, place, first, .. } = opening;
        let mut token = None;
        if local != opening.local {
            self.ports.give_back(place, opening.local);
            self.ports.take(local);
        } else if let Place::EvenAndNext(_) = place {
            let drawn = Token(self.rng.between(0, u64::MAX));
            self.ports.reserve_next(now, drawn, local);
            token = Some(drawn);
        }
        match (first, wish.then) {
            (Some(first), _) => self.allocated(request, asker, wish, &[first, (relay, local)], token),
            (None, None) => self.allocated(request, asker, wish, &[(relay, local)], token),
            (None, Some(then)) => {
                wish.then = None;
                if let Some(answer) = self.open(request, asker.clone(), wish, then, Some((relay, local))) {
                    self.push(Reply { request, asker: Some(asker), answer });
                }
            }
        }
    }

    /// All relay sockets are there.
    fn allocated(
        &mut self,
        request: Request,
        asker: Asker,
        wish: Wish,
        sockets: &[(SocketId, SocketAddr)],
        token: Option<Token>,
    ) {
        let granted = Granted { lifetime: wish.lifetime, lacks: wish.lacks, token };
        let origin = Origin { id: request.id, at: self.now, granted };
        let indication = TransactionId(self.rng.transaction_id());
        let expires = self.now + wish.lifetime;
        let half =
            |(relay, relayed): &(SocketId, SocketAddr)| Half { relay: *relay, relayed: *relayed, expires };
        let halves: Vec<_> = sockets.iter().map(half).collect();
        let relayed = halves.iter().map(|half| half.relayed).collect();
        let allocation = Allocation::new(asker.user, origin, request.client, halves, indication);
        let id = self.allocations.insert(request.client, allocation);
        let ticket = match wish.ticket {
            Ticketing::Wanted => self.give_ticket(id),
            Ticketing::Unwanted => None,
        };
        self.connections.set_end(request.client.socket, None);
        self.stats.allocations_made += 1;
        let answer = Answer::Allocated { relayed, granted, ticket };
        self.push(Reply { request, asker: Some(asker), answer });
    }

    /// The driver could not open it: another port, a bounded number of times.
    pub(super) fn open_failed(&mut self, id: OpenId) {
        let Some(mut opening) = self.openings.remove(id) else { return };
        self.ports.give_back(opening.place, opening.local);
        let local = (opening.tries < MAX_TRIES).then(|| self.ports.draw(&mut self.rng, opening.place));
        if let Some(local) = local.flatten() {
            opening.tries += 1;
            opening.local = local;
            return self.open_at(opening);
        }
        let Opening { request, asker, wish, first, .. } = opening;
        if let Some(answer) = self.lack(request, asker.clone(), wish, first) {
            self.push(Reply { request, asker: Some(asker), answer });
        }
    }

    /// Forgets what is being opened for this client, who is gone: the driver is told to close it when it comes.
    pub(super) fn abandon_opening(&mut self, client: &Client) {
        if let Some((id, _)) = self.openings.by_client.get(client).copied() {
            self.abandon(id);
        }
    }

    /// Forgets all that is being opened.
    pub(super) fn abandon_openings(&mut self) {
        while let Some(id) = self.openings.by_id.keys().next().copied() {
            self.abandon(id);
        }
    }

    fn abandon(&mut self, id: OpenId) {
        let Some(opening) = self.openings.remove(id) else { return };
        self.ports.give_back(opening.place, opening.local);
        if let Some((relay, local)) = opening.first {
            self.ports.free(local);
            self.closes.push_back(relay);
        }
        self.allocations.free_slot(opening.asker.user);
    }

    /// Ends an allocation, and with it its relay sockets.
    pub(super) fn end(&mut self, id: AllocationId) {
        for family in [Family::V4, Family::V6] {
            self.end_half(id, family);
        }
    }

    /// Ends one family of an allocation, and the allocation with its last one.
    pub(super) fn end_half(&mut self, id: AllocationId, family: Family) {
        let Some(half) = self.allocations.take_half(id, family) else { return };
        self.ports.free(half.relayed);
        self.closes.push_back(half.relay);
        if self.allocations.at(id).is_none_or(|allocation| !allocation.halves.is_empty()) {
            return;
        }
        let Some(allocation) = self.allocations.remove(id) else { return };
        let next = allocation.mobility.as_ref().and_then(Mobility::next);
        for client in allocation.client.iter().chain(next) {
            self.connections.set_end(client.socket, Some(self.now + self.config.idle_timeout));
        }
    }
}
