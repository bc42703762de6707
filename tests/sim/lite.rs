//! Lite agents (RFC 8445 §2.5): they answer, and follow.

use floe::io::ComponentId;
use floe::sim::{Fate, HostId, Interface, Nat, World};
use floe::{Config, Role};

use super::{ROLES, ms, secs, seed, selections};

/// A full agent behind a NAT, and a lite one with a public address.
fn full_and_lite(world: &mut World, roles: [Role; 2], components: &[u16]) -> [HostId; 2] {
    let full = Config::new(roles[0], seed(1)).components(components);
    let full = world.agent(Nat::port_restricted(), full);
    let lite = world.agent(Nat::none(), Config::new(roles[1], seed(2)).components(components).lite());
    world.signal(full, lite);
    [full, lite]
}

/// The STUN messages that a host sent, by the first two bytes.
fn sent(world: &World, host: HostId) -> Vec<[u8; 2]> {
    let own = world.addresses(host);
    let from = world.captured().iter().filter(|one| one.fate == Fate::Sent && own.contains(&one.source.ip()));
    from.filter(|one| one.payload[0] < 4).map(|one| [one.payload[0], one.payload[1]]).collect()
}

/// ICE-6.1.1-b, ICE-7-a, ICE-7.3.2-a: the full one controls whoever began, and the lite one only answers.
#[test]
fn a_full_agent_controls_a_lite_one_which_only_answers() {
    for roles in [ROLES[0], ROLES[1], [Role::Controlling; 2], [Role::Controlled; 2]] {
        let mut world = World::new(1);
        world.capture();
        let [full, lite] = full_and_lite(&mut world, roles, &[1]);
        let took = world.run_until(secs(10), |w| w.completed(full) && w.completed(lite));
        assert!(took < secs(1), "{took:?} {world}");
        let found = [full, lite].map(|host| world.agent_ref(host).role());
        assert_eq!(found, [Role::Controlling, Role::Controlled]);
        world.send(full, b"to lite");
        world.send(lite, b"to full");
        world.run_for(secs(90));
        assert_eq!(world.received(lite)[0].payload, b"to lite");
        assert_eq!(world.received(full)[0].payload, b"to full");
        assert!(world.completed(full) && world.completed(lite), "{world}");
        let kinds = sent(&world, lite);
        // Success responses, and the keepalives of RFC 8445 §11.
        assert!(kinds.iter().all(|kind| [[1, 1], [0, 17]].contains(kind)), "{kinds:?}");
        assert_eq!(kinds.iter().filter(|kind| **kind == [0, 17]).count(), 6, "every 15 s");
    }
}

/// ICE-8.2-a: not before every component has its nomination.
#[test]
fn a_lite_agent_completes_when_every_component_is_nominated() {
    let mut world = World::new(2);
    let [full, lite] = full_and_lite(&mut world, ROLES[0], &[2, 1]);
    world.run_until(secs(10), |w| w.completed(full) && w.completed(lite));
    assert_eq!(selections(&world, lite), 3, "{world}");
    for component in [(0, 1), (0, 2), (1, 1)] {
        let component = ComponentId { stream: component.0, component: component.1 };
        assert!(world.agent_ref(lite).path(component).is_some());
    }
}

/// ICE-5.2-a: no server is asked.
#[test]
fn a_lite_agent_has_host_candidates_only() {
    let mut world = World::new(3);
    let turn = world.turn_server();
    world.capture();
    let config = Config::new(Role::Controlled, seed(1)).stun_server(turn.addr).turn_server(turn).lite();
    let lite = world.agent(Interface::v4(Nat::none()), config);
    world.run_for(secs(20));
    assert_eq!(sent(&world, lite), [[0; 2]; 0]);
    let candidates = world.signals(lite);
    let count = candidates.iter().filter(|signal| signal.to_string().contains("typ host")).count();
    assert_eq!((count, candidates.len()), (1, 3), "credentials, a candidate, the end: {candidates:?}");
    assert!(candidates[0].to_string().contains(" lite"), "{}", candidates[0]);
}

/// ICE-6.1.1-c, ICE-8.2-b: nobody checks, and both take the same pair.
#[test]
fn two_lite_agents_send_no_checks_and_select_the_same_pair() {
    for roles in ROLES {
        let mut world = World::new(4);
        world.capture();
        let hosts =
            roles.map(|role| world.agent(Nat::none(), Config::new(role, seed(role as u8 + 1)).lite()));
        let [a, b] = hosts;
        world.signal(a, b);
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        assert_eq!([a, b].map(|host| world.agent_ref(host).role()), roles);
        world.send(a, b"hello");
        world.run_for(ms(500));
        assert_eq!(world.received(b)[0].payload, b"hello");
        assert!(sent(&world, a).is_empty() && sent(&world, b).is_empty());
    }
}
