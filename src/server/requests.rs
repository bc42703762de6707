//! Requests: Binding for everybody, the methods of TURN for those who prove who they are. One handler each.

use std::net::IpAddr;

use super::Server;
use super::allocation::{Client, Full, NotBound};
use super::auth::{Asker, Refusal};
use super::reply::{Answer, Reply, Request};
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
        let answer = unknown(&plain.attributes()).unwrap_or(Answer::Mapped);
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
                if let Some(answer) = self.serve(request, asker, &verified) {
                    self.push(Reply { request, asker: Some(asker), answer });
                }
            }
        }
    }

    /// The answer; `None` if it comes later.
    fn serve(&mut self, request: Request, asker: Asker, verified: &Verified<'_>) -> Option<Answer> {
        if let Some(answer) = unknown(&verified.attributes()) {
            return Some(answer);
        }
        if request.method == Method::ALLOCATE {
            return self.allocate(request, asker, verified);
        }
        let client = request.client;
        let served = match self.allocations.get(&client) {
            None => Err(code::ALLOCATION_MISMATCH),
            Some(allocation) if allocation.user != asker.user => Err(code::WRONG_CREDENTIALS),
            Some(_) => match request.method {
                Method::REFRESH => self.refresh(client, verified),
                Method::CREATE_PERMISSION => self.create_permission(client, verified),
                _ => self.channel_bind(client, verified),
            },
        };
        Some(served.unwrap_or_else(Answer::Error))
    }

    /// RFC 8656 §8.2.
    fn refresh(&mut self, client: Client, verified: &Verified<'_>) -> Result<Answer, u16> {
        let attributes = verified.attributes();
        let family = self.family(client)?;
        if attributes.has(attr::REQUESTED_ADDRESS_FAMILY)
            && attributes.requested_address_family() != Some(family)
        {
            return Err(code::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        if attributes.lifetime() == Some(Duration::ZERO) {
            self.end(&client);
            return Ok(Answer::Refreshed(Duration::ZERO));
        }
        let lifetime = self.granted_lifetime(&attributes);
        self.allocations.prolong(client, self.now + lifetime);
        Ok(Answer::Refreshed(lifetime))
    }

    /// RFC 8656 §10.2: all the peers or none.
    fn create_permission(&mut self, client: Client, verified: &Verified<'_>) -> Result<Answer, u16> {
        let family = self.family(client)?;
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
        if peers.iter().any(|peer| Family::from(*peer) != family) {
            return Err(code::PEER_ADDRESS_FAMILY_MISMATCH);
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
        if Family::from(peer.ip()) != self.family(client)? {
            return Err(code::PEER_ADDRESS_FAMILY_MISMATCH);
        }
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

    fn family(&self, client: Client) -> Result<Family, u16> {
        let allocation = self.allocations.get(&client).ok_or(code::ALLOCATION_MISMATCH)?;
        Ok(allocation.relayed.ip().into())
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
fn unknown(attributes: &Attributes<'_>) -> Option<Answer> {
    let kinds: Vec<_> = attributes.unknown_required(KNOWN).collect();
    (!kinds.is_empty()).then_some(Answer::Unknown(kinds))
}
