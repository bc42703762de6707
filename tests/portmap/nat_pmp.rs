//! NAT-PMP (RFC 6886), as a client.

use floe::io::Transport;
use floe::portmap::{Config, Event, Input, Problem, Protocol, Wish};

use crate::bench::{Bench, GATEWAY, OUTSIDE, be16, be32, nat_pmp_gateway, outside};

const BOTH: &[Protocol] = &[Protocol::Pcp, Protocol::NatPmp];
const ALONE: &[Protocol] = &[Protocol::NatPmp];

/// The NAT-PMP requests among what was sent.
fn old(bench: &mut Bench) -> Vec<(u64, Vec<u8>)> {
    bench.take_sent().into_iter().filter(|(_, it)| it[0] == 0).collect()
}

/// RFC 6886 §3.3, §3.2
#[test]
fn requests_and_answers_have_the_bytes_of_rfc_6886() {
    for (transport, opcode) in [(Transport::Udp, 1), (Transport::Tcp, 2)] {
        let mut bench = Bench::new(ALONE);
        bench.wish(Wish::new(transport, 0x1388));
        let sent = bench.take_sent().remove(0).1;
        assert_eq!(sent, [0, opcode, 0, 0, 0x13, 0x88, 0, 0, 0, 0, 0x1C, 0x20]);
        // The external port 61616 for 600 s, and then the address.
        bench.answer(&[0, 128 + opcode, 0, 0, 0, 0, 4, 0xD2, 0x13, 0x88, 0xF0, 0xB0, 0, 0, 2, 0x58]);
        assert_eq!(bench.take_sent().remove(0).1, [0, 0]);
        bench.answer(&[0, 128, 0, 0, 0, 0, 4, 0xD2, 192, 0, 2]);
        assert!(bench.mapped().is_empty(), "11 bytes are no answer");
        bench.answer(&[0, 128, 0, 0, 0, 0, 4, 0xD2, 192, 0, 2, 1]);
        assert_eq!(bench.mapped()[0].external, "192.0.2.1:61616".parse().unwrap());
        assert_eq!(bench.mapped()[0].lifetime.unwrap().as_secs(), 600);
    }
}

/// RFC 6886 §1.1: every request is PCP first, and version 1 is never used
#[test]
fn pcp_is_tried_first_for_each_request_and_each_renewal() {
    let mut bench = Bench::new(BOTH).answering(nat_pmp_gateway(7200));
    bench.map(5000);
    assert_eq!(bench.mapped()[0].protocol, Protocol::NatPmp);
    let versions: Vec<u8> = bench
        .take_sent()
        .iter()
        .map(|(ms, it)| {
            assert_eq!(*ms, 0);
            it[0]
        })
        .collect();
    assert_eq!(versions, [2, 0, 0], "at once, without a timeout");
    bench.run_secs(3601);
    let versions: Vec<u8> = bench.take_sent().iter().map(|(_, it)| it[0]).collect();
    assert_eq!(versions, [2, 0, 0]);
}

/// RFC 6886 §1.1, RFC 6887 §9: it is not recorded that a gateway speaks NAT-PMP only
#[test]
fn a_gateway_that_was_updated_is_spoken_pcp_with_at_the_next_renewal() {
    let mut bench = Bench::new(BOTH).answering(nat_pmp_gateway(7200));
    bench.map(5000);
    bench.answers = Box::new(crate::bench::pcp_gateway(7200));
    bench.run_secs(3601);
    assert_eq!(bench.mapped().last().unwrap().protocol, Protocol::Pcp);
}

/// RFC 6887 §9, appendix A
#[test]
fn the_unsupported_version_of_rfc_6886_section_3_5_leads_to_nat_pmp_at_once() {
    let mut bench = Bench::new(BOTH);
    bench.map(5000);
    bench.take_sent();
    bench.answer(&[0, 0, 0, 1, 0, 0, 0, 9]);
    assert_eq!(old(&mut bench).len(), 1);
}

