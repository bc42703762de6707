//! All allocations, found by client and by relay socket, in the order of their end.

use std::collections::{BTreeMap, BTreeSet};

use super::allocation::{Allocation, Client};
use super::auth::UserId;
use crate::io::SocketId;
use crate::time::Instant;

/// The allocations of a server, and the slots they take, also while their relay socket is being opened.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_client: BTreeMap<Client, Allocation>,
    by_relay: BTreeMap<SocketId, Client>,
    ends: BTreeSet<(Instant, Client)>,
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
            *slots = slots.saturating_sub(1);
            self.taken = self.taken.saturating_sub(1);
        }
    }

    /// Adds an allocation, whose slot was taken before.
    pub(super) fn insert(&mut self, client: Client, allocation: Allocation) {
        self.by_relay.insert(allocation.relay, client);
        self.ends.insert((allocation.expires, client));
        self.by_client.insert(client, allocation);
    }

    pub(super) fn get(&self, client: &Client) -> Option<&Allocation> {
        self.by_client.get(client)
    }

    pub(super) fn get_mut(&mut self, client: &Client) -> Option<&mut Allocation> {
        self.by_client.get_mut(client)
    }

    /// Whose relay socket this is.
    pub(super) fn client_of(&self, relay: SocketId) -> Option<Client> {
        self.by_relay.get(&relay).copied()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&Client, &Allocation)> {
        self.by_client.iter()
    }

    /// Moves the end of an allocation.
    pub(super) fn prolong(&mut self, client: Client, expires: Instant) {
        if let Some(allocation) = self.by_client.get_mut(&client) {
            self.ends.remove(&(allocation.expires, client));
            self.ends.insert((expires, client));
            allocation.expires = expires;
        }
    }

    /// Takes an allocation out, and gives its slot back.
    pub(super) fn remove(&mut self, client: &Client) -> Option<Allocation> {
        let allocation = self.by_client.remove(client)?;
        self.by_relay.remove(&allocation.relay);
        self.ends.remove(&(allocation.expires, *client));
        self.free_slot(allocation.user);
        Some(allocation)
    }

    /// When the next allocation ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// An allocation that has ended.
    pub(super) fn ended(&self, now: Instant) -> Option<Client> {
        self.ends.first().filter(|(at, _)| *at <= now).map(|(_, client)| *client)
    }
}
