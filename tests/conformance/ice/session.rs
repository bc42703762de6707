//! What belongs to an ICE session: its restart, its tiebreaker, its sockets (RFC 8445 §9, §16, §19).

use std::collections::BTreeSet;

use floe::error::SignalError;
use floe::io::ComponentId;
use floe::sim::{Fate, HostId, Nat, World};
use floe::stun::auth::{Integrity, Key};
use floe::stun::wire::attr;
use floe::stun::{Class, Message, Method, TransactionId};
use floe::{Agent, Config, Role, State};

use crate::bench::{Bench, HOST, PEER, PEER_PWD, addr, message, ms, secs};

/// ICE-9-b: neither another destination nor lite is taken without new credentials.
#[test]
fn only_a_restart_moves_the_destination_or_makes_the_peer_lite() {
    let mut bench = Bench::new(Role::Controlling);
    let same = format!("0 credentials ufrag=peer pwd={PEER_PWD}");
    let mut give = |line: String| {
        bench.with_agent(|agent, now| agent.handle_signal(now, line.parse().expect("a signal")))
    };
    assert_eq!(give(same.clone()), Ok(()), "a repetition");
    assert_eq!(give(format!("{same} lite")), Err(SignalError::HalfRestart));
    let elsewhere = "0 candidate:2 1 udp 2130706430 192.0.2.9 6009 typ host";
    assert_eq!(give(elsewhere.to_owned()), Err(SignalError::AfterEnd));
    let new = "0 credentials ufrag=peer2 pwd=anotherPasswordOf24Letters lite";
    assert_eq!(give(new.to_owned()), Ok(()));
    assert_eq!(give(elsewhere.to_owned()), Ok(()));
}

/// The tiebreakers of a host's requests, in order, without repetitions, of both streams together.
fn tiebreakers(world: &World, host: HostId) -> Vec<u64> {
    let own = world.captured().iter().filter(|one| one.origin == Some(host) && one.fate == Fate::Sent);
    let mut values: Vec<u64> = own
        .filter_map(|one| {
            let message = Message::parse(&one.payload).ok().filter(|it| it.class() == Class::Request)?;
            let attributes = message.plain().attributes();
            attributes.u64(attr::ICE_CONTROLLING).or_else(|| attributes.u64(attr::ICE_CONTROLLED))
        })
        .collect();
    values.dedup();
    values
}

fn two_streams(roles: [Role; 2]) -> (World, [HostId; 2]) {
    let mut world = World::new(1);
    world.capture();
    let hosts = [0, 1].map(|at: usize| {
        let config = Config::new(roles[at], [at as u8 + 1; 32]).components(&[2, 1]);
        world.agent(Nat::none(), config)
    });
    let [a, b] = hosts;
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    world.run_for(secs(20));
    (world, hosts)
}

/// ICE-16.1-b: consent requests included.
#[test]
fn one_tiebreaker_is_in_all_requests_of_all_streams_until_a_487() {
    let (world, hosts) = two_streams([Role::Controlling, Role::Controlled]);
    let [a, b] = hosts.map(|host| tiebreakers(&world, host));
    assert_eq!((a.len(), b.len()), (1, 1), "{a:?} {b:?}");
    assert_ne!(a, b);
    let (world, hosts) = two_streams([Role::Controlling; 2]);
    let found = hosts.map(|host| tiebreakers(&world, host));
    for values in &found {
        let distinct: BTreeSet<_> = values.iter().collect();
        assert!(distinct.len() <= 2 && values.len() == distinct.len(), "it changes once: {values:?}");
    }
}

/// A check of the peer that says it controls, with this tiebreaker.
fn check(bench: &Bench, number: u8, tiebreaker: u64) -> Vec<u8> {
    let (username, key) = (format!("{}:peer", bench.ufrag), Key::short_term(&bench.pwd));
    message(Class::Request, Method::BINDING, TransactionId([number; 12]), |writer| {
        writer.put_username(&username).put_u32(attr::PRIORITY, 1_862_270_975);
        writer.put_u64(attr::ICE_CONTROLLING, tiebreaker);
        writer.integrity(&key, Integrity::Sha1).fingerprint();
    })
}

