//! Which protocol makes the mapping, and what becomes of the others.

use std::time::Duration;

use floe::portmap::{Channel, Config, Event, Input, MAX_MAPPINGS, MapError, Problem, Protocol, Wish};

use crate::bench::{Bench, GATEWAY, HOST, be32, outside, pcp_answer, pcp_gateway};
use crate::upnp::{igd, location};

const ALL: &[Protocol] = &[Protocol::Pcp, Protocol::NatPmp, Protocol::Upnp];

fn bench() -> Bench {
    let mut bench = Bench::new(ALL);
    bench.ssdp = vec![(GATEWAY, location("http://192.168.1.1:5000/d.xml"))];
    bench.pages = igd(1);
    bench
}

#[test]
fn pcp_wins_where_both_work_and_upnp_makes_nothing() {
    let mut bench = bench().answering(pcp_gateway(7200));
    bench.map(5000);
    bench.run_secs(20);
    assert_eq!(bench.mapped()[0].protocol, Protocol::Pcp);
    assert!(bench.requests.iter().all(|it| !it.contains("AddPortMapping")), "{:?}", bench.requests);
}

#[test]
fn without_pcp_upnp_has_the_mapping_after_a_second() {
    let mut bench = bench();
    let id = bench.map(5000);
    bench.run(Duration::from_millis(999));
    assert!(bench.mapped().is_empty());
    bench.run(Duration::from_millis(2));
    assert_eq!(bench.mapped()[0].protocol, Protocol::Upnp);
    bench.run_secs(60);
    assert_eq!(bench.sent.len(), 1, "PCP is not asked any more");
    assert!(!bench.has(&Event::Unavailable { id }));
}

#[test]
fn where_nobody_listens_for_pcp_upnp_does_not_wait() {
    let mut bench = bench();
    bench.map(5000);
    bench.input(Input::Unreachable);
    assert_eq!((bench.ms(), bench.mapped().len()), (0, 1));
}

#[test]
fn a_late_grant_of_the_loser_is_taken_back() {
    let mut bench = bench();
    bench.map(5000);
    bench.run_secs(2);
    let request = bench.take_sent().remove(0).1;
    bench.answer(&pcp_answer(&request, 0, 7200, 5, outside(5000)));
    let sent = bench.take_sent();
    assert_eq!((sent.len(), be32(&sent[0].1[4..8])), (1, 0), "deleted");
    assert_eq!(bench.mapped().len(), 1);
    bench.answer(&pcp_answer(&sent[0].1, 0, 0, 5, outside(5000)));
    assert!(!bench.events.iter().any(|event| matches!(event, Event::Unmapped { .. })));
}

/// RFC 6886 §3.8: no answer is no obstacle to anything else, and it is told in time
#[test]
fn a_gateway_that_never_answers_is_told_after_the_patience_and_asked_on() {
    let mut bench = Bench::new(ALL);
    let id = bench.map(5000);
    bench.run_secs(9);
    assert!(!bench.has(&Event::Unavailable { id }));
    bench.run_secs(2);
    assert!(bench.has(&Event::Unavailable { id }));
    assert_eq!(bench.problems(), [Problem::NoAnswer], "of UPnP");
    bench.take_sent();
    bench.run_secs(100);
    assert!(!bench.sent.is_empty());
}

#[test]
fn a_gateway_behind_a_nat_is_told_with_the_mapping() {
    for ip in ["10.9.8.7", "192.168.0.2", "100.64.1.2"] {
        let external = format!("{ip}:5000").parse().unwrap();
        let mut bench =
            Bench::new(&[Protocol::Pcp]).answering(move |_, it| vec![pcp_answer(it, 0, 7200, 5, external)]);
        bench.map(5000);
        assert_eq!(bench.problems(), [Problem::GatewayBehindNat(ip.parse().unwrap())]);
        assert!(!bench.mapped()[0].is_public());
    }
}

#[test]
fn garbage_of_the_gateway_changes_nothing() {
    let mut bench = Bench::new(ALL);
    bench.map(5000);
    for len in 0..1500_usize {
        for fill in [0, 1, 2, 0x80, 0xFF] {
            let payload = vec![fill; len];
            for channel in [Channel::Control, Channel::Search, Channel::Announcements] {
                let source = std::net::SocketAddr::new(GATEWAY, 5351);
                bench.input(Input::Datagram { channel, source, payload: &payload });
            }
        }
    }
    assert!(bench.mapped().is_empty() && bench.connects.is_empty());
}

#[test]
fn there_is_a_limit_of_mappings_and_each_port_is_mapped_once() {
    let mut bench = Bench::with(Config::new(HOST, GATEWAY, [1; 32]));
    let wish = |port| Wish::new(floe::io::Transport::Udp, port);
    for port in 1..=MAX_MAPPINGS as u16 {
        bench.map(port);
    }
    let now = bench.now;
    assert_eq!(bench.mapper.map(now, wish(1)), Err(MapError::Duplicate));
    assert_eq!(bench.mapper.map(now, wish(1000)), Err(MapError::TooMany(MAX_MAPPINGS)));
    bench.close();
    assert!(bench.mapper.is_over());
    assert_eq!(bench.mapper.map(now, wish(1000)), Err(MapError::Closed));
}
