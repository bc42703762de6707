//! PCP (RFC 6887), as a client.

use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use floe::io::Transport;
use floe::portmap::{Config, Event, Input, Mapper, Output, Problem, Protocol, Wish};

use crate::bench::{Bench, GATEWAY, HOST, be16, be32, outside, pcp_answer, pcp_gateway};

const PCP: &[Protocol] = &[Protocol::Pcp];

/// The datagrams that were sent.
fn bytes(bench: &mut Bench) -> Vec<Vec<u8>> {
    bench.take_sent().into_iter().map(|(_, bytes)| bytes).collect()
}

/// RFC 6887 §7.1, §11.1
#[test]
fn a_map_request_has_the_bytes_of_rfc_6887_section_11_1() {
    let mut bench = Bench::new(PCP);
    bench.wish(Wish::new(Transport::Tcp, 0x1388));
    let request = bytes(&mut bench).remove(0);
    assert_eq!(request.len(), 60);
    assert_eq!(request[..8], [2, 1, 0, 0, 0, 0, 0x1C, 0x20]);
    assert_eq!(request[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 168, 1, 7]);
    // Protocol, three reserved bytes, internal port, no suggestion: port 0 and the any address of IPv4.
    assert_eq!(request[36..44], [6, 0, 0, 0, 0x13, 0x88, 0, 0]);
    assert_eq!(request[44..60], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0]);

    let mut bench = Bench::new(PCP);
    bench.wish(Wish::new(Transport::Udp, 5000).external(4000));
    let request = bytes(&mut bench).remove(0);
    assert_eq!((request[36], be16(&request[42..44])), (17, 4000));
}

/// RFC 6887 §5, §4
#[test]
fn over_ipv6_the_any_address_is_that_of_ipv6_and_a_pinhole_is_a_mapping() {
    let host: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let config = Config::new(host.into(), "fe80::1".parse().unwrap(), [1; 32]).scope_id(3);
    let now = Bench::new(PCP).now;
    let mut mapper = Mapper::new(config);
    mapper.map(now, Wish::new(Transport::Udp, 5000)).unwrap();
    let mut buf = [0; 1500];
    let Output::Transmit { destination, payload, .. } = mapper.poll_output(&mut buf) else {
        panic!("a request")
    };
    let SocketAddr::V6(server) = destination else { panic!("{destination}") };
    assert_eq!((server.port(), server.scope_id()), (5351, 3));
    assert_eq!((&payload[8..24], &payload[44..60]), (&host.octets()[..], &[0; 16][..]));
    let answer = pcp_answer(payload, 0, 3600, 5, SocketAddr::new(host.into(), 5000));
    let channel = floe::portmap::Channel::Control;
    mapper.handle_input(now, Input::Datagram { channel, source: destination, payload: &answer });
    let mut buf = [0; 1500];
    let Output::Event(Event::Mapped { mapping, .. }) = mapper.poll_output(&mut buf) else {
        panic!("a mapping")
    };
    assert_eq!((mapping.external, mapping.is_public()), (mapping.internal, true));
}

/// RFC 6887 §5
#[test]
fn an_address_is_ipv4_mapped_only_if_all_96_bits_say_so() {
    let mut bench = Bench::new(PCP);
    bench.map(5000);
    let request = bytes(&mut bench).remove(0);
    let mut answer = pcp_answer(&request, 0, 3600, 5, outside(5000));
    answer[53] = 1;
    bench.answer(&answer);
    // IPv4-compatible, which is another thing.
    answer[53..56].fill(0);
    bench.answer(&answer);
    let mapped = bench.mapped();
    assert!(mapped.iter().all(|it| matches!(it.external.ip(), IpAddr::V6(_))), "{mapped:?}");
    bench.answer(&pcp_answer(&request, 0, 3600, 5, outside(5000)));
    assert_eq!((mapped.len(), bench.mapped()[2].external), (2, outside(5000)));
}

