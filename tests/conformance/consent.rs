//! Consent (RFC 7675): a test a rule, where no other test proves it.

use std::collections::BTreeMap;

use floe::consent::{Consent, Due, EXPIRY};
use floe::io::ComponentId;
use floe::rng::Rng;
use floe::stun::auth::Integrity;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Method, TransactionId};
use floe::{Config, Event, Role, State};

use crate::bench::{Bench, HOST, PEER, PEER_PWD, Sent, addr, message, ms, secs};

/// Consent requests: all that is asked of the peer once it has been selected.
fn requests(bench: &Bench, since: usize) -> Vec<Sent> {
    bench.sent[since..].iter().filter(|it| it.to == addr(PEER) && it.is(Class::Request)).cloned().collect()
}

fn next_consent(bench: &mut Bench) -> Sent {
    let since = bench.sent.len();
    for _ in 0..70 {
        bench.wait(ms(100));
        if let Some(request) = requests(bench, since).first() {
            return request.clone();
        }
    }
    panic!("no request in 7 s");
}

/// Runs a consent that nobody answers to its end: its requests, and when each was made.
fn unanswered(seed: u8) -> (Consent, Vec<(TransactionId, floe::time::Instant)>, floe::time::Instant) {
    let mut rng = Rng::new([seed; 32]);
    let start = Bench::new(Role::Controlling).start;
    let mut consent = Consent::new(start, start, &mut rng);
    let mut asked = Vec::new();
    loop {
        let at = consent.deadline();
        match consent.poll_due(at, &mut rng) {
            Some(Due::Request(id)) => asked.push((id, at)),
            Some(Due::Expired) => return (consent, asked, at),
            None => panic!("a deadline without anything due"),
        }
    }
}

/// §4: consent takes the place of keepalives.
#[test]
fn on_a_pair_with_consent_there_are_requests_every_4_to_6_s_and_no_indications() {
    let mut bench = Bench::completed();
    bench.wait(secs(2));
    let since = bench.sent.len();
    for _ in 0..600 {
        bench.wait(ms(100));
        bench.answer_checks();
    }
    let asked = requests(&bench, since);
    assert!((10..=15).contains(&asked.len()), "{}", asked.len());
    assert_eq!(bench.sent.len() - since, asked.len(), "nothing else");
    for pair in asked.windows(2) {
        let interval = pair[1].at.saturating_sub(pair[0].at);
        assert!((ms(4000)..=ms(6000)).contains(&interval), "{interval:?}");
    }
}

/// §4: the peer need not ask for consent itself.
#[test]
fn a_peer_that_only_answers_is_enough() {
    let mut bench = Bench::completed();
    for _ in 0..1200 {
        bench.wait(ms(100));
        bench.answer_checks();
    }
    assert_eq!(bench.agent.state(), State::Completed);
}

/// §5: a check of the peer gives no consent, the answer to ours does.
#[test]
fn a_check_of_the_peer_gives_no_consent() {
    let mut bench = Bench::new(Role::Controlled);
    let nominating = bench.check_with(|writer| {
        writer.put(attr::USE_CANDIDATE, &[]);
    });
    assert_eq!(bench.answers(PEER, &nominating)[0].code(), 0);
    bench.wait(secs(1));
    assert!(!bench.is_usable());
    bench.answer_checks();
    assert!(bench.is_usable());
}

/// §5.1: only an authentic success from the address that was asked counts.
#[test]
fn only_an_authentic_success_from_the_peers_address_renews_consent() {
    type Forge = fn(&Sent) -> (Vec<u8>, &'static str);
    let forgeries: [Forge; 4] = [
        |asked| (asked.success(), "192.0.2.66:6000"),
        |asked| (asked.error(400), PEER),
        |asked| {
            let forged = message(Class::Success, Method::BINDING, asked.id(), |writer| {
                writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(HOST));
                writer
                    .integrity(&Key::short_term("another password of a stranger"), Integrity::Sha1)
                    .fingerprint();
            });
            (forged, PEER)
        },
        |asked| {
            let bare = message(Class::Success, Method::BINDING, asked.id(), |writer| {
                writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(HOST)).fingerprint();
            });
            (bare, PEER)
        },
    ];
    for forge in forgeries {
        let mut bench = Bench::completed();
        for _ in 0..4 {
            let asked = next_consent(&mut bench);
            let (raw, source) = forge(&asked);
            let _ = bench.receive(source, &raw);
        }
        bench.wait(secs(15));
        assert!(!bench.is_usable());
    }
}

