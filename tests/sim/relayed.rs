//! Agents with a relay: floe's TURN client against floe's server.

use floe::agent::Policy;
use floe::candidate::CandidateType::Relayed;
use floe::sim::{Filtering, Gateway, Host, HostId, Interface, Link, Mapping, Nat, Ports, Udp, World};
use floe::{Config, Role, State};

use super::matrix::{meet, nats};
use super::{ROLES, ms, secs, seed};

/// Two agents that know the relay.
fn agents(world: &mut World, roles: [Role; 2], hosts: [Host; 2]) -> [HostId; 2] {
    let turn = world.turn_server();
    let [a, b] = hosts;
    let a = world.agent(a, Config::new(roles[0], seed(1)).turn_server(turn.clone()));
    let b = world.agent(b, Config::new(roles[1], seed(2)).turn_server(turn));
    world.signal(a, b);
    [a, b]
}

#[test]
fn symmetric_to_port_restricted_needs_the_relay() {
    let mut world = World::new(7);
    let turn = world.turn_server();
    let a = world.agent(Nat::symmetric(), Config::new(Role::Controlling, seed(1)).turn_server(turn.clone()));
    let b = world.agent(Nat::port_restricted(), Config::new(Role::Controlled, seed(2)).turn_server(turn));
    world.signal(a, b);
    let took = world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    assert!(took < secs(4), "{took:?} {world}");
    assert!(world.selected_types(a, b).contains(&Relayed), "{world}");
}

/// With a relay it connects always; and directly exactly where the oracle says so.
#[test]
fn agents_with_a_relay_connect_always_and_directly_where_it_is_possible() {
    for (a_name, a_nat) in nats() {
        for (b_name, b_nat) in nats() {
            for roles in ROLES {
                let mut world = World::new(1);
                let [a, b] = agents(&mut world, roles, [a_nat.clone().into(), b_nat.clone().into()]);
                let took = world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
                let name = format!("{a_name} – {b_name}");
                let direct = world.direct_path_possible(a, b);
                assert_eq!(direct, meet(a_name, b_name), "{name}");
                assert_ne!(world.selected_types(a, b).contains(&Relayed), direct, "{name} {world}");
                assert!(took < secs(6), "{name}: {took:?} {world}");
                carries_data(&mut world, a, b);
            }
        }
    }
}

fn carries_data(world: &mut World, a: HostId, b: HostId) {
    let before = [a, b].map(|host| world.received(host).len());
    world.send(a, b"from a");
    world.send(b, b"from b");
    world.run_for(secs(1));
    for (receiver, before, data) in [(a, before[0], b"from b"), (b, before[1], b"from a")] {
        let arrived: Vec<_> =
            world.received(receiver)[before..].iter().map(|it| it.payload.as_slice()).collect();
        assert_eq!(arrived, [data], "{world}");
    }
}

#[test]
fn a_host_that_reaches_the_relay_only_connects_through_it() {
    for roles in ROLES {
        for far in [Nat::none(), Nat::symmetric().into()] {
            let mut world = World::new(2);
            let narrow = Interface::v4(Nat::port_restricted()).link(Link::lan().udp(Udp::Only(vec![3478])));
            let [a, b] = agents(&mut world, roles, [narrow.into(), far.into()]);
            world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
            assert_eq!(world.selected_types(a, b)[0], Relayed, "{world}");
            carries_data(&mut world, a, b);
        }
    }
}

/// RFC 8828: an agent of this policy shows relayed candidates only, so every path goes through a relay.
#[test]
fn a_relay_only_agent_shows_no_other_address() {
    for policy in [[Policy::Relay, Policy::Relay], [Policy::Relay, Policy::All], [Policy::All, Policy::Relay]]
    {
        let mut world = World::new(3);
        let turn = world.turn_server();
        let [a, b] = [0, 1].map(|at| {
            let config = Config::new(ROLES[0][at], seed(at as u8)).policy(policy[at]);
            world.agent(Nat::none(), config.turn_server(turn.clone()))
        });
        world.signal(a, b);
        world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
        let types = world.selected_types(a, b);
        for at in 0..2 {
            assert!(policy[at] == Policy::All || types[at] == Relayed, "{types:?} {world}");
        }
        carries_data(&mut world, a, b);
    }
}

