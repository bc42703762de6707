//! Mobility (RFC 8016).

use super::*;
use crate::turn::data::Framing;
use crate::turn::{Mobility, ServerTransport};

impl Bench {
    fn with_ticket(&mut self, request: &Request, ticket: Option<&[u8]>) {
        let answer = self.success(request, |answer| {
            if request.method() == Method::ALLOCATE {
                answer
                    .put_xor_address(attr::XOR_RELAYED_ADDRESS, addr(RELAYED))
                    .put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(MAPPED));
            }
            answer.put_lifetime(secs(600));
            ticket.map(|ticket| answer.put(attr::MOBILITY_TICKET, ticket));
        });
        assert_eq!(self.receive(&answer), Received::Consumed);
    }

    /// One with a permission and a channel for [`PEER`].
    fn mobile() -> Self {
        Self::mobile_over(ServerTransport::Udp)
    }

    fn mobile_over(transport: ServerTransport) -> Self {
        let mut bench = Self::of(TurnServer::new(addr("203.0.113.1:3478"), "user", "pass").over(transport));
        let first = bench.slot();
        bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
        let second = bench.slot();
        bench.with_ticket(&second, Some(b"first"));
        bench.client.permit(addr(PEER));
        let permit = bench.slot();
        bench.accept(&permit);
        bench.client.bind(addr(PEER));
        bench.step().unwrap();
        let bind = one(bench.drain());
        bench.accept(&bind);
        bench.take_events();
        bench
    }
}

fn ticket(request: &Request) -> Option<Vec<u8>> {
    request.message().plain().attributes().find(attr::MOBILITY_TICKET).map(<[u8]>::to_vec)
}

/// RFC 8016 §3.1.1.
#[test]
fn an_allocate_asks_for_a_ticket_unless_mobility_is_not_wanted() {
    let mut bench = Bench::new();
    assert_eq!(ticket(&bench.slot()), Some(Vec::new()));
    let server = TurnServer::new(addr("203.0.113.1:3478"), "user", "pass").mobility(Mobility::Never);
    assert_eq!(ticket(&Bench::of(server).slot()), None);
}

/// RFC 8016 §3.1.4: without the wish, by this client and all later ones.
#[test]
fn a_405_is_followed_by_an_allocate_without_the_wish() {
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    bench.refuse(&second, code::MOBILITY_FORBIDDEN);
    let third = bench.slot();
    assert_eq!(ticket(&third), None);
    let known = bench.client.take_news().unwrap();
    bench.allocate(&third, 600);
    assert!(matches!(bench.take_events()[..], [Event::Allocated { .. }]));
    assert!(!bench.client.detach(bench.now), "it stays where it is");
    let mut next = Bench::new();
    next.client.learn(known);
    assert_eq!(ticket(&next.slot()), None);
    // A server that says so once more is not asked a third time.
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    for _ in 0..2 {
        let request = bench.slot();
        bench.refuse(&request, code::MOBILITY_FORBIDDEN);
    }
    assert!(matches!(bench.take_events()[..], [Event::Problem(_)]));
    assert!(!bench.client.wants_slot());
}

/// RFC 8016 §3.2.1.
#[test]
fn an_ordinary_refresh_has_no_ticket() {
    let mut bench = Bench::mobile();
    let refresh = loop {
        let (_, request) = bench.next_sent().unwrap();
        if request.method() == Method::REFRESH {
            break request;
        }
        bench.accept(&request);
    };
    assert_eq!(ticket(&refresh), None);
}

