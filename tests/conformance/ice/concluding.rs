//! How a session concludes (RFC 8445 §8).

use floe::agent::{Nomination, Reason, Why};
use floe::io::ComponentId;
use floe::sim::{Fate, HostId, Interface, Link, Nat, World};
use floe::stun::{Class, Message, Method};
use floe::{Config, Event, Role, State};

use crate::bench::{Bench, PEER, PEER_PWD, SERVER, addr, ms, secs};

const ROLES: [[Role; 2]; 2] = [[Role::Controlling, Role::Controlled], [Role::Controlled, Role::Controlling]];

/// An agent of two streams, whose peer answers on those that `connects` names.
fn two_streams(role: Role, connects: [bool; 2]) -> Bench {
    let mut bench = Bench::of(Config::new(role, [7; 32]).components(&[1, 1]));
    for (stream, connects) in connects.into_iter().enumerate() {
        bench.signal(&format!("{stream} credentials ufrag=peer pwd={PEER_PWD}"));
        let there = if connects { "192.0.2.2 6000" } else { "192.0.2.3 6000" };
        bench.signal(&format!("{stream} candidate:1 1 udp 2130706431 {there} typ host"));
        bench.signal(&format!("{stream} end-of-candidates"));
    }
    bench
}

fn failures(bench: &Bench) -> Vec<(Option<u16>, Reason)> {
    let events = bench.events.iter().filter_map(|event| match event {
        Event::StreamFailed { stream, reason } => Some((Some(*stream), *reason)),
        Event::Failed(reason) => Some((None, *reason)),
        _ => None,
    });
    events.collect()
}

/// ICE-8.1.2-d, ICE-8.1.1-b: the application is told which stream it is, and the other one goes on.
#[test]
fn a_stream_that_fails_is_named_and_the_other_one_completes() {
    // The bench has a socket for the first stream only.
    let mut bench = two_streams(Role::Controlling, [true, false]);
    for _ in 0..900 {
        bench.wait(ms(50));
        bench.answer_checks();
    }
    assert_eq!(failures(&bench), [(Some(1), Reason::NoLocalCandidates)]);
    assert_eq!(bench.agent.state(), State::Completed);
    assert!(bench.is_usable());
}

/// ICE-8.1.2-e.
#[test]
fn a_session_fails_when_all_its_checklists_have_failed() {
    let mut bench = two_streams(Role::Controlled, [false, false]);
    bench.wait(secs(39));
    assert_ne!(bench.agent.state(), State::Failed);
    bench.wait(secs(6));
    assert_eq!(bench.agent.state(), State::Failed);
    assert_eq!(failures(&bench), [(None, Reason::ChecksFailed)]);
}

/// ICE-8.1.2-c: on the selected pair, on others, and a nomination that is sent again.
#[test]
fn checks_are_answered_after_the_nomination() {
    let mut bench = Bench::completed();
    for time in [ms(0), ms(2_900), secs(20)] {
        bench.wait(time);
        bench.answer_checks();
        for source in [PEER, "192.0.2.2:6001"] {
            let check = bench.check();
            let answers = bench.answers(source, &check);
            assert!(answers.iter().any(|it| it.is(Class::Success) && it.to == addr(source)), "{source}");
        }
    }
    assert_eq!(bench.agent.state(), State::Completed);
}

/// The lifetimes that a host asked of a TURN server by Refresh, and when.
fn given_back(world: &World, host: HostId) -> Vec<std::time::Duration> {
    let own = world.addresses(host);
    let sent = world.captured().iter().filter(|it| it.fate == Fate::Sent && own.contains(&it.source.ip()));
    let deletes = sent.filter(|it| {
        Message::parse(&it.payload).is_ok_and(|message| {
            message.class() == Class::Request
                && message.method() == Method::REFRESH
                && message.plain().attributes().lifetime() == Some(std::time::Duration::ZERO)
        })
    });
    deletes.map(|it| it.at).collect()
}

/// ICE-8.3.1-a: three seconds after it has completed, and not before.
#[test]
fn relays_that_were_not_selected_are_given_back_after_3_s() {
    let mut world = World::new(21);
    let turn = world.turn_server();
    world.capture();
    let [a, b] = [0, 1].map(|at: usize| {
        let config = Config::new(ROLES[0][at], [at as u8 + 1; 32]).turn_server(turn.clone());
        world.agent(Nat::none(), config.nomination(Nomination::Best { settle: ms(500) }))
    });
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    world.run_for(secs(10));
    for host in [a, b] {
        let completed = world.events(host).iter().find(|(_, it)| *it == Event::State(State::Completed));
        let completed = completed.expect("completed").0;
        let first = *given_back(&world, host).first().expect("a relay is given back");
        assert!(first >= completed + secs(3) && first < completed + ms(3_100), "{first:?} {completed:?}");
    }
}

/// ICE-8.3.1-b: the mapping of a server-reflexive candidate is kept while it may be used, and no longer.
#[test]
fn a_freed_server_reflexive_candidate_gets_no_keepalive() {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]).stun_server(addr(SERVER)));
    let query = bench.next_request(SERVER);
    let answer = crate::bench::message(Class::Success, Method::BINDING, query.id(), |writer| {
        let mapped = addr("203.0.113.50:40000");
        writer.put_xor_address(floe::stun::wire::attr::XOR_MAPPED_ADDRESS, mapped).fingerprint();
    });
    let _ = bench.receive(SERVER, &answer);
    let to_server = |bench: &Bench| bench.sent.iter().filter(|it| it.to == addr(SERVER)).count();
    bench.wait(secs(60));
    let kept = to_server(&bench);
    assert!(kept >= 4, "every 15 s: {kept}");
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    bench.signal("0 end-of-candidates");
    for _ in 0..40 {
        bench.wait(ms(100));
        bench.answer_checks();
    }
    assert_eq!(bench.agent.state(), State::Completed);
    let before = to_server(&bench);
    for _ in 0..600 {
        bench.wait(ms(100));
        bench.answer_checks();
    }
    assert_eq!((to_server(&bench), bench.agent.state()), (before, State::Completed));
}