/// RFC 6887 appendix A
#[test]
fn the_first_packet_is_pcp_whatever_the_gateway_speaks() {
    for which in 0..2 {
        let mut bench = Bench::new(BOTH);
        bench.answers =
            if which == 0 { Box::new(crate::bench::pcp_gateway(60)) } else { Box::new(nat_pmp_gateway(60)) };
        bench.map(5000);
        assert_eq!((bench.sent[0].1[0], bench.mapped().len()), (2, 1));
    }
}

/// RFC 6886 §3.1
#[test]
fn requests_are_repeated_as_rfc_6886_section_3_1_says() {
    let mut bench = Bench::new(ALONE);
    let id = bench.map(5000);
    bench.run_secs(127);
    let times = bench.take_times();
    assert_eq!(times, [0, 250, 750, 1750, 3750, 7750, 15_750, 31_750, 63_750]);
    assert!(bench.problems().is_empty());
    bench.run_secs(1);
    assert_eq!(bench.problems(), [Problem::NoAnswer]);
    let told = bench.events.iter().position(|event| matches!(event, Event::Problem { .. })).unwrap();
    assert_eq!(bench.times[told], 127_750);
    assert!(bench.has(&Event::Unavailable { id }));
}

/// RFC 6886 §3.3
#[test]
fn a_request_for_a_mapping_is_repeated_after_250_ms() {
    let mut bench = Bench::new(BOTH);
    bench.map(5000);
    bench.answer(&[0, 0, 0, 1, 0, 0, 0, 9]);
    bench.run_secs(1);
    assert_eq!(old(&mut bench).iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), [0, 250, 750]);
}

/// RFC 6886 §3.1
#[test]
fn port_unreachable_concludes_at_once_and_a_change_of_network_asks_again() {
    let mut bench = Bench::new(ALONE);
    let id = bench.map(5000);
    bench.input(Input::Unreachable);
    assert_eq!(bench.problems(), [Problem::NoAnswer]);
    assert!(bench.has(&Event::Unavailable { id }));
    bench.run_secs(600);
    assert_eq!(bench.take_times(), [0]);
    bench.mapper.rediscover(bench.now);
    bench.drain();
    assert_eq!(bench.take_times(), [600_000]);
}

/// RFC 6886 §3.1
#[test]
fn ten_mappings_have_one_request_open() {
    let mut bench = Bench::new(ALONE);
    for port in 1..=10 {
        bench.map(port);
    }
    for port in 1..=10_u8 {
        assert_eq!(bench.take_sent().len(), 1, "before the answer for port {port}");
        bench.answer(&[0, 129, 0, 0, 0, 0, 0, 9, 0, port, 0, port, 0, 0, 0, 60]);
        assert_eq!(bench.take_sent().remove(0).1, [0, 0]);
        bench.answer(&[0, 128, 0, 0, 0, 0, 0, 9, 192, 0, 2, 1]);
    }
    assert_eq!(bench.mapped().len(), 10);
}

/// RFC 6886 §3.2, §3.4: what an error carries means nothing
#[test]
fn fields_of_an_error_are_ignored() {
    let mut bench = Bench::new(ALONE);
    bench.map(5000);
    bench.answer(&[0, 129, 0, 0, 0, 0, 0, 9, 0x13, 0x88, 0x13, 0x88, 0, 0, 0, 60]);
    bench.answer(&[0, 128, 0, 3, 0, 0, 0, 9, 192, 0, 2, 1]);
    assert!(bench.mapped().is_empty());
    assert_eq!(bench.problems(), [Problem::NoExternalAddress]);

    let mut bench = Bench::new(ALONE).answering(nat_pmp_gateway(7200));
    let id = bench.map(5000);
    bench.answers = Box::new(|_, _| vec![vec![0, 129, 0, 2, 0, 0, 3, 0xE8, 0x13, 0x88, 0, 0, 0, 0, 0, 99]]);
    bench.unmap(id);
    bench.run_secs(200);
    assert_eq!(bench.events.last(), Some(&Event::Unmapped { id }));
    assert_eq!(bench.mapper.mapping(id), None);
}

