//! TURN servers that are reached over TCP (RFC 6544 §4.1, §11.2).

use std::net::SocketAddr;

use floe::agent::{Nomination, Policy, Why};
use floe::candidate::CandidateType;
use floe::io::Transport;
use floe::sim::{Gateway, HostId, Interface, Nat, World};
use floe::turn::{Mobility, ServerTransport, TurnServer};
use floe::{Agent, Config, Event, Role};

use super::{complete, is_syn, sent, without_udp};
use crate::bench::{ms, secs};

fn over_tcp(world: &mut World) -> TurnServer {
    world.turn_server().over(ServerTransport::Tcp)
}

fn to_server(world: &World, host: HostId, server: SocketAddr) -> usize {
    world.connections(host).into_iter().filter(|(_, remote)| *remote == server).count()
}

/// §4.1
#[test]
fn a_relay_is_reached_over_tcp_where_udp_is_blocked() {
    let mut world = World::new(1);
    let turn = over_tcp(&mut world);
    let a = world.agent(without_udp(), Config::new(Role::Controlling, [1; 32]).turn_server(turn));
    let b = world.agent(Nat::none(), Config::new(Role::Controlled, [2; 32]));
    world.signal(a, b);
    complete(&mut world, a, b);
    let (local, _) = world.selected(a).expect("a selected pair");
    assert_eq!((local.kind, local.transport), (CandidateType::Relayed, Transport::Udp));
    for (from, to) in [(a, b), (b, a)] {
        world.send(from, b"through the relay");
        world.run_for(ms(200));
        assert_eq!(world.received(to).len(), 1);
    }
}

/// §4.1
#[test]
fn the_connection_to_a_relay_stays_until_completion() {
    let mut world = World::new(1);
    let turn = over_tcp(&mut world);
    let server = turn.addr;
    let a = world.agent(Nat::none(), Config::new(Role::Controlling, [1; 32]).turn_server(turn));
    let b = world.agent(Nat::none(), Config::new(Role::Controlled, [2; 32]));
    world.run_for(secs(60));
    assert_eq!(to_server(&world, a, server), 1, "gathering is over, and nobody has called");
    world.signal(a, b);
    complete(&mut world, a, b);
    assert_eq!(to_server(&world, a, server), 1);
}

/// §4.1
#[test]
fn connections_to_relays_are_opened_a_pacing_interval_apart() {
    let mut world = World::new(1);
    let turn = over_tcp(&mut world);
    world.capture();
    let host = [(); 4].map(|()| Interface::v4(Gateway::Public));
    world.agent(host, Config::new(Role::Controlling, [1; 32]).pacing(ms(50)).turn_server(turn));
    world.run_for(secs(2));
    let at: Vec<_> = sent(&world, is_syn).map(|it| it.at).collect();
    assert_eq!(at.len(), 4);
    assert!(at.windows(2).all(|two| two[1] >= two[0] + ms(50)), "{at:?}");
}

/// §11.2
#[test]
fn the_connection_to_the_selected_relay_stays_and_that_to_another_one_is_closed() {
    for (policy, stays) in [(Policy::Relay, 1), (Policy::All, 0)] {
        let mut world = World::new(1);
        let turn = over_tcp(&mut world);
        let server = turn.addr;
        let a = Config::new(Role::Controlling, [1; 32]).turn_server(turn).policy(policy);
        // To the letter of the RFC: with renomination a spare pair keeps it.
        let a = a.nomination(Nomination::Best { settle: ms(500) });
        let a = world.agent(Nat::none(), a);
        let b = world.agent(Nat::none(), Config::new(Role::Controlled, [2; 32]));
        world.signal(a, b);
        complete(&mut world, a, b);
        world.run_for(secs(5));
        assert_eq!(to_server(&world, a, server), stays);
        world.run_for(secs(1800));
        assert_eq!(to_server(&world, a, server), stays);
        assert!(world.usable(a) && world.usable(b));
    }
}

/// §11.2
#[test]
fn a_lost_connection_to_the_selected_relay_asks_for_a_restart_which_allocates_anew() {
    let mut world = World::new(1);
    let turn = over_tcp(&mut world).mobility(Mobility::Never);
    let server = turn.addr;
    let config = |role, seed| Config::new(role, [seed; 32]);
    let a = config(Role::Controlling, 1).turn_server(turn).policy(Policy::Relay);
    let a = world.agent(Nat::none(), a);
    let b = world.agent(Nat::none(), config(Role::Controlled, 2));
    world.signal(a, b);
    complete(&mut world, a, b);
    world.run_for(secs(5));
    world.reset(a);
    world.run_for(ms(100));
    let needed = |it: &Event| matches!(it, Event::RestartNeeded(Why::PathGone));
    assert!(world.events(a).iter().any(|(_, it)| needed(it)));
    world.with_agent(a, Agent::restart);
    complete(&mut world, a, b);
    world.run_until(secs(5), |w| w.usable(a) && w.usable(b));
    assert_eq!(to_server(&world, a, server), 1);
}