/// §5.1: 30 s after the last answer, to the millisecond.
#[test]
fn the_last_data_leaves_within_30_s_of_the_last_answer() {
    let mut bench = Bench::completed();
    let asked = next_consent(&mut bench);
    bench.wait(ms(123));
    let answer = asked.success();
    let _ = bench.receive(PEER, &answer);
    bench.wait(ms(29_999));
    assert!(bench.is_usable());
    bench.wait(ms(1));
    assert!(!bench.is_usable());
}

/// §5.1.
#[test]
fn the_basic_period_is_5_s() {
    let mut rng = Rng::new([1; 32]);
    let start = Bench::new(Role::Controlling).start;
    let mut sum = secs(0);
    for _ in 0..1000 {
        sum += Consent::new(start, start, &mut rng).deadline() - start;
    }
    assert!((ms(4950)..ms(5050)).contains(&(sum / 1000)), "{sum:?}");
}

/// §5.1.
#[test]
fn requests_are_never_less_than_4_s_apart() {
    for seed in 0..100 {
        let (_, asked, _) = unanswered(seed);
        assert!(asked.windows(2).all(|pair| pair[1].1 - pair[0].1 >= ms(4000)), "seed {seed}");
    }
}

/// §5.1: the timers of requests and of expiry do not touch each other.
#[test]
fn an_answer_moves_the_expiry_and_not_the_next_request() {
    let mut rng = Rng::new([1; 32]);
    let start = Bench::new(Role::Controlling).start;
    let mut consent = Consent::new(start, start, &mut rng);
    let first = consent.deadline();
    let Some(Due::Request(id)) = consent.poll_due(first, &mut rng) else { panic!("no request") };
    let next = consent.deadline();
    assert_eq!(consent.renew(first + ms(1500), id), Some(ms(1500)), "the round-trip time");
    assert_eq!(consent.deadline(), next);
    let mut last = next;
    while let Some(due) = consent.poll_due(last, &mut rng) {
        if due == Due::Expired {
            break;
        }
        last = consent.deadline();
    }
    assert_eq!(last, first + ms(1500) + EXPIRY);
}

