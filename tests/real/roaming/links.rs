//! Links and addresses of a host that its peer reaches without translation.

use std::time::Duration;

use super::Session;

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