/// RFC 8016 §3.2.2.
#[test]
fn nothing_but_the_refresh_with_the_ticket_leaves_before_the_server_knows_the_new_place() {
    let mut bench = Bench::mobile();
    let channel = bench.client.framing(addr(PEER));
    assert!(matches!(channel, Some(Framing::Channel(_))));
    bench.client.permit(addr("192.0.2.8:1"));
    let _lost_with_the_socket = bench.slot();
    assert!(bench.client.detach(bench.now));
    assert_eq!(bench.client.framing(addr(PEER)), None);
    bench.wait(secs(1));
    assert!(bench.drain().is_empty() && !bench.client.wants_slot());
    bench.client.attach(bench.now);
    let moving = one(bench.drain());
    assert_eq!((moving.method(), ticket(&moving)), (Method::REFRESH, Some(b"first".to_vec())));
    assert!(moving.message().verify(&bench.key).is_ok());
    assert_eq!(moving.message().plain().attributes().lifetime(), None);
    let (_, again) = bench.next_sent().unwrap();
    assert!(again == moving, "a retransmission repeats it");
    assert_eq!(bench.client.framing(addr(PEER)), None);
    bench.with_ticket(&moving, Some(b"second"));
    assert_eq!(bench.take_events(), [Event::Moved]);
    assert_eq!(bench.client.framing(addr(PEER)), channel, "channels and permissions survive");
    assert_eq!(bench.slot().peers(), [addr("192.0.2.8:0")], "what was under way is asked for again");
}

/// coturn takes a move, sends the peer's data to the new place, and its answer to the old one.
#[test]
fn data_at_the_new_place_says_that_the_answer_to_a_move_is_lost() {
    let mut bench = Bench::mobile();
    let Some(Framing::Channel(number)) = bench.client.framing(addr(PEER)) else { panic!("no channel") };
    bench.client.detach(bench.now);
    bench.client.attach(bench.now);
    let moving = one(bench.drain());
    let data = [&number.to_be_bytes()[..], &[0, 4], b"data"].concat();
    assert_eq!(bench.receive(&data), Received::Data { peer: addr(PEER), payload: b"data" });
    assert!(one(bench.drain()) == moving, "asked again at once");
    assert_eq!(bench.receive(&data), Received::Data { peer: addr(PEER), payload: b"data" });
    assert!(bench.drain().is_empty(), "a single time");
    bench.with_ticket(&moving, Some(b"second"));
    assert_eq!(bench.take_events(), [Event::Moved]);
}

/// RFC 8016 §3.2.2: the newest ticket, always.
#[test]
fn each_move_takes_the_newest_ticket() {
    let mut bench = Bench::mobile();
    for (ticket_now, next) in [("first", "second"), ("second", "third"), ("third", "fourth")] {
        assert!(bench.client.detach(bench.now));
        bench.client.attach(bench.now);
        // The network changes once more before the answer: the request is made anew.
        let unanswered = one(bench.drain());
        assert!(bench.client.detach(bench.now));
        assert!(bench.drain().is_empty());
        bench.client.attach(bench.now);
        let moving = one(bench.drain());
        assert_ne!(moving.message().transaction_id(), unanswered.message().transaction_id());
        assert_eq!(ticket(&moving), Some(ticket_now.as_bytes().to_vec()));
        bench.with_ticket(&moving, Some(next.as_bytes()));
        assert_eq!(bench.take_events(), [Event::Moved]);
    }
}

/// A new 5-tuple may have a nonce of its own.
#[test]
fn a_stale_nonce_or_a_lost_answer_does_not_end_a_move() {
    let mut bench = Bench::mobile();
    bench.client.detach(bench.now);
    bench.client.attach(bench.now);
    let moving = one(bench.drain());
    bench.challenge(&moving, code::STALE_NONCE, "of the new place", None);
    let again = one(bench.drain());
    assert_eq!((ticket(&again), again.nonce()), (Some(b"first".to_vec()), Some("of the new place".into())));
    bench.with_ticket(&again, Some(b"second"));
    assert_eq!(bench.take_events(), [Event::Moved]);
}

#[test]
fn a_server_that_does_not_know_the_ticket_has_lost_the_allocation() {
    for code in [code::BAD_REQUEST, code::ALLOCATION_MISMATCH, code::WRONG_CREDENTIALS] {
        let mut bench = Bench::mobile();
        bench.client.detach(bench.now);
        bench.client.attach(bench.now);
        let moving = one(bench.drain());
        bench.refuse(&moving, code);
        let events = bench.take_events();
        assert!(matches!(&events[..], [Event::Problem(problem), Event::Lost] if problem.has_code(code)));
        assert_eq!(bench.client.deadline(), None);
    }
}