/// §5.1: a request is sent once, and each has an id of its own.
#[test]
fn a_consent_request_is_never_sent_again() {
    let mut bench = Bench::completed();
    bench.wait(secs(2));
    let since = bench.sent.len();
    bench.wait(secs(27));
    let mut times = BTreeMap::new();
    for request in requests(&bench, since) {
        *times.entry(request.id()).or_insert(0) += 1;
    }
    assert!(times.len() >= 4, "{times:?}");
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

/// §5.1: an answer may take as long as consent lasts.
#[test]
fn every_request_waits_for_its_answer_until_the_expiry() {
    for seed in 0..20 {
        let mut rng = Rng::new([seed; 32]);
        let start = Bench::new(Role::Controlling).start;
        let mut consent = Consent::new(start, start, &mut rng);
        let mut asked = Vec::new();
        while let Some(Due::Request(id)) = consent.poll_due(consent.deadline(), &mut rng) {
            asked.push(id);
            assert!(asked.iter().all(|id| consent.is_open(*id)), "seed {seed}");
        }
        assert!((5..=7).contains(&asked.len()));
    }
}

/// §5.1: what is open when consent expires is forgotten.
#[test]
fn expiry_discards_every_open_request() {
    let (mut consent, asked, end) = unanswered(1);
    assert!(asked.len() > 4);
    for (id, _) in asked {
        assert!(!consent.is_open(id));
        assert_eq!(consent.renew(end, id), None);
    }
}

/// §5.1: no id is seen or set from outside; what the agent tells and takes has none.
#[test]
fn applications_neither_see_nor_choose_transaction_ids() {
    for file in ["event.rs", "config.rs", "path.rs", "state.rs", "mod.rs"] {
        let text = crate::table::read(format!("src/agent/{file}"));
        let public = text.lines().filter(|line| line.trim_start().starts_with("pub "));
        let named: Vec<&str> = public.filter(|line| line.contains("TransactionId")).collect();
        assert!(named.is_empty(), "{file}: {named:?}");
    }
}

/// §5.1: after the loss nothing is asked with the old credentials, whatever the peer sends.
#[test]
fn after_the_loss_the_old_credentials_are_not_used_on_the_pair() {
    let mut bench = Bench::completed();
    bench.wait(secs(31));
    assert_eq!(bench.agent.state(), State::Disconnected);
    assert!(bench.events.iter().any(|event| matches!(event, Event::RestartNeeded(_))));
    let since = bench.sent.len();
    for _ in 0..5 {
        let check = bench.check();
        let answers = bench.answers(PEER, &check);
        assert!(answers.iter().all(|it| !it.is(Class::Request)));
        bench.wait(secs(2));
    }
    assert_eq!(requests(&bench, since).len(), 0);
    assert!(!bench.is_usable());
}

/// §5.2: 403 ends it in the same step; an unauthenticated one does not.
#[test]
fn an_authentic_403_revokes_consent_at_once() {
    let mut bench = Bench::completed();
    let asked = next_consent(&mut bench);
    let forged = message(Class::Error, Method::BINDING, asked.id(), |writer| {
        writer.put_error_code(403, "").fingerprint();
    });
    let _ = bench.receive(PEER, &forged);
    bench.wait(ms(1));
    assert!(bench.is_usable());
    let events = bench.events.len();
    let revoked = asked.error(403);
    let _ = bench.receive(PEER, &revoked);
    bench.wait(ms(0));
    assert!(!bench.is_usable());
    let said = &bench.events[events..];
    assert!(said.iter().any(|event| matches!(event, Event::Path { path: None, .. })), "{said:?}");
}

/// §8: 96 uniform bits of the seeded generator; chi-square over all bytes, 255 degrees of freedom.
#[test]
fn ids_are_uniform() {
    let mut rng = Rng::new([5; 32]);
    let mut counts = [0_u32; 256];
    for _ in 0..100_000 {
        rng.transaction_id().iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    }
    let expected = 1_200_000.0 / 256.0;
    let chi: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    assert!((170.0..350.0).contains(&chi), "{chi}");
}

/// §1: consent is of one pair; another one begins with the answer to its own check.
#[test]
fn consent_does_not_move_with_the_path() {
    const OTHER: &str = "192.0.2.3:6000";
    let mut bench = Bench::of(Config::new(Role::Controlled, [7; 32]));
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    bench.signal("0 candidate:2 1 udp 2130706175 192.0.2.3 6000 typ host");
    let (late, first) = (bench.next_request(PEER), bench.next_request(OTHER));
    let answer = first.success();
    let _ = bench.receive(OTHER, &answer);
    let destination = |bench: &Bench| bench.agent.path(ComponentId::FIRST).map(|path| path.destination());
    assert_eq!(destination(&bench), Some(addr(OTHER)));
    bench.wait(secs(6));
    let asked = bench.sent.iter().rfind(|it| it.to == addr(OTHER)).cloned().expect("a consent request");
    assert_ne!(asked.id(), first.id());
    let answer = late.success();
    let _ = bench.receive(PEER, &answer);
    assert_eq!(destination(&bench), Some(addr(PEER)));
    bench.wait(secs(10));
    let answer = asked.success();
    let _ = bench.receive(OTHER, &answer);
    bench.wait(ms(19_900));
    assert_eq!(destination(&bench), Some(addr(PEER)));
    bench.wait(ms(100));
    assert_ne!(destination(&bench), Some(addr(PEER)), "30 s after its own answer");
}
