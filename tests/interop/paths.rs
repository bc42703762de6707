//! The paths that floe finds together with another implementation.

use crate::lab::{Family, Nat};
use crate::others::{Other, Role};
use crate::server::Implementation;
use crate::session::{CONE, Session, Setting, Uses};

const SERVERS: [Implementation; 2] = [Implementation::Floe, Implementation::Coturn];

claim! {
    hosts_that_reach_each_other_need_no_server: crate::paths::direct;
    Aioice Chromium Libnice Pion
}

fn direct(other: Other, role: Role) {
    let mut session = Session::connect(other, role, &Setting::new([Nat::Open, Nat::Open]));
    session.leads_to(&[Family::V4.host(2), Family::V6.host(2)]);
}

claim! {
    /// The mappings that the STUN server, floe's or coturn, tells lead through both NATs.
    server_reflexive_candidates_cross_two_nats: crate::paths::mapped;
    Aioice Chromium Libnice Pion
}

fn mapped(other: Other, role: Role) {
    for server in SERVERS {
        // libnice 0.1.21 asks STUN servers in the way of RFC 3489, without a magic cookie, which floe does not answer.
        if other == Other::Libnice && server == Implementation::Floe {
            continue;
        }
        let server = Some((server, Uses::Stun));
        let mut session = Session::connect(other, role, &Setting { server, ..Setting::new([CONE, CONE]) });
        session.leads_to(&[Family::V4.outside(2)]);
    }
}

claim! {
    /// No candidate is signalled before all of them are known.
    the_same_without_trickling: crate::paths::together;
    Aioice Chromium Libnice Pion
}

fn together(other: Other, role: Role) {
    let server = Some((Implementation::Coturn, Uses::Stun));
    let setting = Setting { server, args: &["--no-trickle"], ..Setting::new([CONE, CONE]) };
    let mut session = Session::connect(other, role, &setting);
    session.leads_to(&[Family::V4.outside(2)]);
    for peer in &session.pair.peers {
        let kinds = peer.lines.iter().map(|line| line["type"].as_str().unwrap());
        let signals: Vec<_> =
            kinds.filter(|kind| ["candidate", "end-of-candidates"].contains(kind)).collect();
        assert!(signals.len() > 1 && signals.ends_with(&["end-of-candidates"]), "{signals:?}");
    }
}

claim! {
    /// Through floe's server and through coturn, although the hosts reach each other.
    the_relay_policy_of_both_sides_is_kept: crate::paths::relayed;
    Aioice Chromium Libnice Pion
}

fn relayed(other: Other, role: Role) {
    for server in SERVERS {
        let server = Some((server, Uses::Turn));
        let setting =
            Setting { server, args: &["--policy", "relay"], ..Setting::new([Nat::Open, Nat::Open]) };
        let mut session = Session::connect(other, role, &setting);
        session.leads_to(&[Family::V4.server()]);
        let [local, _] = session.selected();
        assert_eq!(local.ip(), Family::V4.server(), "{}", session.report());
        // Neither side has told an address of its own.
        for peer in &session.pair.peers {
            assert!(peer.candidates().all(|addr| addr.ip() == Family::V4.server()));
        }
    }
}

claim! {
    a_tenth_of_the_packets_lost_does_not_prevent_a_connection: crate::paths::lossy;
    Aioice Chromium Libnice Pion
}

fn lossy(other: Other, role: Role) {
    let server = Some((Implementation::Coturn, Uses::Stun));
    let setting = match other {
        // pion/ice 2.3.1 sends its request to the STUN server once: a loss of that one is no connection at all.
        Other::Pion => Setting::new([Nat::Open, Nat::Open]),
        _ => Setting { server, ..Setting::new([CONE, CONE]) },
    };
    Session::connect(other, role, &Setting { loss_percent: 10, ..setting });
}
