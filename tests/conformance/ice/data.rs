//! Sending and taking data (RFC 8445 §12).

use std::net::SocketAddr;

use floe::agent::{Nomination, Reason};
use floe::io::ComponentId;
use floe::sim::{Captured, Fate, HostId, Interface, Link, Nat, Udp, World};
use floe::stun::wire::attr;
use floe::{Config, Event, Received, Role};

use crate::bench::{Bench, PEER, PEER_PWD, ms, secs};

const ROLES: [Role; 2] = [Role::Controlling, Role::Controlled];

/// What a host sent that ends with these bytes.
fn carrying<'a>(world: &'a World, host: HostId, data: &[u8]) -> Vec<&'a Captured> {
    let own = world.captured().iter().filter(|one| one.origin == Some(host) && one.fate == Fate::Sent);
    own.filter(|one| one.payload.windows(data.len()).any(|window| window == data)).collect()
}

/// ICE-12.1-b: of four pairs one carries all data, and it is the selected one.
#[test]
fn after_completion_all_data_leaves_on_the_selected_pair() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let hosts = ROLES.map(|role| {
            let interfaces = [Interface::v4(Nat::none()), Interface::v4(Nat::none())];
            let config = Config::new(role, [role as u8 + 1; 32]);
            world.agent(interfaces, config.nomination(Nomination::Best { settle: ms(100) }))
        });
        let [a, b] = hosts;
        world.signal(a, b);
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        world.capture();
        for _ in 0..20 {
            for host in hosts {
                world.send(host, b"some data");
            }
            world.run_for(ms(50));
        }
        for host in hosts {
            let (local, remote) = world.selected(host).expect("a selected pair");
            let selected = (local.address.socket(), remote.address.socket());
            let sent = carrying(&world, host, b"some data");
            assert_eq!(sent.len(), 20);
            assert!(sent.iter().all(|one| (Some(one.source), Some(one.destination)) == selected), "{sent:?}");
        }
    }
}

/// ICE-12.1-c: from the base, not from the address that the NAT gave it.
#[test]
fn data_of_a_reflexive_candidate_leaves_from_its_base() {
    let mut world = World::new(1);
    let server = world.stun_server();
    let [a, b] = ROLES.map(|role| {
        world.agent(Nat::port_restricted(), Config::new(role, [role as u8 + 1; 32]).stun_server(server))
    });
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    world.capture();
    world.send(a, b"some data");
    let (local, _) = world.selected(a).expect("a selected pair");
    let inside = world.addresses(a)[0];
    assert_ne!(local.address.socket().map(|addr| addr.ip()), Some(inside));
    assert_eq!(carrying(&world, a, b"some data")[0].source.ip(), inside);
}

/// ICE-12.1-d.
#[test]
fn a_selected_relay_gets_a_channel() {
    let mut world = World::new(2);
    let turn = world.turn_server();
    let [a, b] = ROLES.map(|role| {
        world.agent(Nat::symmetric(), Config::new(role, [role as u8 + 1; 32]).turn_server(turn.clone()))
    });
    world.capture();
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    world.run_for(secs(2));
    let relaying =
        if world.selected_types(a, b)[0] == floe::candidate::CandidateType::Relayed { a } else { b };
    world.send(relaying, b"some data");
    let sent = carrying(&world, relaying, b"some data");
    assert_eq!((sent.len(), sent[0].destination), (1, turn.addr));
    // ChannelData: 0x4000 to 0x4FFF, a length, the data.
    assert_eq!((sent[0].payload[0] & 0xf0, &sent[0].payload[2..4]), (0x40, &[0, 9][..]));
    assert!(!carrying(&world, relaying, &[0x00, 0x09]).is_empty(), "ChannelBind");
}

