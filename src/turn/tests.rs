//! The client against a scripted server, on virtual time.

mod credentials;
mod errors;
mod families;
mod hostile;
mod leases;
mod moving;
mod stream;

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::{Client, Event, Families, Input, MAX_SOFTWARE, Output, Problem, Received, TurnServer};
use crate::stun::attributes::PasswordAlgorithms;
use crate::stun::auth::{Integrity, PasswordAlgorithm};
use crate::stun::codec::PROTOCOL_UDP;
use crate::stun::wire::{Class, Method, attr};
use crate::stun::{Family, Key, Message, Writer, code};
use crate::time::{Duration, Instant};

const REALM: &str = "example.org";
const RELAYED: &str = "203.0.113.9:50000";
const MAPPED: &str = "198.51.100.1:4000";
const PEER: &str = "192.0.2.7:6000";
/// What every Allocate asks for by itself.
const WISH: [u16; 3] = [attr::REQUESTED_TRANSPORT, attr::ADDITIONAL_ADDRESS_FAMILY, attr::MOBILITY_TICKET];

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A request as the server sees it.
#[derive(Clone, PartialEq, Eq)]
struct Request(Vec<u8>);

impl Request {
    fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap()
    }

    fn method(&self) -> Method {
        self.message().method()
    }

    fn kinds(&self) -> Vec<u16> {
        self.message().plain().attributes().iter().map(|(kind, _)| kind).collect()
    }

    fn nonce(&self) -> Option<String> {
        self.message().plain().attributes().nonce()
    }

    fn peers(&self) -> Vec<SocketAddr> {
        self.message().plain().attributes().peer_addresses().flatten().collect()
    }
}

/// A client, and a server that does as the test says.
struct Bench {
    client: Client,
    start: Instant,
    now: Instant,
    key: Key,
    integrity: Integrity,
    events: Vec<Event>,
    /// Sent, and not looked at.
    sent: VecDeque<Request>,
}

impl Bench {
    fn new() -> Self {
        Self::of(TurnServer::new(addr("203.0.113.1:3478"), "user", "pass"))
    }

    fn of(server: TurnServer) -> Self {
        let now = crate::time::test_epoch();
        Self {
            client: Client::new(server, [7; 32]),
            start: now,
            now,
            key: Key::long_term(PasswordAlgorithm::Md5, "user", REALM, "pass"),
            integrity: Integrity::Sha1,
            events: Vec::new(),
            sent: VecDeque::new(),
        }
    }

    /// One with an allocation of 600 s.
    fn allocated() -> Self {
        let mut bench = Self::new();
        let first = bench.slot();
        bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
        let second = bench.slot();
        bench.allocate(&second, 600);
        assert!(matches!(bench.events.pop(), Some(Event::Allocated { .. })));
        bench
    }

    /// One with a permission for [`PEER`] too.
    fn permitted() -> Self {
        let mut bench = Self::allocated();
        bench.client.permit(addr(PEER));
        let request = bench.slot();
        bench.accept(&request);
        assert_eq!(bench.take_events(), [Event::PermissionGranted { peer: addr(PEER).ip() }]);
        bench
    }

    /// What the client sends now. Its events are kept.
    fn drain(&mut self) -> Vec<Request> {
        let mut sent = Vec::new();
        let mut buf = [0; 1200];
        loop {
            match self.client.poll_output(&mut buf) {
                Output::Transmit(bytes) => sent.push(Request(bytes.to_vec())),
                Output::Event(event) => self.events.push(event),
                Output::Wait(_) => return sent,
            }
        }
    }

    fn take_events(&mut self) -> Vec<Event> {
        assert!(self.drain().is_empty());
        std::mem::take(&mut self.events)
    }

    /// The one request that a slot brings.
    fn slot(&mut self) -> Request {
        assert!(self.client.wants_slot());
        assert!(self.drain().is_empty(), "nothing leaves before the slot");
        assert_eq!(self.client.handle_input(self.now, Input::Slot), Received::Consumed);
        one(self.drain())
    }

    /// Lets time pass until the client sends something, and says what and when. `None`: it never will.
    fn next_sent(&mut self) -> Option<(Duration, Request)> {
        loop {
            let sent = self.drain();
            self.sent.extend(sent);
            if let Some(request) = self.sent.pop_front() {
                return Some((self.now - self.start, request));
            }
            self.step()?;
        }
    }

