//! Signals that come late, and checks that come before them (RFC 8445 §7.3, RFC 8838).

use floe::sim::{HostId, Nat, World};
use floe::{Config, State};

use super::{ROLES, ms, secs, seed};

fn hosts(world: &mut World, roles: [floe::Role; 2], nats: [floe::sim::Gateway; 2]) -> [HostId; 2] {
    let [a, b] = nats;
    [world.agent(a, Config::new(roles[0], seed(1))), world.agent(b, Config::new(roles[1], seed(2)))]
}

/// RFC 8445 §7.3: checks of the peer are answered before its credentials are known, and triggered checks follow when
/// they come. The one with the signals has its answer at once; the other one a round trip after its signals.
#[test]
fn a_check_before_the_credentials_is_not_lost() {
    for roles in ROLES {
        let mut world = World::new(1);
        let [a, b] = hosts(&mut world, roles, [Nat::none(), Nat::none()]);
        world.signal_one_way(b, a, ms(50));
        let early = world.run_until(secs(1), |w| w.usable(a));
        assert_eq!(early, ms(50 + 80), "{world}");
        assert!(!world.usable(b));
        world.run_for(secs(2));
        world.signal_one_way(a, b, ms(50));
        let late = world.run_until(secs(1), |w| w.usable(b));
        assert!(late <= ms(50 + 50 + 80), "{late:?} {world}");
        world.run_until(secs(2), |w| w.completed(a) && w.completed(b));
    }
}

/// RFC 8863 §4: patience begins with the credentials of the peer and lasts 39.5 s. So much later than its own may the
/// signals of the other way be; late ones cost their own time only.
#[test]
fn signals_may_be_late() {
    for roles in ROLES {
        for [ab, ba] in [[38, 0], [0, 38], [300, 300], [300, 338]] {
            let mut world = World::new(2);
            let [a, b] = hosts(&mut world, roles, [Nat::port_restricted().into(), Nat::none()]);
            world.signal_one_way(a, b, secs(ab));
            world.signal_one_way(b, a, secs(ba));
            let took = world.run_until(secs(400), |w| w.completed(a) && w.completed(b));
            assert!(took < secs(ab.max(ba)) + secs(3), "{took:?} {ab} {ba} {world}");
        }
    }
}

/// One may start before the other one exists.
#[test]
fn an_agent_waits_for_a_peer_that_starts_later() {
    for roles in ROLES {
        let mut world = World::new(3);
        let a = world.agent(Nat::port_restricted(), Config::new(roles[0], seed(1)));
        world.run_for(secs(300));
        assert_eq!(world.state(a), State::Gathering);
        let b = world.agent(Nat::none(), Config::new(roles[1], seed(2)));
        world.signal(a, b);
        let took = world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        assert!(took < secs(2), "{took:?} {world}");
    }
}

/// An agent that was asked for nothing sends nothing: without a peer there is nobody to check.
#[test]
fn an_agent_without_signals_of_the_peer_is_silent() {
    let mut world = World::new(4);
    let a = world.agent(Nat::none(), Config::new(ROLES[0][0], seed(1)));
    world.run_for(secs(60));
    assert_eq!(world.packets_of(a).sent, 0, "{world}");
}

/// After `close` not even the answer to a consent request goes out: the peer notices by RFC 7675.
#[test]
fn a_closed_agent_sends_nothing_more() {
    let mut world = World::new(5);
    let [a, b] = hosts(&mut world, ROLES[0], [Nat::none(), Nat::none()]);
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    world.with_agent(a, floe::Agent::close);
    let sent = world.packets_of(a).sent;
    assert!(!world.usable(a));
    world.run_for(secs(60));
    assert_eq!(world.packets_of(a).sent, sent, "{world}");
    assert_eq!(world.state(a), State::Closed);
}