/// RFC 6886 §3.2
#[test]
fn an_address_from_another_host_is_dropped() {
    let mut bench = Bench::new(ALONE);
    bench.map(5000);
    bench.answer(&[0, 129, 0, 0, 0, 0, 0, 9, 0x13, 0x88, 0x13, 0x88, 0, 0, 0, 60]);
    let answer = [0, 128, 0, 0, 0, 0, 0, 9, 192, 0, 2, 1];
    bench.answer_from("192.168.1.66:5351".parse().unwrap(), &answer);
    assert!(bench.mapped().is_empty());
    bench.take_sent();
    bench.run_secs(1);
    assert!(!bench.sent.is_empty(), "it goes on asking");
    bench.answer(&answer);
    assert_eq!(bench.mapped().len(), 1);
}

/// RFC 6886 §3.3
#[test]
fn a_mapping_from_another_host_is_dropped() {
    let mut bench = Bench::new(ALONE);
    bench.map(5000);
    bench.take_sent();
    let answer = [0, 129, 0, 0, 0, 0, 0, 9, 0x13, 0x88, 0x13, 0x88, 0, 0, 0, 60];
    bench.answer_from("192.168.1.66:5351".parse().unwrap(), &answer);
    assert!(bench.sent.is_empty());
    bench.answer(&answer);
    assert_eq!(bench.sent.len(), 1);
}

/// RFC 6886 §3.3: opcode and internal port say which request is answered
#[test]
fn a_late_answer_for_another_port_or_transport_is_none_of_this_request() {
    let mut bench = Bench::new(ALONE);
    bench.map(5000);
    bench.take_sent();
    bench.answer(&[0, 129, 0, 0, 0, 0, 0, 9, 0x13, 0x89, 0xF0, 0xB0, 0, 0, 2, 0x58]);
    bench.answer(&[0, 130, 0, 0, 0, 0, 0, 9, 0x13, 0x88, 0xF0, 0xB0, 0, 0, 2, 0x58]);
    bench.answer(&[0, 1, 0, 0, 0, 0, 0, 9, 0x13, 0x88, 0xF0, 0xB0, 0, 0, 2, 0x58]);
    assert!(bench.sent.is_empty() && bench.events.is_empty());
    // The reserved bytes of requests have no counterpart in an answer; its result has two bytes.
    bench.answer(&[0, 129, 0, 0, 0, 0, 0, 9, 0x13, 0x88, 0xF0, 0xB0, 0, 0, 2, 0x58]);
    assert_eq!(bench.sent.len(), 1);
}

/// RFC 6886 §3.3
#[test]
fn the_external_port_is_the_granted_one() {
    let mut bench = Bench::new(ALONE);
    bench.wish(Wish::new(Transport::Udp, 5000).external(5000));
    assert_eq!(be16(&bench.take_sent()[0].1[6..8]), 5000);
    bench.answer(&[0, 129, 0, 0, 0, 0, 0, 9, 0x13, 0x88, 0xEA, 0x61, 0, 0, 2, 0x58]);
    bench.answer(&[&[0, 128, 0, 0, 0, 0, 0, 9][..], &OUTSIDE.octets()].concat());
    assert_eq!(bench.mapped()[0].external, outside(60_001));
}

/// RFC 6886 §3.4
#[test]
fn a_deletion_has_lifetime_and_port_0_and_may_be_repeated() {
    for _ in 0..2 {
        let mut bench = Bench::new(ALONE).answering(nat_pmp_gateway(7200));
        let id = bench.wish(Wish::new(Transport::Udp, 5000).external(4000));
        bench.take_sent();
        bench.close();
        let sent = bench.take_sent();
        assert_eq!(sent[0].1, [0, 1, 0, 0, 0x13, 0x88, 0, 0, 0, 0, 0, 0]);
        assert!(bench.has(&Event::Unmapped { id }) && bench.mapper.is_over());
    }
}

