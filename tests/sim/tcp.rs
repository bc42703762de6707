//! Candidates over TCP (RFC 6544).

use std::net::SocketAddr;
use std::time::Duration;

use floe::candidate::{Candidate, CandidateType, TcpRank, TcpType};
use floe::error::SignalError;
use floe::io::Transport;
use floe::signal::{Signal, What};
use floe::sim::{Fate, Gateway, HostId, Interface, Link, Nat, Protocol, Segment, Udp, World};
use floe::{Config, Role};

use super::{ROLES, ms, secs, seed};

pub(crate) fn config(role: Role, byte: u8) -> Config {
    Config::new(role, seed(byte)).tcp(TcpRank::AfterUdp)
}

/// A public host whose link carries no UDP.
pub(crate) fn without_udp() -> Interface {
    Interface::v4(Gateway::Public).link(Link::wan().udp(Udp::Blocked))
}

pub(crate) fn candidates(world: &World, host: HostId) -> Vec<Candidate> {
    let signals = world.signals(host).into_iter();
    let candidates = signals.filter_map(|signal| match signal.what {
        What::Candidate(candidate) => Some(candidate),
        _ => None,
    });
    candidates.collect()
}

pub(crate) fn tcp_type(world: &World, host: HostId) -> Option<TcpType> {
    world.selected(host).expect("a selected pair").0.tcp_type
}

/// Two public hosts that reach each other over TCP only.
pub(crate) fn tcp_pair(roles: [Role; 2]) -> (World, HostId, HostId) {
    let mut world = World::new(1);
    let a = world.agent(without_udp(), config(roles[0], 1));
    let b = world.agent(Nat::none(), config(roles[1], 2));
    world.capture();
    world.signal(a, b);
    (world, a, b)
}

pub(crate) fn complete(world: &mut World, a: HostId, b: HostId) -> Duration {
    world.run_until(secs(20), |w| w.completed(a) && w.completed(b))
}

pub(crate) fn exchange(world: &mut World, a: HostId, b: HostId) {
    for (from, to, data) in [(a, b, b"hello"), (b, a, b"there")] {
        let before = world.received(to).len();
        world.send(from, data);
        world.run_for(ms(100));
        assert_eq!(world.received(to).len(), before + 1, "{world}");
        assert_eq!(world.received(to)[before].payload, data);
    }
}

pub(crate) fn syns(world: &World) -> Vec<(SocketAddr, SocketAddr)> {
    let sent = world
        .captured()
        .iter()
        .filter(|it| it.protocol == Protocol::Tcp(Segment::Syn) && it.fate == Fate::Sent);
    sent.map(|it| (it.source, it.destination)).collect()
}

/// RFC 6544 §4.1: configurable, and off unless it is asked for.
#[test]
fn without_the_setting_there_is_no_tcp_candidate_and_none_of_the_peer_is_taken() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), Config::new(Role::Controlling, seed(1)));
    let b = world.agent(Nat::none(), config(Role::Controlled, 2));
    world.signal(a, b);
    complete(&mut world, a, b);
    assert!(candidates(&world, a).iter().all(|it| it.transport == Transport::Udp));
    assert_eq!(candidates(&world, b).iter().filter(|it| it.transport == Transport::Tcp).count(), 2);
    assert_eq!(world.agent_ref(a).stats().signals_refused, 2);
}

/// RFC 6544 §4.1, §4.2, §4.5, §5.1: one active and one passive candidate for each address and component, the former with
/// port 9, and no two of a component and a direction with the same local preference.
#[test]
fn each_address_and_component_has_an_active_and_a_passive_host_candidate() {
    let mut world = World::new(1);
    let host =
        [Interface::v4(Gateway::Public), Interface::v6(Gateway::Public), Interface::v4(Gateway::Public)];
    let a = world.agent(host, config(Role::Controlling, 1).components(&[2]));
    let b = world.agent(Nat::none(), config(Role::Controlled, 2));
    world.signal(a, b);
    world.run_for(secs(1));
    let tcp: Vec<_> = candidates(&world, a).into_iter().filter(|it| it.transport == Transport::Tcp).collect();
    assert_eq!(tcp.len(), 12);
    let mut seen = std::collections::BTreeSet::new();
    for component in [1, 2] {
        for direction in [TcpType::Active, TcpType::Passive] {
            let of = tcp.iter().filter(|it| (it.component, it.tcp_type) == (component, Some(direction)));
            let ports: Vec<_> = of.clone().filter_map(|it| Some(it.address.socket()?.port())).collect();
            assert_eq!(ports.len(), 3);
            assert!(ports.iter().all(|port| (*port == 9) == (direction == TcpType::Active)), "{ports:?}");
            assert!(of.clone().all(|it| it.kind == CandidateType::Host && seen.insert(it.priority)));
            let best = of.map(|it| it.priority >> 8 & 0x1FFF).max();
            assert_eq!(best, Some(8191));
        }
    }
}

