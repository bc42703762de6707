//! What servers say while candidates are gathered (RFC 8445 §5.1.1.2, §5.1.1.4, §5.1.3).

use floe::candidate::{Candidate, CandidateType};
use floe::io::{Socket, SocketId};
use floe::signal::{Signal, What};
use floe::stun::auth::{Integrity, PasswordAlgorithm};
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Method, Writer};
use floe::turn::TurnServer;
use floe::{Config, Event, Role};

use crate::bench::{Bench, HOST, SERVER, Sent, addr, message, secs};

const OTHER_SERVER: &str = "203.0.113.2:3478";
const MAPPED: &str = "198.51.100.1:4000";
const RELAYED: &str = "203.0.113.1:50000";

fn config() -> Config {
    Config::new(Role::Controlling, [7; 32])
}

fn turn(server: &str) -> TurnServer {
    TurnServer::new(addr(server), "user", "password")
}

fn mapped(request: &Sent, at: &str) -> Vec<u8> {
    message(Class::Success, request.message().method(), request.id(), |writer| {
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(at));
    })
}

/// Answers the Allocate of an agent with a challenge, and then so.
fn allocate(bench: &mut Bench, server: &str, class: Class, fill: impl FnOnce(&mut Writer<'_>)) {
    let first = bench.next_request(server);
    let challenge = message(Class::Error, Method::ALLOCATE, first.id(), |writer| {
        writer.put_error_code(401, "").put_realm("realm").put_nonce("nonce");
    });
    let _ = bench.receive(server, &challenge);
    let second = bench.next_request(server);
    let answer = message(class, Method::ALLOCATE, second.id(), |writer| {
        fill(writer);
        let key = Key::long_term(PasswordAlgorithm::Md5, "user", "realm", "password");
        writer.integrity(&key, Integrity::Sha1);
    });
    let _ = bench.receive(server, &answer);
}

fn granted(bench: &mut Bench, server: &str, relayed: &str, mapped: &str) {
    allocate(bench, server, Class::Success, |writer| {
        writer.put_xor_address(attr::XOR_RELAYED_ADDRESS, addr(relayed));
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(mapped)).put_lifetime(secs(600));
    });
}

fn candidates(bench: &Bench, kind: CandidateType) -> Vec<Candidate> {
    let candidates = bench.events.iter().filter_map(|event| match event {
        Event::Signal(Signal { what: What::Candidate(candidate), .. }) => Some(candidate.clone()),
        _ => None,
    });
    candidates.filter(|candidate| candidate.kind == kind).collect()
}

/// ICE-5.1.1.2-j: a full server tells the mapped address at least.
#[test]
fn a_server_without_room_for_an_allocation_is_asked_for_the_mapped_address() {
    for code in [486, 508] {
        let mut bench = Bench::of(config().turn_server(turn(SERVER)));
        allocate(&mut bench, SERVER, Class::Error, |writer| {
            writer.put_error_code(code, "");
        });
        let query = bench.next_request(SERVER);
        assert_eq!(query.message().method(), Method::BINDING);
        let _ = bench.receive(SERVER, &mapped(&query, MAPPED));
        assert_eq!(bench.reflexive(), [addr(MAPPED)]);
        let ended =
            |event: &Event| matches!(event, Event::Signal(Signal { what: What::EndOfCandidates, .. }));
        assert!(bench.events.iter().any(ended), "and gathering is over");
    }
}

/// ICE-5.1.1.2-k: a relay on this very host is none.
#[test]
fn a_relayed_address_that_is_a_host_address_is_no_candidate() {
    for (relayed, count) in [(RELAYED, 1), (HOST, 0)] {
        let mut bench = Bench::of(config().turn_server(turn(SERVER)));
        granted(&mut bench, SERVER, relayed, MAPPED);
        assert_eq!(candidates(&bench, CandidateType::Relayed).len(), count, "{relayed}");
    }
}

/// ICE-5.1.2.2-c: relays of one host have different priorities, and so they are preferred in an order.
#[test]
fn relayed_candidates_of_two_servers_have_different_priorities() {
    let mut bench = Bench::of(config().turn_server(turn(SERVER)).turn_server(turn(OTHER_SERVER)));
    granted(&mut bench, SERVER, RELAYED, MAPPED);
    granted(&mut bench, OTHER_SERVER, "203.0.113.2:50000", MAPPED);
    let relayed = candidates(&bench, CandidateType::Relayed);
    assert_eq!(relayed.len(), 2);
    assert!(relayed[0].priority > relayed[1].priority, "{relayed:?}");
}

/// ICE-5.1.1.4-b: requests, again and again, each answered or not; to a TURN server too, whose allocation lives longer
/// than a NAT's mapping.
#[test]
fn a_mapping_is_kept_by_further_requests_to_the_server_that_saw_it() {
    let mut bench = Bench::of(config().stun_server(addr(SERVER)));
    let query = bench.next_request(SERVER);
    let _ = bench.receive(SERVER, &mapped(&query, MAPPED));
    let mut seen = vec![query.id()];
    let answered = bench.now - bench.start;
    for round in 1..=6 {
        bench.wait(secs(15));
        let request = bench.sent.last().expect("a request").clone();
        assert!(request.is(Class::Request) && request.to == addr(SERVER), "{request:?}");
        assert_eq!(request.at - answered, secs(15) * round);
        assert!(!seen.contains(&request.id()), "a new transaction");
        seen.push(request.id());
        if round % 2 == 0 {
            let _ = bench.receive(SERVER, &mapped(&request, MAPPED));
        }
    }
    assert_eq!(bench.sent.len(), 7, "nothing else: {:?}", bench.sent);
    assert_eq!(bench.agent.stats().datagrams_dropped, 0, "the answers are expected");
    assert_eq!(bench.reflexive(), [addr(MAPPED)]);

    let mut bench = Bench::of(config().turn_server(turn(SERVER)));
    granted(&mut bench, SERVER, RELAYED, MAPPED);
    bench.wait(secs(15));
    let request = bench.sent.last().expect("a request").clone();
    assert_eq!((request.message().method(), request.message().class()), (Method::BINDING, Class::Request));
    let _ = bench.receive(SERVER, &mapped(&request, MAPPED));
    assert_eq!(bench.agent.stats().datagrams_dropped, 0);
}

/// ICE-5.1.3-a: the same address and the same base is redundant; an address that another base has is not (appendix B.2).
#[test]
fn only_the_same_address_with_the_same_base_is_redundant() {
    const OTHER_HOST: &str = "10.0.1.100:2498";
    for (seen, expected) in [(HOST, &[][..]), (OTHER_HOST, &[OTHER_HOST]), (MAPPED, &[MAPPED])] {
        let mut bench = Bench::of(config().stun_server(addr(SERVER)));
        let query = bench.next_request(SERVER);
        let other = Socket::udp(addr(OTHER_HOST));
        bench.with_agent(|agent, now| agent.add_socket(now, SocketId(1), other)).expect("a socket");
        let _ = bench.receive(SERVER, &mapped(&query, seen));
        assert_eq!(bench.reflexive(), expected.iter().map(|it| addr(it)).collect::<Vec<_>>());
        // What the other base asks is seen at the first one's address: still another candidate.
        let other = bench.next_request(SERVER);
        let _ = bench.receive_on(SocketId(1), OTHER_HOST, SERVER, &mapped(&other, seen));
        assert_eq!(bench.reflexive().len(), expected.len() + usize::from(seen != OTHER_HOST));
    }
}
