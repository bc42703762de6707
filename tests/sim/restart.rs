//! ICE restart (RFC 8445 §9): make-before-break, whoever starts it, at any time.

use std::time::Duration;

use floe::agent::Why;
use floe::credentials::Credentials;
use floe::error::SignalError;
use floe::io::ComponentId;
use floe::signal::{Signal, What};
use floe::sim::{Fate, HostId, Interface, Nat, World};
use floe::{Agent, Config, Event, Role, State};

use super::{ROLES, ms, secs, seed};

fn connected(world: &mut World, roles: [Role; 2], nats: [Nat; 2]) -> [HostId; 2] {
    let turn = world.turn_server();
    let [near, far] = nats;
    let hosts = [(near, roles[0], 1), (far, roles[1], 2)].map(|(nat, role, byte)| {
        let config = Config::new(role, seed(byte)).stun_server(turn.addr).turn_server(turn.clone());
        world.agent(nat, config)
    });
    let [a, b] = hosts;
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    hosts
}

fn cones() -> [Nat; 2] {
    [Nat::port_restricted(), Nat::port_restricted()]
}

/// The ufrags that an agent has signalled with credentials, in order.
fn completions(world: &World, host: HostId) -> usize {
    let completed = |event: &Event| matches!(event, Event::State(State::Completed));
    world.events(host).iter().filter(|(_, event)| completed(event)).count()
}

/// The longest time without a datagram at `host` of those that arrived in order since `from`.
fn longest_gap(world: &World, host: HostId, from: Duration) -> Duration {
    let times: Vec<_> =
        world.received(host).iter().map(|arrival| arrival.at).filter(|at| *at >= from).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("data")
}

/// ICE-9-a, ICE-9-e: data goes on, on the old pair until the new session has selected one.
#[test]
fn a_restart_leaves_no_gap_in_the_data_whoever_starts_it() {
    for nats in [cones(), [Nat::symmetric(), Nat::symmetric()]] {
        for starter in [0, 1] {
            let mut world = World::new(1);
            let hosts = connected(&mut world, ROLES[0], nats.clone());
            let [a, b] = hosts;
            let started = world.elapsed();
            world.with_agent(hosts[starter], floe::Agent::restart);
            for _ in 0..500 {
                for host in hosts {
                    assert!(world.usable(host), "{world}");
                    world.send(host, b"data");
                }
                world.run_for(ms(20));
            }
            world.run_for(secs(1));
            for host in hosts {
                assert_eq!(completions(&world, host), 2, "{world}");
                assert_eq!(world.received(host).len(), 500, "{world}");
                let gap = longest_gap(&world, host, started);
                assert!(gap <= ms(150), "{gap:?} {world}");
            }
            assert!(world.completed(a) && world.completed(b));
        }
    }
}

/// ICE-9-c: both change.
#[test]
fn a_restart_changes_ufrag_and_pwd() {
    let mut world = World::new(2);
    let [a, b] = connected(&mut world, ROLES[0], cones());
    let before = world.signals(a);
    world.with_agent(a, floe::Agent::restart);
    world.run_until(secs(10), |w| completions(w, a) == 2 && completions(w, b) == 2);
    let credentials = |signals: &[Signal]| -> Vec<Credentials> {
        let all = signals.iter().filter_map(|signal| match &signal.what {
            What::Credentials(credentials) => Some(credentials.clone()),
            _ => None,
        });
        all.collect()
    };
    assert_eq!(credentials(&before).len(), 1);
    let [old, new] = credentials(&world.signals(a)).try_into().expect("two generations");
    assert!(old.ufrag != new.ufrag && old.pwd != new.pwd);
}

/// ICE-6.1.1-d: the roles stay, whoever restarts.
#[test]
fn a_restart_by_the_controlled_agent_keeps_the_roles() {
    for roles in ROLES {
        let mut world = World::new(3);
        let [a, b] = connected(&mut world, roles, cones());
        let controlled = if roles[0] == Role::Controlled { a } else { b };
        world.with_agent(controlled, floe::Agent::restart);
        world.run_until(secs(10), |w| completions(w, a) == 2 && completions(w, b) == 2);
        assert_eq!([a, b].map(|host| world.agent_ref(host).role()), roles);
        let switched =
            |host| world.events(host).iter().any(|(_, event)| matches!(event, Event::RoleSwitched(_)));
        assert!(!switched(a) && !switched(b));
    }
}

