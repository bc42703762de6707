//! Roles, checklists and patience of a running session (RFC 8445 §6, RFC 8863).

use std::time::Duration;

use floe::io::{ComponentId, Socket, SocketId};
use floe::sim::{Nat, World};
use floe::stun::auth::Integrity;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Method, Writer};
use floe::{Config, Event, Role, State};

use super::gathering::config;
use crate::bench::{Bench, HOST, PEER, PEER_PWD, Sent, addr, message, ms, secs};

/// When the agent failed, since it began.
fn failed_at(bench: &mut Bench, limit: Duration) -> Option<Duration> {
    let end = bench.now + limit;
    while bench.now < end && bench.agent.state() != State::Failed {
        bench.wait(ms(10));
    }
    (bench.agent.state() == State::Failed).then(|| bench.now - bench.start)
}

fn alone() -> Bench {
    Bench::of(Config::new(Role::Controlling, [7; 32]))
}

/// The time that a check takes to fail: 500 ms times 63, and 16 times 500 ms.
const PATIENCE: Duration = Duration::from_millis(39_500);

/// ICE-6.1.1-a: whoever began controls.
#[test]
fn of_two_full_agents_the_initiator_controls() {
    for roles in [[Role::Controlling, Role::Controlled], [Role::Controlled, Role::Controlling]] {
        let mut world = World::new(1);
        let [a, b] = roles.map(|role| world.agent(Nat::none(), config(role)));
        world.signal(a, b);
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        assert_eq!([a, b].map(|host| world.agent_ref(host).role()), roles);
        let nominated = |host| {
            let checks = world.events(host).iter();
            checks.filter(|(_, event)| matches!(event, Event::RoleSwitched(_))).count()
        };
        assert_eq!([a, b].map(nominated), [0, 0]);
    }
}

/// ICE-6.1.1-e: the peer that controlled is lite after its restart: now the other one has to check and to nominate.
#[test]
fn roles_are_determined_anew_when_the_controlling_agent_becomes_lite() {
    let mut bench = Bench::new(Role::Controlled);
    assert_eq!(bench.agent.role(), Role::Controlled);
    bench.signal("0 credentials ufrag=next pwd=anotherPasswordOf22Chars lite");
    assert_eq!(bench.agent.role(), Role::Controlling);
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    assert!(bench.next_request(PEER).kinds().contains(&attr::ICE_CONTROLLING));
}

/// ICE-6.1.1-f: peers of RFC 5245 determine the roles anew at each restart.
#[test]
fn a_peer_that_restarts_in_our_role_is_accepted() {
    let mut bench = Bench::completed();
    let own = bench.ufrag.clone();
    bench.signal("0 credentials ufrag=next pwd=anotherPasswordOf22Chars");
    bench.take_credentials();
    assert_ne!(bench.ufrag, own, "a restart");
    let check = bench.check_of("next", Role::Controlling, u64::MAX);
    let answers = bench.answers(PEER, &check);
    let answer = answers.iter().find(|it| !it.is(Class::Request)).expect("an answer");
    assert_eq!((answer.code(), bench.agent.role()), (0, Role::Controlled));
    bench.wait(ms(100));
    let mut checks =
        bench.sent.iter().filter(|it| it.message().username().is_some_and(|name| name.starts_with(b"next:")));
    assert!(checks.next_back().expect("a check").kinds().contains(&attr::ICE_CONTROLLED));
}

/// ICE-6.1.2.2-a: the agent with fewer components decides how many there are.
#[test]
fn components_that_the_peer_does_not_have_are_not_waited_for() {
    for ours in [[1, 2], [2, 1], [2, 2]] {
        let mut world = World::new(2);
        let mut roles = [Role::Controlling, Role::Controlled].into_iter();
        let hosts = ours.map(|count| {
            let config = config(roles.next().expect("two")).components(&[count]);
            world.agent(Nat::none(), config)
        });
        let [a, b] = hosts;
        world.signal(a, b);
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        world.run_for(secs(60));
        assert!(world.completed(a) && world.completed(b), "{world}");
        let both = ours == [2, 2];
        for host in hosts {
            for (component, used) in [(1, true), (2, both)] {
                let component = ComponentId { stream: 0, component };
                assert_eq!(world.agent_ref(host).path(component).is_some(), used, "{ours:?} {world}");
            }
        }
    }
}

