//! NAT behaviour discovery (RFC 5780) against simulated NATs: every verdict is right or unknown.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use floe::discovery::{
    Config, Connectivity, Filtering as F, Finding, Hairpinning, Mapping as M, PortAllocation, Report,
    Translation, Verdict, Why,
};
use floe::sim::{Fate, Filtering, Gateway, Hairpin, Interface, Link, Mapping, Nat, Ports, Stray, Tcp, Udp, World};

use Finding::{Known, Unknown};

use super::{ms, secs};

const MAPPINGS: [(Mapping, M); 3] = [
    (Mapping::EndpointIndependent, M::EndpointIndependent),
    (Mapping::AddressDependent, M::AddressDependent),
    (Mapping::AddressAndPortDependent, M::AddressAndPortDependent),
];
const FILTERINGS: [(Filtering, F); 3] = [
    (Filtering::EndpointIndependent, F::EndpointIndependent),
    (Filtering::AddressDependent, F::AddressDependent),
    (Filtering::AddressAndPortDependent, F::AddressAndPortDependent),
];

fn measure(seed: u64, gateway: impl Into<Gateway>) -> Report {
    measure_with(seed, Interface::v4(gateway))
}

fn measure_with(seed: u64, interface: Interface) -> Report {
    let mut world = World::new(seed);
    let [server, _] = world.behavior_server();
    let host = world.probe(interface, [server], |config| config);
    world.measured(host)
}

/// RFC 5780 §4.3: one socket, compared by address and port.
#[test]
fn every_mapping_and_filtering_is_told_whatever_the_ports() {
    for (mapping, told_mapping) in MAPPINGS {
        for (filtering, told_filtering) in FILTERINGS {
            for ports in [Ports::Preserving, Ports::Sequential, Ports::Random] {
                let report = measure(1, Nat::new(mapping, filtering).ports(ports));
                let of = format!("{mapping:?} {filtering:?} {ports:?}");
                assert_eq!(report.connectivity, Known(Connectivity::Udp), "{of}");
                assert_eq!(report.translation, Known(Translation::Translated), "{of}");
                assert_eq!(report.mapping, Known(told_mapping), "{of}");
                assert_eq!(report.filtering, Known(told_filtering), "{of}");
                let expected = match ports {
                    Ports::Preserving => PortAllocation::Preserving,
                    Ports::Sequential => PortAllocation::Sequential { delta: 1 },
                    _ => PortAllocation::Random,
                };
                assert_eq!(report.ports, Known(expected), "{of}");
            }
        }
    }
}

/// RFC 5780 §3.4.
#[test]
fn hairpinning_is_told_with_its_source_or_is_unknown_behind_a_filter() {
    for (hairpin, told) in [
        (Hairpin::None, Hairpinning::None),
        (Hairpin::ExternalSource, Hairpinning::ExternalSource),
        (Hairpin::InternalSource, Hairpinning::InternalSource),
    ] {
        for (filtering, _) in FILTERINGS {
            for (mapping, _) in MAPPINGS {
                let report = measure(2, Nat::new(mapping, filtering).hairpin(hairpin));
                let is_told = report.hairpinning == Known(told);
                let is_hidden = report.hairpinning == Unknown(Why::Filtered)
                    && mapping != Mapping::EndpointIndependent
                    && filtering != Filtering::EndpointIndependent;
                assert!(is_told || is_hidden, "{mapping:?} {filtering:?} {hairpin:?}: {:?}", report.hairpinning);
            }
        }
    }
}

/// RFC 5780 §4.4: loss must not be read as filtering.
#[test]
fn filtering_is_never_wrong_with_a_fifth_of_the_datagrams_lost() {
    for (filtering, told) in FILTERINGS {
        let mut unknown = 0;
        for seed in 0..100 {
            let link = Link::wan().loss(0.2);
            let report = measure(seed, Nat::new(Mapping::EndpointIndependent, filtering).link(link));
            match report.filtering {
                Known(found) => assert_eq!(found, told, "seed {seed}"),
                Unknown(_) => unknown += 1,
            }
            if let Known(mapping) = report.mapping {
                assert_eq!(mapping, M::EndpointIndependent, "seed {seed}");
            }
        }
        assert!(unknown <= 5, "{filtering:?}: {unknown} of 100 unknown");
    }
}