/// RFC 6887 §7, §8.3
#[test]
fn what_rfc_6887_section_8_3_drops_changes_nothing() {
    let mut bench = Bench::new(PCP);
    bench.map(5000);
    let request = bytes(&mut bench).remove(0);
    let good = pcp_answer(&request, 0, 3600, 5, outside(5000));
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut answer = good.clone();
        change(&mut answer);
        answer
    };
    let bad = [
        ("no R bit", with(&|it| it[1] &= 0x7F)),
        ("3 bytes", good[..3].to_vec()),
        ("23 bytes", good[..23].to_vec()),
        ("a header alone", good[..24].to_vec()),
        ("58 bytes", good[..58].to_vec()),
        ("1104 bytes", with(&|it| it.resize(1104, 0))),
        ("not a multiple of 4", with(&|it| it.push(0))),
        ("another opcode", with(&|it| it[1] = 0x82)),
        ("another version", with(&|it| it[0] = 3)),
        ("an unknown protocol", with(&|it| it[36] = 132)),
    ];
    for (what, answer) in &bad {
        bench.answer(answer);
        assert!(bench.events.is_empty(), "{what}: {:?}", bench.events);
    }
    for source in ["192.168.1.2:5351", "192.168.1.1:5352", "[::1]:5351"] {
        bench.answer_from(source.parse().unwrap(), &good);
        assert!(bench.events.is_empty(), "{source}");
    }
    bench.answer(&good);
    assert_eq!(bench.mapped().len(), 1);
}

/// RFC 6887 §7.2, §7.3
#[test]
fn reserved_fields_and_options_of_an_answer_are_ignored() {
    let mut bench = Bench::new(PCP);
    bench.map(5000);
    let request = bytes(&mut bench).remove(0);
    let mut answer = pcp_answer(&request, 0, 3600, 5, outside(5000));
    answer[2] = 0xAA;
    answer[12..24].fill(0xBB);
    answer[37..40].fill(0xCC);
    // An unknown one of the mandatory range and one of the other, padded; a FILTER twice.
    answer.extend([100, 0xDD, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 200, 0, 0, 0]);
    for _ in 0..2 {
        answer.extend([3, 0, 0, 20]);
        answer.extend([0; 20]);
    }
    bench.answer(&answer);
    assert_eq!(bench.mapped()[0].external, outside(5000));
    // The longest there may be.
    answer.resize(1100, 0);
    bench.answer(&answer);
    assert!(matches!(bench.events.last(), Some(Event::Renewed { .. })));
}

/// RFC 6887 §7.3: also of the mandatory range
#[test]
fn an_unknown_mandatory_option_does_not_spoil_a_success() {
    let mut bench = Bench::new(PCP);
    bench.map(5000);
    let request = bytes(&mut bench).remove(0);
    let mut answer = pcp_answer(&request, 0, 3600, 5, outside(5000));
    answer.extend([100, 0, 0, 0]);
    bench.answer(&answer);
    assert_eq!(bench.mapped().len(), 1);
}

/// RFC 6887 §7.4
#[test]
fn each_result_code_but_0_is_an_error_with_its_name() {
    let texts: Vec<String> = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 200]
        .map(|code| {
            let mut bench =
                Bench::new(PCP).answering(move |_, it| vec![pcp_answer(it, code, 30, 5, outside(1))]);
            bench.map(5000);
            assert!(bench.mapped().is_empty());
            bench.problems()[0].to_string()
        })
        .to_vec();
    assert_eq!(texts.iter().collect::<std::collections::BTreeSet<_>>().len(), texts.len(), "{texts:?}");
    assert!(texts[0].contains("not authorized") && texts[11].contains("unknown"), "{texts:?}");
}

/// RFC 6887 §8.3, §11.4
#[test]
fn an_error_silences_the_request_for_its_lifetime() {
    let mut bench = Bench::new(PCP).answering(|_, it| vec![pcp_answer(it, 2, 1800, 5, outside(1))]);
    let id = bench.map(5000);
    bench.run_secs(1799);
    assert_eq!(bench.take_times(), [0]);
    assert!(bench.has(&Event::Unavailable { id }));
    bench.run_secs(2);
    assert_eq!(bench.take_times(), [1_800_000]);
}

/// RFC 6887 §7.4
#[test]
fn the_lifetime_of_an_error_is_obeyed_as_it_is() {
    let mut bench = Bench::new(PCP).answering(|_, it| vec![pcp_answer(it, 8, 17, 5, outside(1))]);
    bench.map(5000);
    bench.run_secs(20);
    assert_eq!(bench.take_times(), [0, 17_000]);
}

/// RFC 6887 §8.3: a new server is none that has refused
#[test]
fn rediscovery_ends_the_silence_after_an_error() {
    let mut bench = Bench::new(PCP).answering(|_, it| vec![pcp_answer(it, 2, 1800, 5, outside(1))]);
    bench.map(5000);
    bench.run_secs(10);
    bench.mapper.rediscover(bench.now);
    bench.drain();
    assert_eq!(bench.take_times(), [0, 10_000]);
}

/// RFC 6887 §8.3
#[test]
fn an_address_mismatch_is_a_nat_in_between() {
    let mut bench = Bench::new(PCP).answering(|_, it| vec![pcp_answer(it, 12, 1800, 5, outside(1))]);
    bench.map(5000);
    bench.run_secs(1000);
    assert_eq!((bench.problems(), bench.sent.len()), (vec![Problem::NatBetween], 1));
}

