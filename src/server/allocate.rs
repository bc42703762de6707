//! Allocate (RFC 8656 §7.2): checks, a relay socket from the driver, the answer when it is open.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Server;
use super::allocation::{Allocation, Client, Origin};
use super::auth::Asker;
use super::config::DEFAULT_LIFETIME;
use super::event::{Open, OpenId};
use super::peers::is_tunnel;
use super::ports::{Place, Token};
use super::reply::{Answer, Granted, Reply, Request};
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
    local: SocketAddr,
    tries: u32,
}

/// What an Allocate asks for, after the checks.
#[derive(Debug, Clone, Copy)]
struct Wish {
    place: Place,
    lifetime: Duration,
    lacks: Option<(Family, u16)>,
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
}

impl Server {
    /// The answer to an Allocate; `None` while the relay socket is being opened.
    pub(super) fn allocate(
        &mut self,
        request: Request,
        asker: Asker,
        verified: &Verified<'_>,
    ) -> Option<Answer> {
        match self.check_allocate(request, asker, verified) {
            Ok(Some(wish)) => {
                self.allocations.take_slot(asker.user);
                self.open(request, asker, wish, 0)
            }
            Ok(None) => None,
            Err(answer) => Some(answer),
        }
    }

    /// The checks of RFC 8656 §7.2 in their order. `None` for a retransmission whose answer is under way.
    fn check_allocate(
        &self,
        request: Request,
        asker: Asker,
        verified: &Verified<'_>,
    ) -> Result<Option<Wish>, Answer> {
        let attributes = verified.attributes();
        if let Some(allocation) = self.allocations.get(&request.client) {
            let Origin { id, at, granted } = allocation.origin;
            let is_repeated = id == request.id && self.now.saturating_duration_since(at) < MEMORY;
            return Err(if is_repeated && allocation.user == asker.user {
                Answer::Allocated { relayed: allocation.relayed, granted }
            } else {
                Answer::Error(code::ALLOCATION_MISMATCH)
            });
        }
        if let Some((_, id)) = self.openings.by_client.get(&request.client) {
            return if *id == request.id { Ok(None) } else { Err(Answer::Error(code::ALLOCATION_MISMATCH)) };
        }
        if is_tunnel(request.client.source.ip()) {
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
        let wish = self.wish(&attributes).map_err(Answer::Error)?;
        let (of_user, of_all) = self.allocations.taken(asker.user);
        if of_user >= self.config.quota {
            return Err(Answer::Error(code::ALLOCATION_QUOTA_REACHED));
        }
        if of_all >= self.config.max_allocations {
            return Err(Answer::Error(code::INSUFFICIENT_CAPACITY));
        }
        Ok(Some(wish))
    }

    /// Ports, families and lifetime (RFC 8656 §7.2, checks 5 to 9). An allocation has one relayed address, so a dual
    /// request gets the IPv4 half.
    fn wish(&self, attributes: &Attributes<'_>) -> Result<Wish, u16> {
        let requested = attributes.has(attr::REQUESTED_ADDRESS_FAMILY);
        let additional = attributes.has(attr::ADDITIONAL_ADDRESS_FAMILY);
        let lifetime = self.granted_lifetime(attributes);
        if attributes.has(attr::RESERVATION_TOKEN) {
            if requested || additional || attributes.has(attr::EVEN_PORT) {
                return Err(code::BAD_REQUEST);
            }
            let token =
                attributes.reservation_token().map(Token).filter(|token| self.ports.is_reserved(*token));
            let place = Place::Reserved(token.ok_or(code::INSUFFICIENT_CAPACITY)?);
            return Ok(Wish { place, lifetime, lacks: None });
        }
        if requested && additional {
            return Err(code::BAD_REQUEST);
        }
        let family = match attributes.requested_address_family() {
            None if requested => return Err(code::ADDRESS_FAMILY_NOT_SUPPORTED),
            family => family.unwrap_or(Family::V4),
        };
        let ip = self.ports.relay_of(family).ok_or(code::ADDRESS_FAMILY_NOT_SUPPORTED)?;
        let place = match attributes.even_port() {
            Some(EvenPort::EvenAndNext) if additional => return Err(code::BAD_REQUEST),
            Some(EvenPort::EvenAndNext) => Place::EvenAndNext(ip),
            Some(EvenPort::Even) => Place::Even(ip),
            None if attributes.has(attr::EVEN_PORT) => return Err(code::BAD_REQUEST),
            None => Place::Any(ip),
        };
        let lacks = match attributes.additional_address_family() {
            Some(Family::V6) if self.ports.relay_of(Family::V6).is_some() => {
                Some((Family::V6, code::INSUFFICIENT_CAPACITY))
            }
            Some(Family::V6) => Some((Family::V6, code::ADDRESS_FAMILY_NOT_SUPPORTED)),
            None if !additional => None,
            _ => return Err(code::BAD_REQUEST),
        };
        Ok(Wish { place, lifetime, lacks })
    }

    /// RFC 8656 §7.2: the requested lifetime up to the maximum, never below the default.
    pub(super) fn granted_lifetime(&self, attributes: &Attributes<'_>) -> Duration {
        let requested = attributes.lifetime().unwrap_or(DEFAULT_LIFETIME);
        requested.min(self.config.max_lifetime).max(DEFAULT_LIFETIME)
    }

    /// Asks the driver for a relay socket.
    fn open(&mut self, request: Request, asker: Asker, wish: Wish, tries: u32) -> Option<Answer> {
        let local = (tries < MAX_TRIES).then(|| self.ports.draw(&mut self.rng, wish.place));
        let Some(local) = local.flatten() else {
            self.allocations.free_slot(asker.user);
            return Some(Answer::Error(code::INSUFFICIENT_CAPACITY));
        };
        let open = self.openings.insert(Opening { request, asker, wish, local, tries: tries + 1 });
        self.opens.push_back(open);
        None
    }

    /// The driver opened a relay socket.
    pub(super) fn opened(&mut self, now: Instant, id: OpenId, relay: SocketId, local: SocketAddr) {
        let Some(opening) = self.openings.remove(id) else {
            self.closes.push_back(relay);
            return;
        };
        let Opening { request, asker, wish, .. } = opening;
        let mut token = None;
        if local != opening.local {
            self.ports.give_back(wish.place, opening.local);
            self.ports.take(local);
        } else if let Place::EvenAndNext(_) = wish.place {
            let drawn = Token(self.rng.between(0, u64::MAX));
            self.ports.reserve_next(now, drawn, local);
            token = Some(drawn);
        }
        let granted = Granted { lifetime: wish.lifetime, lacks: wish.lacks, token };
        let origin = Origin { id: request.id, at: now, granted };
        let indication = TransactionId(self.rng.transaction_id());
        let allocation = Allocation::new(asker.user, origin, relay, local, indication);
        self.allocations.insert(request.client, allocation);
        self.connections.set_end(request.client.socket, None);
        self.stats.allocations_made += 1;
        self.push(Reply {
            request,
            asker: Some(asker),
            answer: Answer::Allocated { relayed: local, granted },
        });
    }

    /// The driver could not open it: another port, a bounded number of times.
    pub(super) fn open_failed(&mut self, id: OpenId) {
        let Some(opening) = self.openings.remove(id) else { return };
        let Opening { request, asker, wish, local, tries } = opening;
        self.ports.give_back(wish.place, local);
        if let Some(answer) = self.open(request, asker, wish, tries) {
            self.push(Reply { request, asker: Some(asker), answer });
        }
    }

    /// Forgets what is being opened for this client, who is gone.
    pub(super) fn abandon_opening(&mut self, client: &Client) {
        let Some((id, _)) = self.openings.by_client.get(client).copied() else { return };
        if let Some(opening) = self.openings.remove(id) {
            self.ports.give_back(opening.wish.place, opening.local);
            self.allocations.free_slot(opening.asker.user);
        }
    }

    /// Forgets what is being opened: the driver is told to close it when it comes.
    pub(super) fn abandon_openings(&mut self) {
        for opening in std::mem::take(&mut self.openings.by_id).into_values() {
            self.ports.give_back(opening.wish.place, opening.local);
            self.allocations.free_slot(opening.asker.user);
        }
        self.openings.by_client.clear();
    }

    /// Ends an allocation, and with it its relay socket.
    pub(super) fn end(&mut self, client: &Client) {
        if let Some(allocation) = self.allocations.remove(client) {
            self.ports.free(allocation.relayed);
            self.closes.push_back(allocation.relay);
            self.connections.set_end(client.socket, Some(self.now + self.config.idle_timeout));
        }
    }
}