/// Both start at once, before either hears of the other one's.
#[test]
fn two_restarts_that_cross_make_one() {
    let mut world = World::new(4);
    let [a, b] = connected(&mut world, ROLES[0], cones());
    world.with_agent(a, floe::Agent::restart);
    world.with_agent(b, floe::Agent::restart);
    world.run_until(secs(10), |w| completions(w, a) == 2 && completions(w, b) == 2);
    world.run_for(secs(60));
    assert!(world.completed(a) && world.completed(b), "{world}");
    assert_eq!((completions(&world, a), completions(&world, b)), (2, 2), "{world}");
}

/// Before anything was gathered, before the peer has answered, and again before that has ended.
#[test]
fn a_restart_during_gathering_and_checking_connects() {
    for (first, second) in [(0, 10), (10, 40), (60, 70), (100, 150), (200, 300)] {
        for starters in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            let mut world = World::new(5);
            let turn = world.turn_server();
            let hosts = [0, 1].map(|at: usize| {
                let config = Config::new(ROLES[0][at], seed(at as u8 + 1)).turn_server(turn.clone());
                world.agent(Nat::symmetric(), config)
            });
            let [a, b] = hosts;
            world.signal(a, b);
            world.run_for(ms(first));
            world.with_agent(hosts[starters[0]], floe::Agent::restart);
            world.run_for(ms(second - first));
            world.with_agent(hosts[starters[1]], floe::Agent::restart);
            world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
            world.run_for(secs(40));
            assert!(world.completed(a) && world.completed(b), "{first} {second} {starters:?} {world}");
        }
    }
}

/// ICE-9-d: what the old generation's answers and checks say does not touch the new one.
#[test]
fn late_checks_of_the_old_generation_are_answered_and_change_nothing() {
    let mut world = World::new(6);
    let [a, b] = connected(&mut world, ROLES[0], cones());
    // What a sends from now on reaches b late only.
    world.signal_one_way(a, b, secs(10));
    world.capture();
    world.with_agent(a, floe::Agent::restart);
    world.run_for(secs(9));
    // b knows of no restart: its consent requests have the old credentials, and a answers them.
    assert_eq!(world.state(b), State::Completed, "{world}");
    assert!(world.usable(a) && world.usable(b), "{world}");
    let from_b = world.addresses(b);
    let answered = world.captured().iter().filter(|one| {
        from_b.contains(&one.destination.ip())
            && one.fate == Fate::Delivered
            && one.payload.starts_with(&[1, 1])
    });
    assert!(answered.count() >= 1, "the old session's consent is answered: {world}");
    let learnt = world.agent_ref(a).stats().signals_refused;
    world.run_until(secs(20), |w| completions(w, a) == 2 && completions(w, b) == 2);
    assert_eq!(learnt, world.agent_ref(a).stats().signals_refused);
}

/// CON-5.1-n: a peer that does not answer for a minute keeps the old path, with consent on the old credentials.
#[test]
fn consent_goes_on_on_the_old_pair_while_the_peer_is_slow_to_answer() {
    let mut world = World::new(7);
    let [a, b] = connected(&mut world, ROLES[0], cones());
    world.signal_one_way(b, a, secs(60));
    world.with_agent(a, floe::Agent::restart);
    for _ in 0..58 {
        world.run_for(secs(1));
        assert!(world.usable(a) && world.usable(b), "{world}");
        world.send(a, b"still here");
    }
    assert_eq!(world.received(b).len(), 57, "the last one is under way");
    world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
}

/// RFC 7675 §5.1: after the loss of consent only a restart brings the session back.
#[test]
fn a_restart_brings_a_lost_session_back() {
    let mut world = World::new(8);
    let stun = world.stun_server();
    // Without a relay that would be left.
    let [a, b] = [0, 1].map(|at: usize| {
        let config = Config::new(ROLES[0][at], seed(at as u8 + 1)).stun_server(stun);
        world.agent(cones()[at].clone(), config)
    });
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    world.set_path(a, b, floe::sim::Link::down());
    world.set_path(b, a, floe::sim::Link::down());
    world.run_until(secs(40), |w| w.state(a) == State::Disconnected && w.state(b) == State::Disconnected);
    let needed = |host| world.events(host).iter().any(|(_, event)| matches!(event, Event::RestartNeeded(_)));
    assert!(needed(a) && needed(b));
    world.set_path(a, b, floe::sim::Link::ideal());
    world.set_path(b, a, floe::sim::Link::ideal());
    world.run_for(secs(5));
    assert!(!world.usable(a) && !world.usable(b), "it does not come back by itself");
    world.with_agent(a, floe::Agent::restart);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    world.send(a, b"back");
    world.run_for(secs(1));
    assert_eq!(world.received(b).last().expect("data").payload, b"back");
}

