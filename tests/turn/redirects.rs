//! ALTERNATE-SERVER (RFC 8489 §10).

use floe::agent::ServerProblem;
use floe::io::StreamProtocol;
use floe::stun::Method;
use floe::stun::wire::attr;
use floe::turn::{ServerTransport, TurnServer};

use crate::bench::{Bench, Does, addr, secs};

const A: &str = "203.0.113.1:3478";
const B: &str = "203.0.113.2:3478";
const C: &str = "203.0.113.3:3478";
const RELAYED: &[&str] = &["203.0.113.9:50000"];

fn server(at: &str) -> TurnServer {
    TurnServer::new(addr(at), "user", "pass")
}

/// RFC 8656 §7.4: the alternate server first, before others that the client knows.
#[test]
fn a_300_sends_the_request_to_the_other_server_with_the_same_credentials() {
    let mut bench = Bench::new(&[server(A)]);
    bench.server(A, Does::Send(B, None));
    bench.server(B, Does::Allocate(RELAYED));
    bench.agent.end_of_sockets(bench.now);
    bench.run(secs(2));
    assert_eq!(bench.relayed(), [addr(RELAYED[0])], "{:?}", bench.problems());
    let at_b = bench.asked_for(B, Method::ALLOCATE);
    assert_eq!(at_b.len(), 2, "the other server has a challenge of its own");
    assert!(!at_b[0].kinds.contains(&attr::NONCE), "and is not told the nonce of the first");
    assert!(at_b[1].kinds.contains(&attr::USERNAME));
    assert!(bench.problems().is_empty());
    bench.connect();
    assert!(bench.send(b"through the other one"));
    assert_eq!(bench.heard, [b"through the other one"]);
}

#[test]
fn two_servers_that_send_to_each_other_are_asked_once_each() {
    let mut bench = Bench::new(&[server(A)]);
    bench.server(A, Does::Send(B, None));
    bench.server(B, Does::Send(A, None));
    bench.agent.end_of_sockets(bench.now);
    bench.run(secs(5));
    assert_eq!(bench.asked.len(), 4, "{:?}", bench.asked);
    assert_eq!(bench.problems(), [&ServerProblem::Redirected("one that was asked already")]);
}

/// Where another client of the same base is already.
#[test]
fn a_server_that_serves_the_base_already_is_not_asked_by_another_client() {
    let mut bench = Bench::new(&[server(A), server(B)]);
    bench.server(A, Does::Send(B, None));
    bench.server(B, Does::Allocate(RELAYED));
    bench.agent.end_of_sockets(bench.now);
    bench.run(secs(5));
    assert_eq!(bench.asked_for(B, Method::ALLOCATE).len(), 2);
    assert_eq!(bench.relayed(), [addr(RELAYED[0])]);
    assert_eq!(bench.problems(), [&ServerProblem::Redirected("one that was asked already")]);
}

/// RFC 8489 §10: over the same transport, and the certificate has to name the ALTERNATE-DOMAIN, or whom it named before.
#[test]
fn over_tls_a_redirect_opens_another_connection_that_is_never_less_than_tls() {
    let tls = |name: &str| StreamProtocol::TurnTls { server_name: name.into() };
    let transport = ServerTransport::Tls { server_name: "a.example".into() };
    let mut bench = Bench::new(&[server(A).over(transport)]);
    bench.server(A, Does::Send(B, Some("b.example")));
    bench.server(B, Does::Send(C, None));
    bench.server(C, Does::Allocate(RELAYED));
    bench.agent.end_of_sockets(bench.now);
    bench.run(secs(5));
    let expected = [(addr(A), tls("a.example")), (addr(B), tls("b.example")), (addr(C), tls("b.example"))];
    assert_eq!(bench.connects, expected);
    assert_eq!((bench.closed.len(), bench.open.len()), (2, 1), "the others are closed");
    assert_eq!(bench.relayed(), [addr(RELAYED[0])]);
}

/// A restart asks the configured server anew, which may send elsewhere again.
#[test]
fn after_five_minutes_a_server_that_led_nowhere_is_asked_again() {
    let mut bench = Bench::new(&[server(A)]);
    bench.server(A, Does::Send(A, None));
    bench.hears = false;
    bench.agent.end_of_sockets(bench.now);
    bench.run(secs(2));
    for (after, asked) in [(290, 2), (20, 3)] {
        bench.run(secs(after));
        bench.agent.restart(bench.now);
        bench.run(secs(2));
        assert_eq!(bench.asked_for(A, Method::ALLOCATE).len(), asked);
    }
    assert_eq!(bench.problems().len(), 3, "each time it is said why");
}
