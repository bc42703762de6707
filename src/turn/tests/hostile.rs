//! Answers that nobody can have signed, and garbage.

use super::*;
use proptest::prelude::*;

/// RFC 8489 §9.2.5: dropped as if never received, and the transaction goes on.
#[test]
fn an_answer_without_integrity_ends_nothing() {
    let mut bench = Bench::new();
    let first = bench.slot();
    let unsigned = |request: &Request, class, code: Option<u16>| {
        let mut buf = [0; 300];
        let message = request.message();
        let mut answer = Writer::new(&mut buf, class, message.method(), message.transaction_id());
        code.map(|code| answer.put_error_code(code, ""));
        answer.put_xor_address(attr::XOR_RELAYED_ADDRESS, addr(RELAYED)).put_lifetime(secs(600));
        answer.finish().unwrap().to_vec()
    };
    for (class, code) in
        [(Class::Success, None), (Class::Error, Some(400)), (Class::Error, Some(300)), (Class::Error, None)]
    {
        let answer = unsigned(&first, class, code);
        assert_eq!(bench.receive(&answer), Received::Consumed);
        assert_eq!(bench.take_events(), []);
    }
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    let forged = unsigned(&second, Class::Success, None);
    assert_eq!(bench.receive(&forged), Received::Consumed);
    let mut wrong = Bench::new();
    wrong.key = Key::long_term(PasswordAlgorithm::Md5, "user", REALM, "guess");
    let forged = wrong.success(&second, |answer| {
        answer.put_lifetime(secs(600));
    });
    assert_eq!(bench.receive(&forged), Received::Consumed);
    assert_eq!(bench.take_events(), []);
    let (_, again) = bench.next_sent().unwrap();
    assert!(again == second);
    while bench.next_sent().is_some() {}
    assert_eq!(bench.take_events(), [Event::Problem(Problem::IntegrityViolated)]);
}

