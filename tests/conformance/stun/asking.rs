//! What floe asks, and how it takes the answers of servers (RFC 8489 §6).

use std::collections::BTreeSet;

use floe::agent::event::ServerProblem;
use floe::rng::Rng;
use floe::stun::transaction::{Due, RTO, Transactions};
use floe::stun::wire::attr;
use floe::stun::{Class, Method, TransactionId};
use floe::{Config, Event, Role, State};

use crate::bench::{Bench, PEER, PEER_PWD, SERVER, Sent, addr, kinds, message, ms, secs};

const OTHER_SERVER: &str = "203.0.113.2:3478";
const MAPPED: &str = "198.51.100.1:4000";

fn asking() -> (Bench, Sent) {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]).stun_server(addr(SERVER)));
    let query = bench.next_request(SERVER);
    (bench, query)
}

fn mapped(query: &Sent, fill: impl FnOnce(&mut floe::stun::Writer<'_>)) -> Vec<u8> {
    message(Class::Success, Method::BINDING, query.id(), |writer| {
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(MAPPED));
        fill(writer);
    })
}

fn refused(query: &Sent, code: u16) -> Vec<u8> {
    message(Class::Error, Method::BINDING, query.id(), |writer| {
        writer.put(attr::ERROR_CODE, &[0, 0, (code / 100) as u8, (code % 100) as u8]);
    })
}

/// Takes an answer that ends the query without a candidate, and says why.
fn failure(answer: impl FnOnce(&Sent) -> Vec<u8>) -> ServerProblem {
    let (mut bench, query) = asking();
    let answer = answer(&query);
    let _ = bench.receive(SERVER, &answer);
    let asked = bench.sent.len();
    bench.wait(secs(9));
    assert_eq!(bench.sent.len(), asked, "nothing is sent again, nor anywhere else");
    assert_eq!(bench.reflexive(), []);
    let problem = bench.events.iter().find_map(|event| match event {
        Event::Server { problem, .. } => Some(problem.clone()),
        _ => None,
    });
    problem.expect("a problem")
}

/// §5: 96 random bits, from a generator whose seed decides everything.
#[test]
fn transaction_ids_are_96_random_bits() {
    let mut rng = Rng::new([1; 32]);
    let ids: Vec<[u8; 12]> = (0..100_000).map(|_| rng.transaction_id()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for bit in 0..96 {
        let ones = ids.iter().filter(|id| id[bit / 8] & 1 << (bit % 8) != 0).count();
        assert!((49_000..51_000).contains(&ones), "bit {bit}: {ones}");
    }
    let of = |seed| (asking_with(seed).id(), asking_with(seed).id());
    let ((first, again), (other, _)) = (of(1), of(2));
    assert_eq!(first, again, "from the seed and nothing else");
    assert_ne!(first, other);
}

fn asking_with(seed: u8) -> Sent {
    Bench::of(Config::new(Role::Controlling, [seed; 32]).stun_server(addr(SERVER))).next_request(SERVER)
}

/// §5: a retransmission is the same bytes, a new transaction has a new id.
#[test]
fn a_retransmission_is_the_same_bytes_and_a_new_transaction_has_a_new_id() {
    let config = Config::new(Role::Controlling, [7; 32]);
    let mut bench = Bench::of(config.stun_server(addr(SERVER)).stun_server(addr(OTHER_SERVER)));
    bench.wait(secs(9));
    let to = |server: &str| bench.sent.iter().filter(|it| it.to == addr(server)).collect::<Vec<_>>();
    let (one, other) = (to(SERVER), to(OTHER_SERVER));
    assert!(one.len() >= 4 && other.len() >= 4);
    assert!(one.iter().all(|it| it.raw == one[0].raw) && other.iter().all(|it| it.raw == other[0].raw));
    assert_ne!(one[0].id(), other[0].id());
}

/// §6.1.
#[test]
fn what_begins_a_transaction_is_a_request() {
    let (bench, _) = asking();
    let mut controlled = Bench::new(Role::Controlled);
    controlled.wait(secs(2));
    let all: Vec<_> = bench.sent.iter().chain(&controlled.sent).collect();
    assert!(all.len() > 2);
    assert!(all.iter().all(|it| it.is(Class::Request) && it.message().method() == Method::BINDING));
}

/// §6.1: an IPv4 packet of 576 bytes has room for less than 548 of STUN.
#[test]
fn a_check_with_the_longest_ufrag_of_a_peer_stays_below_548_bytes() {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]));
    let ufrag = "u".repeat(256);
    bench.signal(&format!("0 credentials ufrag={ufrag} pwd={}", "p".repeat(256)));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    let check = bench.next_request(PEER);
    assert!(check.message().username().is_some_and(|username| username.len() > 256));
    assert!(check.raw.len() < 548, "{}", check.raw.len());
}

