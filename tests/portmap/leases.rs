//! How mappings are kept.

use floe::portmap::{Config, Event, Protocol};

use crate::bench::{Bench, GATEWAY, HOST, be16, be32, nat_pmp_gateway, outside, pcp_answer, pcp_gateway};

const PCP: &[Protocol] = &[Protocol::Pcp];
const NAT_PMP: &[Protocol] = &[Protocol::NatPmp];

/// RFC 6886 §3.3
#[test]
fn nat_pmp_renews_halfway_with_the_port_it_had() {
    let mut bench = Bench::new(NAT_PMP).answering(nat_pmp_gateway(7200));
    bench.map(5000);
    bench.take_sent();
    bench.run_secs(3599);
    assert!(bench.sent.is_empty());
    bench.run_secs(2);
    let sent = bench.take_sent();
    assert_eq!((sent[0].0, be16(&sent[0].1[6..8]), be32(&sent[0].1[8..12])), (3_600_000, 5000, 7200));
    assert!(matches!(bench.events.last(), Some(Event::Renewed { .. })));
}

/// RFC 6886 §3.3
#[test]
fn a_shorter_lifetime_than_asked_counts() {
    let mut bench = Bench::new(NAT_PMP).answering(nat_pmp_gateway(600));
    bench.map(5000);
    bench.take_sent();
    bench.run_secs(301);
    assert_eq!(bench.take_sent()[0].0, 300_000);
}

/// RFC 6887 §15
#[test]
fn the_schedule_follows_what_pcp_granted() {
    for granted in [120_u32, 7200] {
        let config = Config::new(HOST, GATEWAY, [3; 32]).lifetime(std::time::Duration::from_secs(3600));
        let mut bench = Bench::with(config.protocols(PCP))
            .answering(move |_, it| vec![pcp_answer(it, 0, granted, 5, outside(5000))]);
        bench.map(5000);
        assert_eq!(be32(&bench.take_sent()[0].1[4..8]), 3600);
        bench.answers = Box::new(|_, _| Vec::new());
        bench.run_secs(u64::from(granted) * 5 / 8 + 1);
        let at = bench.take_sent()[0].0;
        assert!((u64::from(granted) * 500..=u64::from(granted) * 625).contains(&at), "{granted}: {at}");
    }
}

/// RFC 6887 §11.2.1, §15: for as long as it is wanted, whatever traffic there is
#[test]
fn a_mapping_is_kept_for_a_day_with_the_values_it_had() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(7200));
    let id = bench.map(5000);
    bench.take_sent();
    bench.run_secs(86_400);
    let sent = bench.take_sent();
    assert!((19..=24).contains(&sent.len()), "{}", sent.len());
    for (_, request) in &sent {
        assert_eq!((be16(&request[42..44]), &request[56..60]), (5000, &[198, 51, 100, 9][..]));
    }
    assert_eq!(bench.mapped().len(), 1);
    assert!(!bench.has(&Event::Lost { id }));
    bench.unmap(id);
    bench.take_sent();
    bench.run_secs(86_400);
    assert!(bench.sent.is_empty(), "no timer is left");
}

/// RFC 6887 §15: renewals do not wait for traffic to stop, which a mapper does not even see
#[test]
fn a_mapping_is_renewed_by_its_lifetime() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(120));
    bench.map(5000);
    bench.take_sent();
    bench.run_secs(76);
    assert_eq!(bench.sent.len(), 1);
}

/// RFC 6887 §11.2.1
#[test]
fn renewals_without_an_answer_come_at_growing_fractions_and_4_seconds_apart() {
    for seed in 0..200 {
        let mut bench = Bench::seeded(PCP, seed).answering(pcp_gateway(120));
        let id = bench.map(5000);
        bench.take_sent();
        bench.answers = Box::new(|_, _| Vec::new());
        bench.run_secs(119);
        let times = bench.take_times();
        let bounds = [(60_000, 75_000), (90_000, 97_500), (105_000, 108_750)];
        for (at, (low, high)) in times.iter().zip(bounds) {
            assert!((low..=high).contains(at), "{times:?}");
        }
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 4000), "{times:?}");
        bench.run_secs(2);
        assert!(bench.has(&Event::Lost { id }));
        assert!(!bench.sent.is_empty(), "it is wanted all the same");
    }
}

/// RFC 6887 §8.3
#[test]
fn a_lifetime_of_2_to_the_32_is_renewed_within_a_day() {
    let mut bench = Bench::new(PCP).answering(|_, it| vec![pcp_answer(it, 0, u32::MAX, 5, outside(5000))]);
    bench.map(5000);
    bench.take_sent();
    bench.answers = Box::new(|_, _| Vec::new());
    bench.run_secs(86_399);
    assert!(!bench.sent.is_empty());
}

/// RFC 6887 §15
#[test]
fn an_absurd_lifetime_is_renewed_between_12_and_15_hours() {
    let mut bench = Bench::new(PCP).answering(|_, it| vec![pcp_answer(it, 0, u32::MAX, 5, outside(5000))]);
    bench.map(5000);
    bench.take_sent();
    bench.answers = Box::new(|_, _| Vec::new());
    bench.run_secs(15 * 3600 + 1);
    let times = bench.take_times();
    assert!((12 * 3_600_000..=15 * 3_600_000).contains(&times[0]), "{times:?}");
}

/// A mapping without a lifetime, an address or a port is none, whatever the result says.
#[test]
fn an_empty_success_is_malformed() {
    let answers = [(0, outside(5000)), (60, outside(0)), (60, "0.0.0.0:5000".parse().unwrap())];
    for (lifetime, external) in answers {
        let mut bench =
            Bench::new(PCP).answering(move |_, it| vec![pcp_answer(it, 0, lifetime, 5, external)]);
        let id = bench.map(5000);
        bench.run_secs(29);
        assert!(bench.mapped().is_empty() && bench.has(&Event::Unavailable { id }));
        assert_eq!(bench.sent.len(), 1);
    }
}

/// RFC 6887 §15.1: what is lost is asked for again by both protocols
#[test]
fn a_gateway_that_is_replaced_by_one_of_another_protocol_is_found_again() {
    let mut bench = Bench::new(&[Protocol::Pcp, Protocol::NatPmp]).answering(pcp_gateway(120));
    let id = bench.map(5000);
    bench.answers = Box::new(|_, _| Vec::new());
    bench.run_secs(121);
    assert!(bench.has(&Event::Lost { id }));
    bench.answers = Box::new(nat_pmp_gateway(120));
    bench.run_secs(10);
    assert_eq!(bench.mapped().last().unwrap().protocol, Protocol::NatPmp);
}

/// RFC 6887 §11.4
#[test]
fn a_success_sets_one_renewal_and_unmapping_clears_it() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(1000));
    let id = bench.map(5000);
    bench.run_secs(626);
    assert_eq!(bench.take_sent().len(), 2, "the request and one renewal");
    bench.unmap(id);
    assert_eq!(bench.drain(), None, "no timer is left");
}
