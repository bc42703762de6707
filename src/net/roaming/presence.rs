//! Which addresses of this host a session uses, and what a change of them is worth.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::candidate::address::Interface;
use crate::net::interfaces::Local;
use crate::net::udp::Source;
use crate::time::{Duration, Instant};

use super::watcher::Network;

/// An address that has gone is waited for so long: links flap.
const HOLD: Duration = Duration::from_millis(500);

/// What a session does about a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Addresses that get sockets.
    pub(super) added: Vec<Local>,
    pub(super) worth: Worth,
}

/// Whether the peer has to learn of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    Restart,
    Nothing,
}

/// The addresses of a session.
#[derive(Debug)]
pub(in crate::net) struct Presence {
    /// With sockets.
    known: Vec<SocketAddr>,
    /// Those of them that have gone, and when that is certain.
    gone: BTreeMap<IpAddr, Instant>,
    /// Whether there is another address to go on from.
    has_other: bool,
    routed: Vec<SocketAddr>,
    sleeps: u32,
}

impl Presence {
    /// Of a session that has sockets on the addresses `has`.
    pub(super) fn new(began: &Network, has: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            known: has.into_iter().collect(),
            gone: BTreeMap::new(),
            has_other: true,
            routed: began.routed_addrs(),
            sleeps: began.sleeps,
        }
    }

    /// The addresses are these now.
    pub(super) fn follow(&mut self, now: Instant, network: &Network, source: Source) -> Change {
        let there = network.of(source);
        let is_known = |local: &&Local| !self.known.contains(&local.addr);
        let added: Vec<Local> = there.iter().filter(is_known).copied().collect();
        let came =
            |local: &&Local| !self.known.contains(&local.addr) || self.gone.contains_key(&local.addr.ip());
        let is_good = |local: &&Local| local.interface == Interface::Reliable;
        let mut worth = if there.iter().filter(came).any(|local| is_good(&local)) {
            Worth::Restart
        } else {
            Worth::Nothing
        };
        let routed = network.routed_addrs();
        if (routed != self.routed && !routed.is_empty()) || network.sleeps != self.sleeps {
            worth = Worth::Restart;
        }
        if !routed.is_empty() {
            // A default route that comes back is none that changed.
            self.routed = routed;
        }
        self.sleeps = network.sleeps;
        self.has_other = there.iter().any(|local| is_good(&local)) || !network.routed.is_empty();

        let stays = |addr: &SocketAddr| {
            let is_there = there.iter().any(|local| local.addr == *addr);
            // What is not for new sessions is still good for this one: deprecated, or hidden by a temporary one.
            is_there || (source == Source::Bound && network.assigned.contains(&addr.ip()))
        };
        let certain = if added.iter().any(|local| is_good(&local)) { now } else { now + HOLD };
        for addr in &self.known {
            if stays(addr) {
                self.gone.remove(&addr.ip());
            } else {
                let at = self.gone.entry(addr.ip()).or_insert(certain);
                *at = certain.min(*at);
            }
        }
        self.known.extend(added.iter().map(|local| local.addr));
        Change { added, worth }
    }

    /// The addresses whose sockets are to be closed.
    pub(super) fn take_gone(&mut self, now: Instant) -> Vec<IpAddr> {
        if !self.has_other {
            return Vec::new();
        }
        let over: Vec<IpAddr> = self.gone.iter().filter(|(_, at)| **at <= now).map(|(ip, _)| *ip).collect();
        self.gone.retain(|ip, _| !over.contains(ip));
        self.known.retain(|addr| !over.contains(&addr.ip()));
        over
    }

    /// When there may be some.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.gone.values().min().copied().filter(|_| self.has_other)
    }
}

#[cfg(test)]
mod tests;
