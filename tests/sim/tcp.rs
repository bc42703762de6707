//! Candidates over TCP (RFC 6544).

use std::net::SocketAddr;
use std::time::Duration;

use floe::candidate::{Candidate, CandidateType, TcpRank, TcpType};
use floe::io::Transport;
use floe::signal::What;
use floe::sim::{Gateway, HostId, Interface, Link, Nat, Protocol, Segment, Udp, World};
use floe::{Config, Role};

use super::{ROLES, ms, secs, seed};

fn config(role: Role, byte: u8) -> Config {
    Config::new(role, seed(byte)).tcp(TcpRank::AfterUdp)
}

/// A public host whose link carries no UDP.
fn without_udp() -> Interface {
    Interface::v4(Gateway::Public).link(Link::wan().udp(Udp::Blocked))
}

fn candidates(world: &World, host: HostId) -> Vec<Candidate> {
    let signals = world.signals(host).into_iter();
    let candidates = signals.filter_map(|signal| match signal.what {
        What::Candidate(candidate) => Some(candidate),
        _ => None,
    });
    candidates.collect()
}

fn tcp_type(world: &World, host: HostId) -> Option<TcpType> {
    world.selected(host).expect("a selected pair").0.tcp_type
}

/// Two public hosts that reach each other over TCP only.
fn tcp_pair(roles: [Role; 2]) -> (World, HostId, HostId) {
    let mut world = World::new(1);
    let a = world.agent(without_udp(), config(roles[0], 1));
    let b = world.agent(Nat::none(), config(roles[1], 2));
    world.capture();
    world.signal(a, b);
    (world, a, b)
}

fn complete(world: &mut World, a: HostId, b: HostId) -> Duration {
    world.run_until(secs(20), |w| w.completed(a) && w.completed(b))
}

fn exchange(world: &mut World, a: HostId, b: HostId) {
    for (from, to, data) in [(a, b, b"hello"), (b, a, b"there")] {
        let before = world.received(to).len();
        world.send(from, data);
        world.run_for(ms(100));
        assert_eq!(world.received(to).len(), before + 1, "{world}");
        assert_eq!(world.received(to)[before].payload, data);
    }
}

fn syns(world: &World) -> Vec<(SocketAddr, SocketAddr)> {
    let sent = world
        .captured()
        .iter()
        .filter(|it| it.protocol == Protocol::Tcp(Segment::Syn) && it.fate == floe::sim::Fate::Sent);
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
