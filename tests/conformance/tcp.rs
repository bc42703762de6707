//! Candidates over TCP (RFC 6544): a test a rule, where no other test proves it.

mod relays;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use floe::candidate::{Candidate, CandidateType, TcpRank, TcpType};
use floe::io::Transport;
use floe::sdp::default_candidate;
use floe::signal::What;
use floe::sim::{Captured, Fate, Gateway, HostId, Interface, Link, Nat, Protocol, Segment, Udp, World};
use floe::stun::wire::attr;
use floe::stun::{Class, Message};
use floe::{Agent, Config, Role};

use crate::bench::{ms, secs};

const ROLES: [[Role; 2]; 2] = [[Role::Controlling, Role::Controlled], [Role::Controlled, Role::Controlling]];

fn config(role: Role) -> Config {
    let seed = if role == Role::Controlling { 1 } else { 2 };
    Config::new(role, [seed; 32]).tcp(TcpRank::AfterUdp)
}

fn without_udp() -> Interface {
    Interface::v4(Gateway::Public).link(Link::wan().udp(Udp::Blocked))
}

/// Two public hosts that reach each other over TCP only, and have done so.
fn completed(roles: [Role; 2]) -> (World, HostId, HostId) {
    let mut world = World::new(1);
    let a = world.agent(without_udp(), config(roles[0]));
    let b = world.agent(Nat::none(), config(roles[1]));
    world.capture();
    world.signal(a, b);
    complete(&mut world, a, b);
    (world, a, b)
}

fn complete(world: &mut World, a: HostId, b: HostId) {
    world.run_until(secs(30), |w| w.completed(a) && w.completed(b));
}

/// The TCP candidates that an agent has signalled.
fn candidates(world: &World, host: HostId) -> Vec<Candidate> {
    let signals = world.signals(host).into_iter();
    let candidates = signals.filter_map(|signal| match signal.what {
        What::Candidate(candidate) => Some(candidate),
        _ => None,
    });
    candidates.filter(|it| it.transport == Transport::Tcp).collect()
}

/// The segments of a kind that were sent.
fn sent<'a>(world: &'a World, kind: impl Fn(Segment) -> bool + 'a) -> impl Iterator<Item = &'a Captured> {
    world.captured().iter().filter(move |it| match it.protocol {
        Protocol::Tcp(segment) => it.fate == Fate::Sent && kind(segment),
        Protocol::Udp => false,
    })
}

fn is_data(segment: Segment) -> bool {
    matches!(segment, Segment::Data(_))
}

fn is_syn(segment: Segment) -> bool {
    segment == Segment::Syn
}

/// Both ends of the connection that a segment belongs to.
fn connection(segment: &Captured) -> BTreeSet<SocketAddr> {
    [segment.source, segment.destination].into()
}

fn with_two_interfaces() -> [Interface; 2] {
    [(); 2].map(|()| Interface::v4(Gateway::Public).link(Link::wan().udp(Udp::Blocked)))
}

/// §4.1
#[test]
fn two_interfaces_give_two_candidates_of_each_direction() {
    let mut world = World::new(1);
    let a = world.agent(with_two_interfaces(), config(Role::Controlling));
    world.run_for(secs(1));
    for direction in [TcpType::Active, TcpType::Passive] {
        let of = candidates(&world, a).into_iter().filter(|it| it.tcp_type == Some(direction));
        let addresses: BTreeSet<_> = of.filter_map(|it| Some(it.address.socket()?.ip())).collect();
        assert_eq!(addresses, world.addresses(a).into_iter().collect());
    }
}

/// §4.2
#[test]
fn no_two_candidates_of_a_component_and_a_direction_have_the_same_preference() {
    for third in 0..3 {
        let mut world = World::new(1);
        let host = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|n| {
            let interface = if n % 3 == third { Interface::v6 } else { Interface::v4 };
            interface(Gateway::Public)
        });
        let a = world.agent(host, config(Role::Controlling).components(&[2]));
        world.run_for(secs(1));
        let all = candidates(&world, a);
        assert_eq!(all.len(), 9 * 2 * 2);
        let told: BTreeSet<_> = all.iter().map(|it| (it.component, it.tcp_type, it.priority >> 8)).collect();
        assert_eq!(told.len(), all.len());
    }
}

