//! Nomination strategies: with a value where both know it, by the application, and peers with habits of their own.

use std::time::Duration;

use floe::agent::Nomination;
use floe::candidate::CandidateType::Relayed;
use floe::io::ComponentId;
use floe::sim::{HostId, Interface, Link, Nat, World};
use floe::{Config, Role};

use super::{ROLES, ms, secs, seed, selections};

/// Two agents whose direct path works from `later` on; before it there is the relay.
fn a_direct_path_appears(world: &mut World, later: Duration, nominations: [Nomination; 2]) -> [HostId; 2] {
    let turn = world.turn_server();
    let hosts = [0, 1].map(|at: usize| {
        let config = Config::new(ROLES[0][at], seed(at as u8 + 1)).nomination(nominations[at]);
        world.agent(Nat::none(), config.turn_server(turn.clone()))
    });
    let [a, b] = hosts;
    world.cut(a, b);
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    assert!(world.selected_types(a, b).contains(&Relayed), "{world}");
    world.run_for(later);
    world.set_path(a, b, Link::ideal());
    world.set_path(b, a, Link::ideal());
    hosts
}

/// Decision 18: both ends follow the higher value, to the better pair, and stay there.
#[test]
fn a_better_pair_that_comes_later_is_nominated_anew_where_both_know_how() {
    let settle = ms(500);
    let mut world = World::new(1);
    let [a, b] = a_direct_path_appears(&mut world, ms(0), [Nomination::Renominate { settle }; 2]);
    world.run_until(secs(20), |w| !w.selected_types(a, b).contains(&Relayed));
    world.run_for(secs(60));
    assert_eq!((selections(&world, a), selections(&world, b)), (2, 2), "{world}");
    assert!(world.completed(a) && world.completed(b), "{world}");
}

/// ICE-8.1.1-d: without the option at either end one nomination is all.
#[test]
fn without_the_option_the_first_nomination_stays() {
    let settle = ms(500);
    let (with, without) = (Nomination::Renominate { settle }, Nomination::Best { settle });
    for nominations in [[with, without], [without, with], [without, without]] {
        let mut world = World::new(2);
        let [a, b] = a_direct_path_appears(&mut world, ms(0), nominations);
        world.run_for(secs(60));
        assert_eq!((selections(&world, a), selections(&world, b)), (1, 1), "{nominations:?} {world}");
    }
}

/// The application nominates: nothing is selected before, and with renomination it may choose again.
#[test]
fn the_application_chooses_among_valid_pairs() {
    let mut world = World::new(3);
    let config = Config::new(Role::Controlling, seed(1)).nomination(Nomination::Manual);
    let interfaces = [Interface::v4(Nat::none()), Interface::v4(Nat::none())];
    let a = world.agent(interfaces, config);
    let b = world.agent(Nat::none(), Config::new(Role::Controlled, seed(2)));
    world.signal(a, b);
    world.run_for(secs(5));
    assert!(world.usable(a) && world.usable(b), "data needs no nomination");
    assert_eq!((selections(&world, a), selections(&world, b)), (0, 0));
    let pairs: Vec<_> = world.agent_ref(a).valid_pairs(ComponentId::FIRST).map(|pair| pair.id).collect();
    assert_eq!(pairs.len(), 2, "{world}");
    world.with_agent(a, |agent, now| agent.nominate(now, pairs[1])).expect("a valid pair");
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    let again = world.with_agent(a, |agent, now| agent.nominate(now, pairs[0]));
    assert!(again.is_err(), "the first decision stands");
    let controlled = world.agent_ref(b).valid_pairs(ComponentId::FIRST).next().expect("a pair").id;
    assert!(world.with_agent(b, |agent, now| agent.nominate(now, controlled)).is_err());
}
