//! Permissions: which peers may be sent to, and heard (RFC 8656 §9, §10).
//!
//! ```text
//!           permit            slot             success
//!   (none) ───────► Waiting ───────► Asked ──────────────► Granted ──┐ CreatePermission or ChannelBind
//!                      ▲               │ error  ▲             │   ◄──┘ a minute before the end
//!                      └───────────────┤        └─ alone ─┐   │ end
//!                         438          └──► Refused       │   └──────► (none)
//!                                      └── of a batch ────┘
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::lease::{Leases, RETRY};
use super::problem::Problem;
use crate::stun::wire::attr;
use crate::stun::{Family, TransactionId, Writer};
use crate::time::{Duration, Instant};

/// A permission lasts this long, and only CreatePermission and ChannelBind renew it (RFC 8656 §9).
const LIFETIME: Duration = Duration::from_secs(300);
/// Peers of one request: eight of IPv6 take 192 bytes.
const MAX_BATCH: usize = 8;
/// Renewals that are due so soon are asked for together.
const GATHER: Duration = Duration::from_secs(10);
/// Peers of one client, by IP address. An agent has at most 100 candidate pairs.
pub const MAX_PEERS: usize = 256;

/// Peers that are asked for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Batch(u32);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// For a slot.
    Waiting,
    Asked,
    Granted,
    Refused(Problem),
}

#[derive(Debug)]
struct Peer {
    state: State,
    /// Of its Send indications. They are never answered, so one id serves them all.
    id: TransactionId,
}

/// What is known of a peer that is to be permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Permit {
    Pending,
    Granted,
    Refused(Problem),
}

/// The permissions of one allocation.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    peers: BTreeMap<IpAddr, Peer>,
    leases: Leases<IpAddr>,
    waiting: VecDeque<IpAddr>,
    /// Members of a refused batch: each is asked for alone, to find the one that is meant.
    alone: VecDeque<IpAddr>,
    batches: BTreeMap<Batch, Vec<IpAddr>>,
    last: u32,
}

impl Permissions {
    /// Wants a permission, unless there is one or was an answer. `id` draws the one id of its Send indications.
    pub(super) fn permit(&mut self, peer: IpAddr, id: impl FnOnce() -> TransactionId) -> Permit {
        match self.peers.get(&peer).map(|peer| &peer.state) {
            Some(State::Granted) => Permit::Granted,
            Some(State::Refused(problem)) => Permit::Refused(problem.clone()),
            Some(State::Waiting | State::Asked) => Permit::Pending,
            None if self.peers.len() >= MAX_PEERS => Permit::Refused(Problem::Limit("peers")),
            None => {
                self.peers.insert(peer, Peer { state: State::Waiting, id: id() });
                self.waiting.push_back(peer);
                Permit::Pending
            }
        }
    }

    /// The id of Send indications to this peer, if it may be sent to.
    pub(super) fn send_id(&self, peer: IpAddr) -> Option<TransactionId> {
        self.peers.get(&peer).filter(|peer| peer.state == State::Granted).map(|peer| peer.id)
    }

    /// Whether the peer may be heard (RFC 8656 §11.4).
    pub(super) fn is_active(&self, peer: IpAddr, now: Instant) -> bool {
        self.leases.is_held(peer, now)
    }

    pub(super) fn wants_slot(&self) -> bool {
        !self.waiting.is_empty() || !self.alone.is_empty()
    }

    /// The next batch for the slot of this Ta.
    pub(super) fn next_new(&mut self) -> Option<Batch> {
        let peers: Vec<_> = match self.alone.pop_front() {
            Some(peer) => vec![peer],
            None => self.waiting.drain(..self.waiting.len().min(MAX_BATCH)).collect(),
        };
        for peer in &peers {
            if let Some(peer) = self.peers.get_mut(peer)
                && peer.state == State::Waiting
            {
                peer.state = State::Asked;
            }
        }
        self.batch(peers)
    }

    /// The next batch that needs more time.
    pub(super) fn next_renewal(&mut self, now: Instant) -> Option<Batch> {
        self.leases.next_renewal().filter(|at| *at <= now)?;
        let due = std::iter::from_fn(|| self.leases.poll_renewal(now + GATHER));
        let peers = due.take(MAX_BATCH).collect();
        self.batch(peers)
    }

    fn batch(&mut self, peers: Vec<IpAddr>) -> Option<Batch> {
        if peers.is_empty() {
            return None;
        }
        self.last = self.last.wrapping_add(1);
        self.batches.insert(Batch(self.last), peers);
        Some(Batch(self.last))
    }

