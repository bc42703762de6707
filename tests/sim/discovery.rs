//! NAT behaviour discovery (RFC 5780) against simulated NATs: every verdict is right or unknown.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use floe::discovery::{
    Config, Connectivity, Filtering as F, Finding, Hairpinning, Mapping as M, PortAllocation, Report,
    Translation, Verdict, Why,
};
use floe::sim::{
    Fate, Filtering, Gateway, Hairpin, Interface, Link, Mapping, Nat, Ports, Stray, Tcp, Udp, World,
};

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
                assert!(
                    is_told || is_hidden,
                    "{mapping:?} {filtering:?} {hairpin:?}: {:?}",
                    report.hairpinning
                );
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

#[test]
fn mapping_and_ports_are_never_wrong_with_loss_and_jitter() {
    for (mapping, told) in MAPPINGS {
        for ports in [Ports::Preserving, Ports::Sequential, Ports::Random] {
            for seed in 0..10 {
                let link = Link::wan().loss(0.1).jitter(ms(30)).duplication(0.1);
                let nat = Nat::new(mapping, Filtering::AddressAndPortDependent).ports(ports).link(link);
                let report = measure(seed, nat);
                let of = format!("{mapping:?} {ports:?} seed {seed}");
                assert!(
                    report.mapping.known().is_none_or(|found| found == told),
                    "{of}: {:?}",
                    report.mapping
                );
                let expected = match ports {
                    Ports::Preserving => PortAllocation::Preserving,
                    Ports::Sequential => PortAllocation::Sequential { delta: 1 },
                    _ => PortAllocation::Random,
                };
                assert!(
                    report.ports.known().is_none_or(|found| found == expected),
                    "{of}: {:?}",
                    report.ports
                );
                assert!(
                    report.filtering.known().is_none_or(|found| found == F::AddressAndPortDependent),
                    "{of}: {:?}",
                    report.filtering
                );
            }
        }
    }
}

/// RFC 5780 §4.3: mapped = local.
#[test]
fn without_a_nat_only_the_filter_is_left_to_tell_in_both_families() {
    for (gateway, filtering, verdict) in [
        (Nat::none(), F::EndpointIndependent, Verdict::Open),
        (Nat::firewall().into(), F::AddressAndPortDependent, Verdict::Restricted),
    ] {
        for v4 in [true, false] {
            let mut world = World::new(5);
            let [server4, server6] = world.behavior_server();
            let gateway: Gateway = gateway.clone();
            let (interface, server) =
                if v4 { (Interface::v4(gateway), server4) } else { (Interface::v6(gateway), server6) };
            let host = world.probe(interface, [server], |config| config);
            let report = world.measured(host);
            assert_eq!(report.translation, Known(Translation::None));
            assert_eq!(report.filtering, Known(filtering));
            assert_eq!(report.hairpinning, Unknown(Why::NoNat));
            assert_eq!(Verdict::of(&report), verdict);
        }
    }
}

/// Linux maps by connection but keeps the port, and strays make it move: other tests must not.
#[test]
fn masquerading_of_linux_looks_port_restricted() {
    for seed in 0..10 {
        let report = measure(seed, Nat::linux().stray(Stray::Tracked));
        assert_eq!(report.mapping, Known(M::EndpointIndependent));
        assert_eq!(report.filtering, Known(F::AddressAndPortDependent));
        assert_eq!(report.ports, Known(PortAllocation::Preserving));
    }
}

/// RFC 5780 §4.4: nothing may be sent there before the filtering tests are over.
#[test]
fn no_filtering_socket_ever_sends_to_the_other_address() {
    let mut world = World::new(6);
    let [server, _] = world.behavior_server();
    world.capture();
    let host = world.probe(Nat::port_restricted(), [server], |config| config);
    world.measured(host);
    let sent: Vec<_> =
        world.captured().iter().filter(|it| it.fate == Fate::Sent && it.origin == Some(host)).collect();
    let asks_change = |payload: &[u8]| {
        let message = floe::stun::Message::parse(payload).expect("a request");
        message.plain().attributes().has(floe::stun::wire::attr::CHANGE_REQUEST)
    };
    let first_other = sent.iter().position(|it| it.destination != server).expect("the mapping test");
    let testing: BTreeSet<SocketAddr> =
        sent[..first_other].iter().filter(|it| asks_change(&it.payload)).map(|it| it.source).collect();
    assert!(testing.len() >= 4, "two ways, two rounds, a fresh socket each");
    for it in sent.iter().filter(|it| testing.contains(&it.source)) {
        assert_eq!(it.destination, server);
    }
}

