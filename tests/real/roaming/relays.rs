//! A session through a relay: with mobility (RFC 8016) the relayed address stays while the host goes elsewhere.

use std::time::Duration;

use crate::lab::{Nat, Stray};
use crate::server::Implementation;

use super::{Session, Setup};

const CONE: Nat = Nat::PortRestricted(Stray::Dropped);

fn relayed(implementation: Implementation) -> Session {
    Session::of(Setup {
        nats: [CONE; 2],
        further: [CONE; 2],
        server: Some(implementation),
        args: [&["--no-ipv6", "--policy", "relay"], &["--no-ipv6"]],
    })
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn a_host_that_goes_elsewhere_keeps_its_relayed_address() {
    for implementation in [Implementation::Floe, Implementation::Coturn] {
        let mut session = relayed(implementation);
        let relayed = session.ends()[0];
        session.goes(1);
        session.comes_back(&format!("relay of {implementation:?}"));
        assert_eq!(session.ends()[0], relayed, "{}", session.report());
        assert_eq!(session.types()[0], "relay");
    }
}

/// There is no network for some seconds.
#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn a_host_that_is_away_for_three_seconds_keeps_its_relayed_address() {
    for implementation in [Implementation::Floe, Implementation::Coturn] {
        let mut session = relayed(implementation);
        let relayed = session.ends()[0];
        session.host1("link set eth0 down");
        session.run(Duration::from_secs(3));
        session.lab.arrive("host1", "eth1", 3);
        session.comes_back(&format!("relay of {implementation:?}, 3 s without network"));
        assert_eq!(session.ends()[0], relayed, "{}", session.report());
    }
}