/// Two agents, each with two addresses.
fn two_by_two(world: &mut World, roles: [Role; 2], nominations: [Nomination; 2]) -> [HostId; 2] {
    let hosts = [0, 1].map(|at: usize| {
        // The better one is slower: the others are valid before it is selected.
        let slow = Interface::v4(Nat::none()).link(Link::wan().latency(ms(150)));
        let interfaces = [slow, Interface::v4(Nat::none())];
        let config = Config::new(roles[at], [at as u8 + 1; 32]).nomination(nominations[at]);
        world.agent(interfaces, config)
    });
    world.signal(hosts[0], hosts[1]);
    world.run_until(secs(10), |w| hosts.iter().all(|host| w.completed(*host)));
    world.run_for(secs(1));
    hosts
}

fn on_one_pair(world: &World, [a, b]: [HostId; 2]) -> bool {
    let ends = |host| {
        let (local, remote) = world.selected(host).expect("a pair");
        (local.address.socket(), remote.address.socket())
    };
    let ((local, remote), there) = (ends(a), ends(b));
    there == (remote, local)
}

/// RFC 8445 §8.1.1, decision 18: whoever loses the socket of the selected pair asks for a restart, unless it may nominate
/// another pair and the peer will follow. Both ways end on one pair.
#[test]
fn after_the_loss_of_the_selected_socket_both_ends_meet_on_one_pair() {
    let settle = ms(500);
    let (with, without) = (Nomination::Renominate { settle }, Nomination::Best { settle });
    for roles in ROLES {
        for nominations in [[with, with], [with, without], [without, with], [without, without]] {
            let mut world = World::new(22);
            let [a, b] = two_by_two(&mut world, roles, nominations);
            let lost = world.selected(a).expect("a pair").0.address.socket().expect("an address");
            world.remove_interface(a, lost.ip());
            let repairs = roles[0] == Role::Controlling && nominations == [with, with];
            world.run_for(secs(2));
            let asks = |it: &(std::time::Duration, Event)| it.1 == Event::RestartNeeded(Why::PathGone);
            assert_eq!(world.events(a).iter().filter(|it| asks(it)).count(), usize::from(!repairs));
            if !repairs {
                world.with_agent(a, floe::Agent::restart);
            }
            world.run_until(secs(10), |w| w.completed(a) && w.completed(b) && on_one_pair(w, [a, b]));
            world.run_for(secs(90));
            assert!(world.completed(a) && world.completed(b) && on_one_pair(&world, [a, b]), "{world}");
        }
    }
}

/// RFC 8863 §4: who has the wrong password of the peer fails soon after patience, though the peer's checks and consent
/// requests arrive; the peer notices by its consent.
#[test]
fn an_agent_with_wrong_credentials_of_its_peer_fails() {
    for roles in ROLES {
        let mut world = World::new(23);
        let [a, b] =
            [0, 1].map(|at: usize| world.agent(Nat::none(), Config::new(roles[at], [at as u8 + 1; 32])));
        world.run_for(secs(1));
        for (from, to, bends) in [(a, b, false), (b, a, true)] {
            for signal in world.signals(from) {
                let mut line = signal.to_string();
                if bends && let Some(at) = line.find("pwd=") {
                    let end = line[at..].find(' ').map_or(line.len(), |end| at + end);
                    line.replace_range(at..end, &format!("pwd={PEER_PWD}"));
                }
                let signal = line.parse().expect("a signal");
                world.with_agent(to, |agent, now| agent.handle_signal(now, signal)).expect("taken");
            }
        }
        let took = world.run_until(secs(60), |w| w.state(a) == State::Failed);
        assert!(took > secs(39) && took < secs(47), "{took:?}");
        world.run_until(secs(100), |w| w.state(b) == State::Failed);
        assert!(world.agent_ref(b).path(ComponentId::FIRST).is_none());
    }
}

/// ICE-8.3.2-a: a lite agent holds nothing for the candidates that were not selected: their sockets may go at once.
#[test]
fn a_lite_agent_needs_its_other_sockets_no_more_when_it_has_completed() {
    let mut world = World::new(24);
    let full = world.agent(Nat::none(), Config::new(Role::Controlling, [1; 32]));
    let interfaces = [Interface::v4(Nat::none()), Interface::v4(Nat::none())];
    let lite = world.agent(interfaces, Config::new(Role::Controlled, [2; 32]).lite());
    world.signal(full, lite);
    world.run_until(secs(10), |w| w.completed(lite));
    let used = world.selected(lite).expect("a pair").0.address.socket().expect("an address").ip();
    let other = world.addresses(lite).into_iter().find(|ip| *ip != used).expect("another one");
    let events = world.events(lite).len();
    world.remove_interface(lite, other);
    world.run_for(secs(60));
    assert_eq!(world.events(lite).len(), events, "{world}");
    assert!(world.completed(full) && world.completed(lite));
}