/// §4.2
#[test]
fn a_single_address_has_the_preference_8191_in_each_component() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), config(Role::Controlling).components(&[2, 1]));
    world.run_for(secs(1));
    let all = candidates(&world, a);
    assert_eq!(all.len(), 6);
    assert!(all.iter().all(|it| it.priority >> 8 & 0x1FFF == 8191));
}

/// The lines of Appendix C, and one for UDP.
fn candidates_of_a_section() -> Vec<Candidate> {
    [
        "candidate:1 1 TCP 2128609279 10.0.1.1 9 typ host tcptype active",
        "candidate:2 1 TCP 2124414975 10.0.1.1 8998 typ host tcptype passive",
        "candidate:3 1 TCP 2120220671 10.0.1.1 8999 typ host tcptype so",
        "candidate:4 1 TCP 1688207359 192.0.2.3 9 typ srflx raddr 10.0.1.1 rport 9 tcptype active",
        "candidate:5 1 TCP 1684013055 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998 tcptype passive",
        "candidate:6 1 TCP 1692401663 192.0.2.3 45687 typ srflx raddr 10.0.1.1 rport 8999 tcptype so",
        "candidate:7 1 UDP 2130706431 10.0.1.1 8997 typ host",
    ]
    .into_iter()
    .map(|line| line.parse().expect(line))
    .collect()
}

/// §4.5, Appendix C
#[test]
fn the_candidate_lines_of_appendix_c_are_read_and_written() {
    for candidate in candidates_of_a_section() {
        assert_eq!(candidate.to_string().parse(), Ok(candidate.clone()));
        assert_eq!(candidate.tcp_type.is_some(), candidate.transport == Transport::Tcp);
    }
    let line = "candidate:3 1 tcp 2120220671 10.0.1.1 8999 typ host tcptype so";
    assert_eq!(candidates_of_a_section()[2].to_string(), line);
    let without = "candidate:1 1 TCP 2128609279 10.0.1.1 9 typ host".parse::<Candidate>();
    assert!(without.is_err_and(|error| error.is_unsupported()));
}

/// §4.3
#[test]
fn a_mixed_section_has_a_udp_default_and_none_has_one_for_simultaneous_open() {
    let all = candidates_of_a_section();
    let default = |all: &[Candidate], transport| default_candidate(all, 1, transport).cloned();
    assert_eq!(default(&all, Transport::Udp).as_ref(), Some(&all[6]));
    assert_eq!(default(&[all[2].clone(), all[5].clone()], Transport::Tcp), None);
}

/// §4.3
#[test]
fn the_default_of_a_tcp_section_is_an_active_candidate() {
    let all = candidates_of_a_section();
    let default = default_candidate(&all, 1, Transport::Tcp).expect("a default");
    assert_eq!(default.tcp_type, Some(TcpType::Active));
}

/// §5
#[test]
fn addresses_of_both_families_give_tcp_candidates() {
    let mut world = World::new(1);
    let host = [Interface::v4(Gateway::Public), Interface::v6(Gateway::Public)];
    let a = world.agent(host, config(Role::Controlling));
    world.run_for(secs(1));
    let families: Vec<_> =
        candidates(&world, a).iter().filter_map(|it| Some(it.address.socket()?.is_ipv4())).collect();
    assert_eq!(families.iter().filter(|is_ipv4| **is_ipv4).count(), 2);
    assert_eq!(families.len(), 4);
}

/// §7.1
#[test]
fn one_connection_carries_all_checks_of_its_pair() {
    let (mut world, a, b) = completed(ROLES[0]);
    world.run_for(secs(60));
    // One for each direction, and consent for a minute on one of them.
    assert_eq!(sent(&world, is_syn).count(), 2);
    let requests = sent(&world, is_data)
        .filter(|it| Message::parse(&it.payload).is_ok_and(|message| message.class() == Class::Request));
    assert!(requests.count() > 20);
    assert_eq!((world.connections(a).len(), world.connections(b).len()), (1, 1));
}