/// ICE-12.1-e, SDP-4.3.4-c: the first stream misses its second component, so that its first one stops too; the other
/// stream completes, and the offer that removes the first one changes nothing for it.
#[test]
fn a_stream_of_which_one_component_fails_carries_no_data() {
    let mut world = World::new(3);
    let components = [2, 1];
    // Ports 50,000 and 50,002 get through, and not that of the second component.
    let narrow = Interface::v4(Nat::none()).link(Link::lan().udp(Udp::Only(vec![50_000, 50_002])));
    let a = world.agent(narrow, Config::new(ROLES[0], [1; 32]).components(&components));
    let b = world.agent(Nat::none(), Config::new(ROLES[1], [2; 32]).components(&components));
    world.signal(a, b);
    world.run_for(secs(3));
    let path = |world: &World, host, stream, component| {
        world.agent_ref(host).path(ComponentId { stream, component })
    };
    for host in [a, b] {
        assert!(path(&world, host, 0, 1).is_some() && path(&world, host, 0, 2).is_none(), "{world}");
    }
    world.run_for(secs(45));
    for host in [a, b] {
        assert_eq!(path(&world, host, 0, 1), None, "{world}");
        assert!(path(&world, host, 1, 1).is_some(), "{world}");
        let failed = Event::StreamFailed { stream: 0, reason: Reason::ChecksFailed };
        assert_eq!(world.events(host).iter().filter(|(_, event)| *event == failed).count(), 1);
        assert!(world.completed(host), "the stream that is left decides: {world}");
        world.with_agent(host, |agent, now| agent.remove_stream(now, 0));
        assert!(world.completed(host) && path(&world, host, 1, 1).is_some(), "{world}");
    }
}

/// ICE-12.1-f: before there is none; while a restart runs it is that of the session before.
#[test]
fn during_a_restart_the_selected_pair_is_the_previous_one() {
    let mut world = World::new(4);
    let [a, b] = ROLES.map(|role| world.agent(Nat::none(), Config::new(role, [role as u8 + 1; 32])));
    world.run_for(secs(1));
    assert!(!world.usable(a) && world.selected(a).is_none());
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    world.run_for(secs(5));
    let before = world.agent_ref(a).path(ComponentId::FIRST);
    world.add_interface(a, Interface::v4(Nat::none()).link(Link::lan()));
    let events = world.events(a).len();
    world.with_agent(a, floe::Agent::restart);
    assert!(!world.completed(a));
    while !world.completed(a) {
        assert_eq!(world.agent_ref(a).path(ComponentId::FIRST), before, "{world}");
        let ended =
            world.events(a)[events..].iter().any(|(_, event)| matches!(event, Event::Selected { .. }));
        assert!(!ended);
        world.run_for(ms(1));
    }
    assert!(world.usable(a));
}

/// ICE-12.1.1-a: not on one component alone.
#[test]
fn a_lite_agent_sends_nothing_before_every_component_has_its_pair() {
    let mut bench = Bench::of(Config::new(Role::Controlled, [7; 32]).components(&[2]).lite());
    let second = ComponentId { stream: 0, component: 2 };
    let local: SocketAddr = "192.0.2.1:5001".parse().expect("an address");
    bench.with_agent(|agent, now| {
        let socket = floe::io::Socket::Udp { local, component: second };
        agent.add_socket(now, floe::io::SocketId(1), socket).expect("a socket");
    });
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD} options=ice2,trickle"));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    bench.signal("0 candidate:1 2 udp 2130706430 192.0.2.2 6001 typ host");
    for nominates in [false, true] {
        let check = bench.check_with(|check| {
            if nominates {
                check.put(attr::USE_CANDIDATE, &[]);
            }
        });
        let _ = bench.receive(PEER, &check);
        assert!(!bench.is_usable(), "{nominates}");
    }
    let check = bench.check_with(|check| {
        check.put(attr::USE_CANDIDATE, &[]);
    });
    bench.with_agent(|agent, now| {
        let datagram = floe::io::Datagram {
            socket: floe::io::SocketId(1),
            local: local.ip(),
            source: "192.0.2.2:6001".parse().expect("an address"),
            ecn: None,
            payload: &check,
        };
        let _ = agent.handle_input(now, floe::Input::Datagram(datagram));
    });
    assert!(bench.is_usable() && bench.agent.path(second).is_some());
}

/// ICE-12.2-a: also on a pair that is not selected; and nothing from those who did not prove themselves.
#[test]
fn data_is_taken_on_every_pair_of_the_session() {
    let mut bench = Bench::completed();
    let other = "192.0.2.3:7000";
    assert_eq!(bench.receive(other, b"some data"), Received::Unclaimed);
    let check = bench.check();
    let _ = bench.receive(other, &check);
    for source in [other, PEER] {
        let data = Received::Data { component: ComponentId::FIRST, payload: &b"some data"[..] };
        assert_eq!(bench.receive(source, b"some data"), data);
    }
}