/// RFC 6886 §3.1, §3.4
#[test]
fn a_deletion_that_nobody_answers_is_tried_three_times() {
    let mut bench = Bench::new(ALONE).answering(nat_pmp_gateway(7200));
    let id = bench.map(5000);
    bench.answers = Box::new(|_, _| Vec::new());
    bench.take_sent();
    bench.unmap(id);
    bench.run_secs(100);
    assert_eq!(bench.take_times(), [0, 250, 750]);
    assert!(bench.has(&Event::Unmapped { id }));
}

/// RFC 6886 §3.4: that would be all ports of this host
#[test]
fn port_0_is_never_mapped_and_never_deleted() {
    let mut bench = Bench::new(BOTH);
    let error = bench.mapper.map(bench.now, Wish::new(Transport::Udp, 0)).unwrap_err();
    assert_eq!(error, floe::portmap::MapError::PortZero);
    bench.close();
    assert!(bench.sent.is_empty());
}

/// RFC 6886 §3.5
#[test]
fn an_unknown_result_is_fatal_for_the_request() {
    for code in [6_u16, 255, 65_535] {
        let mut bench = Bench::new(ALONE).answering(move |_, it| {
            vec![[&[0, 129][..], &code.to_be_bytes(), &[0, 0, 0, 9], &it[4..6], &[0; 6]].concat()]
        });
        bench.map(5000);
        bench.run_secs(1700);
        assert_eq!(bench.sent.len(), 1, "no retry loop");
        assert!(matches!(&bench.problems()[..], [Problem::Refused { code: it, .. }] if *it == code));
    }
}

/// RFC 6886 §3.5
#[test]
fn each_result_of_rfc_6886_section_3_5_has_its_problem() {
    let problem = |code: u8| {
        let answers =
            move |_, it: &[u8]| vec![[&[0, 129, 0, code, 0, 0, 0, 9][..], &it[4..6], &[0; 6]].concat()];
        let mut bench = Bench::new(ALONE).answering(answers);
        bench.map(5000);
        bench.problems()[0].to_string()
    };
    let texts = [2, 3, 4, 5].map(problem);
    let words = ["refused", "not connected", "out of resources", "unsupported opcode"];
    for (text, word) in texts.iter().zip(words) {
        assert!(text.contains(word), "{text}");
    }
    // Version 0 is the only one there is to speak, so that nothing is left.
    let mut bench = Bench::new(ALONE).answering(|_, _| vec![vec![0, 0, 0, 1, 0, 0, 0, 9]]);
    bench.map(5000);
    assert_eq!(bench.problems(), [Problem::Version(0)]);
}

/// RFC 6886 §3
#[test]
fn only_a_host_with_a_private_address_speaks_nat_pmp() {
    for (host, speaks) in
        [("10.0.0.2", true), ("172.16.0.2", true), ("100.64.0.2", true), ("198.51.100.2", false)]
    {
        let config = Config::new(host.parse().unwrap(), GATEWAY, [1; 32]).protocols(ALONE);
        let mut bench = Bench::with(config);
        bench.map(5000);
        assert_eq!(!bench.sent.is_empty(), speaks, "{host}");
        assert!(bench.sent.iter().all(|(_, it)| be32(&it[8..12]) == 7200));
    }
}

/// RFC 6886 §1.1
#[test]
fn no_request_has_version_1() {
    let mut bench = Bench::new(BOTH).answering(nat_pmp_gateway(600));
    bench.map(5000);
    bench.run_secs(3000);
    bench.close();
    let versions: std::collections::BTreeSet<u8> = bench.take_sent().iter().map(|(_, it)| it[0]).collect();
    assert_eq!(versions, [0, 2].into());
}
