//! Both hosts go elsewhere at the same moment: no address that either knows of the other one is good any more.

use crate::lab::{Nat, Stray};
use crate::server::Implementation;

use super::{Session, Setup};

const CONE: Nat = Nat::PortRestricted(Stray::Dropped);

fn both_go(session: &mut Session, what: &str) {
    session.goes(1);
    session.goes(2);
    session.comes_back(what);
}

#[test]
#[ignore = "needs root, ip and nft"]
fn both_hosts_go_elsewhere_at_once() {
    let mut session = Session::connected();
    both_go(&mut session, "both, no NAT, no server");
    assert_eq!(session.path(), "10.3.0.2 10.4.0.2", "{}", session.report());
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn both_hosts_go_behind_other_nats_at_once() {
    for implementation in [Implementation::Floe, Implementation::Coturn] {
        let server = Some(implementation);
        let mut session =
            Session::of(Setup { nats: [CONE; 2], further: [CONE; 2], server, ..Setup::default() });
        both_go(&mut session, &format!("both, NATs, server {implementation:?}"));
        assert!(!session.types().contains(&"relay".to_owned()), "{}", session.report());
    }
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn both_hosts_go_elsewhere_at_once_and_keep_their_relays() {
    for implementation in [Implementation::Floe, Implementation::Coturn] {
        let mut session = Session::of(Setup {
            nats: [CONE; 2],
            further: [CONE; 2],
            server: Some(implementation),
            args: [&["--no-ipv6", "--policy", "relay"]; 2],
        });
        let ends = session.ends();
        both_go(&mut session, &format!("both, relays of {implementation:?}"));
        assert_eq!(session.ends(), ends, "{}", session.report());
    }
}