    /// Lets time pass until the next deadline.
    fn step(&mut self) -> Option<()> {
        let at = self.client.deadline()?;
        self.now = self.now.max(at);
        let _ = self.client.handle_input(self.now, Input::Timeout);
        assert!(self.client.deadline().is_none_or(|at| at > self.now), "one timeout meets a deadline");
        Some(())
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        let _ = self.client.handle_input(self.now, Input::Timeout);
    }

    fn receive<'a>(&mut self, datagram: &'a [u8]) -> Received<'a> {
        self.client.handle_input(self.now, Input::Datagram(datagram))
    }

    fn challenge(&mut self, request: &Request, code: u16, nonce: &str, offer: Option<&PasswordAlgorithms>) {
        let mut buf = [0; 600];
        let message = request.message();
        let mut answer = Writer::error(&mut buf, message.method(), message.transaction_id(), code);
        answer.put_realm(REALM).put_nonce(nonce);
        if let Some(offer) = offer {
            answer.put_password_algorithms(offer);
        }
        let answer = answer.finish().unwrap().to_vec();
        assert_eq!(self.receive(&answer), Received::Consumed);
    }

    fn signed(&self, mut answer: Writer<'_>) -> Vec<u8> {
        answer.integrity(&self.key, self.integrity);
        answer.finish().unwrap().to_vec()
    }

    fn success(&self, request: &Request, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut buf = [0; 600];
        let message = request.message();
        let mut answer = Writer::new(&mut buf, Class::Success, message.method(), message.transaction_id());
        write(&mut answer);
        self.signed(answer)
    }

    /// A success that needs no attributes.
    fn accept(&mut self, request: &Request) {
        let answer = self.success(request, |_| {});
        assert_eq!(self.receive(&answer), Received::Consumed);
    }

    fn allocate(&mut self, request: &Request, lifetime: u64) {
        let answer = self.success(request, |answer| {
            answer
                .put_xor_address(attr::XOR_RELAYED_ADDRESS, addr(RELAYED))
                .put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(MAPPED))
                .put_lifetime(secs(lifetime));
        });
        assert_eq!(self.receive(&answer), Received::Consumed);
        self.events.extend(self.client.poll_event());
    }

    fn refresh(&mut self, request: &Request, lifetime: u64) {
        assert_eq!(request.method(), Method::REFRESH);
        let answer = self.success(request, |answer| {
            answer.put_lifetime(secs(lifetime));
        });
        assert_eq!(self.receive(&answer), Received::Consumed);
    }

    fn refuse(&mut self, request: &Request, code: u16) {
        let mut buf = [0; 600];
        let message = request.message();
        let answer = Writer::error(&mut buf, message.method(), message.transaction_id(), code);
        let answer = self.signed(answer);
        assert_eq!(self.receive(&answer), Received::Consumed);
    }
}

fn one<T>(mut list: Vec<T>) -> T {
    assert_eq!(list.len(), 1);
    list.remove(0)
}

/// RFC 8656 §7.1, §7.3; RFC 8489 §9.2.3.1.
#[test]
fn allocates_in_two_round_trips_the_first_without_credentials() {
    let mut bench = Bench::new();
    let first = bench.slot();
    assert_eq!((first.method(), first.kinds()), (Method::ALLOCATE, WISH.to_vec()));
    assert!(!first.message().has_integrity());
    let attributes = first.message().plain().attributes();
    assert_eq!(attributes.requested_transport(), Some(PROTOCOL_UDP));
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    assert_ne!(first.message().transaction_id(), second.message().transaction_id());
    assert_eq!(second.kinds(), [&WISH[..], &[attr::USERNAME, attr::REALM, attr::NONCE]].concat());
    let verified = second.message().verify(&bench.key).unwrap();
    assert_eq!(verified.by(), Integrity::Sha1);
    assert_eq!(verified.attributes().nonce().unwrap(), "nonce");
    bench.allocate(&second, 1200);
    let allocated = Event::Allocated { relayed: addr(RELAYED), mapped: addr(MAPPED), lifetime: secs(1200) };
    assert_eq!(bench.take_events(), [allocated]);
    assert!(!bench.client.wants_slot());
}