/// RFC 6887 §8.1.1
#[test]
fn retransmissions_follow_the_schedule_of_rfc_6887_section_8_1_1() {
    for seed in 0..200 {
        let mut bench = Bench::seeded(PCP, seed);
        bench.map(5000);
        bench.run_secs(40_000);
        let times = bench.take_times();
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((2700..=3300).contains(&gaps[0]), "{gaps:?}");
        for pair in gaps.windows(2) {
            let twice = (2 * pair[0]).min(1_024_000);
            assert!((twice * 9 / 10 - 2..=twice * 11 / 10 + 2).contains(&pair[1]), "{gaps:?}");
        }
        assert!(gaps.len() > 30, "MRC and MRD are 0: it never ends");
    }
}

/// RFC 6887 §8.1.1
#[test]
fn two_clients_have_different_random_sequences() {
    let gaps = |seed| {
        let mut bench = Bench::seeded(PCP, seed);
        bench.map(5000);
        bench.run_secs(100);
        bench.take_times()
    };
    assert_ne!(gaps(1), gaps(2));
    assert_eq!(gaps(1), gaps(1));
}

/// RFC 6887 §8.1.1
#[test]
fn retransmissions_and_renewals_and_the_deletion_have_one_nonce() {
    let silent = Rc::new(Cell::new(true));
    let (is_silent, mut gateway) = (silent.clone(), pcp_gateway(3600));
    let mut bench =
        Bench::new(PCP).answering(
            move |seconds, request| {
                if is_silent.get() { Vec::new() } else { gateway(seconds, request) }
            },
        );
    let id = bench.map(5000);
    bench.run_secs(10);
    silent.set(false);
    bench.run_secs(10_000);
    bench.unmap(id);
    let requests = bytes(&mut bench);
    assert!(requests.len() >= 6, "{}", requests.len());
    assert!(requests.iter().all(|it| it[24..36] == requests[0][24..36]));
    assert_eq!(be32(&requests.last().unwrap()[4..8]), 0, "the last one deletes");
}

/// RFC 6887 §11.2
#[test]
fn nonces_are_random_and_of_one_mapping_at_one_server() {
    let nonce = |seed, port: u16| {
        let mut bench = Bench::seeded(PCP, seed).answering(pcp_gateway(3600));
        bench.map(1);
        bench.map(port);
        bytes(&mut bench).remove(1)[24..36].to_vec()
    };
    let nonces = [nonce(1, 5000), nonce(2, 5000), nonce(3, 5000)];
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2] && nonces[0] != nonces[2]);
    let mut bench = Bench::new(PCP).answering(pcp_gateway(3600));
    bench.map(1);
    bench.map(2);
    let requests = bytes(&mut bench);
    assert_ne!(requests[0][24..36], requests[1][24..36]);
}

/// RFC 6887 §11.4, §8.3
#[test]
fn an_answer_with_another_nonce_protocol_or_port_is_none() {
    let mut bench = Bench::new(PCP);
    bench.map(5000);
    let request = bytes(&mut bench).remove(0);
    let good = pcp_answer(&request, 0, 3600, 5, outside(5000));
    for at in [24, 35, 41] {
        let mut answer = good.clone();
        answer[at] ^= 1;
        bench.answer(&answer);
    }
    let mut tcp = good.clone();
    tcp[36] = 6;
    bench.answer(&tcp);
    assert!(bench.events.is_empty(), "{:?}", bench.events);
    // What differs otherwise is the server's to say.
    bench.answer(&pcp_answer(&request, 0, 77, 5, outside(60_001)));
    assert_eq!(
        (bench.mapped()[0].external, bench.mapped()[0].lifetime.unwrap().as_secs()),
        (outside(60_001), 77)
    );
}

