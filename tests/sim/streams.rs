//! Data streams that join a session that has begun (RFC 8839 §4.4.3.1).

use floe::agent::Trickle;
use floe::candidate::CandidateType::Relayed;
use floe::error::{AddStreamError, SignalError};
use floe::io::{ComponentId, SocketId};
use floe::sim::{HostId, Nat, World};
use floe::{Agent, Config, Event, Role, State};

use super::{ROLES, ms, secs, seed};

fn at(stream: u16, component: u16) -> ComponentId {
    ComponentId { stream, component }
}

fn completed(world: &mut World, roles: [Role; 2], change: impl Fn(Config) -> Config) -> [HostId; 2] {
    let stun = world.stun_server();
    let hosts = [0, 1].map(|side: usize| {
        let config = change(Config::new(roles[side], seed(side as u8 + 1)).stun_server(stun));
        world.agent(Nat::port_restricted(), config)
    });
    let [a, b] = hosts;
    world.signal(a, b);
    world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
    hosts
}

/// Both add a stream; whether it was connected.
fn add(world: &mut World, [a, b]: [HostId; 2], components: u16) {
    for host in [a, b] {
        world.add_stream(host, components);
        assert_eq!(world.state(host), State::Checking);
    }
    world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
}

/// SDP-4.4.3.1-c: the added one is checked from nothing, and the first one stays on its path.
#[test]
fn a_stream_that_is_added_gets_pairs_of_its_own_and_leaves_the_others_alone() {
    for roles in ROLES {
        for trickle in [Trickle::Full, Trickle::Half, Trickle::Off] {
            let mut world = World::new(1);
            let hosts = completed(&mut world, roles, |config| config.trickle(trickle));
            for pause in [ms(0), secs(60)] {
                world.run_for(pause);
                let before = hosts.map(|host| world.agent_ref(host).path(at(0, 1)));
                let events = hosts.map(|host| world.events(host).len());
                let stream =
                    world.agent_ref(hosts[0]).diagnosis().pairs.iter().map(|it| it.component.stream).max();
                let stream = stream.expect("pairs") + 1;
                add(&mut world, hosts, 2);
                for ((host, before), events) in hosts.into_iter().zip(before).zip(events) {
                    let agent = world.agent_ref(host);
                    assert_eq!(agent.path(at(0, 1)), before, "{world}");
                    for component in [1, 2] {
                        assert!(agent.path(at(stream, component)).is_some(), "{world}");
                    }
                    let of_others = |event: &Event| match event {
                        Event::Path { component, .. } | Event::Selected { component, .. } => {
                            component.stream != stream
                        }
                        Event::RestartNeeded(_) | Event::StreamFailed { .. } | Event::Failed(_) => true,
                        _ => false,
                    };
                    let told = world.events(host)[events..].iter().filter(|(_, it)| of_others(it)).count();
                    assert_eq!(told, 0, "{world}");
                }
            }
        }
    }
}

/// What a host has signalled of a stream that ends so.
fn said(world: &World, host: HostId, stream: u16, end: &str) -> usize {
    let lines = world.signals(host).into_iter().filter(|signal| signal.stream == stream);
    lines.filter(|signal| signal.to_string().contains(end)).count()
}

/// RFC 8838 §13: the end is said of the new stream alone, and not before it has its sockets.
#[test]
fn the_end_of_candidates_of_an_added_stream_is_its_own() {
    let mut world = World::new(6);
    let [a, _] = completed(&mut world, ROLES[0], |config| config);
    world.with_agent(a, |agent, now| {
        assert_eq!(agent.add_stream(now, 1), Ok(1));
        // A look at gathering for another reason.
        agent.remove_socket(now, SocketId(77));
    });
    world.run_for(secs(15));
    assert_eq!([0, 1].map(|stream| said(&world, a, stream, "end-of-candidates")), [1, 0]);
    world.with_agent(a, Agent::end_of_sockets);
    assert_eq!([0, 1].map(|stream| said(&world, a, stream, "end-of-candidates")), [1, 1]);
}

/// RFC 8839 §4.4.1.1.1: a peer may restart one stream, also one that was added after a restart.
#[test]
fn a_restart_of_the_added_stream_alone_is_a_restart() {
    let mut world = World::new(7);
    let hosts = completed(&mut world, ROLES[0], |config| config);
    let [a, b] = hosts;
    world.with_agent(a, Agent::restart);
    world.run_for(secs(5));
    add(&mut world, hosts, 1);
    assert!(world.completed(a) && world.completed(b), "{world}");
    let before = said(&world, a, 1, "credentials");
    let line = "1 credentials ufrag=alone pwd=loneCredentialsOf22Chars";
    world.with_agent(a, |agent, now| agent.handle_signal(now, line.parse().expect(line))).expect("good");
    assert_eq!(said(&world, a, 1, "credentials"), before + 1, "it is answered with new ones");
}

