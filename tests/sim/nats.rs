//! `floe::discovery` against a table of NATs: what it tells is right, or it says that it does not know.

use std::net::SocketAddr;

use floe::discovery::{
    Filtering as F, Finding, Hairpinning, Lifetime, Mapping as M, Parity, Payload, Pooling, PortAllocation,
    Refresh, Report, Translation,
};
use floe::sim::{
    Alg, Filtering, Gateway, Hairpin, Interface, Link, Mapping, Nat, Parity as Even, Pooling as Pool, Ports,
    Refresh as Renew, Stray, World,
};

use super::{ms, secs};

/// What stands between the host and the servers.
enum Between {
    /// One NAT, or nothing.
    One(Gateway),
    /// A NAT of the provider, and one at home behind it.
    Two(Nat, Nat),
}

/// How new mappings get their ports: what may be told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allocation {
    Preserving,
    Sequential(i32),
    Random,
    /// Some ports are preserved, some not.
    Mixed,
}

/// A NAT, and what is true of it.
struct Kind {
    name: &'static str,
    between: Between,
    mapping: M,
    filtering: F,
    translation: Translation,
    ports: Allocation,
    parity: Parity,
    pooling: Pooling,
    hairpinning: Hairpinning,
    payload: Payload,
    lifetime: u64,
    refresh: Refresh,
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

    fn one(name: &'static str, nat: impl Into<Gateway>, mapping: M, filtering: F) -> Self {
        Self::new(name, Between::One(nat.into()), mapping, filtering)
    }

    fn ports(self, ports: Allocation) -> Self {
        let parity = if ports == Allocation::Preserving { Parity::Preserved } else { Parity::NotPreserved };
        Self { ports, parity, ..self }
    }

