//! Clients that move: MOBILITY-TICKET (RFC 8016).
//!
//! ```text
//!  Allocate, empty ticket ──▶ ticket 1
//!  Refresh from elsewhere, ticket 1 ──▶ ticket 2; data still goes to the old place
//!  Send or ChannelData from there, or the old connection ends ──▶ data goes to the new place, ticket 1 is forgotten
//! ```
//!
//! A ticket is 128 random bits, which say nothing, and their tag under a secret of the server, so that a ticket that
//! somebody made up (400) is told from one whose allocation has ended (437). There is nothing in it to encrypt. With it
//! alone nobody gets an allocation: the Refresh has to come from the same user (RFC 8016 §5).

use base64ct::{Base64, Encoding as _};

use super::Server;
use super::allocation::Client;
use super::auth::UserId;
use super::reply::Request;
use super::table::AllocationId;
use crate::stun::auth::Seal;
use crate::stun::wire::attr;
use crate::stun::{Attributes, TransactionId, code};
use crate::time::{Duration, Instant};

/// How long an old ticket is known again in a retransmission (RFC 8016 §3.2.2).
const MEMORY: Duration = Duration::from_secs(30);

/// What a ticket says: it finds an allocation, and is not to be guessed.
pub(super) type Handle = [u8; 16];

/// A MOBILITY-TICKET: a handle and its tag in base64, since there are clients that take tickets for text and end them at
/// the first zero.
pub(super) type Ticket = [u8; 32];

/// Whether the client of an Allocate gets a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticketing {
    Wanted,
    Unwanted,
}

/// The tickets of an allocation, and where its client moves to.
#[derive(Debug)]
pub(super) struct Mobility {
    pub(super) ticket: Ticket,
    handle: Handle,
    last: Option<Move>,
}

/// The last move.
#[derive(Debug)]
struct Move {
    /// The ticket that it used up.
    handle: Handle,
    to: Client,
    id: TransactionId,
    at: Instant,
    /// Until the client sends from there, its data goes to the old place.
    is_pending: bool,
}

impl Mobility {
    /// Where the client moves to, but has not yet sent from.
    pub(super) fn next(&self) -> Option<&Client> {
        self.last.as_ref().filter(|last| last.is_pending).map(|last| &last.to)
    }

    /// All handles that find the allocation.
    pub(super) fn handles(&self) -> impl Iterator<Item = &Handle> {
        std::iter::once(&self.handle).chain(self.last.as_ref().map(|last| &last.handle))
    }
}

impl Server {
    /// RFC 8016 §3.1.2: whether an Allocate wants a ticket, or why it gets none.
    pub(super) fn ticketing(&self, attributes: &Attributes<'_>) -> Result<Ticketing, u16> {
        match attributes.find(attr::MOBILITY_TICKET) {
            None => Ok(Ticketing::Unwanted),
            Some(value) if !value.is_empty() => Err(code::BAD_REQUEST),
            Some(_) if !self.config.mobility => Err(code::MOBILITY_FORBIDDEN),
            Some(_) => Ok(Ticketing::Wanted),
        }
    }

    /// Gives an allocation its first ticket.
    pub(super) fn give_ticket(&mut self, id: AllocationId) -> Option<Ticket> {
        let (handle, ticket) = self.new_ticket();
        self.allocations.at_mut(id)?.mobility = Some(Mobility { ticket, handle, last: None });
        self.allocations.add_ticket(handle, id);
        Some(ticket)
    }

    fn new_ticket(&mut self) -> (Handle, Ticket) {
        let mut handle = Handle::default();
        self.rng.fill(&mut handle);
        let mut raw = [0; 24];
        raw[..16].copy_from_slice(&handle);
        raw[16..].copy_from_slice(&self.ticket_seal.tag(&handle).to_be_bytes());
        let mut ticket = Ticket::default();
        // 24 bytes are 32 characters.
        let _ = Base64::encode(&raw, &mut ticket);
        (handle, ticket)
    }