/// An error response without integrity to the one open Allocate, and what follows.
fn unsigned_error(code: u16, fill: impl FnOnce(&mut Writer<'_>)) {
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let request = bench.slot();
    let mut buf = [0; 300];
    let mut answer = Writer::error(&mut buf, Method::ALLOCATE, request.message().transaction_id(), code);
    fill(&mut answer);
    let answer = answer.finish().unwrap().to_vec();
    assert_eq!(bench.receive(&answer), Received::Consumed);
    assert_eq!(bench.take_events(), []);
    bench.allocate(&request, 600);
    assert!(matches!(bench.take_events()[..], [Event::Allocated { .. }]));
}

/// RFC 8489 §9.2.5: as if it had never been received.
#[test]
fn a_400_without_integrity_does_not_end_an_allocate() {
    unsigned_error(code::BAD_REQUEST, |_| {});
}

/// RFC 8489 §14.8: nobody is sent elsewhere by somebody without the key.
#[test]
fn a_300_without_integrity_is_ignored() {
    unsigned_error(code::TRY_ALTERNATE, |answer| {
        answer.put_address(attr::ALTERNATE_SERVER, addr("203.0.113.66:3478"));
    });
}

/// RFC 8489 §9.2.5.
#[test]
fn an_answer_whose_nonce_announces_algorithms_without_them_is_dropped() {
    let mut bench = Bench::permitted();
    bench.client.permit(addr("192.0.2.8:1"));
    let request = bench.slot();
    let answer = bench.success(&request, |answer| {
        answer.put_nonce("obMatJos2gAAAx");
    });
    assert_eq!(bench.receive(&answer), Received::Consumed);
    assert_eq!(bench.take_events(), []);
    bench.accept(&request);
    assert_eq!(bench.take_events().len(), 1);
}

/// RFC 8489 §6.3.3.
#[test]
fn an_unknown_attribute_that_must_be_understood_fails_the_transaction() {
    let mut bench = Bench::permitted();
    bench.client.permit(addr("192.0.2.8:1"));
    let request = bench.slot();
    let answer = bench.success(&request, |answer| {
        answer.put(0x7001, &[]);
    });
    assert_eq!(bench.receive(&answer), Received::Consumed);
    let events = bench.take_events();
    assert!(matches!(events[..], [Event::PermissionRefused { problem: Problem::Unsupported(_), .. }]));
}

#[test]
fn answers_to_nothing_or_of_another_method_change_nothing() {
    let mut bench = Bench::new();
    let first = bench.slot();
    let mut buf = [0; 300];
    let other = Writer::error(&mut buf, Method::REFRESH, first.message().transaction_id(), 401);
    let other = other.finish().unwrap().to_vec();
    assert_eq!(bench.receive(&other), Received::Consumed);
    let mut id = first.message().transaction_id();
    id.0[0] ^= 1;
    let stray = Writer::error(&mut buf, Method::ALLOCATE, id, 401).finish().unwrap().to_vec();
    assert_eq!(bench.receive(&stray), Received::Unclaimed);
    assert_eq!(bench.receive(&first.0.clone()), Received::Unclaimed, "a request is not for a client");
    assert_eq!(bench.take_events(), []);
}

/// What a hostile server may do to one client.
#[derive(Debug, Clone)]
enum Step {
    Slot,
    Wait(u64),
    Permit(u8),
    Bind(u8),
    /// Answers the last request, truthfully or not.
    Answer {
        code: Option<u16>,
        signed: bool,
        lifetime: u32,
        flip: Option<(usize, u8)>,
    },
    Garbage(Vec<u8>),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let code = prop_oneof![
        3 => Just(None),
        4 => proptest::sample::select(vec![300, 400, 401, 403, 437, 438, 486, 508, 599]).prop_map(Some),
    ];
    let flip = proptest::option::weighted(0.2, (0..200usize, any::<u8>()));
    prop_oneof![
        4 => Just(Step::Slot),
        3 => (0..700u64).prop_map(Step::Wait),
        2 => any::<u8>().prop_map(Step::Permit),
        2 => any::<u8>().prop_map(Step::Bind),
        8 => (code, any::<bool>(), any::<u32>(), flip)
            .prop_map(|(code, signed, lifetime, flip)| Step::Answer { code, signed, lifetime, flip }),
        1 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(Step::Garbage),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_sequence_of_inputs_panics_or_grows(steps in proptest::collection::vec(step(), 1..80)) {
        let mut bench = Bench::new();
        let mut last: Option<Request> = None;
        for step in steps {
            match step {
                Step::Slot => {
                    let _ = bench.client.handle_input(bench.now, Input::Slot);
                }
                Step::Wait(time) => bench.wait(secs(time)),
                Step::Permit(n) => bench.client.permit(SocketAddr::from(([192, 0, 2, n], 1))),
                Step::Bind(n) => bench.client.bind(SocketAddr::from(([192, 0, 2, n], 1))),
                Step::Close => bench.client.close(bench.now),
                Step::Garbage(bytes) => {
                    let _ = bench.receive(&bytes);
                }
                Step::Answer { code, signed, lifetime, flip } => {
                    let Some(request) = &last else { continue };
                    let mut buf = [0; 400];
                    let (method, id) = (request.method(), request.message().transaction_id());
                    let mut answer = match code {
                        Some(code) => {
                            let mut answer = Writer::error(&mut buf, method, id, code);
                            answer.put_realm(REALM).put_nonce(&lifetime.to_string());
                            answer
                        }
                        None => Writer::new(&mut buf, Class::Success, method, id),
                    };
                    answer
                        .put_xor_address(attr::XOR_RELAYED_ADDRESS, addr(RELAYED))
                        .put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(MAPPED))
                        .put_lifetime(secs(u64::from(lifetime)));
                    if signed {
                        answer.integrity(&bench.key, Integrity::Sha1);
                    }
                    let mut answer = answer.finish().unwrap().to_vec();
                    if let Some((at, bits)) = flip {
                        let at = at % answer.len();
                        answer[at] ^= bits;
                    }
                    let _ = bench.receive(&answer);
                }
            }
            let sent = bench.drain();
            prop_assert!(sent.len() <= 20);
            last = sent.into_iter().next_back().or(last);
            // A deadline is met by one timeout: no driver may spin.
            if let Some(at) = bench.client.deadline().filter(|at| *at <= bench.now) {
                let _ = bench.client.handle_input(bench.now.max(at), Input::Timeout);
                let _ = bench.drain();
                prop_assert!(bench.client.deadline().is_none_or(|at| at > bench.now));
            }
        }
    }
}