/// ICE-5.1.1.1-c: the peer multiplexes, so that component 2 has no checks; and nothing but its end of candidates says so.
#[test]
fn a_missing_second_component_is_given_up_at_the_end_of_candidates_only() {
    let mut world = World::new(3);
    let a = world.agent(Nat::none(), config(Role::Controlling).components(&[2]));
    world.run_for(secs(1));
    let line = |line: &str| line.parse().expect(line);
    world.with_agent(a, |agent, now| {
        agent.handle_signal(now, line(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"))).expect("good");
        agent.handle_signal(now, line("0 candidate:1 1 udp 5 198.18.9.9 6000 typ host")).expect("good");
        let second = "0 candidate:1 2 udp 4 198.18.9.9 6001 typ host";
        agent.handle_signal(now, line(second)).expect("it may come");
        agent.handle_signal(now, line("0 end-of-candidates")).expect("good");
    });
    world.run_for(secs(2));
    let checked = |world: &World| world.agent_ref(a).diagnosis().pairs.len();
    assert_eq!(checked(&world), 2, "{world}");
    // In the next session it has the first one only.
    world.with_agent(a, |agent, now| {
        let next = "0 credentials ufrag=next pwd=anotherPasswordOf22Chars";
        agent.handle_signal(now, line(next)).expect("good");
        agent.handle_signal(now, line("0 candidate:1 1 udp 5 198.18.9.9 6000 typ host")).expect("good");
        agent.handle_signal(now, line("0 end-of-candidates")).expect("good");
    });
    world.run_for(secs(2));
    assert_eq!(checked(&world), 1, "{world}");
}

/// ICE-6.1.3-a: Completed and Failed are said of all streams, or not at all.
#[test]
fn a_session_is_over_when_all_its_checklists_are() {
    const SECOND: &str = "192.0.2.1:5001";
    for (answered, expected) in [
        ([true, true], State::Completed),
        ([false, false], State::Failed),
        ([true, false], State::Checking),
        ([false, true], State::Checking),
    ] {
        let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]).components(&[1, 1]));
        let component = ComponentId { stream: 1, component: 1 };
        let socket = Socket::Udp { local: addr(SECOND), component };
        bench.with_agent(|agent, now| agent.add_socket(now, SocketId(1), socket)).expect("a socket");
        for stream in 0..2 {
            bench.signal(&format!("{stream} credentials ufrag=peer pwd={PEER_PWD}"));
            bench.signal(&format!(
                "{stream} candidate:{stream} 1 udp 2130706431 192.0.2.2 600{stream} typ host"
            ));
            bench.signal(&format!("{stream} end-of-candidates"));
        }
        // A check and a nomination of each stream.
        for (stream, yes) in answered.into_iter().enumerate().cycle().take(4) {
            let (local, peer) = ([HOST, SECOND][stream], format!("192.0.2.2:600{stream}"));
            let asked = bench.sent.iter().rev().find(|it| it.to == addr(&peer)).cloned();
            let asked = asked.unwrap_or_else(|| bench.next_request(&peer));
            let mapped = |writer: &mut Writer<'_>| {
                writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(local));
                writer.integrity(&Key::short_term(PEER_PWD), Integrity::Sha1).fingerprint();
            };
            let answer = if yes {
                message(Class::Success, Method::BINDING, asked.id(), mapped)
            } else {
                asked.error(400)
            };
            let _ = bench.receive_on(SocketId(stream as u32), local, &peer, &answer);
            bench.wait(ms(60));
        }
        if expected == State::Completed {
            assert_eq!(bench.agent.state(), expected);
        }
        // Meanwhile consent is not what is asked about.
        bench.wait(PATIENCE.saturating_sub(secs(11)));
        if expected == State::Checking {
            assert_eq!(bench.agent.state(), expected, "{answered:?}");
        }
        bench.wait(secs(12));
        let failed = bench.agent.state() == State::Failed;
        assert_eq!(failed, expected == State::Failed, "{answered:?}");
    }
}

