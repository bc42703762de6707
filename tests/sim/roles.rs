//! Role conflicts (RFC 8445 §7.3.1.1, §7.2.5.1).

use floe::sim::{Nat, World};
use floe::{Config, Event, Role};

use super::{ms, secs, seed};

/// Exactly one of them gives way, whatever the tiebreakers, whoever learns of it first.
#[test]
fn two_agents_of_one_role_end_up_with_different_ones() {
    for role in [Role::Controlling, Role::Controlled] {
        for round in 0..20 {
            for skew in [0, 30, 300] {
                let mut world = World::new(round);
                let a_seed = world.seed();
                let b_seed = world.seed();
                let a = world.agent(Nat::none(), Config::new(role, a_seed));
                let b = world.agent(Nat::none(), Config::new(role, b_seed));
                world.signal_one_way(a, b, ms(50));
                world.signal_one_way(b, a, ms(50 + skew));
                world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
                let roles = [a, b].map(|host| world.agent_ref(host).role());
                assert_ne!(roles[0], roles[1], "{world}");
                let switches = [a, b].map(|host| {
                    let events = world.events(host).iter();
                    events.filter(|(_, event)| matches!(event, Event::RoleSwitched(_))).count()
                });
                assert_eq!(switches[0] + switches[1], 1, "{switches:?} {world}");
            }
        }
    }
}

#[test]
fn a_role_conflict_does_not_change_what_is_selected() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut world = World::new(1);
        let server = world.stun_server();
        let a = world.agent(Nat::port_restricted(), Config::new(role, seed(1)).stun_server(server));
        let b = world.agent(Nat::full_cone(), Config::new(role, seed(2)).stun_server(server));
        world.signal(a, b);
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        let [(a_local, a_remote), (b_local, b_remote)] =
            [a, b].map(|host| world.selected(host).expect("a pair"));
        assert_eq!(a_local.address, b_remote.address, "{world}");
        assert_eq!(a_remote.address, b_local.address, "{world}");
    }
}
