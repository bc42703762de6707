//! Multicast DNS (RFC 6762) between machines on one link, in virtual time. What is written is read by the crate
//! simple-dns and the other way round, so that no two mistakes of ours agree.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "an Instant has no other constructor; only differences are used"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use floe::error::NameError;
use floe::io::{Datagram, SocketId};
use floe::mdns::{
    GROUP_V4, Input, Link, MAX_NAMES, MAX_QUESTIONS, MAX_WAITING, Mdns, Output, PORT, Reach, RequestId,
};
use proptest::prelude::*;
use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

const NAME: &str = "2b8e9a4e-0e1c-4a7b-9d0f-0a6f3f1c2d5e.local";
const LATENCY: Duration = Duration::from_millis(1);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A datagram on the link.
#[derive(Debug, Clone)]
struct Sent {
    at: Duration,
    source: SocketAddr,
    destination: SocketAddr,
    bytes: Vec<u8>,
}

impl Sent {
    fn parsed(&self) -> Packet<'_> {
        Packet::parse(&self.bytes).unwrap()
    }

    fn is_multicast(&self) -> bool {
        self.destination.ip().is_multicast()
    }
}

/// Machines at 192.0.2.1, 192.0.2.2, … on one link.
struct Net {
    epoch: Instant,
    now: Instant,
    machines: Vec<(Mdns, SocketAddr)>,
    wakes: Vec<Option<Instant>>,
    flying: Vec<(Instant, Sent)>,
    sent: Vec<Sent>,
    ends: Vec<(usize, Duration, RequestId, Option<IpAddr>)>,
}

impl Net {
    fn new(reaches: &[Reach]) -> Self {
        let epoch = Instant::now();
        let machine = |(at, reach): (usize, &Reach)| {
            let mut mdns = Mdns::new([at as u8; 32]);
            let port = if *reach == Reach::Full { PORT } else { 40_000 };
            let local = SocketAddr::new(Ipv4Addr::new(192, 0, 2, at as u8 + 1).into(), port);
            mdns.add_link(Link { socket: SocketId(0), local, prefix: 24, reach: *reach });
            (mdns, local)
        };
        let machines: Vec<_> = reaches.iter().enumerate().map(machine).collect();
        let wakes = vec![None; machines.len()];
        Self { epoch, now: epoch, machines, wakes, flying: Vec::new(), sent: Vec::new(), ends: Vec::new() }
    }

    fn with<T>(&mut self, at: usize, call: impl FnOnce(&mut Mdns, Instant) -> T) -> T {
        let result = call(&mut self.machines[at].0, self.now);
        self.drain(at);
        result
    }

    fn drain(&mut self, at: usize) {
        let mut buf = [0; 512];
        loop {
            let elapsed = self.now - self.epoch;
            match self.machines[at].0.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let (source, destination) = (self.machines[at].1, transmit.destination);
                    let sent = Sent { at: elapsed, source, destination, bytes: transmit.payload.to_vec() };
                    self.flying.push((self.now + LATENCY, sent.clone()));
                    self.sent.push(sent);
                }
                Output::Resolved { request, address } => self.ends.push((at, elapsed, request, address)),
                Output::Wait(wake) => {
                    self.wakes[at] = wake.map(|wake| wake.at);
                    return;
                }
                output => panic!("{output:?}"),
            }
        }
    }

    /// Lets a stranger on the link, or from afar, send to a machine.
    fn inject(&mut self, to: usize, source: SocketAddr, local: IpAddr, payload: &[u8]) {
        self.with(to, |mdns, now| {
            let datagram = Datagram { socket: SocketId(0), local, source, ecn: None, payload };
            mdns.handle_input(now, Input::Datagram(datagram));
        });
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let timer = self.wakes.iter().flatten().min().copied();
            let arrival = self.flying.iter().map(|(at, _)| *at).min();
            let Some(next) = timer.into_iter().chain(arrival).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let (now, due): (_, Vec<_>) =
                (self.now, self.flying.iter().filter(|(at, _)| *at <= next).cloned().collect());
            self.flying.retain(|(at, _)| *at > next);
            for (_, sent) in due {
                for at in 0..self.machines.len() {
                    let (_, own) = &self.machines[at];
                    let full = own.port() == PORT;
                    // A group is heard by its sender too.
                    if (sent.is_multicast() && full) || sent.destination == *own {
                        let local = if sent.is_multicast() { GROUP_V4.into() } else { own.ip() };
                        self.inject(at, sent.source, local, &sent.bytes);
                    }
                }
            }
            for at in 0..self.machines.len() {
                if self.wakes[at].is_some_and(|wake| wake <= now) {
                    self.with(at, |mdns, now| mdns.handle_input(now, Input::Timeout));
                }
            }
        }
        self.now = end;
    }

    fn from(&self, at: usize) -> Vec<&Sent> {
        self.sent.iter().filter(|sent| sent.source == self.machines[at].1).collect()
    }
}

