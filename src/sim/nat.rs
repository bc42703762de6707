//! How a NAT behaves, in the words of RFC 4787: mapping, filtering, ports, hairpinning, lifetime. The properties
//! are independent of each other; the constructors name the combinations that are well known.

mod payload;
mod setting;
pub(super) mod table;

use std::ops::RangeInclusive;

use super::link::Link;
use crate::stun::Family;
use crate::time::Duration;

/// When two destinations see the same external endpoint of one internal endpoint (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// Nothing is translated: a firewall. IPv6 passes every NAT like this.
    Identity,
    /// Always: what REQ-1 demands.
    EndpointIndependent,
    /// If their address is the same.
    AddressDependent,
    /// If their address and port are the same. With [`Ports::Random`] a "symmetric" NAT.
    AddressAndPortDependent,
    /// If their port is the same, whatever their address: RFC 4787 has no word for it.
    PortDependent,
}

/// Who may send to an external endpoint (RFC 4787 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filtering {
    /// Everybody.
    EndpointIndependent,
    /// Addresses that the internal endpoint has sent to.
    AddressDependent,
    /// Transport addresses that the internal endpoint has sent to.
    AddressAndPortDependent,
}

/// Which external port a new mapping gets (RFC 4787 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// The internal one; if it is taken, the next free one. One that the NAT does not use at all becomes any.
    Preserving,
    /// The internal one, also for several mappings at a time as long as their destinations differ: "port
    /// overloading", which REQ-3 forbids and Linux does.
    Overloading,
    /// One after the other, whoever asks; see [`Nat::step`].
    Sequential,
    /// Any.
    Random,
}

/// What becomes of a packet from inside to an external endpoint of the same NAT (RFC 4787 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hairpin {
    /// It is dropped.
    None,
    /// It is turned back and comes from the sender's external endpoint: what REQ-9 demands.
    ExternalSource,
    /// It is turned back and comes from the sender's internal endpoint.
    InternalSource,
}

/// Which packets keep a mapping alive (RFC 4787 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Those from inside: what REQ-6 demands.
    Outbound,
    /// Those from both sides, if the filter lets them pass.
    Both,
    /// Those from outside only, if the filter lets them pass.
    Inbound,
    /// None: a mapping ends in its time, whatever happens.
    Neither,
}

/// Which external address a new mapping of one host gets, where the NAT has several (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The same for all its mappings: what REQ-2 recommends.
    Paired,
    /// Any.
    Arbitrary,
}

/// Whether even ports stay even and odd ones odd (RFC 4787 §4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// They do: what REQ-4 recommends.
    Preserved,
    /// That is left to [`Ports`].
    Ignored,
}

/// What becomes of addresses in payloads (RFC 4787 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alg {
    /// They pass as they are: what REQ-10 recommends.
    Off,
    /// Four bytes that are the translated address are translated too, wherever they are: a generic application-level
    /// gateway.
    Generic,
}

/// What becomes of a packet from outside that no mapping wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// It is dropped, and that is all.
    Dropped,
    /// It is dropped but remembered for 30 s as a connection with the NAT itself, as Linux does where no rule drops
    /// it: meanwhile no mapping to its source gets the port that it was sent to.
    Tracked,
}

/// A NAT. Whoever stands behind it gets an address of the network inside.
#[derive(Debug, Clone)]
pub struct Nat {
    pub(super) mapping: Mapping,
    pub(super) filtering: Filtering,
    pub(super) ports: Ports,
    pub(super) hairpin: Hairpin,
    pub(super) lifetime: Duration,
    pub(super) refresh: Refresh,
    pub(super) stray: Stray,
    pub(super) link: Link,
    step: u16,
    range: Option<RangeInclusive<u16>>,
    parity: Parity,
    addresses: u8,
    pooling: Pooling,
    alg: Alg,
    limit: usize,
}

impl Nat {
    /// A NAT of this mapping and filtering: ports preserved where they are free, no hairpinning, mappings that live
    /// for 300 s from the last outbound packet (RFC 4787 REQ-5), on [`Link::wan`].
    pub fn new(mapping: Mapping, filtering: Filtering) -> Self {
        Self {
            mapping,
            filtering,
            ports: Ports::Preserving,
            hairpin: Hairpin::None,
            lifetime: Duration::from_secs(300),
            refresh: Refresh::Outbound,
            stray: Stray::Dropped,
            link: Link::wan(),
            step: 1,
            range: None,
            parity: Parity::Ignored,
            addresses: 1,
            pooling: Pooling::Paired,
            alg: Alg::Off,
            limit: usize::MAX,
        }
    }

    /// No NAT at all: the host has a public address.
    pub fn none() -> Gateway {
        Gateway::Public
    }

    /// Endpoint-independent mapping and filtering.
    pub fn full_cone() -> Self {
        Self::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
    }

    /// Endpoint-independent mapping, address-dependent filtering.
    pub fn address_restricted() -> Self {
        Self::new(Mapping::EndpointIndependent, Filtering::AddressDependent)
    }

    /// Endpoint-independent mapping, address- and port-dependent filtering.
    pub fn port_restricted() -> Self {
        Self::new(Mapping::EndpointIndependent, Filtering::AddressAndPortDependent)
    }

    /// Address- and port-dependent mapping and filtering, random ports.
    pub fn symmetric() -> Self {
        let mapping = Mapping::AddressAndPortDependent;
        Self::new(mapping, Filtering::AddressAndPortDependent).ports(Ports::Random)
    }

    /// Masquerading of Linux: a mapping for each destination, but with the port of the host as long as that
    /// destination does not clash; stray packets make it clash.
    pub fn linux() -> Self {
        Self::symmetric().ports(Ports::Overloading).stray(Stray::Tracked)
    }

    /// No translation; only answers get in (RFC 6092).
    pub fn firewall() -> Self {
        Self::new(Mapping::Identity, Filtering::AddressAndPortDependent)
    }

    /// How many external addresses it has.
    pub(super) fn addresses(&self) -> u8 {
        self.addresses
    }

    pub(super) fn translates(&self, family: Family) -> bool {
        family == Family::V4 && self.mapping != Mapping::Identity
    }
}

/// A NAT that stands in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatId(pub(super) usize);

/// What is between a host and the Internet.
#[derive(Debug, Clone)]
pub enum Gateway {
    /// Nothing.
    Public,
    /// A NAT of its own.
    New(Nat),
    /// A NAT that is shared with others.
    Behind(NatId),
}

impl From<Nat> for Gateway {
    fn from(nat: Nat) -> Self {
        Self::New(nat)
    }
}

impl From<NatId> for Gateway {
    fn from(nat: NatId) -> Self {
        Self::Behind(nat)
    }
}
