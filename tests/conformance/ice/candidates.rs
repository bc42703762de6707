//! What candidates are, and what is told of them (RFC 8445 §4, §5.3).

use std::collections::BTreeSet;

use floe::agent::Nomination;
use floe::candidate::{Candidate, CandidateType, Foundation};
use floe::credentials::Credentials;
use floe::io::ComponentId;
use floe::signal::{Signal, What};
use floe::sim::{Nat, World};
use floe::{Agent, Config, Event, Output, Received, Role, State};

use super::gathering::config;
use crate::bench::{Bench, PEER, PEER_PWD, ms, secs};

/// ICE-4-c: over all components, no way to the peer is used twice.
#[test]
fn no_two_components_share_a_pair() {
    for nats in [[Nat::none(), Nat::none()], [Nat::symmetric().into(), Nat::port_restricted().into()]] {
        let mut world = World::new(1);
        let turn = world.turn_server();
        let mut roles = [Role::Controlling, Role::Controlled].into_iter();
        let [a, b] = nats.map(|nat| {
            let config = config(roles.next().expect("two")).components(&[2, 1]);
            world.agent(nat, config.turn_server(turn.clone()))
        });
        world.signal(a, b);
        world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
        for host in [a, b] {
            let selected = world.events(host).iter().filter_map(|(_, event)| match event {
                Event::Selected { component, local, remote } => {
                    Some((*component, (local.address.socket(), remote.address.socket())))
                }
                _ => None,
            });
            let latest: std::collections::BTreeMap<_, _> = selected.collect();
            assert_eq!(latest.len(), 3, "{world}");
            assert_eq!(latest.into_values().collect::<BTreeSet<_>>().len(), 3, "{world}");
        }
    }
}

/// ICE-4-e: data flows on a valid pair; once one is nominated, on that.
#[test]
fn data_flows_before_the_nomination_and_on_the_nominated_pair_after_it() {
    let config = Config::new(Role::Controlling, [7; 32]).nomination(Nomination::Manual);
    let mut bench = Bench::of(config);
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    bench.signal("0 candidate:2 1 udp 1694498815 192.0.2.3 6000 typ srflx");
    let destination = |bench: &Bench| bench.agent.path(ComponentId::FIRST).map(|path| path.destination());
    assert_eq!(destination(&bench), None);
    for peer in ["192.0.2.3:6000", PEER] {
        let answer = bench.next_request(peer).success();
        let _ = bench.receive(peer, &answer);
        assert_eq!(destination(&bench), Some(peer.parse().expect("an address")), "the best valid pair");
        assert_eq!(bench.agent.state(), State::Connected);
        let data = bench.receive(peer, b"\x80data");
        assert!(matches!(data, Received::Data { .. }), "{data:?}");
    }
    // The application takes the other one.
    let worse = bench.agent.valid_pairs(ComponentId::FIRST).last().expect("two").id;
    bench.with_agent(|agent, now| agent.nominate(now, worse)).expect("it is valid");
    let nomination = bench.next_request("192.0.2.3:6000").success();
    let _ = bench.receive("192.0.2.3:6000", &nomination);
    assert_eq!(bench.agent.state(), State::Completed);
    assert_eq!(destination(&bench), "192.0.2.3:6000".parse().ok());
}

/// ICE-5.3-b: what may be missing.
#[test]
fn what_need_not_be_told_may_be_missing() {
    let line = format!("0 credentials ufrag=peer pwd={PEER_PWD}");
    let Signal { what: What::Credentials(credentials), .. } = line.parse().expect("a signal") else {
        panic!("{line}");
    };
    assert_eq!((credentials.pacing, credentials.lite, credentials.options.len()), (None, false, 0));
    for related in ["", " raddr 0.0.0.0 rport 0", " raddr 0.0.0.0 rport 9", " raddr :: rport 9"] {
        let line = format!("candidate:1 1 udp 1694498815 198.51.100.1 4000 typ srflx{related}");
        let candidate: Candidate = line.parse().expect("a candidate");
        assert_eq!(candidate.kind, CandidateType::ServerReflexive);
        assert!(candidate.related.is_none_or(|it| it.ip().is_unspecified()), "{line}");
    }
}

/// ICE-5.3-c.
#[test]
fn a_foundation_has_1_to_32_characters() {
    for (text, good) in [
        (String::new(), false),
        ("a".into(), true),
        ("+/9zA".into(), true),
        ("f".repeat(32), true),
        ("f".repeat(33), false),
        ("a-b".into(), false),
        ("a b".into(), false),
        ("é".into(), false),
    ] {
        assert_eq!(text.parse::<Foundation>().is_ok(), good, "{text:?}");
        let line = format!("candidate:{text} 1 udp 5 192.0.2.1 5 typ host");
        assert_eq!(line.parse::<Candidate>().is_ok(), good, "{line}");
    }
}

/// The credentials that an agent of this seed makes up.
fn credentials(seed: u32) -> Credentials {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    let mut agent = Agent::new(Config::new(Role::Controlling, bytes), World::new(0).now());
    let mut buf = [0; 1500];
    let output = agent.poll_output(&mut buf);
    let Output::Event(Event::Signal(Signal { what: What::Credentials(credentials), .. })) = output else {
        panic!("{output:?}");
    };
    credentials
}

/// ICE-5.3-d: six random bits a character, at least 24 of them in a ufrag and 128 in a pwd.
#[test]
fn every_character_of_a_ufrag_and_a_pwd_is_6_random_bits() {
    const AGENTS: u32 = 3000;
    let own: Vec<_> = (0..AGENTS).map(credentials).collect();
    let texts: [Vec<&str>; 2] =
        [own.iter().map(|it| it.ufrag.as_str()).collect(), own.iter().map(|it| it.pwd.as_str()).collect()];
    for (texts, bits) in texts.into_iter().zip([24, 128]) {
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), AGENTS as usize);
        let length = texts[0].len();
        assert!(length * 6 >= bits && texts.iter().all(|text| text.len() == length));
        for at in 0..length {
            let mut counts = std::collections::BTreeMap::<u8, u32>::new();
            for text in &texts {
                *counts.entry(text.as_bytes()[at]).or_default() += 1;
            }
            assert_eq!(counts.len(), 64, "character {at}");
            assert!(counts.values().all(|count| (15..100).contains(count)), "{counts:?}");
        }
    }
}

/// ICE-5.3-e: the peer may be faster than its own answer.
#[test]
fn checks_and_data_are_taken_as_soon_as_candidates_were_signalled() {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]));
    let check = bench.check();
    let answers = bench.answers(PEER, &check);
    assert_eq!((answers.len(), answers[0].code()), (1, 0), "{answers:?}");
    let data = bench.receive(PEER, b"\x80data");
    assert!(matches!(data, Received::Data { .. }), "{data:?}");
    // And what was learnt is checked when the answer is there.
    bench.wait(ms(100));
    assert_eq!(bench.sent.len(), 1);
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
    assert_eq!(bench.next_request(PEER).to, PEER.parse().expect("an address"));
}