/// §6.2: several transactions at a time.
#[test]
fn answers_come_in_any_order() {
    let config = Config::new(Role::Controlling, [7; 32]);
    let mut bench = Bench::of(config.stun_server(addr(SERVER)).stun_server(addr(OTHER_SERVER)));
    let first = bench.next_request(SERVER);
    let second = bench.next_request(OTHER_SERVER);
    let _ = bench.receive(
        OTHER_SERVER,
        &message(Class::Success, Method::BINDING, second.id(), |writer| {
            writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr("198.51.100.2:4000"));
        }),
    );
    let _ = bench.receive(SERVER, &mapped(&first, |_| {}));
    assert_eq!(bench.reflexive(), [addr("198.51.100.2:4000"), addr(MAPPED)]);
}

/// §6.2.1: Rm is 16 times the first RTO, not the last one.
#[test]
fn a_transaction_fails_16_rtos_after_its_last_request() {
    for rto in [RTO, ms(800)] {
        let start = asking().0.start;
        let mut transactions = Transactions::default();
        let id = TransactionId([7; 12]);
        transactions.start(start, id, (), rto);
        for _ in 0..6 {
            let at = transactions.deadline().expect("a retransmission");
            assert_eq!(transactions.poll_due(at), Some(Due::Retransmit(id, ())));
        }
        let end = rto * 63 + rto * 16;
        assert_eq!(transactions.poll_due(start + end.saturating_sub(ms(1))), None);
        assert_eq!(transactions.poll_due(start + end), Some(Due::TimedOut(id, ())));
    }
}

/// §6.2.1: lite agents send them, since they ask for no consent.
#[test]
fn an_indication_is_sent_once() {
    let mut bench = Bench::of(Config::new(Role::Controlled, [7; 32]).lite());
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    let nomination = bench.check_with(|writer| {
        writer.put(attr::USE_CANDIDATE, &[]);
    });
    let _ = bench.receive(PEER, &nomination);
    bench.wait(secs(100));
    let indications: Vec<_> = bench.sent.iter().filter(|it| it.is(Class::Indication)).collect();
    let times: Vec<_> = indications.iter().map(|it| it.at).collect();
    assert_eq!(times, [15, 30, 45, 60, 75, 90].map(secs));
    let ids: BTreeSet<_> = indications.iter().map(|it| it.id()).collect();
    assert_eq!(ids.len(), indications.len());
}

/// §6.3: what need not be understood is ignored, in answers too.
#[test]
fn an_unknown_optional_attribute_of_an_answer_is_ignored() {
    let (mut bench, query) = asking();
    let answer = mapped(&query, |writer| {
        writer.put(0xc123, b"what?");
    });
    let _ = bench.receive(SERVER, &answer);
    assert_eq!(bench.reflexive(), [addr(MAPPED)]);
}

/// §6.3.3: the transaction has failed.
#[test]
fn a_success_with_an_unknown_required_attribute_fails_the_transaction() {
    let problem = failure(|query| {
        mapped(query, |writer| {
            writer.put(0x7001, &[]);
        })
    });
    assert!(matches!(problem, ServerProblem::Incomplete(_)), "{problem:?}");
}

/// §6.3.3: an address of no known family is no address.
#[test]
fn a_success_without_a_mapped_address_of_a_known_family_fails() {
    let without = failure(|query| message(Class::Success, Method::BINDING, query.id(), |_| {}));
    let unknown = failure(|query| {
        message(Class::Success, Method::BINDING, query.id(), |writer| {
            writer.put(attr::XOR_MAPPED_ADDRESS, &[0, 3, 1, 2, 3, 4, 5, 6]);
        })
    });
    assert!(
        matches!(without, ServerProblem::Incomplete(_)) && matches!(unknown, ServerProblem::Incomplete(_))
    );
}

/// §6.3.3: it is a candidate as any other, and pairs with nothing of the base's family by itself.
#[test]
fn a_mapped_address_of_the_other_family_is_taken_without_harm() {
    let (mut bench, query) = asking();
    let answer = message(Class::Success, Method::BINDING, query.id(), |writer| {
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr("[2001:db8::1]:4000"));
    });
    let _ = bench.receive(SERVER, &answer);
    assert_eq!(bench.reflexive(), [addr("[2001:db8::1]:4000")]);
    bench.wait(secs(1));
    assert_eq!(bench.agent.state(), State::Gathering);
}

