//! Connections of TCP pairs (RFC 6544 §6.2, §7.1, §11.1, §12). Who has them is the caller's affair: a pair knows whether
//! there is one, and a check of a pair without one says that it has to be opened first.
//!
//! ```text
//!  Closed ──check──► Opening ──connected──► Open ──lost, selected, active──► Closed, checked once more
//!                       └──────not connected─────┴──lost────────────────────► Closed, Failed
//! ```

use std::net::{IpAddr, SocketAddr};

use super::pair::{Failure, Link, PairId, PairState};
use super::role::Role;
use super::set::ChecklistSet;
use crate::candidate::{BaseId, Candidate, TcpType};
use crate::io::{CloseReason, ComponentId, Transport};
use crate::stun::TransactionId;
use crate::stun::transaction::TI;
use crate::time::Instant;

/// Connections that are not to be opened now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hold {
    /// There are as many as there may be.
    pub all: bool,
    /// To these addresses as many are being opened as may be (RFC 6544 §12).
    pub to: Vec<IpAddr>,
}

/// What the end of a connection changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: no pair used it.
    None,
    /// A pair failed, or waits for the connection to be opened again.
    Pair,
    /// The connection of the selected pair of this component could not be opened again, and the pair is gone.
    Selected(ComponentId),
}

/// What a pair of these candidates runs on; `None` if they make no pair: UDP with UDP, and of TCP the side that opens
/// with the side that accepts (RFC 6544 §6.2). This agent has no candidates for simultaneous open.
pub(super) fn link(near: &Candidate, far: &Candidate) -> Option<Link> {
    match (near.transport, far.transport) {
        (Transport::Udp, Transport::Udp) => Some(Link::Datagrams),
        (Transport::Tcp, Transport::Tcp) => match (near.tcp_type?, far.tcp_type?) {
            (TcpType::Active, TcpType::Passive) => Some(Link::Closed),
            // Learnt from a check, which came over it.
            (TcpType::Passive, TcpType::Active) => Some(Link::Open),
            _ => None,
        },
        _ => None,
    }
}

impl ChecklistSet {
    /// Whether connections are accepted on this base. Such a pair is not formed, but learnt on a connection (RFC 6544
    /// §6.2).
    pub(super) fn is_passive(&self, base: BaseId) -> bool {
        let local = self.local_at(base);
        local.is_some_and(|local| local.candidate.tcp_type == Some(TcpType::Passive))
    }

    /// Which connections are not to be opened until the next call.
    pub fn hold(&mut self, hold: Hold) {
        self.hold = hold;
    }

    /// Whether a check on this pair has to wait for a connection.
    pub(super) fn is_held(&self, id: PairId) -> bool {
        let Some(pair) = self.pair(id).filter(|pair| pair.link == Link::Closed) else { return false };
        self.hold.all || self.hold.to.contains(&pair.destination.ip()) || self.is_passive(pair.base)
    }

    /// A check begins: what it runs on so far.
    pub(super) fn begin_link(&mut self, id: PairId) -> Option<Link> {
        let pair = self.pair_mut(id)?;
        let link = pair.link;
        if link == Link::Closed {
            pair.link = Link::Opening;
        }
        Some(link)
    }

    /// The base and the remote address between which a connection has to be opened before this check can be sent.
    pub fn connection_of(&self, id: TransactionId) -> Option<(BaseId, SocketAddr)> {
        let pair = self.pair(self.transactions.find(id)?.owner.pair)?;
        (pair.link == Link::Opening).then_some((pair.base, pair.destination))
    }

    /// The connection of a pair stands. Returns the check to send; `None` if nobody waits for it any more.
    pub fn connected(&mut self, now: Instant, base: BaseId, remote: SocketAddr) -> Option<TransactionId> {
        let id = self.pair_of(base, remote)?;
        let pair = self.pair_mut(id).filter(|pair| pair.link == Link::Opening)?;
        let Some(transaction) = pair.transaction else {
            pair.link = Link::Closed;
            self.set_state(id, PairState::Failed);
            return None;
        };
        pair.link = Link::Open;
        // What it measures is the connection, not how long that took to open.
        let check = self.transactions.find(transaction)?.owner;
        self.transactions.start_reliable(now, transaction, check, TI);
        Some(transaction)
    }