/// RFC 6544 §6.2, §7.1, §7.2: a check opens the connection, one connection serves both sides, and each learns the other's
/// address on it.
#[test]
fn two_agents_connect_over_tcp_where_udp_is_blocked() {
    for roles in ROLES {
        let (mut world, a, b) = tcp_pair(roles);
        let took = world.run_until(secs(5), |w| w.usable(a) && w.usable(b));
        assert!(took < ms(500), "{took:?}");
        complete(&mut world, a, b);
        exchange(&mut world, a, b);
        for host in [a, b] {
            let (local, remote) = world.selected(host).expect("a selected pair");
            assert_eq!((local.transport, remote.transport), (Transport::Tcp, Transport::Tcp));
            assert!(local.kind != CandidateType::Host || local.tcp_type == Some(TcpType::Passive), "{local}");
        }
        let mut types = [tcp_type(&world, a), tcp_type(&world, b)];
        types.sort_unstable();
        assert_eq!(types, [Some(TcpType::Active), Some(TcpType::Passive)]);
        // Nobody connects to a placeholder.
        assert!(syns(&world).iter().all(|(_, to)| to.port() != 9));
    }
}

/// RFC 6544 §4.2: UDP and TCP are tried together, and UDP is what is selected.
#[test]
fn udp_is_selected_where_both_work() {
    for roles in ROLES {
        let mut world = World::new(1);
        let a = world.agent(Nat::none(), config(roles[0], 1));
        let b = world.agent(Nat::none(), config(roles[1], 2));
        world.signal(a, b);
        complete(&mut world, a, b);
        for host in [a, b] {
            assert_eq!(world.selected(host).expect("a selected pair").0.transport, Transport::Udp);
        }
        world.run_for(secs(4));
        assert_eq!((world.connections(a), world.connections(b)), (vec![], vec![]));
    }
}

/// RFC 6544 §4.2: also where the first UDP check is lost, and TCP is valid long before UDP is.
#[test]
fn a_late_udp_pair_still_wins_over_a_valid_tcp_pair() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), config(Role::Controlling, 1));
    let b = world.agent(
        Interface::v4(Gateway::Public).link(Link::wan().udp(Udp::Blocked)),
        config(Role::Controlled, 2),
    );
    world.signal(a, b);
    world.run_until(secs(2), |w| w.usable(a) && w.usable(b));
    let ip = world.addresses(b)[0];
    world.remove_interface(b, ip);
    world.add_interface(b, Interface::v4(Gateway::Public).address(ip));
    complete(&mut world, a, b);
    assert_eq!(world.selected(a).expect("a selected pair").0.transport, Transport::Udp);
}

/// RFC 6544 §4.2: a relay is the last resort, also one over UDP.
#[test]
fn direct_tcp_is_preferred_to_a_relay() {
    for with_tcp in [false, true] {
        let mut world = World::new(1);
        let turn = world.turn_server();
        let only_server = Link::lan().udp(Udp::Only(vec![turn.addr.port()]));
        let config = |role, byte| {
            let plain = Config::new(role, seed(byte)).turn_server(turn.clone());
            if with_tcp { plain.tcp(TcpRank::AfterUdp) } else { plain }
        };
        let host = Interface::v4(Nat::firewall()).link(only_server);
        let a = world.agent(host, config(Role::Controlling, 1));
        let b = world.agent(Nat::none(), config(Role::Controlled, 2));
        world.signal(a, b);
        complete(&mut world, a, b);
        let is_relayed = world.selected_types(a, b).contains(&CandidateType::Relayed);
        assert_eq!(is_relayed, !with_tcp);
    }
}

/// RFC 6544 §7.1: the active side needs no open port: any NAT and any firewall that lets connections out will do.
#[test]
fn an_agent_behind_a_nat_without_udp_reaches_a_public_one() {
    for roles in ROLES {
        for nat in [Nat::symmetric(), Nat::port_restricted(), Nat::firewall()] {
            let mut world = World::new(1);
            let a = world.agent(nat.link(Link::wan().udp(Udp::Blocked)), config(roles[0], 1));
            let b = world.agent(Nat::none(), config(roles[1], 2));
            world.signal(a, b);
            complete(&mut world, a, b);
            assert_eq!(
                (tcp_type(&world, a), tcp_type(&world, b)),
                (Some(TcpType::Active), Some(TcpType::Passive))
            );
            exchange(&mut world, a, b);
            let (local, _) = world.selected(a).expect("a selected pair");
            assert_eq!(local.kind, CandidateType::PeerReflexive);
        }
    }
}

/// RFC 6544 §4.4: a lite agent has passive candidates only, and a full one connects to it.
#[test]
fn a_lite_agent_accepts_connections_and_opens_none() {
    let mut world = World::new(1);
    let a = world.agent(without_udp(), config(Role::Controlling, 1));
    let b = world.agent(Nat::none(), config(Role::Controlled, 2).lite());
    world.capture();
    world.signal(a, b);
    complete(&mut world, a, b);
    let tcp: Vec<_> = candidates(&world, b).into_iter().filter_map(|it| it.tcp_type).collect();
    assert_eq!(tcp, [TcpType::Passive]);
    exchange(&mut world, a, b);
    assert!(
        world.captured().iter().all(|it| it.origin != Some(b) || it.protocol != Protocol::Tcp(Segment::Syn))
    );
}

/// TCP candidates for simultaneous open are read, and left alone.
#[test]
fn candidates_for_simultaneous_open_are_refused_as_unsupported() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), config(Role::Controlling, 1));
    let line = "candidate:3 1 TCP 2120220671 10.0.1.1 8999 typ host tcptype so";
    let candidate: Candidate = line.parse().expect("a candidate");
    let taken = world
        .with_agent(a, |agent, now| agent.handle_signal(now, Signal::new(0, What::Candidate(candidate))));
    assert!(matches!(taken, Err(SignalError::Unsupported(_))), "{taken:?}");
}
