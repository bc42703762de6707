//! Hosts behind NATs: the next network has a NAT of its own, which lets in only what was asked for.

use crate::lab::{Nat, Stray};
use crate::server::Implementation;

use super::{Session, Setup};

const CONE: Nat = Nat::PortRestricted(Stray::Dropped);
const SYMMETRIC: Nat = Nat::Symmetric(Stray::Dropped);

fn between(first: Nat, then: Nat, peer: Nat) -> Session {
    let server = Some(Implementation::Floe);
    Session::of(Setup { nats: [first, peer], further: [then; 2], server, ..Setup::default() })
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_host_goes_from_one_nat_to_another_and_has_a_direct_path_again() {
    let mut session = between(CONE, CONE, CONE);
    session.goes(1);
    session.comes_back("port-restricted to port-restricted");
    assert_eq!(session.ends()[1].ip().to_string(), "203.0.113.22", "{}", session.report());
    assert!(!session.types().contains(&"relay".to_owned()), "{}", session.report());
}

/// The peer's mapping is found out by checks from its side only.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_host_goes_from_one_nat_to_another_and_its_peer_maps_each_destination_anew() {
    let mut session = between(Nat::FullCone, Nat::FullCone, SYMMETRIC);
    session.goes(1);
    session.comes_back("full cone to full cone, peer behind a symmetric NAT");
    assert!(!session.types().contains(&"relay".to_owned()), "{}", session.report());
}

/// No direct path is left: the relay takes over.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_host_goes_behind_a_nat_that_leaves_only_the_relay() {
    let mut session = between(CONE, SYMMETRIC, CONE);
    session.goes(1);
    session.comes_back("port-restricted to fully random");
    assert!(session.types().contains(&"relay".to_owned()), "{}", session.report());
}

/// Mobility (RFC 8016) carries the relayed path over; there is no other one before or after.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_host_goes_from_one_random_nat_to_another() {
    let mut session = between(SYMMETRIC, SYMMETRIC, SYMMETRIC);
    session.goes(1);
    session.comes_back("fully random to fully random");
    assert!(session.types().contains(&"relay".to_owned()), "{}", session.report());
}