const FULL: [Reach; 2] = [Reach::Full; 2];
const AFAR: &str = "198.51.100.7:5353";

fn question(name: &str, kind: QTYPE, unicast: bool) -> Question<'_> {
    Question::new(Name::new(name).unwrap(), kind, QCLASS::CLASS(CLASS::IN), unicast)
}

fn query(questions: &[Question<'_>]) -> Vec<u8> {
    let mut packet = Packet::new_query(0);
    packet.remove_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.extend(questions.iter().cloned());
    packet.build_bytes_vec_compressed().unwrap()
}

fn record(name: &str, ip: IpAddr, ttl: u32) -> ResourceRecord<'_> {
    let data = match ip {
        IpAddr::V4(ip) => RData::A(A::from(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA::from(ip)),
    };
    ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, ttl, data).with_cache_flush(true)
}

fn response(records: &[ResourceRecord<'_>]) -> Vec<u8> {
    let mut packet = Packet::new_reply(0);
    packet.answers.extend(records.iter().cloned());
    packet.build_bytes_vec_compressed().unwrap()
}

/// A machine with a published name, its announcements done.
fn publisher(address: IpAddr) -> Net {
    let mut net = Net::new(&FULL);
    net.with(0, |mdns, now| mdns.publish(now, NAME, address).unwrap());
    net.run(ms(10_000));
    net.sent.clear();
    net
}

fn on_link(port: u16) -> SocketAddr {
    SocketAddr::new(ip("192.0.2.99"), port)
}

#[test]
fn a_name_is_resolved_after_one_round_trip() {
    for address in ["192.0.2.1", "2001:db8::7", "10.1.2.3"].map(ip) {
        let mut net = publisher(address);
        let start = net.now - net.epoch;
        net.with(1, |mdns, now| mdns.resolve(now, RequestId(7), &NAME.to_uppercase()).unwrap());
        net.run(ms(5000));
        assert_eq!(net.ends, [(1, start + 2 * LATENCY, RequestId(7), Some(address))]);
        assert_eq!(net.from(1).len(), 1, "an answered question is not repeated");
        assert_eq!(net.machines[1].0.stats().resolved, 1);
    }
}

/// RFC 6762 §5.2: the second query a second after the first, then at least twice as long.
#[test]
fn a_name_that_nobody_answers_for_is_asked_for_three_times_and_given_up_after_four_seconds() {
    let mut net = Net::new(&FULL);
    net.with(1, |mdns, now| mdns.resolve(now, RequestId(1), NAME).unwrap());
    net.run(ms(60_000));
    assert_eq!(net.from(1).iter().map(|sent| sent.at).collect::<Vec<_>>(), [0, 1000, 3000].map(ms));
    assert_eq!(net.ends, [(1, ms(4000), RequestId(1), None)]);
    assert_eq!(net.machines[1].0.stats().unanswered, 1);
    assert_eq!(net.wakes[1], None);
}

#[test]
fn a_query_that_is_lost_is_repeated() {
    let mut net = publisher(ip("192.0.2.1"));
    net.with(1, |mdns, now| mdns.resolve(now, RequestId(1), NAME).unwrap());
    net.flying.clear();
    let start = net.now - net.epoch;
    net.run(ms(5000));
    assert_eq!(net.ends, [(1, start + ms(1000) + 2 * LATENCY, RequestId(1), Some(ip("192.0.2.1")))]);
}

/// RFC 6762 §18: id 0, no flags, A and AAAA in one message, to the group.
#[test]
fn a_query_is_what_others_read() {
    let mut net = Net::new(&FULL);
    net.with(1, |mdns, now| mdns.resolve(now, RequestId(1), NAME).unwrap());
    let sent = &net.sent[0];
    assert_eq!(sent.destination, SocketAddr::new(GROUP_V4.into(), PORT));
    let packet = sent.parsed();
    assert_eq!((packet.id(), packet.has_flags(PacketFlag::RESPONSE)), (0, false));
    let asked: Vec<_> =
        packet.questions.iter().map(|q| (q.qname.to_string(), q.qtype, q.unicast_response)).collect();
    let name = NAME.to_owned();
    assert_eq!(asked, [(name.clone(), TYPE::A.into(), false), (name, TYPE::AAAA.into(), false)]);
}

/// RFC 6762 §8.3, §10, §10.2: unsolicited, twice, a second apart; TTL 120, cache-flush.
#[test]
fn a_published_name_is_announced_twice() {
    for address in ["192.0.2.1", "2001:db8::7"].map(ip) {
        let mut net = Net::new(&FULL);
        net.with(0, |mdns, now| mdns.publish(now, NAME, address).unwrap());
        net.run(ms(60_000));
        assert_eq!(net.sent.iter().map(|sent| sent.at).collect::<Vec<_>>(), [0, 1000].map(ms));
        for sent in &net.sent {
            let packet = sent.parsed();
            assert!(packet.has_flags(PacketFlag::RESPONSE | PacketFlag::AUTHORITATIVE_ANSWER));
            assert!(packet.questions.is_empty());
            assert_eq!(packet.answers, [record(NAME, address, 120)]);
            assert!(packet.answers[0].cache_flush);
        }
    }
}

/// RFC 6762 §10.1.
#[test]
fn a_withdrawn_name_says_goodbye_and_is_not_answered_for() {
    let mut net = publisher(ip("192.0.2.1"));
    net.with(0, |mdns, _| mdns.withdraw(NAME));
    assert_eq!(net.sent.len(), 1);
    assert_eq!(net.sent[0].parsed().answers, [record(NAME, ip("192.0.2.1"), 0)]);
    net.with(1, |mdns, now| mdns.resolve(now, RequestId(1), NAME).unwrap());
    net.run(ms(5000));
    assert_eq!(net.ends[0].3, None);
    assert_eq!(net.from(0).len(), 1);
}

/// RFC 6762 §10.1: what says goodbye is no answer.
#[test]
fn a_goodbye_resolves_nothing() {
    let mut net = Net::new(&FULL);
    net.with(1, |mdns, now| mdns.resolve(now, RequestId(1), NAME).unwrap());
    net.inject(1, on_link(PORT), GROUP_V4.into(), &response(&[record(NAME, ip("192.0.2.1"), 0)]));
    assert!(net.ends.is_empty());
}

/// RFC 6762 §6.1: that there is no other record is said, so that who asks for both waits for none.
#[test]
fn the_other_type_is_denied() {
    for (address, other) in [("192.0.2.1", TYPE::AAAA), ("2001:db8::7", TYPE::A)] {
        let mut net = publisher(ip(address));
        net.inject(0, on_link(PORT), GROUP_V4.into(), &query(&[question(NAME, other.into(), false)]));
        assert_eq!(net.sent.len(), 1);
        let packet = net.sent[0].parsed();
        let RData::NSEC(nsec) = &packet.answers[0].rdata else { panic!("{packet:?}") };
        assert_eq!(nsec.next_name.to_string(), NAME);
        let expected: &[u8] = if other == TYPE::AAAA { &[0x40] } else { &[0, 0, 0, 8] };
        assert_eq!(nsec.type_bit_maps.len(), 1);
        assert_eq!((nsec.type_bit_maps[0].window_block, &*nsec.type_bit_maps[0].bitmap), (0, expected));
    }
}

#[test]
fn a_question_for_any_type_is_answered_with_the_address() {
    let mut net = publisher(ip("192.0.2.1"));
    net.inject(0, on_link(PORT), GROUP_V4.into(), &query(&[question(NAME, QTYPE::ANY, false)]));
    assert_eq!(net.sent[0].parsed().answers, [record(NAME, ip("192.0.2.1"), 120)]);
}

/// RFC 6762 §5.4.
#[test]
fn who_asks_for_a_unicast_answer_gets_one() {
    let mut net = publisher(ip("192.0.2.1"));
    net.inject(0, on_link(PORT), GROUP_V4.into(), &query(&[question(NAME, TYPE::A.into(), true)]));
    assert_eq!(net.sent[0].destination, on_link(PORT));
}

/// RFC 6762 §6.7: the id and the question again, no cache-flush bit, 10 seconds at most.
#[test]
fn a_resolver_of_old_is_answered_by_unicast() {
    let mut net = publisher(ip("192.0.2.1"));
    let mut packet = Packet::new_query(0x1234);
    packet.questions.push(question(NAME, TYPE::A.into(), false));
    net.inject(0, on_link(40_001), GROUP_V4.into(), &packet.build_bytes_vec().unwrap());
    let sent = &net.sent[0];
    let answer = sent.parsed();
    assert_eq!((sent.destination, answer.id()), (on_link(40_001), 0x1234));
    assert_eq!(answer.questions[0].qname.to_string(), NAME);
    assert_eq!((answer.answers[0].cache_flush, answer.answers[0].ttl), (false, 10));
}

/// RFC 6762 §5.1: without port 5353 a machine still asks.
#[test]
fn a_machine_without_the_port_resolves_and_publishes_nothing() {
    let mut net = Net::new(&[Reach::Full, Reach::AskOnly]);
    net.with(0, |mdns, now| mdns.publish(now, NAME, ip("192.0.2.1")).unwrap());
    net.with(1, |mdns, now| mdns.publish(now, "b.local", ip("192.0.2.2")).unwrap());
    net.run(ms(10_000));
    assert!(net.from(1).is_empty());
    net.with(1, |mdns, now| mdns.resolve(now, RequestId(1), NAME).unwrap());
    net.run(ms(5000));
    assert_eq!(net.ends[0].3, Some(ip("192.0.2.1")));
    assert_ne!(net.from(1)[0].parsed().id(), 0);
}

/// RFC 6762 §7.1: known for another half of its TTL.
#[test]
fn who_knows_the_answer_gets_none() {
    for (address, ttl, answers) in
        [("192.0.2.1", 60, 0), ("192.0.2.1", 120, 0), ("192.0.2.1", 59, 1), ("192.0.2.9", 120, 1)]
    {
        let mut net = publisher(ip("192.0.2.1"));
        let mut packet = Packet::new_query(0);
        packet.questions.push(question(NAME, TYPE::A.into(), false));
        packet.answers.push(record(NAME, ip(address), ttl));
        net.inject(0, on_link(PORT), GROUP_V4.into(), &packet.build_bytes_vec_compressed().unwrap());
        assert_eq!(net.sent.len(), answers, "{address} {ttl}");
    }
}

/// RFC 6762 §6: not again within a second.
#[test]
fn a_record_is_multicast_once_a_second_at_most() {
    let mut net = publisher(ip("192.0.2.1"));
    for _ in 0..100 {
        net.inject(0, on_link(PORT), GROUP_V4.into(), &query(&[question(NAME, TYPE::A.into(), false)]));
        net.run(ms(30));
    }
    assert!((3..=4).contains(&net.sent.len()), "{}", net.sent.len());
}

/// RFC 6762 §6, §6.7: the limit is one of multicast. Whoever asks just after the announcement asks from another port too.
#[test]
fn a_resolver_of_old_is_not_held_back_by_an_announcement() {
    let mut net = Net::new(&FULL);
    net.with(0, |mdns, now| mdns.publish(now, NAME, ip("192.0.2.1")).unwrap());
    net.sent.clear();
    let asked = query(&[question(NAME, TYPE::A.into(), false)]);
    net.inject(0, on_link(PORT), GROUP_V4.into(), &asked);
    assert!(net.sent.is_empty());
    net.inject(0, on_link(40_001), GROUP_V4.into(), &asked);
    assert_eq!(net.sent[0].destination, on_link(40_001));
}

/// RFC 6762 §11: neither questions nor answers from other networks, unless they came by the group, and no answers from
/// other ports (§6).
#[test]
fn what_is_not_from_the_link_is_dropped() {
    let own = ip("192.0.2.1");
    let mut net = publisher(own);
    net.inject(0, AFAR.parse().unwrap(), own, &query(&[question(NAME, TYPE::A.into(), true)]));
    assert!(net.sent.is_empty());
    assert_eq!(net.machines[0].0.stats().dropped, 1);

    let other = "b.local";
    let answer = response(&[record(other, ip("192.0.2.5"), 120)]);
    net.with(0, |mdns, now| mdns.resolve(now, RequestId(1), other).unwrap());
    net.inject(0, AFAR.parse().unwrap(), own, &answer);
    net.inject(0, on_link(5354), GROUP_V4.into(), &answer);
    assert_eq!((net.ends.len(), net.machines[0].0.stats().dropped), (0, 3));
    net.inject(0, on_link(PORT), own, &answer);
    assert_eq!(net.ends[0].3, Some(ip("192.0.2.5")));
}

#[test]
fn an_answer_that_is_no_address_of_a_host_is_ignored() {
    let mut net = Net::new(&FULL);
    net.with(0, |mdns, now| mdns.resolve(now, RequestId(1), NAME).unwrap());
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "::ffff:192.0.2.1"] {
        net.inject(0, on_link(PORT), GROUP_V4.into(), &response(&[record(NAME, ip(address), 120)]));
    }
    assert!(net.ends.is_empty());
    // The next one of the same message counts.
    let records = [record("c.local", ip("192.0.2.3"), 120), record(NAME, ip("192.0.2.4"), 120)];
    net.inject(0, on_link(PORT), GROUP_V4.into(), &response(&records));
    assert_eq!(net.ends[0].3, Some(ip("192.0.2.4")));
}

