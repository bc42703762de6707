//! All allocations, found by client, by relay socket and by ticket, in the order of their end.

use std::collections::{BTreeMap, BTreeSet};

use super::allocation::{Allocation, Client, Half};
use super::auth::UserId;
use super::mobility::{Handle, Mobility};
use crate::io::SocketId;
use crate::stun::Family;
use crate::time::Instant;

/// The place of an allocation in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AllocationId(usize);

/// The allocations of a server, and the slots they take, also while their relay socket is being opened.
#[derive(Debug, Default)]
pub(super) struct Table {
    places: Vec<Option<Allocation>>,
    free: Vec<AllocationId>,
    /// A client that moves has two (RFC 8016 §3.2.2).
    by_client: BTreeMap<Client, AllocationId>,
    by_relay: BTreeMap<SocketId, AllocationId>,
    by_ticket: BTreeMap<Handle, AllocationId>,
    ends: BTreeSet<(Instant, AllocationId, Family)>,
    slots: BTreeMap<UserId, usize>,
    taken: usize,
}

impl Table {
    /// Slots that are taken, of this user and of all.
    pub(super) fn taken(&self, user: UserId) -> (usize, usize) {
        (self.slots.get(&user).copied().unwrap_or(0), self.taken)
    }

    /// Takes a slot for an allocation to come.
    pub(super) fn take_slot(&mut self, user: UserId) {
        *self.slots.entry(user).or_default() += 1;
        self.taken += 1;
    }

    /// Gives a slot back.
    pub(super) fn free_slot(&mut self, user: UserId) {
        if let Some(slots) = self.slots.get_mut(&user) {
            *slots -= 1;
            self.taken -= 1;
            if *slots == 0 {
                self.slots.remove(&user);
            }
        }
    }

    /// Adds an allocation, whose slot was taken before.
    pub(super) fn insert(&mut self, client: Client, allocation: Allocation) -> AllocationId {
        let id = self.free.pop().unwrap_or(AllocationId(self.places.len()));
        for half in &allocation.halves {
            self.by_relay.insert(half.relay, id);
            self.ends.insert((half.expires, id, half.family()));
        }
        self.by_client.insert(client, id);
        match self.places.get_mut(id.0) {
            Some(place) => *place = Some(allocation),
            None => self.places.push(Some(allocation)),
        }
        id
    }

    pub(super) fn id_of(&self, client: &Client) -> Option<AllocationId> {
        self.by_client.get(client).copied()
    }

    /// Whose relay socket this is.
    pub(super) fn of_relay(&self, relay: SocketId) -> Option<AllocationId> {
        self.by_relay.get(&relay).copied()
    }

    pub(super) fn of_ticket(&self, handle: &Handle) -> Option<AllocationId> {
        self.by_ticket.get(handle).copied()
    }

    pub(super) fn at(&self, id: AllocationId) -> Option<&Allocation> {
        self.places.get(id.0)?.as_ref()
    }

    pub(super) fn at_mut(&mut self, id: AllocationId) -> Option<&mut Allocation> {
        self.places.get_mut(id.0)?.as_mut()
    }

    pub(super) fn get(&self, client: &Client) -> Option<&Allocation> {
        self.at(self.id_of(client)?)
    }

    pub(super) fn get_mut(&mut self, client: &Client) -> Option<&mut Allocation> {
        self.at_mut(self.id_of(client)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (AllocationId, &Allocation)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((AllocationId(at), place.as_ref()?)))
    }

    /// Moves the end of one family.
    pub(super) fn prolong(&mut self, id: AllocationId, family: Family, expires: Instant) {
        let Some(allocation) = self.places.get_mut(id.0).and_then(Option::as_mut) else { return };
        for half in allocation.halves.iter_mut().filter(|half| half.family() == family) {
            self.ends.remove(&(half.expires, id, family));
            self.ends.insert((expires, id, family));
            half.expires = expires;
        }
    }

    /// Another client has this allocation, too.
    pub(super) fn add_client(&mut self, client: Client, id: AllocationId) {
        self.by_client.insert(client, id);
    }

    pub(super) fn remove_client(&mut self, client: &Client) {
        self.by_client.remove(client);
    }

    pub(super) fn add_ticket(&mut self, handle: Handle, id: AllocationId) {
        self.by_ticket.insert(handle, id);
    }

    pub(super) fn remove_ticket(&mut self, handle: &Handle) {
        self.by_ticket.remove(handle);
    }

    /// Takes one family out.
    pub(super) fn take_half(&mut self, id: AllocationId, family: Family) -> Option<Half> {
        let half = self.at_mut(id)?.take_half(family)?;
        self.by_relay.remove(&half.relay);
        self.ends.remove(&(half.expires, id, family));
        Some(half)
    }

    /// Takes an allocation out that has no relayed address any more, and gives its slot back.
    pub(super) fn remove(&mut self, id: AllocationId) -> Option<Allocation> {
        let allocation = self.places.get_mut(id.0)?.take()?;
        self.free.push(id);
        let mobility = allocation.mobility.as_ref();
        for client in allocation.client.iter().chain(mobility.and_then(Mobility::next)) {
            self.by_client.remove(client);
        }
        for handle in mobility.into_iter().flat_map(Mobility::handles) {
            self.by_ticket.remove(handle);
        }
        self.free_slot(allocation.user);
        Some(allocation)
    }

    /// When the next relayed address ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ends.first().map(|(at, ..)| *at)
    }

    /// A relayed address that has ended.
    pub(super) fn ended(&self, now: Instant) -> Option<(AllocationId, Family)> {
        self.ends.first().filter(|(at, ..)| *at <= now).map(|(_, id, family)| (*id, *family))
    }
}