/// Every restart has it as one of its own, whoever begins, also while the peer does not know of it yet.
#[test]
fn restarts_have_the_streams_that_were_added() {
    for (roles, first) in ROLES.into_iter().zip([0, 1]) {
        let mut world = World::new(2);
        let hosts = completed(&mut world, roles, |config| config);
        let [a, b] = hosts;
        add(&mut world, hosts, 1);
        for round in 0..4 {
            world.with_agent(hosts[(first + round) % 2], Agent::restart);
            world.run_for(secs(5));
            assert!(world.completed(a) && world.completed(b), "{world}");
            assert!(hosts.iter().all(|host| world.agent_ref(*host).path(at(1, 1)).is_some()), "{world}");
        }
        // They cross: one end restarts, the other one adds.
        world.with_agent(hosts[first], Agent::restart);
        world.add_stream(b, 1);
        world.add_stream(a, 1);
        world.run_for(secs(20));
        assert!(world.completed(a) && world.completed(b), "{world}");
        let restarts = |host| {
            let credentials = |line: &String| line.starts_with("0 credentials");
            world.signals(host).iter().map(ToString::to_string).filter(credentials).count()
        };
        assert!(restarts(a) <= 8 && restarts(b) <= 8, "no restart without end: {world}");
        assert!(hosts.iter().all(|host| world.agent_ref(*host).path(at(2, 1)).is_some()), "{world}");
    }
}

/// The peer takes its time: nobody gives the stream up before, and then it has as long as the first one had (RFC 8863 §4).
#[test]
fn patience_with_an_added_stream_begins_when_the_peer_adds_it_too() {
    let mut world = World::new(3);
    let [a, b] = completed(&mut world, ROLES[0], |config| config);
    world.add_stream(a, 1);
    world.run_for(secs(120));
    let failed = |world: &World| {
        let events = world.events(a).iter();
        events.filter(|(_, event)| matches!(event, Event::StreamFailed { .. })).map(|(at, _)| *at).next()
    };
    assert_eq!((failed(&world), world.state(a)), (None, State::Checking), "{world}");
    // Its answer comes, and no check gets through.
    world.cut(a, b);
    let line = "1 credentials ufrag=late pwd=lateCredentialsOf22Chars";
    let answered = world.elapsed();
    world.with_agent(a, |agent, now| {
        agent.handle_signal(now, line.parse().expect(line)).expect("good");
        agent
            .handle_signal(now, "1 candidate:1 1 udp 5 198.18.9.9 6000 typ host".parse().unwrap())
            .expect("good");
        agent.handle_signal(now, "1 end-of-candidates".parse().unwrap()).expect("good");
    });
    world.run_for(secs(25));
    assert_eq!(failed(&world), None);
    world.run_for(secs(60));
    if let Some(at) = failed(&world) {
        assert!(at - answered >= ms(39_500), "{:?}", at - answered);
    } else {
        panic!("{world}");
    }
}

/// Signals of a stream that is only known to the peer say so, and are taken once it is added here.
#[test]
fn a_signal_of_a_stream_that_is_not_added_yet_is_refused_by_name() {
    let mut world = World::new(4);
    let [a, _] = completed(&mut world, ROLES[0], |config| config);
    let line = "1 credentials ufrag=other pwd=otherCredentialsOf22Chars";
    let signal = || line.parse().expect(line);
    let refused = world.with_agent(a, |agent, now| agent.handle_signal(now, signal()));
    assert_eq!(refused, Err(SignalError::UnknownStream(1)));
    assert_eq!(world.with_agent(a, |agent, now| agent.add_stream(now, 1)), Ok(1));
    assert_eq!(world.with_agent(a, |agent, now| agent.handle_signal(now, signal())), Ok(()));
    for _ in 2..512 {
        assert!(world.with_agent(a, |agent, now| agent.add_stream(now, 1)).is_ok());
    }
    let full = world.with_agent(a, |agent, now| agent.add_stream(now, 1));
    assert_eq!(full, Err(AddStreamError::TooMany(512)));
    world.with_agent(a, Agent::close);
    assert_eq!(world.with_agent(a, |agent, now| agent.add_stream(now, 1)), Err(AddStreamError::Closed));
}

/// A stream is added in the three seconds before unused relays are given back: its own is not taken for one of them.
#[test]
fn the_relay_of_an_added_stream_is_not_given_back_with_the_unused_ones() {
    for pause in [0, 1500, 2900, 10_000].map(ms) {
        let mut world = World::new(5);
        let turn = world.turn_server();
        let hosts = [0, 1].map(|side: usize| {
            let config = Config::new(ROLES[0][side], seed(side as u8 + 1)).turn_server(turn.clone());
            world.agent(Nat::symmetric(), config)
        });
        let [a, b] = hosts;
        world.signal(a, b);
        world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
        world.run_for(pause);
        add(&mut world, hosts, 1);
        assert!(world.selected_types(a, b).contains(&Relayed));
        world.run_for(secs(120));
        assert!(world.completed(a) && world.completed(b), "{world}");
        assert!(hosts.iter().all(|host| world.agent_ref(*host).path(at(1, 1)).is_some()), "{world}");
    }
}
