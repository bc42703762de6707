//! Challenges (RFC 8489 §9.2.5).

use super::*;
use crate::stun::auth::userhash;

const WITH_ALGORITHMS: &str = "obMatJos2gAAAnonce";

fn offer(algorithms: &[PasswordAlgorithm]) -> PasswordAlgorithms {
    PasswordAlgorithms::offer(algorithms)
}

/// RFC 8656 §7.4: nothing more is sent to this server.
#[test]
fn a_wrong_password_is_tried_once() {
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    bench.challenge(&second, code::UNAUTHENTICATED, "other", None);
    assert_eq!(bench.take_events(), [Event::Problem(Problem::Unauthorized)]);
    assert_eq!((bench.client.wants_slot(), bench.client.deadline()), (false, None));
}

#[test]
fn endless_stale_nonces_end() {
    let mut bench = Bench::new();
    let mut request = bench.slot();
    bench.challenge(&request, code::UNAUTHENTICATED, "0", None);
    let mut count = 1;
    while bench.client.wants_slot() {
        request = bench.slot();
        count += 1;
        assert!(count < 10);
        bench.challenge(&request, code::STALE_NONCE, &count.to_string(), None);
    }
    assert_eq!(count, 5);
    let Event::Problem(problem) = one(bench.take_events()) else { panic!("no problem") };
    assert!(problem.has_code(code::STALE_NONCE));
}

#[test]
fn a_stale_nonce_begins_all_open_transactions_anew() {
    let mut bench = Bench::permitted();
    bench.client.permit(addr("192.0.2.8:1"));
    let permit = bench.slot();
    bench.client.bind(addr(PEER));
    bench.step().unwrap();
    let bind = one(bench.drain());
    bench.challenge(&bind, code::STALE_NONCE, "second", None);
    let again = one(bench.drain());
    assert_eq!((again.method(), again.nonce()), (Method::CHANNEL_BIND, Some("second".into())));
    assert_ne!(again.message().transaction_id(), bind.message().transaction_id());
    // The permission serves a check: it waits for a slot again, and an answer to its first request is void.
    let answer = bench.success(&permit, |_| {});
    assert_eq!(bench.receive(&answer), Received::Unclaimed);
    let again = bench.slot();
    assert_eq!((again.nonce(), again.peers()), (Some("second".into()), vec![addr("192.0.2.8:0")]));
}

/// RFC 8656 §6: SHA-256 wherever it stands; RFC 8489 §9.2.5: the list is echoed.
#[test]
fn sha_256_is_chosen_and_protects_all_requests() {
    use PasswordAlgorithm::{Md5, Sha256};
    for list in [offer(&[Md5, Sha256]), offer(&[Sha256, Md5])] {
        let mut bench = Bench::new();
        bench.key = Key::long_term(Sha256, "user", REALM, "pass");
        bench.integrity = Integrity::Sha256;
        let first = bench.slot();
        bench.challenge(&first, code::UNAUTHENTICATED, WITH_ALGORITHMS, Some(&list));
        let second = bench.slot();
        let verified = second.message().verify(&bench.key).unwrap();
        assert_eq!(verified.by(), Integrity::Sha256);
        assert_eq!(verified.attributes().password_algorithms(), Some(list));
        assert_eq!(verified.attributes().password_algorithm(), Some(Sha256));
        bench.allocate(&second, 600);
        assert!(matches!(bench.take_events()[..], [Event::Allocated { .. }]));
        let (_, refresh) = bench.next_sent().unwrap();
        assert_eq!(refresh.message().verify(&bench.key).unwrap().by(), Integrity::Sha256);
    }
}

#[test]
fn md5_alone_is_taken_but_sha_256_protects() {
    let mut bench = Bench::new();
    let first = bench.slot();
    let list = offer(&[PasswordAlgorithm::Md5]);
    bench.challenge(&first, code::UNAUTHENTICATED, WITH_ALGORITHMS, Some(&list));
    let second = bench.slot();
    assert_eq!(second.message().verify(&bench.key).unwrap().by(), Integrity::Sha256);
}

