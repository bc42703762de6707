//! Two agents, the plain cases.

use floe::candidate::CandidateType::{Host, PeerReflexive, ServerReflexive};
use floe::sim::{HostId, Interface, Link, Nat, World};
use floe::{Config, Event, Role, State};

use super::{ROLES, ms, secs, seed};

/// Two agents that know nobody but each other.
fn pair(world: &mut World, a: impl Into<floe::sim::Host>, b: impl Into<floe::sim::Host>) -> [HostId; 2] {
    let a = world.agent(a, Config::new(Role::Controlling, seed(1)));
    let b = world.agent(b, Config::new(Role::Controlled, seed(2)));
    world.signal(a, b);
    [a, b]
}

/// RFC 8445 §12.1: data may flow on the first valid pair. 50 ms of signaling, then a check and its answer, 40 ms each.
#[test]
fn two_public_hosts_are_usable_one_round_trip_after_signaling() {
    let mut world = World::new(1);
    let [a, b] = pair(&mut world, Nat::none(), Nat::none());
    let took = world.run_until(secs(1), |w| w.usable(a) && w.usable(b));
    assert_eq!(took, ms(50 + 80), "{world}");
    world.run_until(secs(1), |w| w.completed(a) && w.completed(b));
    assert_eq!(world.selected_types(a, b), [Host, Host]);
}

#[test]
fn data_goes_both_ways_and_arrives_after_the_latency() {
    let mut world = World::new(2);
    let [a, b] = pair(&mut world, Nat::none(), Nat::none());
    world.run_until(secs(2), |w| w.completed(a) && w.completed(b));
    let sent = world.elapsed();
    world.send(a, b"from a");
    world.send(b, b"from b");
    world.run_for(ms(100));
    for (receiver, data) in [(b, b"from a"), (a, b"from b")] {
        let arrivals = world.received(receiver);
        assert_eq!(arrivals.len(), 1);
        assert_eq!((arrivals[0].payload.as_slice(), arrivals[0].at - sent), (&data[..], ms(40)));
    }
}

/// RFC 8445 §7.3.1.3: the source of a check that no candidate has is a peer-reflexive candidate.
#[test]
fn a_host_behind_a_nat_without_servers_reaches_a_public_one() {
    for nat in [Nat::full_cone(), Nat::symmetric(), Nat::linux(), Nat::firewall()] {
        let translates = !format!("{nat:?}").contains("Identity");
        let mut world = World::new(3);
        let [a, b] = pair(&mut world, nat, Nat::none());
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        let own = if translates { PeerReflexive } else { Host };
        assert_eq!(world.selected_types(a, b), [own, Host], "{world}");
    }
}

#[test]
fn two_hosts_behind_one_nat_use_their_own_network() {
    let mut world = World::new(4);
    let home = world.nat(Nat::symmetric());
    let [a, b] = pair(&mut world, home, home);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    assert_eq!(world.selected_types(a, b), [Host, Host]);
}

