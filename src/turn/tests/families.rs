//! Both address families in one allocation (RFC 8656 §7, §8.1).

use super::*;
use crate::stun::attributes::AddressError;

const RELAYED_6: &str = "[2001:db8::9]:50001";
const PEER_6: &str = "[2001:db8::7]:6000";

impl Bench {
    fn allocate_with(&mut self, request: &Request, relayed: &[&str], error: Option<&AddressError>) {
        let answer = self.success(request, |answer| {
            for relayed in relayed {
                answer.put_xor_address(attr::XOR_RELAYED_ADDRESS, addr(relayed));
            }
            error.map(|error| answer.put_address_error(error));
            answer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(MAPPED)).put_lifetime(secs(600));
        });
        assert_eq!(self.receive(&answer), Received::Consumed);
    }

    fn asked_for(families: Families) -> (Self, Request) {
        let server = TurnServer::new(addr("203.0.113.1:3478"), "user", "pass");
        let mut bench = Self::of(server.families(families));
        let first = bench.slot();
        bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
        let second = bench.slot();
        (bench, second)
    }

    fn dual() -> Self {
        let (mut bench, request) = Self::asked_for(Families::Both);
        bench.allocate_with(&request, &[RELAYED, RELAYED_6], None);
        bench
    }

    fn permit_both(&mut self) {
        self.client.permit(addr(PEER));
        self.client.permit(addr(PEER_6));
        let request = self.slot();
        assert_eq!(request.peers().len(), 2, "peers of both families share a request");
        self.accept(&request);
        self.take_events();
    }
}

fn wish(request: &Request) -> (Option<Family>, Option<Family>) {
    let attributes = request.message().plain().attributes();
    (attributes.requested_address_family(), attributes.additional_address_family())
}

/// RFC 8656 §7.1: never both attributes, and only IPv6 is additional.
#[test]
fn an_allocate_names_the_families_in_one_attribute_at_most() {
    for (families, asked) in [
        (Families::Both, (None, Some(Family::V6))),
        (Families::V4, (None, None)),
        (Families::V6, (Some(Family::V6), None)),
    ] {
        let (_, request) = Bench::asked_for(families);
        assert_eq!(wish(&request), asked, "{families:?}");
    }
}

#[test]
fn one_allocation_has_an_address_of_each_family_and_reaches_peers_of_both() {
    let mut bench = Bench::dual();
    let allocated =
        |relayed| Event::Allocated { relayed: addr(relayed), mapped: addr(MAPPED), lifetime: secs(600) };
    assert_eq!(bench.take_events(), [allocated(RELAYED), allocated(RELAYED_6)]);
    bench.permit_both();
    for peer in [PEER, PEER_6] {
        assert!(bench.client.framing(addr(peer)).is_some(), "{peer}");
    }
    let (_, refresh) = loop {
        let (at, request) = bench.next_sent().unwrap();
        if request.method() == Method::REFRESH {
            break (at, request);
        }
        bench.accept(&request);
    };
    assert_eq!(wish(&refresh).0, None, "one Refresh for both (RFC 8656 §8.1)");
}

/// Servers of RFC 5766 ignore the optional attribute.
#[test]
fn a_server_that_gives_one_family_serves_its_peers_and_refuses_those_of_the_other() {
    let (mut bench, request) = Bench::asked_for(Families::Both);
    bench.client.permit(addr(PEER_6));
    bench.allocate_with(&request, &[RELAYED], None);
    let mismatch = Problem::of_code(code::PEER_ADDRESS_FAMILY_MISMATCH);
    let refused = Event::PermissionRefused { peer: addr(PEER_6).ip(), problem: mismatch };
    assert!(matches!(&bench.take_events()[..], [Event::Allocated { .. }, event] if *event == refused));
    assert!(!bench.client.wants_slot(), "nobody is asked for it");
    bench.client.permit(addr(PEER_6));
    assert_eq!(bench.take_events(), [refused]);
    bench.client.permit(addr(PEER));
    assert_eq!(bench.slot().peers(), [SocketAddr::new(addr(PEER).ip(), 0)]);
}

/// RFC 8656 §7.3: 440 for ever, 508 for a minute.
#[test]
fn a_family_that_the_server_lacks_is_not_asked_for_by_the_next_client() {
    for (code, lacking, later) in
        [(440, Family::V6, false), (508, Family::V6, true), (440, Family::V4, false)]
    {
        let (mut bench, request) = Bench::asked_for(Families::Both);
        let given = if lacking == Family::V6 { RELAYED } else { RELAYED_6 };
        bench.allocate_with(&request, &[given], Some(&AddressError::new(lacking, code)));
        let events = bench.take_events();
        assert!(
            matches!(&events[..], [Event::Allocated { .. }, Event::Lacking { family, problem }]
                if *family == lacking && problem.has_code(code)),
            "{events:?}"
        );
        let known = bench.client.take_news().unwrap();
        let narrow = if lacking == Family::V6 { (None, None) } else { (Some(Family::V6), None) };
        for (wait, asks) in [(59, narrow), (60, if later { (None, Some(Family::V6)) } else { narrow })] {
            let mut next = Bench::new();
            next.now = bench.now + secs(wait);
            next.client.learn(known.clone());
            assert_eq!(wish(&next.slot()), asks, "{code} {wait}");
        }
    }
}

/// RFC 8656 §8.1: the other one stays as it is.
#[test]
fn one_of_two_addresses_is_given_back_and_never_named_again() {
    let mut bench = Bench::dual();
    bench.permit_both();
    bench.client.release(bench.now, Family::V6);
    let release = one(bench.drain());
    assert_eq!((release.method(), wish(&release)), (Method::REFRESH, (Some(Family::V6), None)));
    assert_eq!(release.message().plain().attributes().lifetime(), Some(Duration::ZERO));
    bench.refresh(&release, 0);
    assert_eq!(bench.client.framing(addr(PEER_6)), None);
    assert!(bench.client.framing(addr(PEER)).is_some());
    bench.client.release(bench.now, Family::V4);
    assert!(bench.drain().is_empty(), "the last one ends with the allocation only");
    for _ in 0..6 {
        let (_, request) = bench.next_sent().unwrap();
        assert_eq!(wish(&request), (None, None));
        if request.method() == Method::REFRESH {
            bench.refresh(&request, 600);
        } else {
            assert_eq!(request.peers(), [SocketAddr::new(addr(PEER).ip(), 0)]);
            bench.accept(&request);
        }
    }
}

/// RFC 8656 §7.4: who has no IPv4 address refuses the whole wish. The other family is asked for alone, and 440 to that is
/// final.
#[test]
fn a_server_without_ipv4_is_asked_for_ipv6_alone() {
    let (mut bench, request) = Bench::asked_for(Families::Both);
    bench.refuse(&request, 440);
    assert_eq!(bench.take_events(), []);
    let second = bench.slot();
    assert_eq!(wish(&second), (Some(Family::V6), None));
    bench.allocate_with(&second, &[RELAYED_6], None);
    let events = bench.take_events();
    assert!(
        matches!(&events[..], [Event::Allocated { relayed, .. }] if *relayed == addr(RELAYED_6)),
        "{events:?}"
    );

    let (mut bench, request) = Bench::asked_for(Families::Both);
    bench.refuse(&request, 440);
    let second = bench.slot();
    bench.refuse(&second, 440);
    assert!(matches!(&bench.take_events()[..], [Event::Problem(problem)] if problem.has_code(440)));
    assert!(!bench.client.wants_slot());
}
