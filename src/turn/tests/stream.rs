//! Over TCP and TLS (RFC 8489 §6.2.2).

use super::*;
use crate::turn::ServerTransport;

fn over_tcp() -> Bench {
    Bench::of(TurnServer::new(addr("203.0.113.1:3478"), "user", "pass").over(ServerTransport::Tcp))
}

fn permitted() -> Bench {
    let mut bench = over_tcp();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    bench.allocate(&second, 600);
    bench.client.permit(addr(PEER));
    let permit = bench.slot();
    bench.accept(&permit);
    bench.take_events();
    bench
}

#[test]
fn a_request_on_a_stream_is_sent_once_and_fails_after_ti() {
    let mut bench = over_tcp();
    let _first = bench.slot();
    assert!(bench.next_sent().is_none());
    assert_eq!((bench.now - bench.start).as_millis(), 39_500);
    assert_eq!(bench.take_events(), [Event::Problem(Problem::Unreachable)]);
}

/// Requests are pipelined, and an answer is found by its id.
#[test]
fn answers_on_a_stream_come_in_any_order() {
    let mut bench = permitted();
    let ask = |bench: &mut Bench, n: u8| {
        bench.client.permit(SocketAddr::from(([192, 0, 2, n], 1)));
        bench.slot()
    };
    let requests: Vec<_> = (10..13).map(|n| ask(&mut bench, n)).collect();
    for request in requests.iter().rev() {
        bench.accept(request);
    }
    let peers: Vec<_> = bench
        .take_events()
        .into_iter()
        .map(|event| match event {
            Event::PermissionGranted { peer } => peer.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(peers, ["192.0.2.12", "192.0.2.11", "192.0.2.10"]);
}

#[test]
fn all_that_was_asked_for_fails_with_the_connection() {
    let mut bench = permitted();
    for n in 10..13 {
        bench.client.permit(SocketAddr::from(([192, 0, 2, n], 1)));
        let _ = bench.slot();
    }
    assert!(bench.client.disconnected());
    assert_eq!(bench.take_events(), [Event::Lost]);
    assert_eq!((bench.client.deadline(), bench.client.framing(addr(PEER))), (None, None));
    assert!(bench.client.is_finished());
}

/// The connection was idle, and is dead: the server may still have the allocation.
#[test]
fn silence_on_the_connection_of_an_allocation_says_that_it_is_dead() {
    let mut bench = permitted();
    let (_, renewal) = bench.next_sent().unwrap();
    assert_eq!(renewal.method(), Method::CREATE_PERMISSION);
    let asked_at = bench.now;
    while bench.events.is_empty() {
        bench.step().unwrap();
        let _ = bench.drain();
    }
    assert_eq!(bench.now - asked_at, Duration::from_millis(39_500));
    assert_eq!(bench.events, [Event::Stalled]);
}

/// RFC 8489 §9.1.4, §9.2.5.
#[test]
fn an_answer_on_a_stream_that_nobody_signed_ends_its_transaction_at_once() {
    let mut bench = over_tcp();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    let mut buf = [0; 600];
    let message = second.message();
    let mut forged = Writer::new(&mut buf, Class::Success, message.method(), message.transaction_id());
    forged.put_xor_address(attr::XOR_RELAYED_ADDRESS, addr("203.0.113.1:50000")).put_lifetime(secs(600));
    let forged = forged.finish().unwrap().to_vec();
    assert_eq!(bench.receive(&forged), Received::Consumed);
    assert_eq!(bench.take_events(), [Event::Problem(Problem::IntegrityViolated)]);
}
