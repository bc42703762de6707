//! Links and addresses of a host that its peer reaches without translation.

use std::time::Duration;

use crate::lab::Family;
use crate::peer::Signals;

use super::{Session, Setup};

#[test]
#[ignore = "needs root, ip and nft"]
fn an_address_is_replaced_under_a_session_and_data_comes_back() {
    let mut session = Session::connected();
    session.host1("addr del 10.1.0.2/24 dev eth0");
    session.host1("addr add 10.1.0.77/24 dev eth0");
    session.host1("route add default via 10.1.0.1");
    session.comes_back("address replaced");
    assert_eq!(session.path(), "10.1.0.77 10.2.0.2");
    assert_eq!(session.restarts(), [1, 1], "{}", session.report());
}

#[test]
#[ignore = "needs root, ip and nft"]
fn another_link_takes_over_from_one_that_goes_down() {
    let mut session = Session::connected();
    session.goes(1);
    session.comes_back("another link");
    assert_eq!(session.path(), "10.3.0.2 10.2.0.2");
    assert_eq!(session.restarts(), [1, 1], "{}", session.report());
}

/// The host that moves does not nominate.
#[test]
#[ignore = "needs root, ip and nft"]
fn the_controlled_host_goes_to_another_link() {
    let mut session = Session::connected();
    session.goes(2);
    session.comes_back("another link of the controlled host");
    assert_eq!(session.path(), "10.1.0.2 10.4.0.2");
    assert_eq!(session.restarts(), [1, 1], "{}", session.report());
}

/// IPv4 and IPv6 come one after the other, and are one change.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_host_of_both_families_goes_to_another_network() {
    let mut session = Session::of(Setup { args: [&[]; 2], ..Setup::default() });
    session.goes(1);
    session.comes_back("another network of IPv4 and IPv6");
    let local = session.ends()[0].ip();
    let there = [Family::V4, Family::V6].map(|family| family.host(3));
    assert!(there.contains(&local), "{local}\n{}", session.report());
    assert!(session.restarts()[0] <= 2, "{}", session.report());
}

/// Signals are on their way for longer than all this takes: data has to come back without them.
#[test]
#[ignore = "needs root, ip and nft"]
fn data_comes_back_before_any_signal_has_arrived() {
    for side in [1, 2] {
        let mut session = Session::connected();
        session.pair.signals = Signals::Held;
        session.goes(side);
        session.comes_back(&format!("host {side} goes, and no signal arrives"));
        session.pair.signals = Signals::Carried;
        session.gap = [Duration::ZERO; 2];
        session.comes_back("the signals arrive");
    }
}

/// With TCP candidates: what listens on an address that has gone is closed, and the new one is listened on.
#[test]
#[ignore = "needs root, ip, nft and ss"]
fn no_one_listens_on_an_address_that_has_gone() {
    let mut session = Session::of(Setup { args: [&["--no-ipv6", "--tcp"]; 2], ..Setup::default() });
    let listening = |session: &Session| {
        let output = session.lab.command("host1", "ss").args(["-Hltn"]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(listening(&session).contains("10.1.0.2:"));
    session.goes(1);
    session.comes_back("another link, with TCP candidates");
    let now = listening(&session);
    assert!(now.contains("10.3.0.2:") && !now.contains("10.1.0.2:"), "{now}");
}

/// Make-before-break: the second link is there before the first one goes.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_link_that_was_there_before_takes_over() {
    let mut session = Session::connected();
    session.host1("addr add 10.3.0.2/24 dev eth1");
    session.host1("link set eth1 up");
    session.run(Duration::from_secs(3));
    assert_eq!(session.restarts(), [1, 1], "the second link");
    session.host1("link set eth0 down");
    session.host1("route add default via 10.3.0.1");
    session.comes_back("a second link");
    assert_eq!(session.path(), "10.3.0.2 10.2.0.2");
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_link_that_is_down_for_three_seconds_is_used_again() {
    let mut session = Session::connected();
    session.host1("link set eth0 down");
    session.run(Duration::from_secs(3));
    session.host1("link set eth0 up");
    session.host1("route add default via 10.1.0.1");
    session.comes_back("link down for 3 s");
    assert_eq!(session.path(), "10.1.0.2 10.2.0.2");
    assert_eq!(session.restarts(), [1, 1], "{}", session.report());
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_bridge_of_containers_comes_and_goes_and_nothing_changes() {
    let mut session = Session::connected();
    let path = session.path();
    for _ in 0..3 {
        session.host1("link add docker0 type bridge");
        session.host1("addr add 172.17.0.1/16 dev docker0");
        session.host1("link set docker0 up");
        session.run(Duration::from_millis(1500));
        session.host1("link del docker0");
        session.run(Duration::from_millis(1500));
    }
    session.comes_back("bridge");
    assert_eq!(session.path(), path);
    assert_eq!(session.restarts(), [0, 0], "{}", session.report());
}
