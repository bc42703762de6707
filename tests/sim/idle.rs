//! Flows without data, where the lifetime of the NAT's mappings is known: as few packets as keep them open.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use floe::io::ComponentId;
use floe::sim::{Fate, HostId, Link, Nat, Ports, World};
use floe::{Config, Role};

use super::{ROLES, ms, secs, seed};

const FIRST: ComponentId = ComponentId { stream: 0, component: 1 };
const REQUEST: [u8; 2] = [0, 1];
const INDICATION: [u8; 2] = [0, 17];

/// An agent behind this NAT, told that its mappings live for `lifetime`, and one with a public address; what they sent
/// to each other is kept from the tenth second on, when both are idle.
fn idle(world: &mut World, nat: Nat, lifetime: Option<Duration>) -> [HostId; 2] {
    let config = Config::new(Role::Controlling, seed(1));
    let config = lifetime.into_iter().fold(config, Config::mapping_lifetime);
    let a = world.agent(nat, config);
    let b = world.agent(Nat::none(), Config::new(Role::Controlled, seed(2)));
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    world.run_for(secs(20));
    world.capture();
    [a, b]
}

/// When messages of this kind left a host.
fn sent(world: &World, host: HostId, kind: [u8; 2]) -> Vec<Duration> {
    let own = world.addresses(host);
    let from = world.captured().iter().filter(|one| one.fate == Fate::Sent && own.contains(&one.source.ip()));
    from.filter(|one| one.payload.starts_with(&kind)).map(|one| one.at).collect()
}

/// The longest time between two of them.
fn longest(times: &[Duration]) -> Duration {
    times.windows(2).map(|two| two[1] - two[0]).max().expect("several")
}

/// Ten minutes are 120 periods of 5 s, and 50 of 12 s, each longer or shorter by a fifth at most.
#[test]
fn an_idle_pair_behind_a_nat_of_30_s_asks_for_consent_every_12_s() {
    for (lifetime, expected) in [
        (None, 100..=150),
        (Some(secs(30)), 41..=63),
        (Some(secs(300)), 41..=63),
        (Some(secs(20)), 62..=94),
        (Some(secs(1)), 100..=150),
    ] {
        let mut world = World::new(1);
        let [a, b] = idle(&mut world, Nat::port_restricted(), lifetime);
        world.run_for(secs(600));
        let requests = sent(&world, a, REQUEST);
        assert!(expected.contains(&requests.len()), "{lifetime:?}: {} {world}", requests.len());
        let two = requests.windows(3).map(|three| three[2] - three[0]).max().expect("several");
        assert!(two < secs(30), "two requests took {two:?}");
        assert!(world.completed(a) && world.completed(b), "{world}");
    }
}

/// A mapping that is forgotten is opened anew at another port: the peer would see it.
#[test]
fn a_mapping_of_30_s_stays_open_while_idle() {
    for round in 0..10 {
        let mut world = World::new(round);
        let nat = Nat::port_restricted().ports(Ports::Random).lifetime(secs(30));
        let [a, b] = idle(&mut world, nat, Some(secs(30)));
        world.run_for(secs(600));
        let own = world.addresses(b);
        let at_b = world.captured().iter().filter(|one| own.contains(&one.destination.ip()));
        let sources: BTreeSet<SocketAddr> =
            at_b.filter(|one| one.fate == Fate::Delivered).map(|one| one.source).collect();
        assert_eq!(sources.len(), 1, "{world}");
        world.send(b, b"still there?");
        world.run_for(ms(100));
        assert_eq!(world.received(a).len(), 1, "{world}");
    }
}

/// Data that comes in, and data that the application tells of.
#[test]
fn while_data_flows_consent_is_asked_for_every_5_s() {
    for told in [false, true] {
        let mut world = World::new(2);
        let [a, b] = idle(&mut world, Nat::port_restricted(), Some(secs(30)));
        for _ in 0..150 {
            if told {
                world.with_agent(a, |agent, now| agent.note_sent(now, FIRST));
            } else {
                world.send(b, b"data");
            }
            world.run_for(secs(4));
        }
        let requests = sent(&world, a, REQUEST);
        assert!((100..=150).contains(&requests.len()), "told {told}: {} {world}", requests.len());
        assert!(longest(&requests) <= secs(6), "{requests:?}");
    }
}

#[test]
fn the_first_data_ends_the_longer_period() {
    for round in 0..20 {
        let mut world = World::new(round);
        let [a, b] = idle(&mut world, Nat::port_restricted(), Some(secs(30)));
        world.run_for(secs(60));
        let before = sent(&world, a, REQUEST).len();
        world.run_until(secs(15), |w| sent(w, a, REQUEST).len() > before);
        world.run_for(ms(500 * round));
        world.send(b, b"data");
        let heard = world.elapsed();
        let asked = sent(&world, a, REQUEST).len();
        world.run_until(secs(6) + ms(50), |w| sent(w, a, REQUEST).len() > asked);
        assert!(world.elapsed() - heard <= secs(6) + ms(50), "{world}");
    }
}

/// Else two lost packets would end the consent of an idle pair, where a busy one has five.
#[test]
fn without_an_answer_an_idle_pair_asks_every_5_s() {
    let mut world = World::new(3);
    let [a, b] = idle(&mut world, Nat::port_restricted(), Some(secs(30)));
    let before = sent(&world, a, REQUEST).len();
    world.run_until(secs(15), |w| sent(w, a, REQUEST).len() > before);
    world.run_for(ms(200));
    world.set_path(b, a, Link::down());
    world.run_until(secs(15), |w| sent(w, a, REQUEST).len() > before + 1);
    world.run_for(secs(13));
    let requests = sent(&world, a, REQUEST).split_off(before + 1);
    assert!(requests.len() >= 3 && longest(&requests) <= secs(6), "{requests:?}");
}

/// RFC 8445 §11: 15 s is the least; a lifetime that is known allows 0.8 of it. Data takes the place of a keepalive.
#[test]
fn a_pair_without_consent_has_a_keepalive_every_0_8_lifetimes() {
    for (lifetime, interval) in [(10, 15), (30, 24), (100, 80)] {
        for (roles, told) in [(ROLES[0], false), (ROLES[0], true)] {
            let mut world = World::new(4);
            world.capture();
            let config = Config::new(roles[1], seed(2)).lite().mapping_lifetime(secs(lifetime));
            let a = world.agent(Nat::port_restricted(), Config::new(roles[0], seed(1)));
            let b = world.agent(Nat::none(), config);
            world.signal(a, b);
            world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
            for _ in 0..60 {
                world.run_for(secs(10));
                if told {
                    world.with_agent(b, |agent, now| agent.note_sent(now, FIRST));
                }
            }
            let keepalives = sent(&world, b, INDICATION);
            let expected = if told { 0 } else { 600 / interval as usize };
            assert_eq!(keepalives.len(), expected, "{lifetime} s, told {told}");
            assert!(keepalives.windows(2).all(|two| two[1] - two[0] == secs(interval)), "{keepalives:?}");
        }
    }
}