/// RFC 8656 §5, RFC 8489 §16.1.2.
#[test]
fn software_is_named_in_allocate_and_refresh_if_the_caller_wants_it() {
    let mut server = TurnServer::new(addr("203.0.113.1:3478"), "user", "pass");
    server.software = Some("floe".into());
    let mut bench = Bench::of(server.clone());
    let first = bench.slot();
    assert!(first.kinds().contains(&attr::SOFTWARE));
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    bench.allocate(&second, 600);
    bench.client.permit(addr(PEER));
    let permit = bench.slot();
    assert!(!permit.kinds().contains(&attr::SOFTWARE));
    bench.accept(&permit);
    bench.client.close(bench.now);
    let delete = one(bench.drain());
    assert!(delete.message().verify(&bench.key).unwrap().attributes().has(attr::SOFTWARE));
    server.software = Some("x".repeat(MAX_SOFTWARE + 1));
    assert_eq!(Bench::of(server).slot().kinds(), WISH);
}

/// The longest credential, SOFTWARE and batch of peers.
#[test]
fn every_request_fits_into_1200_bytes() {
    let mut server = TurnServer::new(addr("[2001:db8::1]:3478"), "u".repeat(508), "pass");
    server.software = Some("s".repeat(MAX_SOFTWARE));
    let mut bench = Bench::of(server);
    bench.integrity = Integrity::Sha256;
    let first = bench.slot();
    let list = PasswordAlgorithms::offer(&[PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5]);
    let nonce = format!("obMatJos2gAAA{}", "ä".repeat(114));
    bench.challenge(&first, code::UNAUTHENTICATED, &nonce, Some(&list));
    bench.key = Key::long_term(PasswordAlgorithm::Sha256, &"u".repeat(508), REALM, "pass");
    let second = bench.slot();
    let answer = bench.success(&second, |answer| {
        answer
            .put_xor_address(attr::XOR_RELAYED_ADDRESS, addr("[2001:db8::9]:50000"))
            .put_xor_address(attr::XOR_MAPPED_ADDRESS, addr("[2001:db8::a]:4000"))
            .put_lifetime(secs(600));
    });
    assert_eq!(bench.receive(&answer), Received::Consumed);
    for n in 1..=8 {
        bench.client.permit(addr(&format!("[2001:db8::{n}]:1")));
    }
    let batch = bench.slot();
    assert_eq!(batch.peers().len(), 8);
}

/// RFC 8656 §7.1: an absent family means IPv4.
#[test]
fn who_wants_ipv6_alone_asks_for_it_and_gives_an_address_of_ipv4_back() {
    let server = TurnServer::new(addr("[2001:db8::1]:3478"), "user", "pass");
    let mut bench = Bench::of(server.families(Families::V6));
    let first = bench.slot();
    let family = first.message().plain().attributes().requested_address_family();
    assert_eq!(family, Some(Family::V6));
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    bench.allocate(&second, 600);
    let delete = one(bench.drain());
    assert_eq!(delete.method(), Method::REFRESH);
    assert_eq!(delete.message().plain().attributes().lifetime(), Some(Duration::ZERO));
    let lacks = Problem::Incomplete("a relayed address of the family asked for");
    assert_eq!(bench.events, [Event::Problem(lacks)]);
}

