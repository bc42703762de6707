//! `floe::discovery` against a table of NATs: what it tells is right, or it says that it does not know.

mod kinds;

use std::net::SocketAddr;

use floe::discovery::{
    Filtering as F, Finding, Hairpinning, Lifetime, Mapping as M, Pooling, Report, Translation,
};
use floe::sim::{Gateway, Hairpin, Interface, Link, Nat, Ports, World};

use super::{ms, secs};
use kinds::{Allocation, Between, Kind, kinds};

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

/// RFC 4787 §4.3: mappings that end while they are looked at.
#[test]
fn a_nat_whose_mappings_end_in_seconds_is_told_nothing_wrong_of() {
    for seconds in [1, 2, 4, 8] {
        for mut kind in kinds() {
            let Between::One(Gateway::New(nat)) = &kind.between else { continue };
            kind.between = Between::One(nat.clone().lifetime(secs(seconds)).into());
            for (seed, loss) in [(0, 0.0), (1, 0.0), (2, 0.2), (3, 0.2), (4, 0.2), (5, 0.3)] {
                let report = measure(&kind, seed, loss, Servers::Behavior);
                kind.judge(&report, &format!("mappings of {seconds} s, loss {loss}, seed {seed}"));
            }
        }
    }
}

/// RFC 4787 §6: whoever sends to an endpoint that is none any more learns nothing.
#[test]
fn hairpins_are_not_denied_where_mappings_end_between_two_requests() {
    // While the server is asked again about one socket, the mapping of the other one ends.
    for lifetime in [1, 2, 3] {
        for seed in 0..150 {
            let nat = Nat::port_restricted().ports(Ports::Random).hairpin(Hairpin::ExternalSource);
            let nat = nat.lifetime(secs(lifetime)).link(Link::wan().loss(0.2));
            let mut world = World::new(seed);
            let server = world.behavior_server()[0];
            let host = world.probe(nat, [server], |config| config);
            let found = world.measured(host).hairpinning;
            let of = format!("mappings of {lifetime} s, seed {seed}: {found:?}");
            assert!(found.known().is_none_or(|it| it == Hairpinning::ExternalSource), "{of}");
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
                    assert!(loss > 0.0 || report.refresh.known().is_some(), "{of}");
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