/// ICE-16.1-c: each check speaks for itself.
#[test]
fn the_peer_may_change_its_tiebreaker() {
    let mut bench = Bench::new(Role::Controlled);
    for (number, tiebreaker) in [(1, 1), (2, u64::MAX), (3, 0), (4, 1)] {
        let check = check(&bench, number, tiebreaker);
        let answers = bench.answers(PEER, &check);
        assert!(matches!(&answers[..], [answer] if answer.is(Class::Success)), "{tiebreaker}");
    }
    assert_eq!(bench.agent.role(), Role::Controlled);
}

/// ICE-16.2-a: class 4, number 87, in the bytes of RFC 8489 §14.8.
#[test]
fn role_conflict_is_487() {
    let mut bench = Bench::new(Role::Controlling);
    let check = check(&bench, 1, 0);
    let answers = bench.answers(PEER, &check);
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((answer.is(Class::Error), answer.code()), (true, 487));
    let at = answer.raw.windows(2).position(|two| two == attr::ERROR_CODE.to_be_bytes()).expect("ERROR-CODE");
    assert_eq!(answer.raw[at + 4..at + 8], [0, 0, 4, 87]);
}

/// ICE-19.1-a: there is no enumeration in an agent; it has the addresses that its application names.
#[test]
fn an_agent_uses_the_addresses_that_it_is_given_and_no_other() {
    let bench = Bench::of(Config::new(Role::Controlling, [7; 32]));
    let candidates: Vec<_> = bench.signals().into_iter().filter(|line| line.contains("candidate:")).collect();
    assert_eq!(candidates.len(), 1, "{candidates:?}");
    assert!(candidates[0].contains("192.0.2.1 5000 typ host"), "{candidates:?}");
    let bases = bench.agent.diagnosis().bases;
    assert_eq!(bases.iter().map(|base| base.addr).collect::<Vec<_>>(), [addr(HOST)]);
}

/// ICE-19.5.1-a: whatever both sides offer, no more than 100 pairs are checked.
#[test]
fn an_agent_checks_at_most_100_pairs() {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]).pacing(ms(5)));
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD} pacing=5 options=ice2,trickle"));
    for number in 0..120 {
        let line =
            format!("0 candidate:{number} 1 udp {} 198.51.100.1 {} typ host", 9000 - number, 7000 + number);
        bench.signal(&line);
    }
    bench.signal("0 end-of-candidates");
    bench.wait(secs(60));
    let asked: BTreeSet<_> = bench.sent.iter().filter(|it| it.is(Class::Request)).map(|it| it.to).collect();
    assert_eq!(asked.len(), 100);
    assert_eq!(bench.agent.state(), State::Failed);
}

/// SDP-4.4-a: what is refused of a later description leaves the session as it is.
#[test]
fn a_later_description_that_is_refused_changes_nothing() {
    let mut bench = Bench::completed();
    let before = (bench.agent.path(ComponentId::FIRST), bench.agent.role(), bench.events.len());
    for line in [
        "0 credentials ufrag=peer pwd=anotherPasswordOf24Letters".to_owned(),
        format!("0 credentials ufrag=other pwd={PEER_PWD}"),
        format!("0 credentials ufrag=peer pwd={PEER_PWD} lite"),
        "1 credentials ufrag=peer2 pwd=anotherPasswordOf24Letters".to_owned(),
        "0 candidate:9 1 udp 9 192.0.2.9 9 typ host ufrag old1".to_owned(),
    ] {
        let refused =
            bench.with_agent(|agent, now| agent.handle_signal(now, line.parse().expect("a signal")));
        assert!(refused.is_err(), "{line}");
    }
    bench.wait(ms(500));
    let after = (bench.agent.path(ComponentId::FIRST), bench.agent.role(), bench.events.len());
    assert_eq!((after, bench.agent.state()), (before, State::Completed));
}

fn credentials(bench: &Bench) -> Vec<(String, String)> {
    let lines = bench.signals().into_iter().filter(|line| line.contains("credentials "));
    let field = |line: &str, name: &str| {
        let value = line.split(name).nth(1).and_then(|rest| rest.split(' ').next());
        value.map_or_else(|| panic!("{line}"), str::to_owned)
    };
    lines.map(|line| (field(&line, "ufrag="), field(&line, "pwd="))).collect()
}

