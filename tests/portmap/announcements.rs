//! What gateways tell unasked: restarts and changes.

use floe::portmap::{Event, Protocol};

use crate::bench::{Bench, GATEWAY, OUTSIDE, be16, nat_pmp_gateway, outside, pcp_answer, pcp_gateway};

const PCP: &[Protocol] = &[Protocol::Pcp];
const NAT_PMP: &[Protocol] = &[Protocol::NatPmp];

/// An unsolicited ANNOUNCE (RFC 6887 §14.1).
fn announce(epoch: u32) -> Vec<u8> {
    [&[2, 0x80, 0, 0, 0, 0, 0, 0][..], &epoch.to_be_bytes(), &[0; 12]].concat()
}

/// RFC 6886 §3.2.1
fn address(epoch: u32, ip: [u8; 4]) -> Vec<u8> {
    [&[0, 128, 0, 0][..], &epoch.to_be_bytes(), &ip].concat()
}

/// RFC 6887 §8.5, §14.1.3
#[test]
fn after_a_restart_all_mappings_are_asked_for_again_with_what_they_had() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(7200));
    bench.map(5000);
    bench.map(5001);
    bench.run_secs(100);
    bench.take_sent();
    bench.answers =
        Box::new(|seconds, it| vec![pcp_answer(it, 0, 7200, seconds - 100, outside(be16(&it[42..44])))]);
    bench.announce(GATEWAY, &announce(0));
    assert!(bench.has(&Event::Restarted));
    bench.run_secs(6);
    let ports: Vec<u16> = bench.take_sent().iter().map(|(_, it)| be16(&it[42..44])).collect();
    assert_eq!(ports, [5000, 5001]);
}

/// RFC 6887 §14.1.3
#[test]
fn the_delay_after_a_pcp_restart_is_uniform_from_0_to_5_seconds() {
    let mut sum = 0;
    for seed in 0..1000 {
        let mut bench = Bench::seeded(PCP, seed).answering(pcp_gateway(7200));
        bench.map(5000);
        bench.take_sent();
        bench.answers = Box::new(|_, _| Vec::new());
        bench.announce(GATEWAY, &announce(0));
        bench.run_secs(5);
        let at = bench.take_times()[0];
        assert!(at <= 5000, "{at}");
        sum += at;
    }
    assert!((2300..=2700).contains(&(sum / 1000)), "{sum}");
}

/// RFC 6887 §14.1.3
#[test]
fn an_announcement_of_another_host_is_ignored() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(7200));
    bench.map(5000);
    bench.take_sent();
    bench.announce("192.168.1.66".parse().unwrap(), &announce(0));
    bench.run_secs(6);
    assert!(bench.sent.is_empty() && !bench.has(&Event::Restarted));
}

/// RFC 6887 §8.5: a valid epoch changes nothing
#[test]
fn an_announcement_with_a_valid_epoch_changes_nothing() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(7200));
    bench.map(5000);
    bench.run_secs(160);
    bench.take_sent();
    bench.announce(GATEWAY, &announce(1160));
    bench.run_secs(6);
    assert!(bench.sent.is_empty() && !bench.has(&Event::Restarted));
}

/// RFC 6887 §14.2
#[test]
fn a_mapping_update_changes_the_mapping() {
    let mut bench = Bench::new(PCP).answering(pcp_gateway(7200));
    bench.map(5000);
    let request = bench.take_sent().remove(0).1;
    let moved = "192.0.2.77:6000".parse().unwrap();
    bench.announce(GATEWAY, &pcp_answer(&request, 0, 600, 1000, moved));
    let mapping = bench.mapped()[1];
    assert_eq!((mapping.external, mapping.lifetime.unwrap().as_secs()), (moved, 600));
    bench.run_secs(376);
    assert_eq!(be16(&bench.take_sent()[0].1[42..44]), 6000, "renewed as it is now");
}

/// RFC 6886 §3.2.1
#[test]
fn nat_pmp_announcements_count_from_the_gateway_only() {
    let mut bench = Bench::new(NAT_PMP).answering(nat_pmp_gateway(7200));
    bench.map(5000);
    bench.run_secs(100);
    bench.take_sent();
    bench.announce("192.168.1.66".parse().unwrap(), &address(0, [192, 0, 2, 66]));
    bench.run_secs(6);
    assert!(bench.sent.is_empty());
    assert_eq!(bench.mapped().len(), 1);
    bench.announce(GATEWAY, &address(1106, [192, 0, 2, 77]));
    assert_eq!(bench.mapped()[1].external, "192.0.2.77:5000".parse().unwrap());
}

/// RFC 6886 §3.6: 98 s later at least 1085.75 - 2 s
#[test]
fn an_epoch_that_is_more_than_2_seconds_too_low_is_a_restart() {
    for (epoch, restarted) in [(1098, false), (1085, false), (1083, false), (1082, true), (0, true)] {
        let mut bench = Bench::new(NAT_PMP).answering(nat_pmp_gateway(7200));
        bench.map(5000);
        bench.run_secs(98);
        bench.announce(GATEWAY, &address(epoch, OUTSIDE.octets()));
        assert_eq!(bench.has(&Event::Restarted), restarted, "{epoch}");
    }
}

/// RFC 6886 §3.7
#[test]
fn after_a_nat_pmp_restart_mappings_are_back_within_6_seconds() {
    let mut bench = Bench::new(NAT_PMP).answering(nat_pmp_gateway(7200));
    bench.map(5000);
    bench.map(5001);
    bench.run_secs(100);
    bench.take_sent();
    bench.announce(GATEWAY, &address(0, OUTSIDE.octets()));
    bench.run_secs(6);
    let ports = bench.take_sent().into_iter().filter(|(_, it)| it[1] == 1).map(|(_, it)| be16(&it[4..6]));
    assert_eq!(ports.collect::<Vec<_>>(), [5000, 5001]);
}

/// RFC 6886 §3.7
#[test]
fn after_a_nat_pmp_restart_the_delay_is_uniform_and_one_request_is_open() {
    let mut sum = 0;
    for seed in 0..1000 {
        let mut bench = Bench::seeded(NAT_PMP, seed).answering(nat_pmp_gateway(7200));
        bench.map(5000);
        bench.map(5001);
        bench.take_sent();
        bench.answers = Box::new(|_, _| Vec::new());
        bench.announce(GATEWAY, &address(0, OUTSIDE.octets()));
        bench.run_secs(5);
        let sent = bench.take_sent();
        assert!(sent.iter().all(|(_, it)| be16(&it[4..6]) == 5000), "the second one waits for the first");
        assert!(sent[0].0 <= 5000);
        sum += sent[0].0;
    }
    assert!((2300..=2700).contains(&(sum / 1000)), "{sum}");
}