/// §6.3.3: RFC 3489 servers send MAPPED-ADDRESS and some more that others must understand (RFC 8445 §5.1.1.2).
#[test]
fn the_answer_of_an_rfc_3489_server_is_taken() {
    let (mut bench, query) = asking();
    let answer = message(Class::Success, Method::BINDING, query.id(), |writer| {
        writer.put_address(attr::MAPPED_ADDRESS, addr(MAPPED));
        writer.put_address(0x0004, addr(SERVER)).put_address(0x0005, addr(OTHER_SERVER));
    });
    let _ = bench.receive(SERVER, &answer);
    assert_eq!(bench.reflexive(), [addr(MAPPED)]);
}

/// §6.3.4.
#[test]
fn an_error_that_cannot_be_understood_fails_the_transaction() {
    let without = failure(|query| message(Class::Error, Method::BINDING, query.id(), |_| {}));
    assert!(matches!(without, ServerProblem::Incomplete(_)), "{without:?}");
    let unknown = failure(|query| {
        message(Class::Error, Method::BINDING, query.id(), |writer| {
            writer.put_error_code(400, "").put(0x7001, &[]);
        })
    });
    assert!(matches!(unknown, ServerProblem::Incomplete(_)), "{unknown:?}");
}

/// §6.3.4: 300 to 399 fail where ALTERNATE-SERVER is not in use.
#[test]
fn a_redirection_is_a_failure_and_the_alternate_is_not_asked() {
    for code in [300, 399] {
        let problem = failure(|query| {
            message(Class::Error, Method::BINDING, query.id(), |writer| {
                writer.put_error_code(code, "").put_address(attr::ALTERNATE_SERVER, addr(OTHER_SERVER));
            })
        });
        assert!(matches!(problem, ServerProblem::Error { code: found, .. } if found == code), "{problem:?}");
    }
}

/// §6.3.4.
#[test]
fn every_error_response_ends_the_transaction() {
    for code in [400, 401, 420, 438, 499, 500, 599, 600, 699] {
        let problem = failure(|query| refused(query, code));
        assert!(matches!(problem, ServerProblem::Error { code: found, .. } if found == code), "{problem:?}");
    }
}

/// §8: no server is asked that nobody named.
#[test]
fn an_agent_without_servers_asks_nobody() {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]));
    bench.wait(secs(60));
    assert!(bench.sent.is_empty(), "{:?}", bench.sent);
}

/// §15: behind one address may be several servers. The first answer counts, a second one does no harm.
#[test]
fn a_second_answer_from_the_same_address_changes_nothing() {
    let (mut bench, query) = asking();
    bench.wait(ms(600));
    assert!(bench.sent.len() > 1, "sent again");
    let _ = bench.receive(SERVER, &mapped(&query, |_| {}));
    let other = message(Class::Success, Method::BINDING, query.id(), |writer| {
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr("198.51.100.9:9"));
    });
    let _ = bench.receive(SERVER, &other);
    assert_eq!(bench.reflexive(), [addr(MAPPED)]);
}

/// §9.1.2: what a peer of ICE supports is known: MESSAGE-INTEGRITY. §9.1.5: and it stays so.
#[test]
fn a_check_carries_message_integrity_only() {
    let bench = Bench::completed();
    let checks: Vec<_> = bench.sent.iter().filter(|it| it.to == addr(PEER)).collect();
    assert!(checks.len() > 1, "one that nominates too");
    for check in checks {
        let kinds = kinds(&check.raw);
        assert_eq!(kinds.iter().filter(|kind| **kind == attr::MESSAGE_INTEGRITY).count(), 1);
        assert!(!kinds.contains(&attr::MESSAGE_INTEGRITY_SHA256) && kinds.contains(&attr::USERNAME));
    }
}

/// §7: whoever uses FINGERPRINT puts it into every message.
#[test]
fn every_message_of_an_agent_has_a_fingerprint_and_those_without_are_none() {
    let mut bench = Bench::completed();
    let check = bench.check();
    assert_eq!(bench.answers(PEER, &check).len(), 1);
    bench.wait(secs(10));
    assert!(bench.sent.iter().all(|it| it.message().has_fingerprint()));
    let mut bench = Bench::new(Role::Controlled);
    let check = bench.check();
    let mut bare = check[..check.len() - 8].to_vec();
    let length = (bare.len() - 20) as u16;
    bare[2..4].copy_from_slice(&length.to_be_bytes());
    assert!(bench.answers(PEER, &bare).is_empty(), "a check");
    let asked = bench.next_request(PEER);
    let answer = asked.success();
    let mut bare = answer[..answer.len() - 8].to_vec();
    let length = (bare.len() - 20) as u16;
    bare[2..4].copy_from_slice(&length.to_be_bytes());
    let _ = bench.receive(PEER, &bare);
    assert!(!bench.is_usable(), "the answer to a check");
    let _ = bench.receive(PEER, &answer);
    assert!(bench.is_usable());
}
