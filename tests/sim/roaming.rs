//! A host that changes its network while its session goes through a relay (RFC 8016), and relays of both families: floe's
//! TURN client against floe's server.

use floe::agent::{Policy, Why};
use floe::candidate::CandidateType::{Host, Relayed, ServerReflexive};
use floe::signal::What;
use floe::sim::{HostId, Interface, Link, Nat, World};
use floe::turn::{Families, Mobility, ServerTransport, TurnServer};
use floe::{Config, Event, Role};

use super::{ROLES, ms, secs, seed};

const TRANSPORTS: [ServerTransport; 2] = [ServerTransport::Udp, ServerTransport::Tcp];

/// A relay-only agent behind a NAT, and a peer on the Internet.
fn relayed(roles: [Role; 2], server: impl FnOnce(TurnServer) -> TurnServer) -> (World, [HostId; 2]) {
    let mut world = World::new(11);
    let turn = server(world.turn_server());
    let config = Config::new(roles[0], seed(1)).policy(Policy::Relay).turn_server(turn);
    let a = world.agent(Nat::symmetric(), config);
    let b = world.agent(Nat::none(), Config::new(roles[1], seed(2)));
    world.signal(a, b);
    world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
    world.run_for(secs(5));
    (world, [a, b])
}

/// The host leaves its network, and is in another one after a while.
fn roam(world: &mut World, host: HostId, pause: std::time::Duration) {
    for ip in world.addresses(host) {
        world.remove_interface(host, ip);
    }
    world.run_for(pause);
    world.add_interface(host, Interface::v4(Nat::symmetric()));
}

fn exchange(world: &mut World, [a, b]: [HostId; 2]) {
    let before = [a, b].map(|host| world.received(host).len());
    world.send(a, b"from a");
    world.send(b, b"from b");
    world.run_for(secs(1));
    for (host, before, data) in [(a, before[0], b"from b"), (b, before[1], b"from a")] {
        let arrived: Vec<_> = world.received(host)[before..].iter().map(|it| it.payload.clone()).collect();
        assert_eq!(arrived, [data], "{world}");
    }
}

fn needs_restart(world: &World, host: HostId) -> bool {
    world.events(host).iter().any(|(_, event)| matches!(event, Event::RestartNeeded(_)))
}

#[test]
fn a_session_through_a_relay_survives_changes_of_the_network() {
    for roles in ROLES {
        for transport in TRANSPORTS {
            let (mut world, hosts) = relayed(roles, |server| server.over(transport.clone()));
            exchange(&mut world, hosts);
            for pause in [ms(0), secs(3), secs(8)] {
                roam(&mut world, hosts[0], pause);
                let took = world.run_until(secs(5), |w| w.usable(hosts[0]));
                assert!(took < ms(500), "{took:?}");
                // A way to the peer and back: from then on the server sends to the new place, whether there is data or not.
                world.run_for(ms(100));
                world.send(hosts[1], b"heard");
                world.run_for(ms(200));
                assert_eq!(world.received(hosts[0]).last().expect("data").payload, b"heard", "{world}");
                exchange(&mut world, hosts);
            }
            // Permissions and the channel are renewed from there.
            for _ in 0..4 {
                world.run_for(secs(300));
                exchange(&mut world, hosts);
            }
            for host in hosts {
                assert!(world.completed(host) && !needs_restart(&world, host), "{transport:?} {world}");
            }
        }
    }
}

#[test]
fn without_mobility_a_change_of_the_network_needs_a_restart() {
    let (mut world, hosts) = relayed(ROLES[0], |server| server.mobility(Mobility::Never));
    roam(&mut world, hosts[0], ms(0));
    world.run_for(secs(1));
    let events = world.events(hosts[0]);
    assert!(events.iter().any(|(_, event)| *event == Event::RestartNeeded(Why::PathGone)));
}

