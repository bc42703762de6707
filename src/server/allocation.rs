//! One allocation: a client, a relay socket or two, and whom data may come from (RFC 8656 §3.2, §9, §12).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::auth::UserId;
use super::mobility::Mobility;
use super::reply::Granted;
use crate::io::{Datagram, SocketId};
use crate::stun::{Family, TransactionId};
use crate::time::{Duration, Instant};

/// How long a permission lasts (RFC 8656 §9).
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel stays bound (RFC 8656 §12).
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// Permissions that one allocation may have; beyond that 508 is answered. An agent has at most 100 pairs.
pub(super) const MAX_PERMISSIONS: usize = 256;
/// Channels that one allocation may have; beyond that 508 is answered.
pub(super) const MAX_CHANNELS: usize = 256;

/// The 5-tuple (RFC 8656 §3.2): the socket stands for the transport and for the server's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Client {
    pub(super) socket: SocketId,
    pub(super) local: IpAddr,
    pub(super) source: SocketAddr,
}

impl Client {
    pub(super) fn of(datagram: &Datagram<'_>) -> Self {
        Self { socket: datagram.socket, local: datagram.local, source: datagram.source }
    }
}

/// The Allocate that made an allocation: its retransmissions get the same answer (RFC 8656 §7.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) id: TransactionId,
    pub(super) at: Instant,
    pub(super) granted: Granted,
}

#[derive(Debug)]
struct Channel {
    peer: SocketAddr,
    expires: Instant,
}

/// The relayed transport address of one family. Each has a life of its own (RFC 8656 §8.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Half {
    pub(super) relay: SocketId,
    pub(super) relayed: SocketAddr,
    pub(super) expires: Instant,
}

impl Half {
    pub(super) fn family(&self) -> Family {
        self.relayed.ip().into()
    }
}

/// An allocation with its relay sockets.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) user: UserId,
    pub(super) origin: Origin,
    /// Where data of peers goes; `None` after the client's connection has gone, until it comes back with its ticket.
    pub(super) client: Option<Client>,
    pub(super) mobility: Option<Mobility>,
    /// One of each family, at least one.
    pub(super) halves: Vec<Half>,
    /// Of its Data indications: nobody answers them, so one serves them all.
    pub(super) indication: TransactionId,
    /// When each permission ends.
    permissions: BTreeMap<IpAddr, Instant>,
    channels: BTreeMap<u16, Channel>,
    numbers: BTreeMap<SocketAddr, u16>,
}

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// Why a channel was not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotBound {
    /// The number or the peer belongs to another binding.
    Conflict,
    /// Too many channels or permissions.
    Full,
}

impl Allocation {
    pub(super) fn new(
        user: UserId,
        origin: Origin,
        client: Client,
        halves: Vec<Half>,
        indication: TransactionId,
    ) -> Self {
        Self {
            user,
            origin,
            client: Some(client),
            mobility: None,
            halves,
            indication,
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// The relayed transport address of this family.
    pub(super) fn half(&self, family: Family) -> Option<&Half> {
        self.halves.iter().find(|half| half.family() == family)
    }

    /// The relayed transport addresses.
    pub(super) fn relayed(&self) -> Vec<SocketAddr> {
        self.halves.iter().map(|half| half.relayed).collect()
    }

    /// Takes out one family with its permissions and channels; the others stay (RFC 8656 §8.1).
    pub(super) fn take_half(&mut self, family: Family) -> Option<Half> {
        let at = self.halves.iter().position(|half| half.family() == family)?;
        self.permissions.retain(|peer, _| Family::from(*peer) != family);
        self.channels.retain(|_, channel| Family::from(channel.peer.ip()) != family);
        self.numbers.retain(|peer, _| Family::from(peer.ip()) != family);
        Some(self.halves.remove(at))
    }

    /// Whether data of this peer may pass. Data never prolongs a permission (RFC 8656 §9).
    pub(super) fn permits(&self, now: Instant, peer: IpAddr) -> bool {
        self.permissions.get(&peer).is_some_and(|expires| *expires > now)
    }

    /// Installs or refreshes the permissions, all or none.
    pub(super) fn permit(&mut self, now: Instant, peers: &[IpAddr]) -> Result<(), Full> {
        self.forget_expired(now);
        let is_new =
            |at: usize| !self.permissions.contains_key(&peers[at]) && !peers[..at].contains(&peers[at]);
        let new = (0..peers.len()).filter(|at| is_new(*at)).count();
        if self.permissions.len() + new > MAX_PERMISSIONS {
            return Err(Full);
        }
        self.permissions.extend(peers.iter().map(|peer| (*peer, now + PERMISSION_LIFETIME)));
        Ok(())
    }

    /// Binds or refreshes a channel, and the permission with it (RFC 8656 §12.2).
    pub(super) fn bind(&mut self, now: Instant, number: u16, peer: SocketAddr) -> Result<(), NotBound> {
        self.forget_expired(now);
        match (self.channels.get(&number), self.numbers.get(&peer)) {
            (Some(channel), _) if channel.peer != peer => return Err(NotBound::Conflict),
            (None, Some(_)) => return Err(NotBound::Conflict),
            (None, None) if self.channels.len() >= MAX_CHANNELS => return Err(NotBound::Full),
            _ => {}
        }
        self.permit(now, &[peer.ip()]).map_err(|Full| NotBound::Full)?;
        self.channels.insert(number, Channel { peer, expires: now + CHANNEL_LIFETIME });
        self.numbers.insert(peer, number);
        Ok(())
    }

    /// The peer that this channel is bound to.
    pub(super) fn peer_of(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        self.channels.get(&number).filter(|channel| channel.expires > now).map(|channel| channel.peer)
    }

    /// The channel that is bound to this peer.
    pub(super) fn channel_to(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        let number = *self.numbers.get(&peer)?;
        self.peer_of(now, number).map(|_| number)
    }

    /// Permissions and channels that exist at this time.
    pub(super) fn count(&self, now: Instant) -> (usize, usize) {
        let permissions = self.permissions.values().filter(|expires| **expires > now).count();
        let channels = self.channels.values().filter(|channel| channel.expires > now).count();
        (permissions, channels)
    }

    /// What has ended counts for nothing, so that it is enough to remove it when something is added.
    fn forget_expired(&mut self, now: Instant) {
        self.permissions.retain(|_, expires| *expires > now);
        self.channels.retain(|_, channel| channel.expires > now);
        let channels = &self.channels;
        self.numbers.retain(|_, number| channels.contains_key(number));
    }
}