/// RFC 8489 §6.2.1.
#[test]
fn a_retransmission_repeats_the_first_bytes_and_silence_ends_in_unreachable() {
    let mut bench = Bench::new();
    let first = bench.slot();
    let mut sent = Vec::new();
    while let Some((at, request)) = bench.next_sent() {
        assert!(request == first);
        sent.push(at.as_millis());
    }
    assert_eq!(sent, [500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!((bench.now - bench.start).as_millis(), 39500);
    assert_eq!(bench.take_events(), [Event::Problem(Problem::Unreachable)]);
    assert!(!bench.client.wants_slot());
}

/// RFC 8656 §7.4.
#[test]
fn a_refused_allocation_is_not_asked_for_again_and_says_when_it_may_be() {
    for (code, pause) in [
        (300, None),
        (400, None),
        (403, None),
        (437, Some(secs(120))),
        (441, None),
        (442, None),
        (486, Some(secs(60))),
        (508, Some(secs(60))),
    ] {
        // Of two families the other one would be asked for after 440.
        let server = TurnServer::new(addr("203.0.113.1:3478"), "user", "pass");
        let mut bench = Bench::of(server.families(Families::V4));
        let first = bench.slot();
        bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
        let second = bench.slot();
        bench.refuse(&second, code);
        let Event::Problem(problem) = one(bench.take_events()) else { panic!("no problem") };
        assert!(problem.has_code(code));
        assert_eq!(problem.pause(), pause, "{code}");
        assert!(!bench.client.wants_slot());
        assert_eq!(bench.client.deadline(), None);
    }
}

/// RFC 8445 §14.1.
#[test]
fn what_serves_gathering_and_checks_waits_for_a_slot() {
    let mut bench = Bench::new();
    bench.wait(secs(1));
    assert!(bench.drain().is_empty());
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    bench.wait(secs(1));
    assert!(bench.drain().is_empty());
    bench.client.permit(addr(PEER));
    let second = bench.slot();
    bench.allocate(&second, 600);
    bench.wait(secs(1));
    assert!(bench.drain().is_empty());
    assert_eq!(bench.slot().method(), Method::CREATE_PERMISSION);
}

/// RFC 8656 §8: Refresh with lifetime 0.
#[test]
fn closing_asks_three_times_and_is_silent() {
    let mut bench = Bench::permitted();
    bench.client.close(bench.now);
    let mut sent = Vec::new();
    while let Some((at, request)) = bench.next_sent() {
        assert_eq!(request.method(), Method::REFRESH);
        assert_eq!(request.message().plain().attributes().lifetime(), Some(Duration::ZERO));
        assert!(request.message().verify(&bench.key).is_ok());
        sent.push(at.as_millis());
    }
    assert_eq!(sent, [0, 500, 1500]);
    assert_eq!(bench.take_events(), []);
    assert_eq!(bench.client.framing(addr(PEER)), None);
    bench.client.close(bench.now);
    bench.client.permit(addr(PEER));
    bench.client.bind(addr(PEER));
    assert_eq!(bench.next_sent().map(|(at, _)| at), None);
}

/// RFC 8656 §8.3: 438 is tried again, 437 is as good as success.
#[test]
fn a_close_survives_a_stale_nonce_and_ends_with_any_answer() {
    let mut bench = Bench::allocated();
    bench.client.close(bench.now);
    let delete = one(bench.drain());
    bench.challenge(&delete, code::STALE_NONCE, "second", None);
    let again = one(bench.drain());
    assert_eq!(again.nonce().unwrap(), "second");
    bench.refuse(&again, code::ALLOCATION_MISMATCH);
    assert_eq!(bench.client.deadline(), None);
    assert_eq!(bench.take_events(), []);
}

#[test]
fn an_allocation_that_comes_after_the_close_is_given_back() {
    let mut bench = Bench::new();
    let first = bench.slot();
    bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
    let second = bench.slot();
    bench.client.close(bench.now);
    bench.wait(secs(1));
    assert!(bench.drain().is_empty(), "it is not asked for any more");
    bench.allocate(&second, 600);
    let delete = one(bench.drain());
    assert_eq!(delete.message().plain().attributes().lifetime(), Some(Duration::ZERO));
    bench.refresh(&delete, 0);
    assert_eq!((bench.client.deadline(), bench.take_events()), (None, vec![]));
}

/// RFC 8656 §5.
#[test]
fn a_437_means_that_the_allocation_is_lost() {
    let ask: [fn(&mut Bench) -> Request; 3] = [
        |bench| {
            bench.client.permit(addr("192.0.2.8:1"));
            bench.slot()
        },
        |bench| {
            bench.client.bind(addr(PEER));
            bench.step().unwrap();
            one(bench.drain())
        },
        |bench| loop {
            let (_, request) = bench.next_sent().unwrap();
            if request.method() == Method::REFRESH {
                return request;
            }
            bench.accept(&request);
        },
    ];
    for ask in ask {
        let mut bench = Bench::permitted();
        let request = ask(&mut bench);
        bench.refuse(&request, code::ALLOCATION_MISMATCH);
        assert_eq!(bench.take_events(), [Event::Lost]);
        assert_eq!(bench.client.framing(addr(PEER)), None);
        assert_eq!((bench.client.deadline(), bench.client.wants_slot()), (None, false));
    }
}