/// §7.1
#[test]
fn a_connection_leaves_from_the_address_of_its_candidate_and_a_free_port() {
    let mut world = World::new(1);
    let a = world.agent(with_two_interfaces(), config(Role::Controlling));
    let b = world.agent(Nat::none(), config(Role::Controlled));
    world.capture();
    world.signal(a, b);
    world.run_for(secs(1));
    let own = world.addresses(a);
    let mut from: Vec<_> =
        sent(&world, is_syn).filter(|it| it.origin == Some(a)).map(|it| it.source).collect();
    from.sort_unstable();
    assert_eq!(from.iter().map(SocketAddr::ip).collect::<Vec<_>>(), own);
    let ports = candidates(&world, a).into_iter().filter_map(|it| Some(it.address.socket()?.port()));
    assert!(ports.into_iter().all(|port| from.iter().all(|from| from.port() != port)));
}

/// §7.1
#[test]
fn an_answer_on_an_active_candidate_reveals_a_peer_reflexive_one() {
    for roles in ROLES {
        let (world, a, b) = completed(roles);
        let selected = [a, b].map(|host| world.selected(host).expect("a selected pair").0);
        let active = selected.into_iter().find(|it| it.tcp_type == Some(TcpType::Active));
        let active = active.expect("one side has opened the connection");
        assert_eq!(active.kind, CandidateType::PeerReflexive);
        let syn = sent(&world, is_syn).find(|it| Some(it.source) == active.address.socket());
        assert!(syn.is_some(), "{active}");
    }
}

/// §7.2
#[test]
fn full_and_lite_agents_accept_connections_at_each_passive_candidate() {
    for lite in [false, true] {
        let mut world = World::new(1);
        let host = [Interface::v4(Gateway::Public), Interface::v4(Gateway::Public)];
        let own = config(Role::Controlled).components(&[2]);
        let a = world.agent(host, if lite { own.lite() } else { own });
        let b = world.host(Nat::none());
        let from = world.addresses(b)[0];
        let passive = candidates(&world, a).into_iter().filter(|it| it.tcp_type == Some(TcpType::Passive));
        let passive: Vec<_> = passive.filter_map(|it| it.address.socket()).collect();
        assert_eq!(passive.len(), 4);
        for (port, to) in (1000..).zip(&passive) {
            world.connect(b, SocketAddr::new(from, port), *to);
        }
        world.run_for(ms(100));
        let accepted: BTreeSet<_> = world.connections(a).into_iter().map(|(local, _)| local).collect();
        assert_eq!(accepted, passive.into_iter().collect());
    }
}

/// §7.2
#[test]
fn a_check_is_triggered_on_the_connection_that_brought_one() {
    for roles in ROLES {
        let mut world = World::new(1);
        // Nobody can connect to this one.
        let a = world.agent(Nat::firewall().link(Link::wan().udp(Udp::Blocked)), config(roles[0]));
        let b = world.agent(Nat::none(), config(roles[1]));
        world.capture();
        world.signal(a, b);
        complete(&mut world, a, b);
        let opened: Vec<_> = sent(&world, is_syn).filter(|it| it.origin == Some(a)).map(connection).collect();
        assert_eq!(opened.len(), 1);
        let checks = sent(&world, is_data)
            .filter(|it| it.origin == Some(b))
            .filter(|it| Message::parse(&it.payload).is_ok_and(|message| message.class() == Class::Request));
        let ways: BTreeSet<_> = checks.map(connection).collect();
        assert_eq!(ways, opened.into_iter().collect());
        assert!(sent(&world, is_syn).all(|it| it.destination.port() != 9));
        let (_, remote) = world.selected(b).expect("a selected pair");
        assert_eq!((remote.kind, remote.tcp_type), (CandidateType::PeerReflexive, Some(TcpType::Active)));
    }
}

/// §8
#[test]
fn a_check_nominates_only_a_pair_that_was_checked_before() {
    for roles in ROLES {
        let (world, ..) = completed(roles);
        let mut succeeded = BTreeSet::new();
        let mut nominated = 0;
        for it in world.captured().iter().filter(|it| matches!(it.protocol, Protocol::Tcp(Segment::Data(_))))
        {
            let Ok(message) = Message::parse(&it.payload) else { continue };
            let has_it = message.plain().attributes().has(attr::USE_CANDIDATE);
            match (it.fate, message.class()) {
                (Fate::Delivered, Class::Success) => drop(succeeded.insert((it.destination, it.source))),
                (Fate::Sent, Class::Request) if has_it => {
                    assert!(succeeded.contains(&(it.source, it.destination)));
                    nominated += 1;
                }
                _ => {}
            }
        }
        assert_eq!(nominated, 1);
    }
}

