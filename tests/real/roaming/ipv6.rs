//! Addresses of IPv6 that are for a time (RFC 8981).

use std::time::Duration;

use super::{Session, Setup};

const STABLE: &str = "2001:db8:1::2";
const FIRST: &str = "2001:db8:1::aaaa";
const SECOND: &str = "2001:db8:1::bbbb";

/// The next address comes, the former one is deprecated, and is deleted some seconds later. The stable one stays.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_temporary_address_gives_way_to_the_next_one() {
    // Without IPv4, so that it is IPv6 that has to do it.
    let mut session = Session::of(Setup { args: [&[]; 2], ..Setup::default() });
    for host in ["host1", "host2"] {
        session.lab.ip(host, "-4 addr flush dev eth0");
    }
    session.run(Duration::from_secs(8));
    session.host1(&format!("addr add {FIRST}/64 dev eth0 nodad preferred_lft 600 valid_lft 700"));
    session.run(Duration::from_secs(8));
    session.gap = [Duration::ZERO; 2];
    let before = session.restarts()[0];
    session.host1(&format!("addr add {SECOND}/64 dev eth0 nodad preferred_lft 600 valid_lft 700"));
    session.host1(&format!("addr change {FIRST}/64 dev eth0 preferred_lft 0 valid_lft 60"));
    session.comes_back("temporary address deprecated");
    session.host1(&format!("addr del {FIRST}/64 dev eth0"));
    session.comes_back("temporary address deleted");
    let local = session.ends()[0].ip().to_string();
    assert!([STABLE, SECOND].contains(&local.as_str()), "{local}\n{}", session.report());
    assert!(session.restarts()[0] - before <= 2, "{}", session.report());
}
