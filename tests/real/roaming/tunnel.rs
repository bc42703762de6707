//! A tunnel, as of a VPN, that takes the default route and gives it back.

use std::time::Duration;

use super::Session;

/// The tunnel is a link to the other network: the data may stay where it is, or go through it.
fn with_tunnel(link: &str) -> Session {
    let session = Session::connected();
    session.host1(&format!("link set eth1 name {link}"));
    session
}

fn comes(session: &Session, link: &str) {
    session.host1(&format!("addr add 10.3.0.2/24 dev {link}"));
    session.host1(&format!("link set {link} up"));
    session.host1("route add 0.0.0.0/1 via 10.3.0.1");
    session.host1("route add 128.0.0.0/1 via 10.3.0.1");
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_tunnel_comes_and_goes_and_data_goes_on() {
    let mut session = with_tunnel("wg0");
    comes(&session, "wg0");
    session.comes_back("tunnel up");
    session.gap = [Duration::ZERO; 2];
    session.host1("link set wg0 down");
    session.comes_back("tunnel down");
    assert_eq!(session.path(), "10.1.0.2 10.2.0.2", "{}", session.report());
    // One for the default route through the tunnel, one for the one without.
    assert!(session.restarts()[0] <= 2, "{}", session.report());
}

/// A tunnel that cannot make up its mind.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_tunnel_that_flaps_is_worth_few_restarts() {
    let mut session = with_tunnel("tun0");
    for _ in 0..8 {
        comes(&session, "tun0");
        session.run(Duration::from_millis(700));
        session.host1("link set tun0 down");
        session.host1("addr flush dev tun0");
        session.run(Duration::from_millis(700));
    }
    session.comes_back("tunnel that flaps 8 times in 11 s");
    assert_eq!(session.path(), "10.1.0.2 10.2.0.2", "{}", session.report());
    assert!(session.restarts()[0] <= 5, "{}", session.report());
}
