//! How likely a pair works: the likely ones are checked first, and checked again.
//!
//! RFC 8445 §6.1.4.2 checks in the order of priority, which says how good a pair would be and nothing about whether it
//! works: of 36 pairs between two hosts of six addresses the one that works may be the last, 1.8 s later at a Ta of 50 ms.
//! This is beyond the RFC, and the peer cannot tell: each pair is checked all the same, and which one is selected is
//! decided by priority. [`CheckOrder::Priority`] switches it off.

use std::net::{IpAddr, SocketAddr};

use super::pair::{Pair, PairId};
use super::set::{ChecklistSet, Local, Remote};
use crate::candidate::{BaseId, CandidateType};

/// The order of ordinary checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckOrder {
    /// By likelihood, then by priority: pairs inside one subnet first, then those of two addresses that servers have
    /// seen, those to private addresses elsewhere last.
    Likelihood,
    /// By priority alone (RFC 8445 §6.1.4.2).
    Priority,
}

/// How likely a pair works, the least likely first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likelihood {
    /// From a host to a private address in another subnet.
    Unlikely,
    /// Nothing is known.
    Plain,
    /// From behind a NAT whose outside a server has told, to an address that a server has told the peer, or to a
    /// relay. None from a relay of ours: what opens the peer's NAT to it is a packet of the peer, which arrives here and is
    /// answered by a check, so that another one of our own gains nothing.
    Told,
    /// Both ends are in one subnet, /24 or /64.
    Near,
}

impl Likelihood {
    pub(super) const COUNT: usize = 4;
    /// All of them, the least likely first.
    pub(super) const ALL: [Self; Self::COUNT] = [Self::Unlikely, Self::Plain, Self::Told, Self::Near];
}

/// Whether an address means something in one network only.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        // RFC 1918, RFC 6598.
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 0x40),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

fn share_a_subnet(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.octets()[..8] == b.octets()[..8],
        _ => false,
    }
}

/// Of a pair from this base, of which a server has told another address or not.
pub(super) fn of(near: &Local, is_told: bool, far: &Remote) -> Likelihood {
    let Some(base) = near.candidate.address.socket().as_ref().map(SocketAddr::ip) else {
        return Likelihood::Plain;
    };
    let peer = far.addr.ip();
    let relayed = near.candidate.kind == CandidateType::Relayed;
    match far.candidate.kind {
        CandidateType::Host if !relayed && share_a_subnet(base, peer) => Likelihood::Near,
        // From the outside nobody reaches it.
        CandidateType::Host if is_private(peer) => Likelihood::Unlikely,
        CandidateType::Host => Likelihood::Plain,
        _ if is_told => Likelihood::Told,
        _ => Likelihood::Plain,
    }
}

impl ChecklistSet {
    pub(super) fn likelihood(&self, base: BaseId, far: &Remote) -> Likelihood {
        let near = self.bases.get(base).and_then(|known| Some((self.local(known.local)?, known.is_told)));
        match (self.order, near) {
            (CheckOrder::Likelihood, Some((near, is_told))) => of(near, is_told, far),
            _ => Likelihood::Plain,
        }
    }

    /// A server has told something of this base: its pairs are more likely now, and what was peer-reflexive has the
    /// priority that is signalled.
    pub(super) fn reconsider(&mut self, base: BaseId) {
        let pairs: Vec<PairId> =
            self.pairs().filter(|(_, pair)| pair.base == base).map(|(id, _)| id).collect();
        for id in pairs {
            let far = self.pair(id).and_then(|pair| self.remote(pair.remote));
            let Some(likelihood) = far.map(|far| self.likelihood(base, far)) else { continue };
            self.unindex(id);
            self.rank_valid(id);
            if let Some(pair) = self.pair_mut(id) {
                pair.likelihood = likelihood;
            }
            self.index(id);
        }
    }

    /// Whether a pair is worth checking again before its answer is overdue: one of the likely ones, or of the likeliest
    /// where none are.
    pub(super) fn is_likely(&self, pair: &Pair) -> bool {
        pair.authenticated || pair.likelihood >= Likelihood::Told || {
            let component =
                self.checklist(pair.component.stream).and_then(|it| it.component(pair.component.component));
            component.is_none_or(|component| component.likeliest() <= pair.likelihood)
        }
    }
}
