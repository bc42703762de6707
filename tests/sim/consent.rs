//! Consent on a path that dies (RFC 7675), with a NAT that forgets, and one that is slow to.

use floe::agent::Reason;
use floe::io::ComponentId;
use floe::sim::{HostId, Link, Nat, World};
use floe::{Config, Event, Role, State};

use super::{ROLES, ms, secs, seed};

fn connected(world: &mut World, roles: [Role; 2], nat: Nat) -> [HostId; 2] {
    let a = world.agent(nat, Config::new(roles[0], seed(1)));
    let b = world.agent(Nat::none(), Config::new(roles[1], seed(2)));
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    [a, b]
}

/// RFC 7675 §5.1: 30 s after the last answer. Requests go out every 4 to 6 s, so the last answer is at most 6 s and
/// a round trip older than the cut.
#[test]
fn a_black_hole_ends_consent_after_30_s_at_both_ends() {
    for roles in ROLES {
        let mut world = World::new(1);
        let [a, b] = connected(&mut world, roles, Nat::port_restricted());
        world.run_for(secs(60));
        assert!(world.completed(a) && world.completed(b), "{world}");
        world.cut(a, b);
        let cut = world.elapsed();
        for host in [a, b] {
            world.run_until(secs(31), |w| w.state(host) == State::Disconnected);
            let took = world.elapsed() - cut;
            assert!((ms(30_000 - 6_100)..=secs(30)).contains(&took), "{took:?} {world}");
        }
    }
}

/// RFC 7675 §5.1: from the moment that consent is lost nothing may be sent; the path goes before the state is told.
#[test]
fn the_path_is_gone_in_the_moment_that_consent_is() {
    let mut world = World::new(2);
    let [a, b] = connected(&mut world, ROLES[0], Nat::port_restricted());
    world.cut(a, b);
    world.run_until(secs(31), |w| !w.usable(a));
    assert_eq!(world.state(a), State::Disconnected);
    let [.., path, state] = world.events(a) else { panic!("no events") };
    assert_eq!(path.0, state.0);
    assert!(matches!(path.1, Event::Path { path: None, .. }), "{path:?}");
    assert_eq!(state.1, Event::State(State::Disconnected));
    let sent = world.packets_of(a).sent;
    world.run_for(secs(20));
    assert_eq!(world.packets_of(a).sent, sent, "no consent, no packets");
}

/// One way is enough to lose it at both ends: who does not hear requests does not answer, who does not hear
/// answers has none.
#[test]
fn a_hole_in_one_direction_ends_consent_at_both_ends() {
    for way in [0, 1] {
        let mut world = World::new(3);
        let hosts = connected(&mut world, ROLES[0], Nat::firewall());
        world.set_path(hosts[way], hosts[1 - way], Link::down());
        world.run_until(secs(31), |w| hosts.iter().all(|host| w.state(*host) == State::Disconnected));
    }
}

/// 30 s, less the 6 s at most before the hole and after it in which nobody asks.
#[test]
fn a_hole_that_closes_in_time_costs_nothing() {
    for gap in [5, 12, 18] {
        let mut world = World::new(4);
        let [a, b] = connected(&mut world, ROLES[0], Nat::port_restricted());
        let said = world.events(a).len();
        world.run_for(secs(20));
        world.cut(a, b);
        world.run_for(secs(gap));
        world.set_path(a, b, Link::ideal());
        world.set_path(b, a, Link::ideal());
        world.run_for(secs(60));
        assert!(world.completed(a) && world.completed(b), "{gap} s {world}");
        // At most that the path did not answer for a while, and does again.
        let events: Vec<_> = world.events(a)[said..].iter().map(|(_, event)| event.clone()).collect();
        let component = ComponentId::FIRST;
        let told = [Event::Suspected { component }, Event::Recovered { component }];
        assert!(events.is_empty() || (gap > 5 && events == told), "{gap} s {events:?}");
    }
}

/// Without a restart an agent that lost consent waits 30 s more, then it is over.
#[test]
fn a_session_without_consent_fails_in_the_end() {
    let mut world = World::new(5);
    let [a, b] = connected(&mut world, ROLES[0], Nat::port_restricted());
    world.cut(a, b);
    world.run_until(secs(62), |w| w.state(a) == State::Failed && w.state(b) == State::Failed);
    let failed = |host| world.events(host).iter().any(|(_, it)| *it == Event::Failed(Reason::ConsentExpired));
    assert!(failed(a) && failed(b), "{world}");
}

/// RFC 8445 §11: consent requests keep the shortest mapping of RFC 4787 §4.3 alive without data.
#[test]
fn consent_keeps_a_mapping_of_30_s_alive() {
    let mut world = World::new(6);
    let [a, b] = connected(&mut world, ROLES[0], Nat::port_restricted().lifetime(secs(30)));
    world.run_for(secs(600));
    assert!(world.completed(a) && world.completed(b), "{world}");
    world.send(b, b"still there?");
    world.run_for(ms(100));
    assert_eq!(world.received(a).len(), 1);
}

/// A NAT that keeps the port opens the same mapping again with the next consent request.
#[test]
fn a_restart_of_a_nat_that_preserves_ports_goes_unnoticed() {
    let mut world = World::new(7);
    let [a, b] = connected(&mut world, ROLES[0], Nat::port_restricted());
    let nat = world.gateway(a, world.addresses(a)[0]).expect("a NAT");
    world.flush(nat);
    world.run_for(secs(60));
    assert!(world.completed(a) && world.completed(b), "{world}");
}
