//! Links that carry nothing, and for how long.

use std::time::Duration;

use super::Session;

/// The switch at the other end loses power: the link is up, has its address and its route, and no carrier.
#[test]
#[ignore = "needs root, ip and nft"]
fn another_link_takes_over_from_one_without_carrier() {
    let mut session = Session::connected();
    // The kernel passes over routes through links without carrier, as whoever manages the host's network would.
    session.lab.write("host1", "ipv4/conf/all/ignore_routes_with_linkdown", "1");
    session.host1("addr add 10.3.0.2/24 dev eth1");
    session.host1("link set eth1 up");
    session.lab.write("host1", "ipv4/conf/eth0/ignore_routes_with_linkdown", "1");
    session.host1("route add default via 10.3.0.1 metric 100");
    session.run(Duration::from_secs(3));
    session.lab.ip("nat1", "link set in down");
    session.comes_back("carrier lost, another link");
    assert_eq!(session.path(), "10.3.0.2 10.2.0.2", "{}", session.report());
    session.gap = [Duration::ZERO; 2];
    session.lab.ip("nat1", "link set in up");
    session.comes_back("carrier back");
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_link_without_carrier_for_five_seconds_is_used_again() {
    let mut session = Session::connected();
    session.lab.ip("nat1", "link set in down");
    session.run(Duration::from_secs(5));
    session.lab.ip("nat1", "link set in up");
    session.comes_back("carrier lost for 5 s");
    assert_eq!(session.path(), "10.1.0.2 10.2.0.2", "{}", session.report());
}

/// Consent (RFC 7675) expires after 30 s, at both ends, and signaling brings the session back.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_link_that_is_down_for_longer_than_consent_is_used_again() {
    let mut session = Session::connected();
    session.host1("link set eth0 down");
    session.run(Duration::from_secs(35));
    assert!(session.restarts().iter().all(|restarts| *restarts > 0), "{}", session.report());
    session.host1("link set eth0 up");
    session.host1("route add default via 10.1.0.1");
    session.comes_back("link down for 35 s");
    assert_eq!(session.path(), "10.1.0.2 10.2.0.2", "{}", session.report());
}

/// The same far away, where neither host sees that anything has changed.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_path_that_is_broken_for_longer_than_consent_is_used_again() {
    let mut session = Session::connected();
    session.lab.ip("nat1", "link set out down");
    session.run(Duration::from_secs(35));
    session.lab.ip("nat1", "link set out up");
    for (to, via) in [("10.2.0.0/24", "203.0.113.22"), ("10.4.0.0/24", "203.0.113.24")] {
        session.lab.ip("nat1", &format!("route replace {to} via {via}"));
    }
    session.comes_back("path broken for 35 s");
    assert_eq!(session.path(), "10.1.0.2 10.2.0.2", "{}", session.report());
}