    /// The address of the host in this world, and its links, of which the outer one loses datagrams.
    fn place(&self, world: &mut World, loss: f64) -> Interface {
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
fn kinds() -> Vec<Kind> {
    use Filtering::{
        AddressAndPortDependent as PortFilter, AddressDependent as AddressFilter,
        EndpointIndependent as AnyFilter,
    };
    use Mapping::{AddressAndPortDependent as ByPort, AddressDependent as ByAddress};
    const EI: M = M::EndpointIndependent;
    const AD: M = M::AddressDependent;
    const AP: M = M::AddressAndPortDependent;
    let (any, address, port) = (F::EndpointIndependent, F::AddressDependent, F::AddressAndPortDependent);
    let nat = Nat::new;
    vec![
        Kind { translation: Translation::None, ..Kind::one("no NAT", Nat::none(), EI, any) },
        Kind { translation: Translation::None, ..Kind::one("a firewall", Nat::firewall(), EI, port) },
        Kind {
            translation: Translation::None,
            ..Kind::one("an open firewall", nat(Mapping::Identity, AddressFilter), EI, address)
        },
        Kind::one("full cone", Nat::full_cone(), EI, any),
        Kind::one("full cone, random ports", Nat::full_cone().ports(Ports::Random), EI, any)
            .ports(Allocation::Random),
        Kind::one("restricted cone", Nat::address_restricted(), EI, address),
        Kind::one(
            "restricted cone, sequential",
            Nat::address_restricted().ports(Ports::Sequential),
            EI,
            address,
        )
        .ports(Allocation::Sequential(1)),
        Kind::one("port-restricted cone", Nat::port_restricted(), EI, port),
        Kind::one(
            "port-restricted cone, random ports",
            Nat::port_restricted().ports(Ports::Random),
            EI,
            port,
        )
        .ports(Allocation::Random),
        Kind::one("Linux", Nat::linux(), EI, port),
        Kind::one("Linux with strays dropped", Nat::linux().stray(Stray::Dropped), EI, port),
        Kind::one("address-dependent mapping and filtering", nat(ByAddress, AddressFilter), AD, address),
        Kind::one(
            "address-dependent mapping, random",
            nat(ByAddress, PortFilter).ports(Ports::Random),
            AD,
            port,
        )
        .ports(Allocation::Random),
        Kind::one(
            "address-dependent mapping, open",
            nat(ByAddress, AnyFilter).ports(Ports::Sequential),
            AD,
            any,
        )
        .ports(Allocation::Sequential(1)),
        Kind::one("symmetric", Nat::symmetric(), AP, port).ports(Allocation::Random),
        Kind::one("symmetric, sequential", Nat::symmetric().ports(Ports::Sequential), AP, port)
            .ports(Allocation::Sequential(1)),
        Kind {
            parity: Parity::NotPreserved,
            ..Kind::one(
                "symmetric, in steps of two",
                Nat::symmetric().ports(Ports::Sequential).step(2),
                AP,
                port,
            )
            .ports(Allocation::Sequential(2))
        },
        Kind::one(
            "symmetric, in steps of a thousand",
            Nat::symmetric().ports(Ports::Sequential).step(1000),
            AP,
            port,
        )
        .ports(Allocation::Sequential(1000)),
        Kind::one(
            "symmetric with the first port preserved",
            Nat::symmetric().ports(Ports::Preserving),
            AP,
            port,
        ),
        Kind::one(
            "symmetric, open to addresses",
            nat(ByPort, AddressFilter).ports(Ports::Random),
            AP,
            address,
        )
        .ports(Allocation::Random),
        Kind::one("symmetric, open", nat(ByPort, AnyFilter).ports(Ports::Random), AP, any)
            .ports(Allocation::Random),
        Kind::one(
            "port-dependent mapping",
            nat(Mapping::PortDependent, PortFilter).ports(Ports::Random),
            M::PortDependent,
            port,
        )
        .ports(Allocation::Random),
        Kind {
            parity: Parity::Preserved,
            ..Kind::one(
                "random ports of the same parity",
                Nat::port_restricted().ports(Ports::Random).parity(Even::Preserved),
                EI,
                port,
            )
            .ports(Allocation::Random)
        },
        Kind::one(
            "random ports of a small block",
            Nat::port_restricted().ports(Ports::Random).port_range(2048..=2303),
            EI,
            port,
        )
        .ports(Allocation::Random),
        Kind::one(
            "symmetric, sequential in a small block",
            Nat::symmetric().ports(Ports::Sequential).port_range(2048..=2175).lifetime(secs(15)),
            AP,
            port,
        )
        .ports(Allocation::Sequential(1))
        .lives(15),
        Kind::one(
            "half of the ports preserved",
            Nat::port_restricted().port_range(32_768..=49_151),
            EI,
            port,
        )
        .ports(Allocation::Mixed),
        Kind {
            pooling: Pooling::Arbitrary,
            ..Kind::one("arbitrary pooling", Nat::port_restricted().pool(4, Pool::Arbitrary), EI, port)
        },
        Kind {
            pooling: Pooling::Arbitrary,
            ..Kind::one(
                "symmetric with arbitrary pooling, and open",
                nat(ByPort, AnyFilter)
                    .ports(Ports::Random)
                    .pool(3, Pool::Arbitrary)
                    .hairpin(Hairpin::ExternalSource),
                AP,
                any,
            )
            .ports(Allocation::Random)
            .turns(Hairpinning::ExternalSource)
        },
        Kind::one("paired pooling", Nat::symmetric().pool(4, Pool::Paired), AP, port)
            .ports(Allocation::Random),
        Kind::one("hairpinning", Nat::full_cone().hairpin(Hairpin::ExternalSource), EI, any)
            .turns(Hairpinning::ExternalSource),
        Kind::one(
            "hairpinning from inside",
            Nat::address_restricted().hairpin(Hairpin::InternalSource),
            EI,
            address,
        )
        .turns(Hairpinning::InternalSource),
        Kind::one(
            "hairpinning of a symmetric NAT",
            nat(ByPort, AddressFilter).ports(Ports::Random).hairpin(Hairpin::ExternalSource),
            AP,
            address,
        )
        .ports(Allocation::Random)
        .turns(Hairpinning::ExternalSource),
        Kind {
            payload: Payload::Rewritten,
            ..Kind::one("addresses in payloads rewritten", Nat::port_restricted().alg(Alg::Generic), EI, port)
        },
        Kind::one("mappings of 20 s", Nat::port_restricted().lifetime(secs(20)), EI, port).lives(20),
        Kind {
            refresh: Refresh::Inbound,
            ..Kind::one(
                "mappings of 45 s that both sides refresh",
                Nat::address_restricted().lifetime(secs(45)).refresh(Renew::Both),
                EI,
                address,
            )
            .lives(45)
        },
        Kind {
            refresh: Refresh::Neither,
            ..Kind::one(
                "mappings of 60 s that nothing refreshes",
                Nat::full_cone().lifetime(secs(60)).refresh(Renew::Neither),
                EI,
                any,
            )
            .lives(60)
        },
        Kind {
            refresh: Refresh::InboundOnly,
            ..Kind::one(
                "mappings of 30 s that only the outside refreshes",
                Nat::full_cone().lifetime(secs(30)).refresh(Renew::Inbound),
                EI,
                any,
            )
            .lives(30)
        },
        Kind::new(
            "a NAT behind that of the provider",
            Between::Two(Nat::full_cone().ports(Ports::Random), Nat::port_restricted()),
            EI,
            port,
        )
        .ports(Allocation::Random),
        Kind::new(
            "a NAT behind a symmetric one",
            Between::Two(Nat::symmetric().port_range(4096..=4607), Nat::full_cone().ports(Ports::Sequential)),
            AP,
            port,
        )
        .ports(Allocation::Random),
    ]
}

impl Kind {
    fn lives(self, seconds: u64) -> Self {
        Self { lifetime: seconds, ..self }
    }

    fn turns(self, hairpinning: Hairpinning) -> Self {
        Self { hairpinning, ..self }
    }

    /// What the report tells is true; how many facts it does not tell.
    fn judge(&self, report: &Report, of: &str) -> usize {
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

/// Which servers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Servers {
    /// One that speaks RFC 5780.
    Behavior,
    /// So many plain ones.
    Plain(u8),
}

impl Servers {
    fn add(self, world: &mut World) -> Vec<SocketAddr> {
        match self {
            Self::Behavior => vec![world.behavior_server()[0]],
            Self::Plain(count) => (0..count)
                .map(|_| {
                    let host = world.further_server(Interface::v4(Nat::none()));
                    SocketAddr::new(world.addresses(host)[0], 3478)
                })
                .collect(),
        }
    }
}

fn measure(kind: &Kind, seed: u64, loss: f64, servers: Servers) -> Report {
    let mut world = World::new(seed);
    let servers = servers.add(&mut world);
    let interface = kind.place(&mut world, loss);
    let host = world.probe(interface, servers, |config| config);
    world.measured(host)
}

#[test]
fn the_table_has_more_than_twenty_nats() {
    assert!(kinds().len() > 20, "{}", kinds().len());
}

/// Without loss, nothing is left open that a server of RFC 5780 can tell, but where one line says so.
#[test]
fn every_nat_of_the_table_is_told_by_one_server_of_rfc_5780() {
    for kind in kinds() {
        for seed in 0..4 {
            let report = measure(&kind, seed, 0.0, Servers::Behavior);
            let unknown = kind.judge(&report, &format!("seed {seed}"));
            // Behind a filter that no hairpin passes; a filter that RESPONSE-PORT does not get through, since it leads to
            // another address; half of the ports, more or less.
            let open = match kind.name {
                "symmetric with arbitrary pooling, and open" | "half of the ports preserved" => 1,
                _ if kind.mapping != M::EndpointIndependent && kind.filtering != F::EndpointIndependent => 1,
                _ => 0,
            };
            assert!(unknown <= open, "{}, seed {seed}: {unknown} unknown of {report:#?}", kind.name);
        }
    }
}

#[test]
fn no_nat_of_the_table_is_told_wrong_with_a_fifth_of_the_datagrams_lost() {
    let (mut unknown, mut all) = (0, 0);
    for kind in kinds() {
        for seed in 0..40 {
            let report = measure(&kind, seed, 0.2, Servers::Behavior);
            unknown += kind.judge(&report, &format!("seed {seed}"));
            all += 8;
        }
    }
    assert!(unknown * 5 < all, "{unknown} of {all} facts unknown");
}

#[test]
fn plain_servers_tell_the_mapping_of_every_nat_of_the_table_and_nothing_wrong() {
    for kind in kinds() {
        for (servers, loss) in [(2, 0.0), (3, 0.0), (2, 0.2), (3, 0.2)] {
            for seed in 0..3 {
                let report = measure(&kind, seed, loss, Servers::Plain(servers));
                let of = format!("{servers} plain servers, loss {loss}, seed {seed}");
                // Servers that all have the same port do not tell it from one that depends on nothing.
                if kind.mapping == M::PortDependent {
                    assert_eq!(report.mapping, Finding::Known(M::EndpointIndependent), "{of}");
                    continue;
                }
                kind.judge(&report, &of);
                assert!(report.filtering.known().is_none(), "{}, {of}", kind.name);
                if loss == 0.0 && kind.pooling == Pooling::Paired {
                    assert!(report.mapping.known().is_some(), "{}, {of}: {:?}", kind.name, report.mapping);
                }
            }
        }
    }
}

/// What no table has: conditions under which a measurement may fail, and must not lie.
#[test]
fn no_nat_of_the_table_is_told_wrong_on_bad_ways() {
    let ways = [
        ("slow", Link::wan().latency(ms(700)), Link::wan()),
        ("jitter", Link::wan().jitter(ms(400)), Link::wan().jitter(ms(400))),
        ("loss on the way out", Link::wan().loss(0.4), Link::wan()),
        ("loss on the way in", Link::wan(), Link::wan().loss(0.4)),
        ("reordered and twice", Link::wan().duplication(0.3).reordering(0.3), Link::wan().reordering(0.3)),
    ];
    for kind in kinds() {
        for (name, up, down) in &ways {
            for seed in 0..3 {
                let mut world = World::new(seed);
                let server = world.behavior_server()[0];
                let interface = kind.place(&mut world, 0.0);
                let host = world.probe(interface, [server], |config| config);
                let ip = world.addresses(host)[0];
                world.set_link(host, ip, up.clone(), down.clone());
                kind.judge(&world.measured(host), &format!("{name}, seed {seed}"));
            }
        }
    }
}

/// RFC 6888 §3: a NAT that has no mapping left lets nothing out, and that is no filter.
#[test]
fn a_nat_whose_mappings_are_used_up_is_told_nothing_wrong_of() {
    for limit in [1, 2, 4, 8, 12, 20] {
        for (nat, mapping, filtering) in [
            (Nat::full_cone(), M::EndpointIndependent, F::EndpointIndependent),
            (Nat::port_restricted(), M::EndpointIndependent, F::AddressAndPortDependent),
            (Nat::symmetric(), M::AddressAndPortDependent, F::AddressAndPortDependent),
        ] {
            for seed in 0..3 {
                let nat = nat.clone().limit(limit).lifetime(secs(30)).hairpin(Hairpin::ExternalSource);
                let ports = if mapping == M::EndpointIndependent {
                    Allocation::Preserving
                } else {
                    Allocation::Random
                };
                let kind = Kind::one("limited", nat, mapping, filtering).ports(ports);
                let kind = kind.turns(Hairpinning::ExternalSource);
                let report = measure(&kind, seed, 0.0, Servers::Behavior);
                kind.judge(&report, &format!("{limit} mappings, seed {seed}"));
            }
        }
    }
}

/// RFC 4787 §3: a NAT that forgets its mappings while it is looked at.
#[test]
fn a_nat_that_restarts_every_few_seconds_is_told_nothing_wrong_of() {
    for ports in [Ports::Preserving, Ports::Random] {
        for seed in 0..20 {
            let mut world = World::new(seed);
            let server = world.behavior_server()[0];
            let nat = world.nat(Nat::address_restricted().ports(ports));
            let host = world.probe(nat, [server], |config| config);
            while !world.progress(host).iter().any(|(_, event)| *event == floe::discovery::Event::Done) {
                world.run_for(ms(900 + 137 * seed));
                world.flush(nat);
            }
            let report = world.measured(host);
            let of = format!("{ports:?}, seed {seed}");
            assert!(
                report.mapping.known().is_none_or(|it| it == M::EndpointIndependent),
                "{of}: {report:#?}"
            );
            assert!(report.filtering.known().is_none_or(|it| it == F::AddressDependent), "{of}: {report:#?}");
        }
    }
}

/// What `floe nat` promises of its time and its packets.
#[test]
fn a_measurement_takes_less_than_a_minute_without_loss_and_never_more_than_four() {
    for (loss, longest, most) in [(0.0, secs(60), 260), (0.2, secs(240), 900)] {
        let mut seen = (std::time::Duration::ZERO, 0);
        for kind in kinds() {
            for seed in 0..3 {
                let mut world = World::new(seed);
                let server = world.behavior_server()[0];
                let interface = kind.place(&mut world, loss);
                let host = world.probe(interface, [server], |config| config);
                world.measured(host);
                let (at, _) = *world.progress(host).last().expect("it says that it is done");
                let sent = world.packets_of(host).sent;
                seen = (seen.0.max(at), seen.1.max(sent));
                assert!(at <= longest && sent <= most, "{}, loss {loss}: {at:?}, {sent} packets", kind.name);
            }
        }
        println!("loss {loss}: {:?} and {} packets at most", seen.0, seen.1);
    }
}

/// RFC 4787 §4.3.
#[test]
fn lifetimes_of_the_table_are_bracketed_and_what_refreshes_them_is_told() {
    let all = [0.0, 0.2].into_iter().flat_map(|loss| kinds().into_iter().map(move |kind| (kind, loss)));
    for (kind, loss) in all {
        for seed in 0..4 {
            let mut world = World::new(seed);
            let servers = Servers::Behavior.add(&mut world);
            let interface = kind.place(&mut world, loss);
            let host = world.probe(interface, servers, |config| config.lifetime(secs(120)));
            let report = world.measured(host);
            let of = format!("{}, seed {seed}: {:?} {:?}", kind.name, report.lifetime, report.refresh);
            let lifetime = secs(kind.lifetime);
            let endless = kind.translation == Translation::None && kind.filtering == F::EndpointIndependent;
            match report.lifetime {
                Finding::Known(Lifetime::Between(low, high)) => {
                    assert!(!endless && low <= lifetime && lifetime <= high, "{of}");
                    assert!(report.refresh.known().is_none_or(|it| it == kind.refresh), "{of}");
                }
                Finding::Known(Lifetime::LongerThan(low)) => assert!(endless || lifetime >= low, "{of}"),
                // RESPONSE-PORT leads to one address only.
                Finding::Unknown(why) => {
                    assert!(kind.pooling == Pooling::Arbitrary || loss > 0.0, "{of}: {why}");
                }
            }
        }
    }
}