#[test]
fn a_nonce_that_announces_algorithms_without_them_is_a_bid_down_attack() {
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, WITH_ALGORITHMS, None);
    let lacks = Problem::Incomplete("PASSWORD-ALGORITHMS");
    assert_eq!(bench.take_events(), [Event::Problem(lacks)]);
    assert!(!bench.client.wants_slot());
}

#[test]
fn a_server_that_offered_algorithms_cannot_take_them_back() {
    let mut bench = Bench::new();
    bench.key = Key::long_term(PasswordAlgorithm::Sha256, "user", REALM, "pass");
    let first = bench.slot();
    let list = offer(&[PasswordAlgorithm::Sha256]);
    bench.challenge(&first, code::UNAUTHENTICATED, WITH_ALGORITHMS, Some(&list));
    let second = bench.slot();
    bench.allocate(&second, 600);
    bench.events.clear();
    let (_, refresh) = bench.next_sent().unwrap();
    bench.challenge(&refresh, code::STALE_NONCE, "no cookie", None);
    let (_, again) = bench.next_sent().unwrap();
    assert_eq!(again.message().verify(&bench.key).unwrap().by(), Integrity::Sha256);
    assert_eq!(again.nonce().unwrap(), WITH_ALGORITHMS);
}

#[test]
fn an_unknown_algorithm_alone_is_not_answered() {
    let mut bench = Bench::new();
    let first = bench.slot();
    let mut buf = [0; 300];
    let id = first.message().transaction_id();
    let mut answer = Writer::error(&mut buf, Method::ALLOCATE, id, code::UNAUTHENTICATED);
    answer.put_realm(REALM).put_nonce(WITH_ALGORITHMS).put(attr::PASSWORD_ALGORITHMS, &[0, 3, 0, 0]);
    let _ = bench.receive(answer.finish().unwrap());
    assert_eq!(bench.take_events(), [Event::Problem(Problem::Unsupported("a password algorithm"))]);
    assert!(!bench.client.wants_slot());
}

/// The nonce is `obMatJos2QAAA…`: username anonymity.
#[test]
fn a_hash_hides_the_username_if_the_server_wants_it() {
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "obMatJos2QAAAnonce", None);
    let second = bench.slot();
    let attributes = second.message().plain().attributes();
    assert_eq!(attributes.userhash(), Some(userhash("user", REALM)));
    assert!(!attributes.has(attr::USERNAME));
    assert!(second.message().verify(&bench.key).is_ok());
}

/// RFC 8489 §9.2.2.
#[test]
fn quotes_and_trailing_zeros_of_a_realm_do_not_reach_the_key() {
    let mut bench = Bench::new();
    let first = bench.slot();
    let mut buf = [0; 300];
    let id = first.message().transaction_id();
    let mut answer = Writer::error(&mut buf, Method::ALLOCATE, id, code::UNAUTHENTICATED);
    answer.put_realm(&format!("\"{REALM}\"\0")).put_nonce("nonce");
    let _ = bench.receive(answer.finish().unwrap());
    let second = bench.slot();
    assert!(second.message().verify(&bench.key).is_ok());
    let realm = second.message().plain().attributes().realm();
    assert_eq!(realm, Some(format!("\"{REALM}\"\0")), "but the request echoes them");
}