    /// A Refresh with a ticket (RFC 8016 §3.2.2): the allocation that it finds, which the client has moved to here, and
    /// its ticket from now on.
    pub(super) fn move_client(
        &mut self,
        request: &Request,
        user: UserId,
        ticket: &[u8],
    ) -> Result<(AllocationId, Ticket), u16> {
        if !self.config.mobility {
            return Err(code::MOBILITY_FORBIDDEN);
        }
        let handle = open(&self.ticket_seal, ticket).ok_or(code::BAD_REQUEST)?;
        let id = self.allocations.of_ticket(&handle).ok_or(code::ALLOCATION_MISMATCH)?;
        let client = request.client;
        let found = self.allocations.at(id).ok_or(code::ALLOCATION_MISMATCH)?;
        let mobility = found.mobility.as_ref().ok_or(code::ALLOCATION_MISMATCH)?;
        if found.user != user {
            return Err(code::WRONG_CREDENTIALS);
        }
        if handle != mobility.handle {
            // An old ticket is good for the retransmissions of the request that used it up.
            let repeats = |last: &Move| {
                (last.to, last.id) == (client, request.id)
                    && self.now.saturating_duration_since(last.at) < MEMORY
            };
            let is_known = mobility.last.as_ref().is_some_and(repeats);
            return if is_known { Ok((id, mobility.ticket)) } else { Err(code::BAD_REQUEST) };
        }
        let is_here = match mobility.next() {
            Some(next) => *next == client,
            None => found.client == Some(client),
        };
        if is_here {
            return Err(code::BAD_REQUEST);
        }
        if self.allocations.id_of(&client).is_some_and(|other| other != id)
            || self.openings.is_opening(&client)
        {
            return Err(code::ALLOCATION_MISMATCH);
        }
        self.start_move(id, handle, request).ok_or(code::ALLOCATION_MISMATCH)
    }

    /// The client may send from here from now on.
    fn start_move(
        &mut self,
        id: AllocationId,
        old: Handle,
        request: &Request,
    ) -> Option<(AllocationId, Ticket)> {
        let (handle, ticket) = self.new_ticket();
        let client = request.client;
        let allocation = self.allocations.at_mut(id)?;
        let home = allocation.client;
        let mobility = allocation.mobility.as_mut()?;
        // Who comes back to the old place has left the one between.
        let given_up = mobility.next().copied().filter(|next| *next != client);
        let is_pending = home.is_some_and(|home| home != client);
        let moved = Move { handle: old, to: client, id: request.id, at: self.now, is_pending };
        let forgotten = mobility.last.replace(moved).map(|last| last.handle);
        (mobility.handle, mobility.ticket) = (handle, ticket);
        allocation.client = home.or(Some(client));
        if let Some(forgotten) = forgotten {
            self.allocations.remove_ticket(&forgotten);
        }
        if let Some(given_up) = given_up {
            self.leave(&given_up);
        }
        self.allocations.add_ticket(handle, id);
        self.allocations.add_client(client, id);
        self.connections.set_end(client.socket, None);
        self.stats.moves += 1;
        Some((id, ticket))
    }

    /// The client has sent data from where it moved to, or its old connection is gone: from now on data goes there.
    pub(super) fn finish_move(&mut self, id: AllocationId) {
        let Some(allocation) = self.allocations.at_mut(id) else { return };
        let Some(last) = allocation.mobility.as_mut().and_then(|mobility| mobility.last.as_mut()) else {
            return;
        };
        if !last.is_pending {
            return;
        }
        last.is_pending = false;
        if let Some(left) = allocation.client.replace(last.to) {
            self.leave(&left);
        }
    }

    /// Whether data from this client is the first from where it moved to.
    pub(super) fn arrives(&self, client: &Client, id: AllocationId) -> bool {
        let mobility = self.allocations.at(id).and_then(|allocation| allocation.mobility.as_ref());
        mobility.and_then(Mobility::next) == Some(client)
    }

    /// A client is not there any more; its connection, if it is one, has no allocation any more.
    fn leave(&mut self, client: &Client) {
        self.allocations.remove_client(client);
        self.connections.set_end(client.socket, Some(self.now + self.config.idle_timeout));
    }

    /// The connection of a client is gone: so is its allocation, unless the client can come back with its ticket, or
    /// has gone on already.
    pub(super) fn lose_client(&mut self, client: &Client) {
        let Some(id) = self.allocations.id_of(client) else { return };
        let Some(allocation) = self.allocations.at_mut(id) else { return };
        let Some(mobility) = &mut allocation.mobility else { return self.end(id) };
        if mobility.next() == Some(client) {
            // It never came: the old place is the place, and the ticket is the newest still.
            if let Some(last) = &mut mobility.last {
                last.is_pending = false;
            }
        } else if mobility.next().is_some() {
            return self.finish_move(id);
        } else {
            allocation.client = None;
        }
        self.allocations.remove_client(client);
    }
}

/// The handle of a ticket that this server has made.
fn open(seal: &Seal, ticket: &[u8]) -> Option<Handle> {
    let mut raw = [0; 24];
    let raw = Base64::decode(ticket, &mut raw).ok()?;
    let (handle, tag) = raw.split_first_chunk::<16>()?;
    seal.fits(handle, u64::from_be_bytes(tag.try_into().ok()?)).then_some(*handle)
}