#[test]
fn without_a_ticket_nothing_moves_and_one_that_is_too_long_is_none() {
    let mut bench = Bench::allocated();
    assert!(!bench.client.detach(bench.now));
    bench.client.attach(bench.now);
    assert!(bench.drain().is_empty());
    let mut server = TurnServer::new(addr("203.0.113.1:3478"), "u".repeat(508), "pass");
    server.software = Some("s".repeat(MAX_SOFTWARE));
    for (len, moves) in [(150, true), (2000, false)] {
        let mut bench = Bench::of(server.clone());
        bench.key = Key::long_term(PasswordAlgorithm::Md5, &"u".repeat(508), REALM, "pass");
        let first = bench.slot();
        bench.challenge(&first, code::UNAUTHENTICATED, &"ä".repeat(127), None);
        let second = bench.slot();
        let mut buf = [0; 2500];
        let mut answer =
            Writer::new(&mut buf, Class::Success, Method::ALLOCATE, second.message().transaction_id());
        answer
            .put_xor_address(attr::XOR_RELAYED_ADDRESS, addr(RELAYED))
            .put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(MAPPED))
            .put_lifetime(secs(600))
            .put(attr::MOBILITY_TICKET, &vec![7; len][..len.min(1800)]);
        let answer = bench.signed(answer);
        let _ = bench.receive(&answer);
        assert_eq!(bench.client.detach(bench.now), moves, "{len}");
        bench.client.attach(bench.now);
        assert_eq!(bench.drain().len(), usize::from(moves), "it fits into 1200 bytes");
    }
}

#[test]
fn an_allocation_that_was_closed_on_the_way_is_given_back_when_it_arrives() {
    let mut bench = Bench::mobile();
    bench.client.detach(bench.now);
    bench.client.attach(bench.now);
    let moving = one(bench.drain());
    bench.client.close(bench.now);
    bench.with_ticket(&moving, Some(b"second"));
    let delete = one(bench.drain());
    assert_eq!(delete.message().plain().attributes().lifetime(), Some(Duration::ZERO));
    bench.refresh(&delete, 0);
    assert!(bench.client.is_finished() && bench.take_events().is_empty());
}

#[test]
fn an_allocation_without_a_place_ends_with_its_time() {
    let mut bench = Bench::mobile();
    bench.client.detach(bench.now);
    while bench.step().is_some() {}
    assert!(bench.now - bench.start >= secs(600));
    assert!(bench.take_events().contains(&Event::Lost));
}

/// Nothing can be sent meanwhile, so that it is not waited for as long as for other answers.
#[test]
fn a_move_that_nobody_confirms_is_given_up_after_7_5_seconds() {
    for (transport, requests) in [(ServerTransport::Udp, 4), (ServerTransport::Tcp, 1)] {
        for doubted in [false, true] {
            let mut bench = Bench::mobile_over(transport.clone());
            bench.client.detach(bench.now);
            bench.client.attach(bench.now);
            let began = bench.now;
            let moving = one(bench.drain());
            if doubted {
                // What coturn says of a ticket that it does not know: nobody has signed it.
                let mut buf = [0; 100];
                let id = moving.message().transaction_id();
                let answer = Writer::error(&mut buf, Method::REFRESH, id, 404).finish().unwrap().to_vec();
                assert_eq!(bench.receive(&answer), Received::Consumed);
            }
            let mut sent = 1;
            sent += bench.drain().len();
            while bench.events.is_empty() {
                bench.step().unwrap();
                sent += bench.drain().len();
            }
            let problem = if doubted { Problem::IntegrityViolated } else { Problem::Unreachable };
            assert_eq!(bench.take_events(), [Event::Problem(problem), Event::Lost]);
            // On a stream nobody else answers (RFC 8489 §9.2.5).
            let is_over = doubted && transport == ServerTransport::Tcp;
            let after = if is_over { 0 } else { 7500 };
            assert_eq!((sent, (bench.now - began).as_millis()), (requests, after));
        }
    }
}