#[test]
fn a_challenge_without_realm_or_nonce_or_too_long_is_not_met() {
    let long = "x".repeat(127);
    for (realm, nonce) in [(None, Some("n")), (Some("r"), None)] {
        let mut bench = Bench::new();
        let first = bench.slot();
        let mut buf = [0; 300];
        let id = first.message().transaction_id();
        let mut answer = Writer::error(&mut buf, Method::ALLOCATE, id, code::UNAUTHENTICATED);
        realm.map(|realm| answer.put_realm(realm));
        nonce.map(|nonce| answer.put_nonce(nonce));
        let _ = bench.receive(answer.finish().unwrap());
        assert!(matches!(bench.take_events()[..], [Event::Problem(Problem::Incomplete(_))]));
    }
    let server = TurnServer::new(addr("203.0.113.1:3478"), "u".repeat(508), "pass");
    let mut bench = Bench::of(server);
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, &long, None);
    assert!(bench.client.wants_slot(), "508 + 11 + 127 bytes have room");
    let mut bench = Bench::of(TurnServer::new(addr("203.0.113.1:3478"), "u".repeat(509), "pass"));
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    assert!(matches!(bench.take_events()[..], [Event::Problem(Problem::Unsupported(_))]));
}

/// Time-limited credentials end: nothing can be renewed any more.
#[test]
fn a_401_to_a_refresh_ends_the_allocation() {
    let mut bench = Bench::allocated();
    let (_, refresh) = bench.next_sent().unwrap();
    bench.challenge(&refresh, code::UNAUTHENTICATED, "other", None);
    assert_eq!(bench.take_events(), [Event::Problem(Problem::Unauthorized), Event::Lost]);
    assert_eq!(bench.client.deadline(), None);
}

/// RFC 8489 §9.2.5.
#[test]
fn a_401_is_answered_by_a_new_transaction_in_the_next_slot() {
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    assert_ne!(first.message().transaction_id(), second.message().transaction_id());
    assert!(second.message().verify(&bench.key).is_ok());
    bench.wait(secs(5));
    assert!(bench.drain().iter().all(|request| *request == second), "the first one is over");
}

/// RFC 8489 §9.2.5: unknown algorithms, parameters and garbage in the padding too; the choice is one that floe knows.
#[test]
fn an_offer_travels_back_byte_for_byte_with_a_choice_from_it() {
    let list = [0, 9, 0, 3, 1, 2, 3, 0xFF, 0, 2, 0, 0];
    let mut bench = Bench::new();
    bench.key = Key::long_term(PasswordAlgorithm::Sha256, "user", REALM, "pass");
    let first = bench.slot();
    let mut buf = [0; 300];
    let id = first.message().transaction_id();
    let mut answer = Writer::error(&mut buf, Method::ALLOCATE, id, code::UNAUTHENTICATED);
    answer.put_realm(REALM).put_nonce(WITH_ALGORITHMS).put(attr::PASSWORD_ALGORITHMS, &list);
    let _ = bench.receive(answer.finish().unwrap());
    let second = bench.slot();
    let verified = second.message().verify(&bench.key).unwrap();
    assert_eq!(verified.attributes().find(attr::PASSWORD_ALGORITHMS), Some(&list[..]));
    assert_eq!(verified.attributes().find(attr::PASSWORD_ALGORITHM), Some(&[0, 2, 0, 0][..]));
}

/// RFC 8489 §9.2.4: a server may protect it with the key of the old nonce.
#[test]
fn a_438_is_met_with_and_without_integrity() {
    for is_signed in [false, true] {
        let mut bench = Bench::allocated();
        let (_, refresh) = bench.next_sent().unwrap();
        let mut buf = [0; 300];
        let message = refresh.message();
        let mut answer =
            Writer::error(&mut buf, message.method(), message.transaction_id(), code::STALE_NONCE);
        answer.put_realm(REALM).put_nonce("fresh");
        if is_signed {
            answer.integrity(&bench.key, Integrity::Sha1);
        }
        let answer = answer.finish().unwrap().to_vec();
        assert_eq!(bench.receive(&answer), Received::Consumed);
        let (_, again) = bench.next_sent().unwrap();
        assert_eq!((again.method(), again.nonce()), (Method::REFRESH, Some("fresh".into())));
    }
}