/// RFC 5780 §5.
#[test]
fn no_more_than_ten_transactions_begin_in_a_second_and_no_two_are_in_step() {
    let mut world = World::new(7);
    let [server, _] = world.behavior_server();
    world.capture();
    let host = world.probe(Nat::symmetric(), [server], |config| config);
    world.measured(host);
    let (mut begun, mut again) = (Vec::new(), Vec::new());
    let mut known = BTreeSet::new();
    for it in world.captured().iter().filter(|it| it.fate == Fate::Sent && it.origin == Some(host)) {
        let id = floe::stun::Message::parse(&it.payload).expect("a request").transaction_id();
        if known.insert(id) { begun.push(it.at) } else { again.push(it.at) }
    }
    assert!(begun.len() > 30 && !again.is_empty());
    assert!(begun.windows(11).all(|row| row[10] - row[0] > secs(1)));
    assert!(again.windows(2).all(|two| two[0] != two[1]), "retransmissions coincide");
}

/// RFC 5780 §4.2.
#[test]
fn udp_that_is_blocked_is_told_from_a_network_that_lets_nothing_out() {
    for (tcp, connectivity, verdict) in [
        (Tcp::Open, Connectivity::TcpOnly, Verdict::TurnOverTcp),
        (Tcp::Blocked, Connectivity::Nothing, Verdict::Nothing),
    ] {
        let link = Link::wan().udp(Udp::Blocked).tcp(tcp);
        let report = measure_with(8, Interface::v4(Nat::none()).link(link));
        assert_eq!(report.connectivity, Known(connectivity));
        assert_eq!(Verdict::of(&report), verdict);
        assert_eq!(report.mapping, Unknown(Why::NoAnswer));
    }
}

/// A portal accepts every connection, and says nothing that is STUN.
#[test]
fn what_accepts_connections_and_does_not_speak_stun_is_told() {
    let mut world = World::new(9);
    let silent = world.host(Nat::none());
    let server = SocketAddr::new(world.addresses(silent)[0], 3478);
    let link = Link::wan().udp(Udp::Blocked);
    let host = world.probe(Interface::v4(Nat::none()).link(link), [server], |config| config);
    assert_eq!(world.measured(host).connectivity, Known(Connectivity::Captive));
}

#[test]
fn two_plain_servers_tell_the_mapping_and_not_the_filter() {
    for (mapping, told) in [
        (Mapping::EndpointIndependent, M::EndpointIndependent),
        (Mapping::AddressDependent, M::Dependent),
        (Mapping::AddressAndPortDependent, M::Dependent),
    ] {
        let mut world = World::new(10);
        let one = world.stun_server();
        // Another one that knows nothing of RFC 5780: one socket of the other server is asked, its answers are not
        // used otherwise.
        let [two, _] = world.behavior_server();
        let nat = Nat::new(mapping, Filtering::EndpointIndependent).ports(Ports::Random);
        let host = world.probe(nat.clone(), [one], |config| config);
        let report = world.measured(host);
        assert_eq!(report.mapping, Unknown(Why::OneServer));
        assert_eq!(report.filtering, Unknown(Why::NoOtherAddress));
        let host = world.probe(nat, [one, two], |config| config);
        let report = world.measured(host);
        assert_eq!(report.server, Some(two), "the one that speaks RFC 5780");
        assert!(report.mapping.known().is_some_and(|it| it == told || told == M::Dependent));
    }
}

