//! The table: NATs of the simulator, and what is true of them.

use floe::discovery::{
    Filtering as F, Hairpinning, Mapping as M, Parity, Payload, Pooling, PortAllocation, Refresh, Report,
    Translation,
};
use floe::sim::{
    Alg, Filtering, Gateway, Hairpin, Interface, Link, Mapping, Nat, Parity as Even, Pooling as Pool, Ports,
    Refresh as Renew, Stray, World,
};

use super::secs;

use Filtering::{
    AddressAndPortDependent as PortFilter, AddressDependent as AddressFilter,
    EndpointIndependent as AnyFilter,
};
use Mapping::{AddressAndPortDependent as ByPort, AddressDependent as ByAddress};

const EI: M = M::EndpointIndependent;
const AD: M = M::AddressDependent;
const AP: M = M::AddressAndPortDependent;
const ANY: F = F::EndpointIndependent;
const ADDRESS: F = F::AddressDependent;
const PORT: F = F::AddressAndPortDependent;

/// What stands between the host and the servers.
pub(super) enum Between {
    /// One NAT, or nothing.
    One(Gateway),
    /// A NAT of the provider, and one at home behind it.
    Two(Nat, Nat),
}

/// How new mappings get their ports: what may be told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allocation {
    Preserving,
    Sequential(i32),
    Random,
    /// Some ports are preserved, some not.
    Mixed,
}

/// A NAT, and what is true of it.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) between: Between,
    pub(super) mapping: M,
    pub(super) filtering: F,
    pub(super) translation: Translation,
    pub(super) ports: Allocation,
    pub(super) parity: Parity,
    pub(super) pooling: Pooling,
    pub(super) hairpinning: Hairpinning,
    pub(super) payload: Payload,
    pub(super) lifetime: u64,
    pub(super) refresh: Refresh,
}

impl Kind {
    /// A NAT with the defaults of [`Nat::new`].
    fn new(name: &'static str, between: Between, mapping: M, filtering: F) -> Self {
        Self {
            name,
            between,
            mapping,
            filtering,
            translation: Translation::Translated,
            ports: Allocation::Preserving,
            parity: Parity::Preserved,
            pooling: Pooling::Paired,
            hairpinning: Hairpinning::None,
            payload: Payload::Untouched,
            lifetime: 300,
            refresh: Refresh::Outbound,
        }
    }

    pub(super) fn one(name: &'static str, nat: impl Into<Gateway>, mapping: M, filtering: F) -> Self {
        Self::new(name, Between::One(nat.into()), mapping, filtering)
    }

    pub(super) fn ports(self, ports: Allocation) -> Self {
        let parity = if ports == Allocation::Preserving { Parity::Preserved } else { Parity::NotPreserved };
        Self { ports, parity, ..self }
    }

    /// The address of the host in this world, and its links, of which the outer one loses datagrams.
    pub(super) fn place(&self, world: &mut World, loss: f64) -> Interface {
        let link = || Link::wan().loss(loss);
        match &self.between {
            Between::One(Gateway::New(nat)) => Interface::v4(nat.clone().link(link())),
            Between::One(gateway) => Interface::v4(gateway.clone()).link(link()),
            Between::Two(outer, inner) => {
                let outer = world.nat(outer.clone().link(link()));
                Interface::v4(world.nat_behind(outer, inner.clone().link(Link::lan())))
            }
        }
    }
}

/// The table.
pub(super) fn kinds() -> Vec<Kind> {
    [cones(), symmetric(), ports(), turned()].into_iter().flatten().collect()
}

/// What maps independently of the destination, and what does not translate at all.
fn cones() -> Vec<Kind> {
    vec![
        Kind { translation: Translation::None, ..Kind::one("no NAT", Nat::none(), EI, ANY) },
        Kind { translation: Translation::None, ..Kind::one("a firewall", Nat::firewall(), EI, PORT) },
        Kind {
            translation: Translation::None,
            ..Kind::one("an open firewall", Nat::new(Mapping::Identity, AddressFilter), EI, ADDRESS)
        },
        Kind::one("full cone", Nat::full_cone(), EI, ANY),
        Kind::one("full cone, random ports", Nat::full_cone().ports(Ports::Random), EI, ANY)
            .ports(Allocation::Random),
        Kind::one("restricted cone", Nat::address_restricted(), EI, ADDRESS),
        Kind::one(
            "restricted cone, sequential",
            Nat::address_restricted().ports(Ports::Sequential),
            EI,
            ADDRESS,
        )
        .ports(Allocation::Sequential(1)),
        Kind::one("port-restricted cone", Nat::port_restricted(), EI, PORT),
        Kind::one(
            "port-restricted cone, random ports",
            Nat::port_restricted().ports(Ports::Random),
            EI,
            PORT,
        )
        .ports(Allocation::Random),
        Kind::one("Linux", Nat::linux(), EI, PORT),
        Kind::one("Linux with strays dropped", Nat::linux().stray(Stray::Dropped), EI, PORT),
    ]
}

