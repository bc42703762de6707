//! Ta and the RTO of gathering (RFC 8445 §14).

use std::time::Duration;

use floe::stun::Class;
use floe::{Config, Role};

use crate::bench::{Bench, PEER_PWD, ms, secs};

/// The times between the first requests of an agent and five candidates of a peer that says this of its pacing.
fn gaps(own: Option<u64>, theirs: &str) -> Vec<Duration> {
    let config = Config::new(Role::Controlling, [7; 32]);
    let config = own.map_or(config.clone(), |own| config.pacing(ms(own)));
    let mut bench = Bench::of(config);
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}{theirs} options=ice2,trickle"));
    for number in 1..=5 {
        bench.signal(&format!("0 candidate:{number} 1 udp {} 192.0.2.2 600{number} typ host", 9000 - number));
    }
    bench.wait(ms(480));
    let times: Vec<_> = bench.sent.iter().filter(|it| it.is(Class::Request)).map(|it| it.at).collect();
    assert!(times.len() >= 4, "{times:?}");
    times[..4].windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// ICE-14.2-a.
#[test]
fn checks_are_50_ms_apart_unless_both_say_otherwise() {
    assert_eq!(gaps(None, ""), [ms(50); 3]);
    assert_eq!(gaps(Some(20), " pacing=20"), [ms(20); 3]);
}

/// ICE-14.2-c.
#[test]
fn the_larger_of_both_proposals_is_the_ta_and_none_is_50_ms() {
    for (own, theirs, ta) in [
        (20, "", 50),
        (20, " pacing=30", 30),
        (100, "", 100),
        (30, " pacing=20", 30),
        (20, " pacing=100", 100),
    ] {
        assert_eq!(gaps(Some(own), theirs), [ms(ta); 3], "{own} {theirs}");
    }
}

/// ICE-14.3-a: with 4 servers 500 ms, with 20 one second, with 20 and a Ta of 100 ms two.
#[test]
fn the_first_retransmission_of_gathering_waits_for_all_queries() {
    for (servers, ta, rto) in [(1, 50, 500), (4, 50, 500), (20, 50, 1000), (20, 100, 2000)] {
        let mut config = Config::new(Role::Controlling, [7; 32]).pacing(ms(ta));
        for number in 1..=servers {
            config = config.stun_server(format!("203.0.113.{number}:3478").parse().expect("an address"));
        }
        let mut bench = Bench::of(config);
        bench.wait(secs(9));
        let to = bench.sent[0].to;
        let times: Vec<_> = bench.sent.iter().filter(|it| it.to == to).map(|it| it.at).collect();
        assert_eq!(times[1] - times[0], ms(rto), "{servers} {ta}");
    }
}