/// RFC 8656 §7: a host of IPv4 alone meets one of IPv6 alone, through the server that it reaches by IPv4.
#[test]
fn one_allocation_leads_from_ipv4_to_ipv6() {
    for (families, meets) in [(Families::Both, true), (Families::V6, true), (Families::V4, false)] {
        let mut world = World::new(12);
        let turn = world.turn_server().families(families);
        let a = world.agent(
            Interface::v4(Nat::symmetric()),
            Config::new(Role::Controlling, seed(1)).turn_server(turn),
        );
        let b = world.agent(Interface::v6(Nat::none()), Config::new(Role::Controlled, seed(2)));
        world.signal(a, b);
        world.run_for(secs(10));
        assert_eq!(world.completed(a) && world.completed(b), meets, "{families:?} {world}");
        if meets {
            assert_eq!(world.selected_types(a, b)[0], Relayed);
            exchange(&mut world, [a, b]);
        }
    }
}

/// How often a host has begun, so far as it has signalled.
fn beginnings(world: &World, host: HostId) -> usize {
    world.signals(host).iter().filter(|signal| matches!(signal.what, What::Credentials(_))).count()
}

/// Both send every 20 ms until each has something of the other one that left after now. Returns how long that took.
fn until_data(world: &mut World, hosts: [HostId; 2], at_most: std::time::Duration) -> std::time::Duration {
    let start = world.now();
    let fresh = |world: &World, host: HostId| {
        let latest = world.received(host).last();
        latest.is_some_and(|it| it.payload == b"fresh")
    };
    while !hosts.iter().all(|host| fresh(world, *host)) {
        for host in hosts {
            world.send(host, b"fresh");
        }
        world.run_for(ms(20));
        assert!(world.now() - start < at_most, "{world}");
    }
    world.now() - start
}

/// The restart's signals are on their way for five seconds: by then the peer has learnt the new address from a check, and
/// the path has moved with a nomination (both ends know renomination).
#[test]
fn renomination_moves_the_path_while_the_restart_is_on_its_way() {
    let slow = secs(5);
    for roles in ROLES {
        let mut world = World::new(13);
        let hosts =
            [0, 1].map(|at: usize| world.agent(Nat::none(), Config::new(roles[at], seed(at as u8 + 1))));
        let [a, b] = hosts;
        for (from, to) in [(a, b), (b, a)] {
            world.set_path(from, to, Link::ideal().latency(ms(15)));
            world.signal_one_way(from, to, slow);
        }
        world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
        for _ in 0..100 {
            world.send(a, b"old");
            world.send(b, b"old");
            world.run_for(ms(20));
        }
        roam(&mut world, a, ms(0));
        // What the driver grants: four round trips.
        world.run_for(ms(120));
        world.with_agent(a, floe::Agent::restart);
        let took = until_data(&mut world, hosts, slow);
        assert_eq!([beginnings(&world, a), beginnings(&world, b)], [2, 1], "{roles:?} {took:?} {world}");
        world.run_until(secs(20), |w| beginnings(w, b) == 2 && w.completed(a) && w.completed(b));
        exchange(&mut world, hosts);
    }
}

/// The relay has moved at the restart, or is on its way: either way the restart brings the addresses of the new network.
#[test]
fn a_host_that_moved_with_its_relay_signals_its_new_addresses_too() {
    for pause in [ms(10), secs(1)] {
        let mut world = World::new(14);
        let turn = world.turn_server();
        let hosts = [0, 1].map(|at: usize| {
            let config = Config::new(ROLES[0][at], seed(at as u8 + 1)).turn_server(turn.clone());
            world.agent(Nat::port_restricted(), config)
        });
        let [a, b] = hosts;
        world.signal(a, b);
        world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
        world.run_for(secs(1));
        roam(&mut world, a, ms(0));
        world.run_for(pause);
        let before = world.signals(a).len();
        world.with_agent(a, floe::Agent::restart);
        world.run_for(secs(5));
        let signals = world.signals(a).split_off(before);
        let mut kinds: Vec<_> = signals
            .iter()
            .filter_map(|signal| match &signal.what {
                What::Candidate(candidate) => Some(candidate.kind),
                _ => None,
            })
            .collect();
        kinds.dedup();
        for kind in [Host, ServerReflexive, Relayed] {
            assert!(kinds.contains(&kind), "{pause:?} {kinds:?} {world}");
        }
    }
}
