//! Relayed transport addresses: which are taken, and which comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::rng::Rng;
use crate::stun::Family;

/// Ports that are looked at to find a free one: more would be work that a full server does for nothing.
const MAX_STEPS: u32 = 1024;

/// Which ports will do (EVEN-PORT, RFC 8656 §18.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parity {
    Any,
    Even,
}

/// The addresses of relay sockets.
#[derive(Debug)]
pub(super) struct Ports {
    relays: BTreeMap<Family, IpAddr>,
    range: RangeInclusive<u16>,
    taken: BTreeSet<SocketAddr>,
}

impl Ports {
    pub(super) fn new(relays: BTreeMap<Family, IpAddr>, range: RangeInclusive<u16>) -> Self {
        Self { relays, range, taken: BTreeSet::new() }
    }

    /// The address for relayed addresses of this family.
    pub(super) fn relay_of(&self, family: Family) -> Option<IpAddr> {
        self.relays.get(&family).copied()
    }

    /// Whether relay sockets are bound to this address.
    pub(super) fn is_relay(&self, ip: IpAddr) -> bool {
        self.relay_of(ip.into()) == Some(ip)
    }

    /// Whether this is the address of a relay socket of ours.
    pub(super) fn is_taken(&self, addr: SocketAddr) -> bool {
        self.taken.contains(&addr)
    }

    /// Takes a free port: the first one from a random place on (RFC 6056 §3.3.1). `None` if there is none.
    pub(super) fn draw(&mut self, rng: &mut Rng, ip: IpAddr, parity: Parity) -> Option<SocketAddr> {
        let (low, high) = (u32::from(*self.range.start()), u32::from(*self.range.end()));
        let size = (high + 1).checked_sub(low).filter(|size| *size > 0)?;
        let start = rng.between(0, u64::from(size - 1)) as u32;
        let ports = (0..size.min(MAX_STEPS)).map(|step| (low + (start + step) % size) as u16);
        let addr = ports
            .filter(|port| parity == Parity::Any || port % 2 == 0)
            .map(|port| SocketAddr::new(ip, port))
            .find(|addr| !self.taken.contains(addr))?;
        self.taken.insert(addr);
        Some(addr)
    }

    /// Takes an address that the driver chose.
    pub(super) fn take(&mut self, addr: SocketAddr) {
        self.taken.insert(addr);
    }

    /// Gives an address back.
    pub(super) fn free(&mut self, addr: SocketAddr) {
        self.taken.remove(&addr);
    }
}
