//! How an agent takes answers to its checks (RFC 8489 §9.1.4).

use floe::Role;
use floe::agent::diagnosis::Standing;
use floe::checks::Failure;
use floe::stun::auth::Integrity;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Method};

use crate::bench::{Bench, HOST, PEER, PEER_PWD, addr, message, ms};

fn asking() -> (Bench, crate::bench::Sent) {
    let mut bench = Bench::new(Role::Controlling);
    let check = bench.next_request(PEER);
    (bench, check)
}

/// A check has MESSAGE-INTEGRITY only, and so must its answer.
#[test]
fn an_answer_with_the_other_algorithm_is_discarded() {
    let (mut bench, check) = asking();
    let other = message(Class::Success, Method::BINDING, check.id(), |writer| {
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(HOST));
        writer.integrity(&Key::short_term(PEER_PWD), Integrity::Sha256).fingerprint();
    });
    let _ = bench.receive(PEER, &other);
    assert!(!bench.is_usable());
    let answer = check.success();
    let _ = bench.receive(PEER, &answer);
    assert!(bench.is_usable());
}

/// As if it had never been received: the request is sent again, and the true answer counts.
#[test]
fn a_forged_answer_is_discarded_and_the_check_goes_on() {
    let (mut bench, check) = asking();
    for code in [None, Some(400), Some(401), Some(403), Some(487)] {
        for key in [None, Some("another password of a stranger")] {
            let class = if code.is_some() { Class::Error } else { Class::Success };
            let forged = message(class, Method::BINDING, check.id(), |writer| {
                match code {
                    Some(code) => writer.put_error_code(code, ""),
                    None => writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(HOST)),
                };
                if let Some(key) = key {
                    writer.integrity(&Key::short_term(key), Integrity::Sha1);
                }
                writer.fingerprint();
            });
            let _ = bench.receive(PEER, &forged);
        }
    }
    assert!(!bench.is_usable());
    assert_eq!(bench.agent.role(), Role::Controlling, "no forged 487 counts");
    bench.wait(ms(600));
    assert_eq!(bench.sent.iter().filter(|it| it.raw == check.raw).count(), 2, "sent again");
    let answer = check.success();
    let _ = bench.receive(PEER, &answer);
    assert!(bench.is_usable());
}

/// RFC 8489 §6.3.3: a check whose answer has an attribute that must be understood and is not has failed.
#[test]
fn an_answer_with_an_unknown_required_attribute_validates_nothing() {
    let (mut bench, check) = asking();
    let answer = check.success_with(|writer| {
        writer.put(0x7001, &[]);
    });
    let _ = bench.receive(PEER, &answer);
    let again = check.success();
    let _ = bench.receive(PEER, &again);
    assert!(!bench.is_usable());
    bench.wait(ms(2000));
    assert_eq!(bench.sent.iter().filter(|it| it.raw == check.raw).count(), 1, "not sent again");
}

/// RFC 8489 §9.1.4: who hears nothing but forgeries is told so, and not that nobody answered.
#[test]
fn a_check_that_got_forged_answers_only_says_that_its_integrity_was_violated() {
    for forged in [true, false] {
        let (mut bench, check) = asking();
        if forged {
            let forgery = message(Class::Success, Method::BINDING, check.id(), |writer| {
                writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(HOST));
                writer.integrity(&Key::short_term("another password of a stranger"), Integrity::Sha1);
                writer.fingerprint();
            });
            let _ = bench.receive(PEER, &forgery);
        }
        bench.wait(ms(45_000));
        let diagnosis = bench.agent.diagnosis();
        let why = if forged { Failure::IntegrityViolated } else { Failure::Unanswered };
        assert_eq!(diagnosis.pairs[0].standing, Standing::Failed(why));
        assert_eq!(diagnosis.to_string().contains("not authentic"), forged, "{diagnosis}");
    }
}