/// ICE-6.1.4.2-a: the first check at once, and then one each Ta.
#[test]
fn checks_begin_at_once_and_follow_each_ta() {
    for ta in [20, 50, 90] {
        let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]).pacing(ms(ta)));
        bench.wait(secs(1));
        bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD} pacing=20"));
        for port in 6000..6005 {
            bench.signal(&format!("0 candidate:{port} 1 udp 2130706431 192.0.2.2 {port} typ host"));
        }
        bench.wait(ms(450));
        let mut begun: Vec<&Sent> = bench.sent.iter().collect();
        begun.dedup_by_key(|check| check.id());
        let times: Vec<_> = begun.iter().map(|check| check.at - secs(1)).collect();
        assert_eq!(times, [0, 1, 2, 3, 4].map(|slot| ms(slot * ta)));
    }
}

/// ICE-6.1.4.2-d: from the base, with the peer's ufrag first and the peer's password.
#[test]
fn a_check_names_the_peer_first_and_is_signed_with_its_password() {
    let mut bench = Bench::new(Role::Controlling);
    let check = bench.next_request(PEER);
    let message = check.message();
    assert_eq!(message.username(), Some(format!("peer:{}", bench.ufrag).as_bytes()));
    assert!(message.verify(&Key::short_term(PEER_PWD)).is_ok());
    assert!(message.verify(&Key::short_term(&bench.pwd)).is_err());
    assert_eq!(check.to, addr(PEER));
}

/// ICE-6.1.4.2-c: an application ends it with its choice, if its agent controls.
#[test]
fn only_the_controlling_agent_concludes() {
    for (role, may) in [(Role::Controlling, true), (Role::Controlled, false)] {
        let nomination = floe::agent::Nomination::Manual;
        let mut bench = Bench::of(Config::new(role, [7; 32]).nomination(nomination));
        bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
        bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
        let answer = bench.next_request(PEER).success();
        let _ = bench.receive(PEER, &answer);
        let pair = bench.agent.valid_pairs(ComponentId::FIRST).next().expect("a valid pair").id;
        assert_eq!(bench.with_agent(|agent, now| agent.nominate(now, pair)).is_ok(), may);
        bench.wait(ms(100));
        let nominates = bench.sent.iter().any(|it| it.kinds().contains(&attr::USE_CANDIDATE));
        assert_eq!(nominates, may);
    }
}

/// PAC-4-b: the time that a check takes to fail, though every pair has failed long before.
#[test]
fn patience_lasts_39_and_a_half_seconds() {
    let mut bench = alone();
    bench.wait(secs(7));
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    bench.signal("0 end-of-candidates");
    let refusal = bench.next_request(PEER).error(400);
    let _ = bench.receive(PEER, &refusal);
    assert_eq!(failed_at(&mut bench, secs(100)), Some(secs(7) + PATIENCE));
}

/// PAC-4-d: when it ends, what is still under way goes on.
#[test]
fn a_check_that_is_under_way_when_patience_ends_has_its_time() {
    let mut bench = alone();
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
    bench.wait(secs(30));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    bench.signal("0 end-of-candidates");
    bench.wait(secs(12));
    assert_eq!(bench.agent.state(), State::Checking, "after {PATIENCE:?}");
    assert_eq!(failed_at(&mut bench, secs(100)), Some(secs(30) + PATIENCE));
}

/// PAC-5-a: the end of candidates does not cut it short, and who comes by then is welcome.
#[test]
fn patience_lasts_though_the_peer_has_ended_without_a_candidate() {
    for comes in [false, true] {
        let mut bench = alone();
        bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
        bench.wait(secs(1));
        bench.signal("0 end-of-candidates");
        if comes {
            bench.wait(secs(20));
            let check = bench.check();
            let _ = bench.receive(PEER, &check);
            let answer = bench.next_request(PEER).success();
            let _ = bench.receive(PEER, &answer);
            assert!(bench.is_usable(), "a peer-reflexive candidate");
        } else {
            assert_eq!(failed_at(&mut bench, secs(100)), Some(PATIENCE));
        }
    }
}

/// PAC-5-b: an end that never comes is not waited for.
#[test]
fn a_session_fails_without_the_end_of_candidates_too() {
    let mut bench = alone();
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    let failed = failed_at(&mut bench, secs(100));
    assert!(failed.is_some_and(|at| at >= PATIENCE && at < PATIENCE + secs(1)), "{failed:?}");
    assert_eq!(bench.sent.iter().filter(|it| it.to == addr(PEER)).count(), 7, "from {HOST}");
}