/// RFC 5780 §4.6.
#[test]
fn the_lifetime_is_found_and_what_refreshes_it() {
    use floe::discovery::{Lifetime, Refresh};
    for (seconds, told) in [(30, true), (120, true), (300, true), (2000, false)] {
        for (refresh, kept) in
            [(floe::sim::Refresh::Outbound, Refresh::Outbound), (floe::sim::Refresh::Both, Refresh::Inbound)]
        {
            let mut world = World::new(11);
            let [server, _] = world.behavior_server();
            let nat = Nat::port_restricted().lifetime(secs(seconds)).refresh(refresh);
            let host = world.probe(nat, [server], |config: Config| config.lifetime(secs(600)));
            let report = world.measured(host);
            let of = format!("{seconds} {refresh:?} {:?}", report.lifetime);
            match report.lifetime {
                Known(Lifetime::Between(low, high)) => {
                    assert!(told && low <= secs(seconds) && secs(seconds) <= high, "{of}");
                    assert!(high - low <= secs(8 + seconds / 15), "{of}");
                    assert_eq!(report.refresh, Known(kept), "{of}");
                }
                Known(Lifetime::LongerThan(low)) => assert!(!told && low == secs(600), "{of}"),
                Unknown(_) => panic!("{of}"),
            }
        }
    }
}

/// RFC 5780 §4: the result says when it holds, and for which port.
#[test]
fn a_report_says_when_and_for_which_socket() {
    let report = measure(13, Nat::port_restricted());
    assert_ne!(report.local.port(), 0);
    assert!(report.local.port() >= 32_768, "RFC 5780 §4.1");
    assert!(report.samples.iter().any(|it| it.local == report.local && Some(it.mapped) == report.mapped));
}

#[test]
fn two_nats_in_a_row_are_told_as_the_stricter_one() {
    let mut world = World::new(14);
    let [server, _] = world.behavior_server();
    let outer = world.nat(Nat::symmetric());
    let inner = world.nat_behind(outer, Nat::full_cone());
    let host = world.probe(inner, [server], |config| config);
    let report = world.measured(host);
    assert_eq!(report.mapping, Known(M::AddressAndPortDependent));
    assert_eq!(report.filtering, Known(F::AddressAndPortDependent));
    assert_eq!(Verdict::of(&report), Verdict::Hard);
}

/// RFC 5780 §4.1.
#[test]
fn each_round_of_the_filtering_test_has_fresh_sockets_on_random_high_ports() {
    let ports = |seed| {
        let mut world = World::new(seed);
        let [server, _] = world.behavior_server();
        world.capture();
        let host = world.probe(Nat::port_restricted(), [server], |config| config);
        world.measured(host);
        let mut ports = Vec::new();
        let mut ids = BTreeSet::new();
        for it in world.captured().iter().filter(|it| it.fate == Fate::Sent && it.origin == Some(host)) {
            let message = floe::stun::Message::parse(&it.payload).expect("a request");
            let is_first = ids.insert(message.transaction_id());
            if is_first && message.plain().attributes().has(floe::stun::wire::attr::CHANGE_REQUEST) {
                ports.push(it.source.port());
            }
        }
        ports
    };
    let (one, two) = (ports(15), ports(16));
    assert!(one.len() >= 4 && one.iter().collect::<BTreeSet<_>>().len() >= one.len() - 1, "{one:?}");
    assert!(one.iter().chain(&two).all(|port| *port >= 32_768));
    assert_ne!(one, two);
}

/// RFC 5780 §6.1.
#[test]
fn each_answer_of_the_server_says_where_it_is_from_and_where_else_to_ask() {
    use floe::stun::wire::attr;
    let mut world = World::new(17);
    let [server, _] = world.behavior_server();
    world.capture();
    let host = world.probe(Nat::full_cone(), [server], |config| config);
    world.measured(host);
    let mut count = 0;
    for it in world.captured().iter().filter(|it| it.fate == Fate::Sent && it.origin != Some(host)) {
        let message = floe::stun::Message::parse(&it.payload).expect("an answer").plain();
        let attributes = message.attributes();
        assert_eq!(attributes.address(attr::RESPONSE_ORIGIN), Some(it.source));
        let other = attributes.address(attr::OTHER_ADDRESS).expect("OTHER-ADDRESS");
        assert!(other.ip() != it.source.ip() && other.port() != it.source.port() || count > 0);
        let mapped = attributes.xor_address(attr::XOR_MAPPED_ADDRESS);
        assert!(mapped.is_some() && mapped == attributes.address(attr::MAPPED_ADDRESS));
        assert!(!attributes.has(attr::ALTERNATE_SERVER));
        count += 1;
    }
    assert!(count > 20);
}