/// What maps by destination.
fn symmetric() -> Vec<Kind> {
    vec![
        Kind::one("address-dependent mapping and filtering", Nat::new(ByAddress, AddressFilter), AD, ADDRESS),
        Kind::one(
            "address-dependent mapping, random",
            Nat::new(ByAddress, PortFilter).ports(Ports::Random),
            AD,
            PORT,
        )
        .ports(Allocation::Random),
        Kind::one(
            "address-dependent mapping, open",
            Nat::new(ByAddress, AnyFilter).ports(Ports::Sequential),
            AD,
            ANY,
        )
        .ports(Allocation::Sequential(1)),
        Kind::one("symmetric", Nat::symmetric(), AP, PORT).ports(Allocation::Random),
        Kind::one("symmetric, sequential", Nat::symmetric().ports(Ports::Sequential), AP, PORT)
            .ports(Allocation::Sequential(1)),
        Kind {
            parity: Parity::NotPreserved,
            ..Kind::one(
                "symmetric, in steps of two",
                Nat::symmetric().ports(Ports::Sequential).step(2),
                AP,
                PORT,
            )
            .ports(Allocation::Sequential(2))
        },
        Kind::one(
            "symmetric, in steps of a thousand",
            Nat::symmetric().ports(Ports::Sequential).step(1000),
            AP,
            PORT,
        )
        .ports(Allocation::Sequential(1000)),
        Kind::one(
            "symmetric with the first port preserved",
            Nat::symmetric().ports(Ports::Preserving),
            AP,
            PORT,
        ),
        Kind::one(
            "symmetric, open to addresses",
            Nat::new(ByPort, AddressFilter).ports(Ports::Random),
            AP,
            ADDRESS,
        )
        .ports(Allocation::Random),
        Kind::one("symmetric, open", Nat::new(ByPort, AnyFilter).ports(Ports::Random), AP, ANY)
            .ports(Allocation::Random),
        Kind::one(
            "port-dependent mapping",
            Nat::new(Mapping::PortDependent, PortFilter).ports(Ports::Random),
            M::PortDependent,
            PORT,
        )
        .ports(Allocation::Random),
    ]
}

/// Odd ports, and several addresses.
fn ports() -> Vec<Kind> {
    vec![
        Kind {
            parity: Parity::Preserved,
            ..Kind::one(
                "random ports of the same parity",
                Nat::port_restricted().ports(Ports::Random).parity(Even::Preserved),
                EI,
                PORT,
            )
            .ports(Allocation::Random)
        },
        Kind::one(
            "random ports of a small block",
            Nat::port_restricted().ports(Ports::Random).port_range(2048..=2303),
            EI,
            PORT,
        )
        .ports(Allocation::Random),
        Kind::one(
            "symmetric, sequential in a small block",
            Nat::symmetric().ports(Ports::Sequential).port_range(2048..=2175).lifetime(secs(15)),
            AP,
            PORT,
        )
        .ports(Allocation::Sequential(1))
        .lives(15),
        Kind::one(
            "half of the ports preserved",
            Nat::port_restricted().port_range(32_768..=49_151),
            EI,
            PORT,
        )
        .ports(Allocation::Mixed),
        Kind {
            pooling: Pooling::Arbitrary,
            ..Kind::one("arbitrary pooling", Nat::port_restricted().pool(4, Pool::Arbitrary), EI, PORT)
        },
        Kind {
            pooling: Pooling::Arbitrary,
            ..Kind::one(
                "symmetric with arbitrary pooling, and open",
                Nat::new(ByPort, AnyFilter)
                    .ports(Ports::Random)
                    .pool(3, Pool::Arbitrary)
                    .hairpin(Hairpin::ExternalSource),
                AP,
                ANY,
            )
            .ports(Allocation::Random)
            .turns(Hairpinning::ExternalSource)
        },
        Kind::one("paired pooling", Nat::symmetric().pool(4, Pool::Paired), AP, PORT)
            .ports(Allocation::Random),
    ]
}

