//! Requests: Binding for everybody, the methods of TURN for those who prove who they are. One handler each.

use std::net::IpAddr;

use super::Server;
use super::allocation::{Client, Full, Half, NotBound};
use super::auth::{Asker, Refusal};
use super::behavior;
use super::mobility::Ticket;
use super::reply::{Answer, Reply, Request};
use super::table::AllocationId;
use crate::stun::wire::{MAX_ATTRIBUTES, Plain, attr};
use crate::stun::{Attributes, Family, Message, Method, Verified, code};
use crate::time::Duration;

/// The comprehension-required attributes that a request may have. What is not in its place is ignored
/// (RFC 8489 §6.3.1).
const KNOWN: &[u16] = &[
    attr::USERNAME,
    attr::USERHASH,
    attr::REALM,
    attr::NONCE,
    attr::PASSWORD_ALGORITHM,
    attr::XOR_MAPPED_ADDRESS,
    attr::CHANNEL_NUMBER,
    attr::LIFETIME,
    attr::XOR_PEER_ADDRESS,
    attr::DATA,
    attr::XOR_RELAYED_ADDRESS,
    attr::REQUESTED_ADDRESS_FAMILY,
    attr::EVEN_PORT,
    attr::REQUESTED_TRANSPORT,
    attr::DONT_FRAGMENT,
    attr::RESERVATION_TOKEN,
];

impl Server {
    /// Binding: anybody gets to know their address (RFC 8489 §12).
    pub(super) fn handle_binding(&mut self, client: Client, plain: Plain<'_>) {
        let attributes = plain.attributes();
        let more = if self.has_alternate(client.socket) { behavior::KNOWN } else { &[] };
        let answer = unknown(&attributes, more).unwrap_or_else(|| self.discover(client.socket, &attributes));
        self.answer_unauthenticated(Request::of(client, plain.message()), answer);
    }

    /// A request of TURN: first who asks, then what.
    pub(super) fn handle_request(&mut self, client: Client, message: Message<'_>) {
        let request = Request::of(client, &message);
        if !self.gate.has_users() {
            return self.answer_unauthenticated(request, Answer::Error(code::FORBIDDEN));
        }
        match self.gate.check(self.now, client.source, message) {
            Err(Refusal::Challenge(code)) => self.answer_unauthenticated(request, Answer::Challenge(code)),
            Err(Refusal::BadRequest) => {
                self.answer_unauthenticated(request, Answer::Error(code::BAD_REQUEST));
            }
            Ok((verified, asker)) => {
                if let Some(answer) = self.serve(request, asker.clone(), &verified) {
                    self.push(Reply { request, asker: Some(asker), answer });
                }
            }
        }
    }

    /// The answer; `None` if it comes later.
    fn serve(&mut self, request: Request, asker: Asker, verified: &Verified<'_>) -> Option<Answer> {
        if let Some(answer) = unknown(&verified.attributes(), &[]) {
            return Some(answer);
        }
        if request.method == Method::ALLOCATE {
            return self.allocate(request, asker, verified);
        }
        let served = match verified.attributes().find(attr::MOBILITY_TICKET) {
            Some(ticket) if request.method == Method::REFRESH => self
                .move_client(&request, asker.user, ticket)
                .and_then(|(id, ticket)| self.refresh(id, Some(ticket), verified)),
            _ => self.serve_allocation(&request, &asker, verified),
        };
        Some(served.unwrap_or_else(Answer::Error))
    }

    /// A request for the allocation of its 5-tuple.
    fn serve_allocation(
        &mut self,
        request: &Request,
        asker: &Asker,
        verified: &Verified<'_>,
    ) -> Result<Answer, u16> {
        let client = request.client;
        let id = self.allocations.id_of(&client).ok_or(code::ALLOCATION_MISMATCH)?;
        if self.allocations.at(id).is_some_and(|allocation| allocation.user != asker.user) {
            return Err(code::WRONG_CREDENTIALS);
        }
        match request.method {
            Method::REFRESH => self.refresh(id, None, verified),
            Method::CREATE_PERMISSION => self.create_permission(client, verified),
            _ => self.channel_bind(client, verified),
        }
    }