/// RFC 8656 §8, §9, §12: allocations live 10 minutes, permissions 5, channels 10; all are refreshed in time.
#[test]
fn a_relayed_session_lives_on_for_an_hour() {
    let mut world = World::new(4);
    let [a, b] = agents(&mut world, ROLES[0], [Nat::symmetric().into(), Nat::symmetric().into()]);
    world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
    for _ in 0..12 {
        world.run_for(secs(300));
        assert!(world.completed(a) && world.completed(b), "{world}");
        carries_data(&mut world, a, b);
    }
}

/// RFC 7675 §5.1 through a relay: the way to the server is the path.
#[test]
fn a_relay_out_of_reach_ends_consent() {
    let mut world = World::new(5);
    let [a, b] = agents(&mut world, ROLES[0], [Nat::symmetric().into(), Nat::symmetric().into()]);
    world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
    let server = world.server();
    world.cut(a, server);
    world.run_until(secs(31), |w| w.state(a) == State::Disconnected && w.state(b) == State::Disconnected);
    assert!(!world.usable(a) && !world.usable(b));
}

/// An allocation costs a 401 and its repetition; loss costs time.
#[test]
fn ten_percent_loss_connects_through_the_relay() {
    for seed in 0..50 {
        let mut world = World::new(seed);
        let turn = world.turn_server();
        let [a, b] = [Role::Controlling, Role::Controlled].map(|role| {
            let config = Config::new(role, world.seed()).turn_server(turn.clone());
            let nat: Gateway = Nat::symmetric().link(Link::wan().loss(0.1).jitter(ms(5))).into();
            world.agent(nat, config)
        });
        world.signal(a, b);
        world.run_until(secs(60), |w| w.completed(a) && w.completed(b));
        assert!(world.selected_types(a, b).contains(&Relayed));
    }
}

/// Each answer of such NATs reveals a new address, which is checked and reveals another one: peer-reflexive candidates
/// without end. They must neither keep the relay waiting nor make a nomination through it go unnoticed.
#[test]
fn mappings_that_change_with_every_check_do_not_keep_the_relay_from_being_used() {
    for round in 0..20 {
        let mut world = World::new(round);
        let turn = world.turn_server();
        let [a, b] = [Role::Controlling, Role::Controlled].map(|role| {
            let nat = Nat::new(Mapping::AddressAndPortDependent, Filtering::EndpointIndependent);
            let config = Config::new(role, world.seed()).turn_server(turn.clone());
            world.agent(nat.ports(Ports::Random), config)
        });
        world.signal(a, b);
        let took = world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
        assert!(took < secs(5), "{took:?}");
    }
}

/// All relayed candidates of a server have one foundation (RFC 8445 §5.1.1.3): where the socket of the first one goes
/// while it is checked, the others are Frozen for the 39.5 s that it takes to fail, and for as long the NAT lets nothing
/// in from them.
#[test]
fn the_relays_of_sockets_that_stay_are_checked_when_that_of_one_that_goes_is_silent() {
    let mut world = World::new(1);
    let turn = world.turn_server();
    let config = Config::new(Role::Controlled, seed(1)).turn_server(turn.clone()).policy(Policy::Relay);
    let interfaces = [(); 3].map(|()| Interface::v4(Nat::none()));
    let a = world.agent(interfaces, config);
    let b =
        world.agent(Nat::port_restricted(), Config::new(Role::Controlling, seed(2)).stun_server(turn.addr));
    world.signal_one_way(a, b, ms(50));
    world.run_for(secs(1));
    world.remove_interface(a, world.addresses(a)[0]);
    world.signal_one_way(b, a, ms(50));
    let took = world.run_until(secs(60), |w| w.completed(a) && w.completed(b));
    assert!(took < secs(5), "{took:?} {world}");
}