/// SDP-5.4-d, SDP-4.4.3.1-g: also the next offer after an answer without ICE.
#[test]
fn credentials_are_new_in_every_session_and_restart() {
    let mut all = BTreeSet::new();
    for seed in 1..=20 {
        let mut bench = Bench::of(Config::new(Role::Controlling, [seed; 32]));
        for _ in 0..4 {
            bench.with_agent(Agent::restart);
        }
        let credentials = credentials(&bench);
        assert_eq!(credentials.len(), 5);
        all.extend(credentials.into_iter().flat_map(|(ufrag, pwd)| [ufrag, pwd]));
    }
    assert_eq!(all.len(), 20 * 5 * 2);
}

/// SDP-4.4.2.1-a.
#[test]
fn the_answer_to_a_restart_has_a_ufrag_and_pwd_of_its_own() {
    let mut bench = Bench::completed();
    bench.signal("0 credentials ufrag=peer2 pwd=anotherPasswordOf24Letters");
    let [old, new] = &credentials(&bench)[..] else { panic!("{:?}", bench.signals()) };
    assert!(old.0 != new.0 && old.1 != new.1);
}

/// SDP-7.5-a: what is in use is offered again.
#[test]
fn a_restart_keeps_its_sockets_as_candidates() {
    let mut bench = Bench::completed();
    let before = bench.signals().len();
    bench.with_agent(Agent::restart);
    let again: Vec<_> = bench.signals()[before..].to_vec();
    assert!(again.iter().any(|line| line.contains("192.0.2.1 5000 typ host")), "{again:?}");
}

/// SDP-4.4.3.1-a, SDP-4.4.3.1.1-b: the pairs of the session before carry data, and are none of the next one.
#[test]
fn a_restart_of_the_peer_begins_with_an_empty_valid_list_and_checks_with_the_new_credentials() {
    let mut bench = Bench::completed();
    assert_eq!(bench.agent.valid_pairs(ComponentId::FIRST).count(), 1);
    let path = bench.agent.path(ComponentId::FIRST);
    bench.signal("0 credentials ufrag=peer2 pwd=anotherPasswordOf24Letters");
    assert_eq!(bench.agent.valid_pairs(ComponentId::FIRST).count(), 0);
    assert_eq!((bench.agent.path(ComponentId::FIRST), bench.agent.state()), (path, State::Connected));
    let since = bench.sent.len();
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6001 typ host");
    bench.wait(ms(100));
    let check = bench.sent[since..].iter().find(|it| it.to == addr("192.0.2.2:6001")).expect("a check");
    let username = check.message().username().map(|name| name.starts_with(b"peer2:"));
    assert_eq!(username, Some(true));
    assert!(check.message().verify(&Key::short_term("anotherPasswordOf24Letters")).is_ok());
}

/// SDP-4.4.3.1.1-a: with signaling that takes a second.
#[test]
fn data_of_every_20_ms_goes_on_while_a_restart_is_signalled() {
    let mut world = World::new(5);
    let [a, b] = [Role::Controlling, Role::Controlled]
        .map(|role| world.agent(Nat::none(), Config::new(role, [role as u8 + 1; 32])));
    world.signal_one_way(a, b, secs(1));
    world.signal_one_way(b, a, secs(1));
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    let before = world.agent_ref(a).path(ComponentId::FIRST);
    world.with_agent(a, Agent::restart);
    for count in 0..50 {
        assert_eq!(world.agent_ref(a).path(ComponentId::FIRST), before, "{count}");
        world.send(a, b"data");
        world.run_for(ms(20));
    }
    for _ in 0..100 {
        world.send(a, b"data");
        world.run_for(ms(20));
    }
    world.run_for(secs(1));
    let times: Vec<_> = world.received(b).iter().map(|arrival| arrival.at).collect();
    assert_eq!(times.len(), 150, "{world}");
    let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("data");
    assert!(gap <= ms(40), "{gap:?}");
}