#[test]
fn one_question_serves_all_who_ask_and_an_own_name_needs_none() {
    let mut net = publisher(ip("192.0.2.1"));
    for request in 0..3 {
        net.with(1, |mdns, now| mdns.resolve(now, RequestId(request), NAME).unwrap());
    }
    net.run(ms(1000));
    assert_eq!((net.from(1).len(), net.ends.len()), (1, 3));
    net.ends.clear();
    net.sent.clear();
    net.with(0, |mdns, now| mdns.resolve(now, RequestId(9), NAME).unwrap());
    assert_eq!((net.sent.len(), net.ends[0].3), (0, Some(ip("192.0.2.1"))));
}

#[test]
fn only_one_label_and_local_is_a_name() {
    let mut net = Net::new(&FULL);
    for name in ["example.org", "a.b.local", "local", "", "a b.local"] {
        let asked = net.with(0, |mdns, now| mdns.resolve(now, RequestId(1), name));
        let published = net.with(0, |mdns, now| mdns.publish(now, name, ip("192.0.2.1")));
        assert_eq!([asked, published], [Err(NameError::NotLocal), Err(NameError::NotLocal)], "{name}");
    }
    assert!(net.sent.is_empty());
}

#[test]
fn tables_are_bounded() {
    let mut mdns = Mdns::new([1; 32]);
    let now = Instant::now();
    for n in 0..MAX_NAMES {
        mdns.publish(now, &format!("n{n}.local"), ip("192.0.2.1")).unwrap();
    }
    assert_eq!(mdns.publish(now, "more.local", ip("192.0.2.1")), Err(NameError::TooMany(MAX_NAMES)));
    mdns.publish(now, "n0.local", ip("192.0.2.2")).unwrap();
    for n in 0..MAX_QUESTIONS {
        mdns.resolve(now, RequestId(0), &format!("q{n}.local")).unwrap();
    }
    assert_eq!(mdns.resolve(now, RequestId(0), "more.local"), Err(NameError::TooMany(MAX_QUESTIONS)));
    for n in 1..MAX_WAITING {
        mdns.resolve(now, RequestId(n as u64), "q0.local").unwrap();
    }
    assert_eq!(mdns.resolve(now, RequestId(0), "q0.local"), Err(NameError::TooMany(MAX_WAITING)));
}

