//! How a NAT is told to behave.

use std::ops::RangeInclusive;

use super::{Alg, Hairpin, Nat, Parity, Pooling, Ports, Refresh, Stray};
use crate::sim::link::Link;
use crate::time::Duration;

impl Nat {
    /// Which external port a new mapping gets.
    #[must_use]
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Whether inside reaches inside by external endpoints.
    #[must_use]
    pub fn hairpin(mut self, hairpin: Hairpin) -> Self {
        self.hairpin = hairpin;
        self
    }

    /// How long a mapping, and the permission of a remote, live without refresh.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Which packets keep a mapping alive.
    #[must_use]
    pub fn refresh(mut self, refresh: Refresh) -> Self {
        self.refresh = refresh;
        self
    }

    /// What becomes of a packet that no mapping wants.
    #[must_use]
    pub fn stray(mut self, stray: Stray) -> Self {
        self.stray = stray;
        self
    }

    /// The link to the network outside.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// How much higher the next port of [`Ports::Sequential`] is; default 1.
    #[must_use]
    pub fn step(mut self, step: u16) -> Self {
        self.step = step.max(1);
        self
    }

    /// External ports are of this range only, as where customers of a provider share an address in blocks (RFC 6888 §2,
    /// REQ-14); default: all, but well-known ports for those inside only (RFC 4787 §4.2.1).
    #[must_use]
    pub fn port_range(mut self, range: RangeInclusive<u16>) -> Self {
        self.range = Some(range);
        self
    }

    /// Whether ports keep their parity; default [`Parity::Ignored`].
    #[must_use]
    pub fn parity(mut self, parity: Parity) -> Self {
        self.parity = parity;
        self
    }

    /// So many external addresses, at least one, and which of them a mapping gets.
    #[must_use]
    pub fn pool(mut self, addresses: u8, pooling: Pooling) -> Self {
        (self.addresses, self.pooling) = (addresses.max(1), pooling);
        self
    }

    /// What becomes of addresses in payloads; default [`Alg::Off`].
    #[must_use]
    pub fn alg(mut self, alg: Alg) -> Self {
        self.alg = alg;
        self
    }

    /// So many mappings at a time, and no more (RFC 6888 §3, REQ-4); default: as many as there are ports.
    #[must_use]
    pub fn limit(mut self, mappings: usize) -> Self {
        self.limit = mappings;
        self
    }
}