/// RFC 8839 §4.4.1.1.1: a restart changes both; old and half-changed credentials change nothing.
#[test]
fn half_a_restart_and_an_old_generation_are_refused() {
    let mut world = World::new(9);
    let [a, b] = connected(&mut world, ROLES[0], cones());
    let first = world.signals(b);
    let What::Credentials(known) = &first[0].what else { panic!("credentials come first") };
    let (ufrag, pwd) = (known.ufrag.clone(), known.pwd.clone());
    let mut give = |what| world.with_agent(a, |agent, now| agent.handle_signal(now, Signal::new(0, what)));
    let other_ufrag = Credentials::new("other+".parse().unwrap(), pwd.clone());
    assert_eq!(give(What::Credentials(other_ufrag)), Err(SignalError::HalfRestart));
    let other_pwd = Credentials::new(ufrag.clone(), "anotherPwdOf22Characters".parse().unwrap());
    assert_eq!(give(What::Credentials(other_pwd)), Err(SignalError::HalfRestart));
    assert_eq!(give(What::Credentials(Credentials::new(ufrag.clone(), pwd))), Ok(()), "a repetition");
    assert_eq!(world.state(a), State::Completed);
    // After a restart of its own an agent takes nothing of the old generation.
    world.signal_one_way(b, a, secs(30));
    world.with_agent(a, floe::Agent::restart);
    for old in first {
        let result = world.with_agent(a, |agent, now| agent.handle_signal(now, old));
        assert_eq!(result, Err(SignalError::OldGeneration(ufrag.to_string())));
    }
    assert!(world.agent_ref(a).path(ComponentId::FIRST).is_some());
}

/// RFC 8445 §8.3.1 and §9: the relays that a direct path left unused are deleted; a restart allocates others.
#[test]
fn a_restart_after_unused_relays_were_given_back_allocates_anew() {
    let mut world = World::new(10);
    let turn = world.turn_server();
    let hosts = [0, 1].map(|at: usize| {
        let config = Config::new(ROLES[0][at], seed(at as u8 + 1)).turn_server(turn.clone());
        world.agent(Nat::none(), config)
    });
    let [a, b] = hosts;
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    world.run_for(secs(10));
    world.cut(a, b);
    world.with_agent(a, floe::Agent::restart);
    world.run_until(secs(20), |w| completions(w, a) == 2 && completions(w, b) == 2);
    assert!(world.selected_types(a, b).contains(&floe::candidate::CandidateType::Relayed), "{world}");
}

/// RFC 8838 §13: after the end of candidates those of another socket are not signalled, and a peer whose NAT lets nobody
/// in whom it has not written to would never hear of it.
#[test]
fn an_agent_whose_signalled_sockets_are_gone_before_the_nomination_asks_for_a_restart() {
    for (roles, removed_first) in ROLES.into_iter().zip([true, false]) {
        let mut world = World::new(17);
        let stun = world.stun_server();
        let nat = world.nat(Nat::port_restricted());
        let a = world.agent(nat, Config::new(roles[0], seed(1)).stun_server(stun));
        let b = world.agent(Nat::port_restricted(), Config::new(roles[1], seed(2)).stun_server(stun));
        world.signal_one_way(a, b, secs(2));
        world.signal_one_way(b, a, secs(2));
        world.run_for(secs(1));
        let asks = |world: &World| {
            let needed = Event::RestartNeeded(Why::PathGone);
            world.events(a).iter().filter(|(_, event)| *event == needed).count()
        };
        let old = world.addresses(a)[0];
        if removed_first {
            world.remove_interface(a, old);
            assert_eq!(asks(&world), 0, "without a socket a restart is of no use");
        }
        world.add_interface(a, Interface::v4(nat));
        if !removed_first {
            assert_eq!(asks(&world), 0, "the socket that the peer knows is still there");
            world.remove_interface(a, old);
        }
        world.run_for(secs(10));
        assert_eq!(asks(&world), 1, "{world}");
        assert!(!world.completed(a) && !world.completed(b), "nobody gets in: {world}");
        world.with_agent(a, Agent::restart);
        world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
        assert_eq!(asks(&world), 1, "{world}");
    }
}