/// RFC 6887 §8.3
#[test]
fn an_answer_to_a_request_that_was_never_sent_is_ignored() {
    let mut bench = Bench::new(PCP);
    bench.answer(&[2, 0x81, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let id = bench.map(5000);
    let request = bytes(&mut bench).remove(0);
    bench.unmap(id);
    bench.answer(&pcp_answer(&request, 0, 3600, 5, outside(5000)));
    assert_eq!(bench.events, [Event::Unmapped { id }]);
}

/// RFC 6887 §8, §8.3
#[test]
fn of_several_answers_the_last_one_counts() {
    let mut bench = Bench::new(PCP);
    bench.map(5000);
    let request = bytes(&mut bench).remove(0);
    bench.answer(&pcp_answer(&request, 0, 3600, 5, outside(5000)));
    bench.answer(&pcp_answer(&request, 0, 600, 5, outside(5001)));
    assert_eq!(bench.mapped()[1].external, outside(5001));
    bench.answer(&pcp_answer(&request, 2, 500, 5, outside(9)));
    assert_eq!(bench.problems().len(), 1);
    // The mapping stands, but it is not asked for before the error is over.
    bench.run_secs(499);
    assert!(bench.sent.is_empty());
    bench.run_secs(2);
    assert_eq!(bench.take_times(), [500_000]);
}

/// RFC 6887 §11.2
#[test]
fn the_granted_address_and_port_count_and_not_the_suggested_ones() {
    let mut bench = Bench::new(PCP).answering(|_, it| vec![pcp_answer(it, 0, 3600, 5, outside(60_001))]);
    bench.wish(Wish::new(Transport::Udp, 5000).external(4000));
    assert_eq!(bench.mapped()[0].external, outside(60_001));
}

/// RFC 6887 §9
#[test]
fn a_server_of_a_later_version_is_asked_again_after_30_minutes_or_earlier() {
    for (lifetime, pause) in [(100_u32, 100_000), (1_000_000, 1_800_000)] {
        let mut bench = Bench::new(PCP)
            .answering(move |_, _| vec![[&[3, 0x81, 0, 1][..], &lifetime.to_be_bytes(), &[0; 16]].concat()]);
        bench.map(5000);
        bench.run_secs(1900);
        let times = bench.take_times();
        assert_eq!(times[..2], [0, pause]);
        assert_eq!(bench.problems(), [Problem::Version(3)], "told once");
    }
}

/// RFC 6887 §11.4
#[test]
fn no_resources_stops_new_mappings_but_no_renewals() {
    let (full, mut gateway) = (Rc::new(Cell::new(false)), pcp_gateway(120));
    let is_full = full.clone();
    let mut bench = Bench::new(PCP).answering(move |seconds, it| {
        let is_new = be16(&it[42..44]) == 0;
        if is_full.get() && is_new {
            vec![pcp_answer(it, 8, 300, 1000 + seconds, outside(1))]
        } else {
            gateway(seconds, it)
        }
    });
    bench.map(5000);
    full.set(true);
    bench.map(5001);
    bench.take_sent();
    bench.map(5002);
    bench.run_secs(299);
    let sent = bytes(&mut bench);
    assert!(sent.len() >= 3 && sent.iter().all(|it| be16(&it[40..42]) == 5000), "{}", sent.len());
    bench.run_secs(2);
    assert!(bytes(&mut bench).iter().any(|it| be16(&it[40..42]) == 5002));
}

/// RFC 6887 §11.4
#[test]
fn no_resources_for_a_deletion_stops_everything() {
    let mut gateway = pcp_gateway(3600);
    let mut bench = Bench::new(PCP).answering(move |seconds, it| match be32(&it[4..8]) {
        0 => vec![pcp_answer(it, 8, 30, 1000 + seconds, outside(1))],
        _ => gateway(seconds, it),
    });
    let id = bench.map(5000);
    bench.unmap(id);
    bench.take_sent();
    bench.map(5001);
    bench.run_secs(29);
    assert!(bench.sent.is_empty());
    bench.run_secs(2);
    assert_eq!(bench.take_times(), [30_000]);
}

/// RFC 6887 §15.1
#[test]
fn a_deletion_suggests_nothing_and_any_answer_ends_it() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(3600));
    let id = bench.wish(Wish::new(Transport::Udp, 5000).external(4000));
    bench.answers = Box::new(|_, it| vec![pcp_answer(it, 0, 90, 1000, outside(4000))]);
    bench.take_sent();
    bench.unmap(id);
    let requests = bytes(&mut bench);
    assert_eq!((be32(&requests[0][4..8]), be16(&requests[0][42..44])), (0, 0));
    assert_eq!(requests[0][44..60], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0]);
    assert!(bench.has(&Event::Unmapped { id }));
    bench.run_secs(4000);
    assert!(bench.sent.is_empty(), "no retries and no renewals");
}

/// RFC 6887 §13
#[test]
fn no_request_has_an_option() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(600));
    let id = bench.wish(Wish::new(Transport::Udp, 5000).external(4000));
    bench.wish(Wish::new(Transport::Tcp, 5000));
    bench.run_secs(3000);
    bench.unmap(id);
    bench.close();
    let requests = bytes(&mut bench);
    assert!(requests.len() > 8);
    // MAP without options; protocol 0, and others than TCP and UDP, are never mapped.
    assert!(requests.iter().all(|it| it.len() == 60 && it[1] == 1 && [6, 17].contains(&it[36])));
    assert!(requests.iter().all(|it| be16(&it[40..42]) == 5000));
}