/// Hairpins, payloads, lifetimes, and NATs in a row.
fn turned() -> Vec<Kind> {
    vec![
        Kind::one("hairpinning", Nat::full_cone().hairpin(Hairpin::ExternalSource), EI, ANY)
            .turns(Hairpinning::ExternalSource),
        Kind::one(
            "hairpinning from inside",
            Nat::address_restricted().hairpin(Hairpin::InternalSource),
            EI,
            ADDRESS,
        )
        .turns(Hairpinning::InternalSource),
        Kind::one(
            "hairpinning of a symmetric NAT",
            Nat::new(ByPort, AddressFilter).ports(Ports::Random).hairpin(Hairpin::ExternalSource),
            AP,
            ADDRESS,
        )
        .ports(Allocation::Random)
        .turns(Hairpinning::ExternalSource),
        Kind {
            payload: Payload::Rewritten,
            ..Kind::one("addresses in payloads rewritten", Nat::port_restricted().alg(Alg::Generic), EI, PORT)
        },
        Kind::one("mappings of 20 s", Nat::port_restricted().lifetime(secs(20)), EI, PORT).lives(20),
        Kind {
            refresh: Refresh::Inbound,
            ..Kind::one(
                "mappings of 45 s that both sides refresh",
                Nat::address_restricted().lifetime(secs(45)).refresh(Renew::Both),
                EI,
                ADDRESS,
            )
            .lives(45)
        },
        Kind {
            refresh: Refresh::Inbound,
            ..Kind::one(
                "symmetric, 12 s, refreshed by both",
                Nat::symmetric().lifetime(secs(12)).refresh(Renew::Both),
                AP,
                PORT,
            )
            .ports(Allocation::Random)
            .lives(12)
        },
        Kind {
            refresh: Refresh::Neither,
            ..Kind::one(
                "mappings of 60 s that nothing refreshes",
                Nat::full_cone().lifetime(secs(60)).refresh(Renew::Neither),
                EI,
                ANY,
            )
            .lives(60)
        },
        Kind {
            refresh: Refresh::InboundOnly,
            ..Kind::one(
                "mappings of 30 s that only the outside refreshes",
                Nat::full_cone().lifetime(secs(30)).refresh(Renew::Inbound),
                EI,
                ANY,
            )
            .lives(30)
        },
        Kind::new(
            "a NAT behind that of the provider",
            Between::Two(Nat::full_cone().ports(Ports::Random), Nat::port_restricted()),
            EI,
            PORT,
        )
        .ports(Allocation::Random),
        Kind::new(
            "a NAT behind a symmetric one",
            Between::Two(Nat::symmetric().port_range(4096..=4607), Nat::full_cone().ports(Ports::Sequential)),
            AP,
            PORT,
        )
        .ports(Allocation::Random),
    ]
}

impl Kind {
    fn lives(self, seconds: u64) -> Self {
        Self { lifetime: seconds, ..self }
    }

    pub(super) fn turns(self, hairpinning: Hairpinning) -> Self {
        Self { hairpinning, ..self }
    }

    /// What the report tells is true; how many facts it does not tell.
    pub(super) fn judge(&self, report: &Report, of: &str) -> usize {
        let mut unknown = 0;
        let mut fact = |name: &str, verdict: Option<bool>, told: &dyn std::fmt::Debug| match verdict {
            Some(is_true) => assert!(is_true, "{}, {of}: {name} {told:?}", self.name),
            None => unknown += 1,
        };
        let is_mapping =
            |it| it == self.mapping || (it == M::Dependent && self.mapping != M::EndpointIndependent);
        fact("mapping", report.mapping.known().map(is_mapping), &report.mapping);
        fact("filtering", report.filtering.known().map(|it| it == self.filtering), &report.filtering);
        fact("translation", report.translation.known().map(|it| it == self.translation), &report.translation);
        fact("ports", report.ports.known().map(|it| self.allocates(it)), &report.ports);
        fact("parity", report.parity.known().map(|it| it == self.parity), &report.parity);
        fact("payload", report.payload.known().map(|it| it == self.payload), &report.payload);
        if self.translation == Translation::Translated {
            fact("pooling", report.pooling.known().map(|it| it == self.pooling), &report.pooling);
            fact("hairpin", report.hairpinning.known().map(|it| it == self.hairpinning), &report.hairpinning);
        }
        unknown
    }

    fn allocates(&self, told: PortAllocation) -> bool {
        match (self.ports, told) {
            (Allocation::Preserving, PortAllocation::Preserving)
            | (Allocation::Random, PortAllocation::Random)
            | (Allocation::Mixed, PortAllocation::PreservingIfFree) => true,
            (Allocation::Sequential(step), PortAllocation::Sequential { delta }) => step == delta,
            _ => false,
        }
    }
}
