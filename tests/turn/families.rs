//! Both address families in one allocation (RFC 8656 §7).

use floe::stun::Method;
use floe::stun::wire::attr;
use floe::turn::{Families, TurnServer};

use crate::bench::{Bench, Does, addr, secs};

const A: &str = "203.0.113.1:3478";
const DUAL: &[&str] = &["203.0.113.9:50000", "[2001:db8::9]:50001"];

#[test]
fn one_allocation_gives_a_candidate_of_each_family() {
    let mut bench = Bench::new(&[TurnServer::new(addr(A), "user", "pass")]);
    bench.server(A, Does::Allocate(DUAL));
    bench.agent.end_of_sockets(bench.now);
    bench.run(secs(2));
    assert_eq!(bench.relayed(), DUAL.iter().map(|text| addr(text)).collect::<Vec<_>>());
    assert_eq!(bench.asked_for(A, Method::ALLOCATE).len(), 2, "one allocation, after one challenge");
}

/// RFC 8445 §8.3.1, RFC 8656 §8.1: the family that carries nothing is given back, the other one stays.
#[test]
fn the_family_that_is_not_used_is_given_back_and_the_session_goes_on() {
    let mut bench = Bench::new(&[TurnServer::new(addr(A), "user", "pass")]);
    bench.server(A, Does::Allocate(DUAL));
    bench.agent.end_of_sockets(bench.now);
    bench.connect();
    let refreshes = bench.asked_for(A, Method::REFRESH);
    assert_eq!(refreshes.len(), 1, "{refreshes:?}");
    assert!(refreshes[0].kinds.contains(&attr::REQUESTED_ADDRESS_FAMILY));
    bench.run(secs(700));
    assert!(bench.send(b"still there"));
    assert_eq!(bench.heard, [b"still there"]);
    let refreshes = bench.asked_for(A, Method::REFRESH);
    let named = refreshes.iter().filter(|it| it.kinds.contains(&attr::REQUESTED_ADDRESS_FAMILY));
    assert_eq!(named.count(), 1, "it is never named again");
}

#[test]
fn who_wants_one_family_gets_no_other() {
    let server = TurnServer::new(addr(A), "user", "pass").families(Families::V4);
    let mut bench = Bench::new(&[server]);
    bench.server(A, Does::Allocate(DUAL));
    bench.agent.end_of_sockets(bench.now);
    bench.run(secs(2));
    assert_eq!(bench.relayed(), [addr(DUAL[0])]);
    let asked = bench.asked_for(A, Method::ALLOCATE);
    assert!(asked.iter().all(|asked| !asked.kinds.contains(&attr::ADDITIONAL_ADDRESS_FAMILY)));
}