/// RFC 6887 §8.1: where the caller names a server, and where there is none of its family
#[test]
fn a_mapping_is_asked_of_the_server_of_its_family_only() {
    let config = Config::new("2001:db8::7".parse().unwrap(), GATEWAY, [1; 32]);
    let mut bench = Bench::with(config);
    bench.map(5000);
    bench.run_secs(100);
    assert!(bench.sent.is_empty() && bench.searches.is_empty());
    // A public IPv4 address has no NAT to ask, but may have a firewall (RFC 6886 §3, RFC 6887 §4).
    let mut bench = Bench::with(Config::new("198.51.100.7".parse().unwrap(), GATEWAY, [1; 32]));
    bench.map(5000);
    bench.run_secs(100);
    assert!(!bench.sent.is_empty() && bench.searches.is_empty());
    assert!(bench.sent.iter().all(|(_, it)| it[0] == 2));
    assert_eq!(HOST.is_ipv4(), GATEWAY.is_ipv4());
}

/// RFC 6887 §10.2: the mapping and what a STUN server sees are one if the mapping came first; two ports of one host are
/// asked for one after the other.
#[test]
fn many_mappings_have_one_request_open_at_a_time() {
    let mut bench = Bench::new(PCP);
    for port in 1..=10 {
        bench.map(port);
    }
    assert_eq!(bench.sent.len(), 1);
    let mut seen = Vec::new();
    for _ in 0..10 {
        let request = bytes(&mut bench).remove(0);
        seen.push(be16(&request[40..42]));
        bench.answer(&pcp_answer(&request, 0, 3600, 5, outside(1)));
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
}

/// RFC 6887 §7
#[test]
fn the_limits_of_an_answer_are_those_of_rfc_6887_section_7() {
    for (len, is_taken) in [(56, false), (60, true), (1096, true), (1100, true), (1104, false), (1101, false)]
    {
        let mut bench = Bench::new(PCP);
        bench.map(5000);
        let request = bytes(&mut bench).remove(0);
        assert_eq!(request.len(), 60);
        let mut answer = pcp_answer(&request, 0, 3600, 5, outside(5000));
        answer.resize(len, 0);
        bench.answer(&answer);
        assert_eq!(bench.mapped().len(), usize::from(is_taken), "{len} bytes");
    }
}

/// RFC 6887 §11.4
#[test]
fn an_error_is_not_asked_again_before_its_lifetime_is_over() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(1000));
    bench.map(5000);
    bench.take_sent();
    bench.answers = Box::new(|seconds, it| vec![pcp_answer(it, 2, 300, 1000 + seconds, outside(1))]);
    bench.run_secs(999);
    // The renewal between 500 s and 625 s is refused, and the next one is 300 s later, not at 3/4 of the lifetime.
    let times = bench.take_times();
    assert!((500_000..=625_000).contains(&times[0]), "{times:?}");
    assert_eq!(times[1], times[0] + 300_000);
}

/// RFC 6887 §13.2, §13.3: where PREFER_FAILURE and FILTER are not sent, a grant other than the suggested one is one
#[test]
fn map_is_all_that_is_sent_and_another_grant_than_the_suggested_one_is_taken() {
    let mut bench = Bench::new(PCP).answering(|_, it| vec![pcp_answer(it, 0, 600, 5, outside(60_001))]);
    let id = bench.wish(Wish::new(Transport::Tcp, 5000).external(4000));
    bench.unmap(id);
    let requests = bytes(&mut bench);
    assert!(requests.len() == 2 && requests.iter().all(|it| it.len() == 60 && it[1] == 1));
    assert_eq!(bench.mapped()[0].external, outside(60_001));
}

/// A request that is open may have been carried out already: it is taken back, without waiting for an answer.
#[test]
fn a_mapping_that_is_given_up_before_its_answer_is_deleted_all_the_same() {
    let mut bench = Bench::new(PCP);
    let id = bench.map(5000);
    let request = bytes(&mut bench).remove(0);
    bench.close();
    let farewell = bytes(&mut bench).remove(0);
    assert_eq!((be32(&farewell[4..8]), &farewell[24..42]), (0, &request[24..42]));
    assert!(bench.has(&Event::Unmapped { id }) && bench.mapper.is_over());
    bench.run_secs(100);
    assert!(bench.sent.is_empty());
}