/// A name whose pointers go round is no name.
#[test]
fn a_loop_of_pointers_ends() {
    let mut net = publisher(ip("192.0.2.1"));
    let mut bytes = query(&[question(NAME, TYPE::A.into(), true)]);
    bytes.truncate(12);
    for name in [&[0xC0, 12][..], &[0xC0, 14, 0xC0, 12], &[1, b'a', 0xC0, 12], &[0xC0, 200]] {
        let datagram = [&bytes, name, &[0, 1, 0, 1]].concat();
        net.inject(0, on_link(PORT), GROUP_V4.into(), &datagram);
    }
    assert!(net.sent.is_empty());
}

/// Nearly right messages: pieces of right ones, and bytes that are changed.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let right = prop::sample::select(vec![
        query(&[question(NAME, TYPE::A.into(), false), question(NAME, TYPE::AAAA.into(), true)]),
        response(&[record(NAME, ip("192.0.2.5"), 120), record("b.local", ip("2001:db8::5"), 1)]),
    ]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let nearly = (right, changes, any::<prop::sample::Index>()).prop_map(|(mut bytes, changes, end)| {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        bytes
    });
    prop_oneof![nearly, prop::collection::vec(any::<u8>(), 0..600)]
}

proptest! {
    /// Whatever arrives: no panic, no more out than the queue holds, and all that comes out can be read.
    #[test]
    fn hostile_datagrams_do_no_harm(datagrams in prop::collection::vec((datagram(), any::<u16>()), 1..40)) {
        let mut net = publisher(ip("192.0.2.1"));
        net.with(0, |mdns, now| mdns.resolve(now, RequestId(1), "b.local").unwrap());
        net.sent.clear();
        for (bytes, port) in &datagrams {
            net.inject(0, on_link((*port).max(1)), GROUP_V4.into(), bytes);
        }
        prop_assert!(net.sent.len() <= 2 * datagrams.len(), "two answers a query at most");
        for sent in &net.sent {
            // An echoed question may be of a type that simple-dns does not know.
            let echoes = sent.bytes[5] == 1;
            prop_assert!(echoes || Packet::parse(&sent.bytes).is_ok());
        }
        net.run(ms(10_000));
        prop_assert_eq!(net.ends.len(), 1);
    }

    /// What simple-dns reads as an answer for the name, this machine reads too.
    #[test]
    fn answers_are_read_as_others_read_them(bytes in datagram()) {
        let mut net = Net::new(&FULL);
        net.with(0, |mdns, now| mdns.resolve(now, RequestId(1), "b.local").unwrap());
        net.inject(0, on_link(PORT), GROUP_V4.into(), &bytes);
        if let (Some(end), Ok(packet)) = (net.ends.first(), Packet::parse(&bytes)) {
            let records = packet.answers.iter().chain(&packet.additional_records);
            let addresses: Vec<_> = records.filter_map(|record| match &record.rdata {
                RData::A(a) => Some(Ipv4Addr::from(a.address).into()),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.address.into())),
                _ => None,
            }).collect();
            prop_assert!(end.3.is_some_and(|ip| addresses.contains(&ip)), "{:?} {addresses:?}", end.3);
        }
    }
}