    /// Adds the peers of a batch; their ports do not count (RFC 8656 §10.1).
    pub(super) fn put(&self, batch: Batch, writer: &mut Writer<'_>) {
        for peer in self.batches.get(&batch).into_iter().flatten() {
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, SocketAddr::new(*peer, 0));
        }
    }

    /// The server agreed to a request that left at `since`. Returns the peers that had no permission.
    pub(super) fn granted(&mut self, batch: Batch, since: Instant) -> Vec<IpAddr> {
        let peers = self.batches.remove(&batch).unwrap_or_default();
        // A peer whose family was given up meanwhile stays refused.
        let is_refused =
            |known: Option<&Peer>| known.is_some_and(|known| matches!(known.state, State::Refused(_)));
        let peers: Vec<_> = peers.into_iter().filter(|peer| !is_refused(self.peers.get(peer))).collect();
        peers.into_iter().filter(|peer| self.renewed(*peer, since)).collect()
    }

    /// This peer has a permission, by CreatePermission or by a channel. Whether it had none.
    fn renewed(&mut self, peer: IpAddr, since: Instant) -> bool {
        let Some(known) = self.peers.get_mut(&peer) else { return false };
        self.leases.grant(peer, since, LIFETIME);
        std::mem::replace(&mut known.state, State::Granted) != State::Granted
    }

    /// A channel was bound to this peer, which permits it too (RFC 8656 §12.1). Whether it had no permission.
    pub(super) fn bound(&mut self, peer: IpAddr, since: Instant, id: TransactionId) -> bool {
        if self.peers.len() < MAX_PEERS {
            self.peers.entry(peer).or_insert(Peer { state: State::Asked, id });
        }
        self.waiting.retain(|waiting| *waiting != peer);
        self.alone.retain(|waiting| *waiting != peer);
        self.renewed(peer, since)
    }

    /// The server refused a batch, or did not answer. Returns the peers that cannot be used. One bad peer spoils a
    /// batch (RFC 8656 §10.2), so the peers of a refused one are asked for one by one.
    pub(super) fn failed(&mut self, batch: Batch, now: Instant, problem: &Problem) -> Vec<IpAddr> {
        let peers = self.batches.remove(&batch).unwrap_or_default();
        if matches!(problem, Problem::Error { .. }) && peers.len() > 1 {
            self.alone.extend(peers);
            return Vec::new();
        }
        let mut refused = Vec::new();
        for peer in peers {
            let Some(known) = self.peers.get_mut(&peer) else { continue };
            if !problem.is_refusal() && known.state == State::Granted {
                self.leases.renew_at(peer, now + RETRY);
            } else {
                known.state = State::Refused(problem.clone());
                self.leases.end(peer);
                refused.push(peer);
            }
        }
        refused
    }

    /// The batch has to be asked for anew: its request was not good any more.
    pub(super) fn again(&mut self, batch: Batch, now: Instant) {
        for peer in self.batches.remove(&batch).unwrap_or_default().into_iter().rev() {
            let Some(known) = self.peers.get_mut(&peer) else { continue };
            if known.state == State::Granted {
                self.leases.renew_at(peer, now);
            } else {
                known.state = State::Waiting;
                self.waiting.push_front(peer);
            }
        }
    }

    /// No peer of this family can be reached any more, or ever. Returns those that were asked for.
    pub(super) fn refuse_family(&mut self, family: Family, problem: &Problem) -> Vec<IpAddr> {
        let is_of_it = |peer: &IpAddr| Family::from(*peer) == family;
        self.waiting.retain(|peer| !is_of_it(peer));
        self.alone.retain(|peer| !is_of_it(peer));
        let mut refused = Vec::new();
        for (peer, known) in self.peers.iter_mut().filter(|(peer, _)| is_of_it(peer)) {
            known.state = State::Refused(problem.clone());
            self.leases.end(*peer);
            refused.push(*peer);
        }
        refused
    }

    /// The next peer whose permission is over. It is forgotten, so that it can be asked for again.
    pub(super) fn poll_end(&mut self, now: Instant) -> Option<IpAddr> {
        let peer = self.leases.poll_end(now)?;
        self.peers.remove(&peer);
        Some(peer)
    }

    pub(super) fn next_renewal_at(&self) -> Option<Instant> {
        self.leases.next_renewal()
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.leases.next_end()
    }
}
