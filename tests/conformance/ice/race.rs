//! Offers with `remote-candidates` (RFC 8839 §4.4.2).

use floe::agent::{Announced, Race};
use floe::io::ComponentId;
use floe::sim::{Nat, World};
use floe::{Agent, Config, Event, Role, State};

use crate::bench::{Bench, HOST, PEER, PEER_PWD, addr, ms, secs};

fn announced() -> [Announced; 1] {
    [Announced { component: 1, local: addr(HOST), remote: addr(PEER) }]
}

fn race(bench: &mut Bench) -> Race {
    bench.with_agent(|agent, now| agent.handle_remote_candidates(now, 0, &announced()))
}

/// SDP-4.4.2-b: a pair that is not valid yet has lost until its check is answered.
#[test]
fn an_offer_that_overtakes_the_answer_to_our_check_waits_for_it() {
    let mut bench = Bench::new(Role::Controlled);
    let check = bench.next_request(PEER);
    assert_eq!(race(&mut bench), Race::Open);
    let success = check.success();
    let _ = bench.receive(PEER, &success);
    assert_eq!(race(&mut bench), Race::Won);
    let elsewhere = Announced { component: 1, local: addr("192.0.2.1:5001"), remote: addr(PEER) };
    assert_ne!(bench.agent.handle_remote_candidates(bench.now, 0, &[elsewhere]), Race::Won);
}

/// SDP-4.4.2-c: and after the restart that follows, its outcome is the new session's.
#[test]
fn an_offer_that_names_a_failed_pair_is_answered_without_it_and_restarted() {
    let mut bench = Bench::new(Role::Controlled);
    let check = bench.next_request(PEER);
    let error = check.error(400);
    let _ = bench.receive(PEER, &error);
    assert_eq!(race(&mut bench), Race::Lost);
    bench.with_agent(Agent::restart);
    assert_eq!(race(&mut bench), Race::Open, "nothing has failed in the new session");
}

/// SDP-4.4.2-d: with one pair under way the others' failures do not count.
#[test]
fn an_offer_waits_while_a_check_of_a_pair_that_it_names_is_under_way() {
    let mut bench = Bench::of(Config::new(Role::Controlled, [7; 32]));
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD} options=ice2,trickle"));
    for port in [6000, 6001] {
        bench.signal(&format!("0 candidate:{port} 1 udp {} 192.0.2.2 {port} typ host", 2_130_706_431 - port));
    }
    let check = bench.next_request(PEER);
    bench.wait(ms(60));
    let both = [6000, 6001].map(|port| Announced {
        component: 1,
        local: addr(HOST),
        remote: addr(&format!("192.0.2.2:{port}")),
    });
    let error = check.error(400);
    let _ = bench.receive(PEER, &error);
    let mut race =
        |pairs: &[Announced]| bench.with_agent(|agent, now| agent.handle_remote_candidates(now, 0, pairs));
    assert_eq!(race(&both), Race::Open);
    assert_eq!(race(&both[..1]), Race::Lost);
}

/// SDP-4.4.2.2-a: of two lite agents that both believe to control, the one that gets the other one's offer yields.
#[test]
fn a_lite_agent_that_gets_the_offer_of_a_lite_controlling_one_yields() {
    let mut world = World::new(1);
    let [a, b] =
        [1, 2].map(|seed| world.agent(Nat::none(), Config::new(Role::Controlling, [seed; 32]).lite()));
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    let (local, remote) = world.selected(a).expect("a selected pair");
    let (theirs, ours) = (local.address.socket(), remote.address.socket());
    let pair = Announced { component: 1, local: ours.expect("ours"), remote: theirs.expect("theirs") };
    let outcome = world.with_agent(b, |agent, now| agent.handle_remote_candidates(now, 0, &[pair]));
    assert_eq!((outcome, world.state(b)), (Race::Won, State::Completed));
    assert_eq!([a, b].map(|host| world.agent_ref(host).role()), [Role::Controlling, Role::Controlled]);
    assert!(world.events(b).iter().any(|(_, event)| *event == Event::RoleSwitched(Role::Controlled)));
    // One that has not concluded by itself concludes with the pair that it is given.
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]).lite());
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD} lite options=ice2,trickle"));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    assert_eq!((bench.is_usable(), race(&mut bench)), (false, Race::Won));
    assert_eq!((bench.agent.state(), bench.agent.role()), (State::Completed, Role::Controlled));
    assert_eq!(bench.agent.path(ComponentId::FIRST).map(|path| path.destination()), Some(addr(PEER)));
}