/// §9.2
#[test]
fn the_connection_of_the_session_before_is_closed_when_the_next_one_has_selected_its_own() {
    let (mut world, a, b) = completed(ROLES[0]);
    world.run_for(secs(4));
    let [old] = world.connections(a)[..] else { panic!("{:?}", world.connections(a)) };
    world.with_agent(a, Agent::restart);
    world.run_for(ms(10));
    complete(&mut world, a, b);
    assert!(world.connections(a).contains(&old), "it has its three seconds");
    world.run_for(secs(4));
    assert!(!world.connections(a).contains(&old));
    let fin =
        sent(&world, |segment| segment == Segment::Fin).any(|it| connection(it) == [old.0, old.1].into());
    assert!(fin);
}

/// §10.1
#[test]
fn data_goes_over_the_connection_that_the_nomination_came_over() {
    for roles in ROLES {
        let (mut world, a, b) = completed(roles);
        let nominating = sent(&world, is_data).find(|it| {
            let message = Message::parse(&it.payload);
            message.is_ok_and(|message| message.plain().attributes().has(attr::USE_CANDIDATE))
        });
        let nominating = nominating.map(connection).expect("a nomination");
        for host in [a, b] {
            world.send(host, b"data");
            let data = sent(&world, is_data).find(|it| it.payload == b"data" && it.origin == Some(host));
            assert_eq!(data.map(connection), Some(nominating.clone()));
        }
    }
}

/// §10.2
#[test]
fn data_between_checks_arrives_as_it_was_sent() {
    let (mut world, a, b) = completed(ROLES[0]);
    let check = sent(&world, is_data).find(|it| Message::parse(&it.payload).is_ok()).expect("a check");
    let mut almost = check.payload.clone();
    *almost.last_mut().expect("a fingerprint") ^= 1;
    let messages = [b"".to_vec(), vec![0, 1], almost, vec![0x16; 1200], vec![0x40, 0, 0, 1, 7]];
    // Over more than one interval of consent.
    for _ in 0..20 {
        for message in &messages {
            world.send(a, message);
        }
        world.run_for(ms(500));
    }
    let arrived: Vec<_> = world.received(b).iter().map(|it| it.payload.clone()).collect();
    assert_eq!(arrived, vec![messages; 20].concat());
    assert!(world.usable(a) && world.usable(b));
}

/// §11.1
#[test]
fn the_selected_connection_stays_whether_or_not_data_flows() {
    let (mut world, a, b) = completed(ROLES[0]);
    world.run_for(secs(4));
    let before = (world.connections(a), world.connections(b));
    assert_eq!(before.0.len(), 1);
    world.run_for(secs(3600));
    assert_eq!((world.connections(a), world.connections(b)), before);
}

/// §11.1
#[test]
fn no_data_goes_over_a_new_connection_before_its_check_is_answered() {
    for roles in ROLES {
        let (mut world, a, b) = completed(roles);
        world.run_for(secs(4));
        let old = world.connections(a);
        world.reset(a);
        let from = world.captured().len();
        for _ in 0..1000 {
            for host in [a, b] {
                if world.usable(host) {
                    world.send(host, b"data");
                }
            }
            world.run_for(ms(1));
        }
        assert_ne!(world.connections(a), old);
        let new = world.captured()[from..].iter().filter(|it| it.protocol != Protocol::Udp);
        let mut answered = BTreeSet::new();
        let mut sent = BTreeSet::new();
        for it in new.filter(|it| connection(it) != [old[0].0, old[0].1].into()) {
            let is_success = Message::parse(&it.payload).is_ok_and(|it| it.class() == Class::Success);
            if is_success && it.fate == Fate::Delivered {
                answered.insert(it.destination);
            } else if it.payload == b"data" && it.fate == Fate::Sent {
                assert!(answered.contains(&it.source), "{it:?}");
                sent.insert(it.origin);
            }
        }
        assert_eq!(sent, [Some(a), Some(b)].into());
    }
}
