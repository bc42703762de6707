//! Errors to an Allocate (RFC 8656 §7.4), and what one client leaves to the next.

use super::*;
use crate::turn::{Alternate, Knowledge};

fn asked() -> (Bench, Request) {
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    (bench, second)
}

fn redirect(bench: &mut Bench, request: &Request, fill: impl FnOnce(&mut Writer<'_>)) {
    let mut buf = [0; 600];
    let id = request.message().transaction_id();
    let mut answer = Writer::error(&mut buf, Method::ALLOCATE, id, code::TRY_ALTERNATE);
    fill(&mut answer);
    let answer = bench.signed(answer);
    assert_eq!(bench.receive(&answer), Received::Consumed);
}

/// RFC 8489 §10: of the two the one of the family in which the server was asked.
#[test]
fn an_authentic_300_says_where_to_go_and_ends_the_client() {
    let (mut bench, request) = asked();
    redirect(&mut bench, &request, |answer| {
        answer
            .put_address(attr::ALTERNATE_SERVER, addr("[2001:db8::2]:3478"))
            .put_address(attr::ALTERNATE_SERVER, addr("203.0.113.2:3478"))
            .put_alternate_domain("b.example");
    });
    let alternate = Alternate { addr: addr("203.0.113.2:3478"), domain: Some("b.example".into()) };
    assert_eq!(bench.take_events(), [Event::Redirected(alternate)]);
    assert_eq!((bench.client.wants_slot(), bench.client.deadline()), (false, None));
}

#[test]
fn a_300_without_an_address_of_the_family_or_with_a_bad_name_leads_nowhere() {
    let (mut bench, request) = asked();
    redirect(&mut bench, &request, |answer| {
        answer.put_address(attr::ALTERNATE_SERVER, addr("[2001:db8::2]:3478"));
    });
    let Event::Problem(problem) = one(bench.take_events()) else { panic!("no problem") };
    assert!(problem.has_code(300));
    let (mut bench, request) = asked();
    redirect(&mut bench, &request, |answer| {
        answer
            .put_address(attr::ALTERNATE_SERVER, addr("203.0.113.2:3478"))
            .put(attr::ALTERNATE_DOMAIN, b"no name");
    });
    assert_eq!(bench.take_events(), [Event::Problem(Problem::Redirected("a name that is none"))]);
}

/// RFC 8489 §14.16: 255 ASCII characters at most.
#[test]
fn an_alternate_domain_is_a_dns_name_of_255_characters_at_most() {
    let name = |length: usize| format!("{}{}", "a.".repeat(120), "b".repeat(length - 240));
    for (domain, is_name) in
        [(name(255), true), (name(256), false), ("\u{e4}.example".to_owned(), false), (String::new(), false)]
    {
        let (mut bench, request) = asked();
        redirect(&mut bench, &request, |answer| {
            answer
                .put_address(attr::ALTERNATE_SERVER, addr("203.0.113.2:3478"))
                .put(attr::ALTERNATE_DOMAIN, domain.as_bytes());
        });
        let events = bench.take_events();
        assert_eq!(matches!(&events[..], [Event::Redirected(_)]), is_name, "{domain} {events:?}");
    }
}

/// RFC 8489 §6.3.4.
#[test]
fn a_server_that_fails_is_asked_again_four_times_at_growing_intervals() {
    for code in [500, 599] {
        let (mut bench, mut request) = asked();
        let mut pauses = Vec::new();
        loop {
            bench.refuse(&request, code);
            if bench.client.deadline().is_none() {
                break;
            }
            let before = bench.now;
            while !bench.client.wants_slot() {
                assert!(bench.drain().is_empty());
                bench.step().unwrap();
            }
            pauses.push((bench.now - before).as_millis());
            let again = bench.slot();
            assert_ne!(again.message().transaction_id(), request.message().transaction_id());
            request = again;
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000]);
        let Event::Problem(problem) = one(bench.take_events()) else { panic!("no problem") };
        assert!(problem.has_code(code));
    }
}

#[test]
fn a_close_between_two_repetitions_is_the_end() {
    let (mut bench, request) = asked();
    bench.refuse(&request, code::SERVER_ERROR);
    bench.client.close(bench.now);
    assert!(bench.client.is_finished());
    bench.wait(secs(10));
    assert!(!bench.client.wants_slot() && bench.drain().is_empty());
}

fn news(bench: &mut Bench) -> Knowledge {
    bench.client.take_news().expect("it was challenged")
}

/// The second allocation at a server costs one round trip.
#[test]
fn a_client_begins_with_the_challenge_of_another_one() {
    let (mut bench, _) = asked();
    let known = news(&mut bench);
    assert!(bench.client.take_news().is_none(), "told once");
    let mut second = Bench::new();
    second.client.learn(known);
    let request = second.slot();
    assert_eq!(request.nonce().unwrap(), "nonce");
    assert!(request.message().verify(&second.key).is_ok());
    second.allocate(&request, 600);
    assert!(matches!(second.take_events()[..], [Event::Allocated { .. }]));
}

/// A server that has forgotten the nonce may say 401, not only 438: that is not a wrong password.
#[test]
fn an_old_challenge_of_another_client_costs_a_round_trip_and_nothing_else() {
    for code in [code::UNAUTHENTICATED, code::STALE_NONCE] {
        let (mut bench, _) = asked();
        let mut second = Bench::new();
        second.client.learn(news(&mut bench));
        let request = second.slot();
        second.challenge(&request, code, "fresh", None);
        let again = second.slot();
        assert_eq!(again.nonce().unwrap(), "fresh");
        assert_eq!(second.take_events(), []);
        // Its own challenge counts.
        second.challenge(&again, code::UNAUTHENTICATED, "other", None);
        assert_eq!(second.take_events(), [Event::Problem(Problem::Unauthorized)]);
    }
}

/// RFC 8489 §9.2.5: a server that offered algorithms to one client cannot take them back from the next.
#[test]
fn a_challenge_of_another_client_brings_its_bid_down_protection_along() {
    let mut bench = Bench::new();
    let first = bench.slot();
    let list = PasswordAlgorithms::offer(&[PasswordAlgorithm::Sha256]);
    bench.challenge(&first, code::UNAUTHENTICATED, "obMatJos2gAAAnonce", Some(&list));
    let mut second = Bench::new();
    second.client.learn(news(&mut bench));
    let request = second.slot();
    second.key = Key::long_term(PasswordAlgorithm::Sha256, "user", REALM, "pass");
    assert_eq!(request.message().verify(&second.key).unwrap().by(), Integrity::Sha256);
    second.challenge(&request, code::STALE_NONCE, "no cookie", None);
    assert_eq!(second.take_events(), [Event::Problem(Problem::Incomplete("PASSWORD-ALGORITHMS"))]);
}

/// What is learnt late does not overrule what a client knows by itself.
#[test]
fn a_client_that_was_challenged_keeps_its_own_challenge() {
    let (mut other, _) = asked();
    let known = news(&mut other);
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "own", None);
    bench.client.learn(known);
    assert_eq!(bench.slot().nonce().unwrap(), "own");
}