    /// RFC 8656 §8.2: one family, or all that there are.
    fn refresh(
        &mut self,
        id: AllocationId,
        ticket: Option<Ticket>,
        verified: &Verified<'_>,
    ) -> Result<Answer, u16> {
        let attributes = verified.attributes();
        let allocation = self.allocations.at(id).ok_or(code::ALLOCATION_MISMATCH)?;
        let mut families: Vec<_> = allocation.halves.iter().map(Half::family).collect();
        if attributes.has(attr::REQUESTED_ADDRESS_FAMILY) {
            let requested = attributes.requested_address_family();
            families.retain(|family| Some(*family) == requested);
        }
        if families.is_empty() {
            return Err(code::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        let lifetime = match attributes.lifetime() {
            Some(Duration::ZERO) => Duration::ZERO,
            _ => self.granted_lifetime(&attributes),
        };
        for family in families {
            if lifetime.is_zero() {
                self.end_half(id, family);
            } else {
                self.allocations.prolong(id, family, self.now + lifetime);
            }
        }
        Ok(Answer::Refreshed { lifetime, ticket })
    }

    /// RFC 8656 §10.2: all the peers or none.
    fn create_permission(&mut self, client: Client, verified: &Verified<'_>) -> Result<Answer, u16> {
        let mut peers = [IpAddr::from([0; 4]); MAX_ATTRIBUTES];
        let mut count = 0;
        for (place, peer) in peers.iter_mut().zip(verified.attributes().peer_addresses()) {
            *place = peer.ok_or(code::BAD_REQUEST)?.ip();
            count += 1;
        }
        let peers = &peers[..count];
        if peers.is_empty() {
            return Err(code::BAD_REQUEST);
        }
        for peer in peers {
            self.check_family(client, *peer)?;
        }
        if !peers.iter().all(|peer| self.allows_peer(client, *peer)) {
            return Err(code::FORBIDDEN);
        }
        let allocation = self.allocations.get_mut(&client).ok_or(code::ALLOCATION_MISMATCH)?;
        allocation.permit(self.now, peers).map_err(|Full| code::INSUFFICIENT_CAPACITY)?;
        Ok(Answer::Done)
    }

    /// RFC 8656 §12.2.
    fn channel_bind(&mut self, client: Client, verified: &Verified<'_>) -> Result<Answer, u16> {
        let attributes = verified.attributes();
        let number = attributes.channel_number().ok_or(code::BAD_REQUEST)?;
        let peer = attributes.peer_address().filter(|peer| peer.port() != 0).ok_or(code::BAD_REQUEST)?;
        self.check_family(client, peer.ip())?;
        if !self.allows_peer(client, peer.ip()) {
            return Err(code::FORBIDDEN);
        }
        let allocation = self.allocations.get_mut(&client).ok_or(code::ALLOCATION_MISMATCH)?;
        allocation.bind(self.now, number, peer).map_err(|why| match why {
            NotBound::Conflict => code::BAD_REQUEST,
            NotBound::Full => code::INSUFFICIENT_CAPACITY,
        })?;
        Ok(Answer::Done)
    }

    /// A peer has to be of a family that the allocation has (RFC 8656 §10.1, §12.1).
    fn check_family(&self, client: Client, peer: IpAddr) -> Result<(), u16> {
        let allocation = self.allocations.get(&client).ok_or(code::ALLOCATION_MISMATCH)?;
        let half = allocation.half(Family::from(peer));
        half.map(|_| ()).ok_or(code::PEER_ADDRESS_FAMILY_MISMATCH)
    }

    /// Whether a client may have a permission for this peer. The server's own addresses are forbidden, but for
    /// the address of the relay sockets: which of its ports may be reached is asked for each datagram.
    fn allows_peer(&self, client: Client, peer: IpAddr) -> bool {
        let is_own = client.local == peer || self.own.contains(&peer);
        self.config
            .peers
            .ruled(peer)
            .unwrap_or_else(|| self.config.peers.allows(peer) && (!is_own || self.ports.is_relay(peer)))
    }
}

/// 420, if there is something that a request must not have unless it is understood (RFC 8489 §6.3.1).
fn unknown(attributes: &Attributes<'_>, more: &[u16]) -> Option<Answer> {
    let kinds: Vec<_> = attributes.unknown_required(KNOWN).filter(|kind| !more.contains(kind)).collect();
    (!kinds.is_empty()).then_some(Answer::Unknown(kinds))
}