/// RFC 8421 §4: IPv6 comes first where both have it.
#[test]
fn two_dual_stack_hosts_select_ipv6() {
    let mut world = World::new(5);
    let [a, b] = [Nat::port_restricted(), Nat::port_restricted()].map(|nat| {
        let home = world.nat(nat);
        [Interface::v4(home), Interface::v6(home)]
    });
    let [a, b] = pair(&mut world, a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    let (local, remote) = world.selected(a).expect("a selected pair");
    assert!(local.address.socket().is_some_and(|addr| addr.is_ipv6()), "{world}");
    assert!(remote.address.socket().is_some_and(|addr| addr.is_ipv6()));
}

#[test]
fn a_link_that_is_down_is_left_for_the_other_interface() {
    for roles in ROLES {
        let mut world = World::new(6);
        let broken = Interface::v4(Nat::none()).link(Link::down());
        let a = world.agent([broken, Interface::v4(Nat::none())], Config::new(roles[0], seed(1)));
        let b = world.agent(Nat::none(), Config::new(roles[1], seed(2)));
        world.signal(a, b);
        world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
        let works = world.addresses(a)[1];
        let (local, _) = world.selected(a).expect("a selected pair");
        assert_eq!(local.address.socket().map(|addr| addr.ip()), Some(works));
    }
}

/// The selected pair goes with its socket: nothing may be sent on it any more.
#[test]
fn an_interface_that_goes_takes_the_path_with_it() {
    let mut world = World::new(7);
    let [a, b] = pair(&mut world, Nat::none(), Nat::none());
    world.run_until(secs(2), |w| w.completed(a) && w.completed(b));
    let ip = world.addresses(a)[0];
    world.remove_interface(a, ip);
    assert!(!world.usable(a), "{world}");
    assert!(matches!(world.events(a).last(), Some((_, Event::Path { path: None, .. } | Event::State(_)))));
}

/// RFC 8863 §4: not before 39.5 s, the time that a check takes to fail.
#[test]
fn two_hosts_that_cannot_reach_each_other_fail_after_patience() {
    let mut world = World::new(8);
    let [a, b] = pair(&mut world, Nat::port_restricted(), Nat::port_restricted());
    world.run_for(secs(39));
    assert_eq!([world.state(a), world.state(b)], [State::Checking; 2], "{world}");
    world.run_until(secs(5), |w| w.state(a) == State::Failed && w.state(b) == State::Failed);
}
#[test]
fn a_stun_server_makes_a_path_between_two_nats() {
    for roles in ROLES {
        let mut world = World::new(9);
        let server = world.stun_server();
        let a = world.agent(Nat::port_restricted(), Config::new(roles[0], seed(1)).stun_server(server));
        let b = world.agent(Nat::address_restricted(), Config::new(roles[1], seed(2)).stun_server(server));
        world.signal(a, b);
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        assert_eq!(world.selected_types(a, b), [ServerReflexive, ServerReflexive], "{world}");
    }
}

/// A host moves from one network to another: the new address is used where the session has no other way.
#[test]
fn an_interface_that_comes_late_is_used() {
    for roles in ROLES {
        let mut world = World::new(10);
        let useless = Interface::v4(Nat::none()).link(Link::down());
        let a = world.agent(useless, Config::new(roles[0], seed(1)));
        let b = world.agent(Nat::none(), Config::new(roles[1], seed(2)));
        world.signal(a, b);
        world.run_for(secs(5));
        let ip = world.add_interface(a, Interface::v4(Nat::port_restricted()));
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        let (_, remote) = world.selected(b).expect("a selected pair");
        let nat = world.external(world.gateway(a, ip).expect("a NAT"));
        assert_eq!(remote.address.socket().map(|addr| addr.ip()), Some(nat), "{world}");
    }
}

/// What is sent to an address that went is lost, and finds no other way round.
#[test]
fn datagrams_to_an_interface_that_went_are_lost() {
    for v6 in [false, true] {
        let mut world = World::new(11);
        let (provider, far) = (
            world.nat(Nat::firewall()),
            world.host([Interface::v4(Nat::none()), Interface::v6(Nat::none())]),
        );
        let home = world.nat_behind(provider, Nat::firewall());
        let host = world.host(if v6 { Interface::v6(home) } else { Interface::v4(home) });
        let own = world.addresses(host)[0];
        let own = std::net::SocketAddr::new(own, 9);
        let far_ip = world.addresses(far).into_iter().find(|ip| ip.is_ipv6() == v6).expect("an address");
        let to = std::net::SocketAddr::new(far_ip, 9);
        world.transmit(host, own, to, b"out");
        world.run_for(ms(200));
        assert_eq!(world.received(far)[0].source, own);
        world.remove_interface(host, own.ip());
        world.transmit(far, to, own, b"back");
        world.run_for(secs(1));
        assert_eq!(world.packets_of(far).unroutable, 1);
    }
}