    /// There is no connection for this pair, or none any more. The pair fails (RFC 6544 §7.1), but not the selected one:
    /// the active side checks it again, over a new connection, and the passive side waits for that (§11.1).
    pub fn disconnected(&mut self, base: BaseId, remote: SocketAddr, why: CloseReason) -> Loss {
        let Some(id) = self.pair_of(base, remote) else { return Loss::None };
        let Some(pair) = self.pair(id).filter(|pair| matches!(pair.link, Link::Opening | Link::Open)) else {
            return Loss::None;
        };
        let (component, transaction, was_valid) = (pair.component, pair.transaction, pair.valid.is_some());
        let (is_selected, is_active) = (self.is_selected(id), !self.is_passive(base));
        let reopens = is_selected && is_active && was_valid;
        self.untrigger(id);
        if let Some(transaction) = transaction {
            self.transactions.end(transaction);
        }
        self.unindex(id);
        if let Some(pair) = self.pair_mut(id) {
            pair.link = Link::Closed;
            pair.state = if reopens { PairState::Waiting } else { PairState::Failed };
            pair.failure = Some(Failure::Disconnected(why));
            pair.transaction = None;
            pair.nominating = false;
            // On another connection the peer has to prove itself anew.
            pair.valid = None;
            pair.authenticated = false;
        }
        self.index(id);
        let list = self.checklist_mut(component.stream);
        if let Some(component) = list.and_then(|list| list.component_mut(component.component)) {
            component.nominating = component.nominating.filter(|nominating| *nominating != id);
        }
        match self.roles.role {
            Role::Controlling if reopens => self.nominate_pair(id),
            Role::Controlled if reopens => self.trigger(id),
            // It was tried: only a restart helps (RFC 6544 §11.1).
            _ if is_selected && is_active => {
                self.remove_pair(id);
                return Loss::Selected(component);
            }
            _ => {}
        }
        Loss::Pair
    }

    /// Whoever answers at this address is not the peer: all pairs with it fail (RFC 6544 §7.1).
    pub fn disown(&mut self, remote: SocketAddr) {
        let to = |pair: &super::Pair| pair.destination == remote && pair.link != Link::Datagrams;
        let pairs: Vec<_> = self.pairs().filter(|(_, pair)| to(pair)).map(|(id, _)| id).collect();
        for id in pairs {
            self.untrigger(id);
            self.cancel_check(id);
            self.give_up(id, Failure::Disconnected(CloseReason::Malformed));
        }
    }

    /// Whether a pair uses the connection between these, so that it has to stay.
    pub fn uses_connection(&self, base: BaseId, remote: SocketAddr) -> bool {
        let pair = self.pair_of(base, remote).and_then(|id| self.pair(id));
        pair.is_some_and(|pair| matches!(pair.link, Link::Opening | Link::Open))
    }

    /// Whether the peer has proven itself on the connection between these.
    pub fn is_proven(&self, base: BaseId, remote: SocketAddr) -> bool {
        let pair = self.pair_of(base, remote).and_then(|id| self.pair(id));
        pair.is_some_and(|pair| pair.authenticated || pair.valid.is_some())
    }

    /// Gives up a connection that no data needs: three seconds after completion (RFC 6544 §8, RFC 8445 §8.3.1).
    pub fn release_connections(&mut self, is_used: impl Fn(PairId) -> bool) {
        let unused = |id: PairId, pair: &super::Pair| {
            pair.link != Link::Datagrams && !is_used(id) && !self.is_selected(id)
        };
        let pairs: Vec<_> = self.pairs().filter(|(id, pair)| unused(*id, pair)).map(|(id, _)| id).collect();
        for id in pairs {
            self.remove_pair(id);
        }
    }

    /// The peer has opened the connection of the selected pair anew: the pair that was learnt on it takes the place of
    /// the one whose connection is gone, without another nomination (RFC 6544 §11.1). Returns whether it did.
    pub(super) fn take_over(&mut self, id: PairId) -> bool {
        let Some((base, at)) = self.pair(id).map(|pair| (pair.base, pair.component)) else { return false };
        let component = self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component));
        let Some(old) = component.and_then(|component| component.selected).filter(|old| *old != id) else {
            return false;
        };
        let is_gone = self.pair(old).is_some_and(|pair| pair.base == base && pair.link == Link::Closed);
        if !is_gone || !self.is_passive(base) {
            return false;
        }
        let component = self.checklist_mut(at.stream).and_then(|list| list.component_mut(at.component));
        if let Some(component) = component {
            component.selected = Some(id);
        }
        if let Some(pair) = self.pair_mut(id) {
            pair.nominated = super::pair::Nominated::Yes;
        }
        self.remove_pair(old);
        true
    }
}
