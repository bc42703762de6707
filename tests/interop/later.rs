//! What happens to a session that has been connected: it lasts, it is restarted, its NATs forget it.

use std::time::Duration;

use serde_json::json;

use crate::lab::{Lab, Nat};
use crate::others::{Other, Role};
use crate::server::Implementation;
use crate::session::{CONE, FLOE, OTHER, Session, Setting, Uses, run};

/// Behind NATs, over the mappings that a STUN server told.
fn mapped(other: Other, role: Role) -> Session {
    let server = Some((Implementation::Coturn, Uses::Stun));
    Session::connect(other, role, &Setting { server, ..Setting::new([CONE, CONE]) })
}

claim! {
    /// Longer than the 30 s after which a side stops that gets no answers (RFC 7675): each answers the other's requests.
    consent_lasts: crate::later::lasting;
    Aioice Chromium Libnice Pion
}

fn lasting(other: Other, role: Role) {
    let mut session = mapped(other, role);
    session.lasts(Duration::from_secs(35));
}

claim! {
    /// First by floe, then by the other side. aioice 0.13.0 has no restart.
    either_side_may_restart: crate::later::restarted;
    Chromium Libnice Pion
}

fn restarted(other: Other, role: Role) {
    let mut session = Session::connect(other, role, &Setting::new([Nat::Open, Nat::Open]));
    for (generation, side) in [(2, FLOE), (3, OTHER)] {
        session.say(side, &json!({"type": "restart"}));
        session.is_connected(generation);
        session.passes_data();
        for peer in &session.pair.peers {
            assert_eq!(peer.of_type("credentials").count(), generation);
        }
    }
}

claim! {
    /// Both NATs lose their mappings, and give the same ports again to the next packet from inside: nobody notices.
    data_goes_on_after_a_flush_of_mappings: crate::later::flushed;
    Aioice Chromium Libnice Pion
}

fn flushed(other: Other, role: Role) {
    let mut session = mapped(other, role);
    for router in ["nat1", "nat2"] {
        flush(&session.lab, router);
    }
    session.passes_data();
    assert!(!session.pair.peers[FLOE].has_been("disconnected"), "{}", session.report());
}

claim! {
    /// The NAT of floe gives another port than before to what floe sends. A restart finds the new path.
    a_restart_heals_a_mapping_that_moved: crate::later::moved;
    Chromium Libnice Pion
}

fn moved(other: Other, role: Role) {
    let mut session = mapped(other, role);
    let before = session.pair.peers[FLOE].candidates().count();
    let masquerade = "add rule inet lab out oifname \"out\" meta l4proto udp masquerade to :40000-40999";
    for arguments in ["flush chain inet lab out", masquerade] {
        run(&session.lab, "nat1", "nft", arguments);
    }
    flush(&session.lab, "nat1");
    session.say(FLOE, &json!({"type": "restart"}));
    session.is_connected(2);
    session.passes_data();
    let ports = session.pair.peers[FLOE].candidates().skip(before).map(|addr| addr.port());
    assert!(ports.into_iter().any(|port| (40_000..41_000).contains(&port)), "{}", session.report());
}

fn flush(lab: &Lab, router: &str) {
    run(lab, router, "conntrack", "-F");
}
