//! Lite agents (RFC 8445 §2.5): they answer checks and send none, so the other side is controlling.

use std::time::Duration;

use crate::lab::{Family, Nat};
use crate::others::{Other, Role};
use crate::session::{CONE, FLOE, OTHER, Session, Setting};

fn floe_is_lite(other: Other) {
    let setting = Setting { floe: &["--lite"], ..Setting::new([Nat::Open, CONE]) };
    let mut session = Session::connect(other, Role::Controlled, &setting);
    let credentials = session.pair.peers[FLOE].of_type("credentials").next().unwrap();
    assert_eq!(credentials["lite"], true);
    // The other side's NAT is crossed because floe answers to where the checks come from.
    session.leads_to(&[Family::V4.outside(2), Family::V6.outside(2)]);
}

#[test]
#[ignore = "needs root and the other implementations"]
fn floe_as_a_lite_agent_answers_aioice() {
    floe_is_lite(Other::Aioice);
}

#[test]
#[ignore = "needs root and the other implementations"]
fn floe_as_a_lite_agent_answers_chromium() {
    floe_is_lite(Other::Chromium);
}

#[test]
#[ignore = "needs root and the other implementations"]
fn floe_as_a_lite_agent_answers_libnice() {
    floe_is_lite(Other::Libnice);
}

#[test]
#[ignore = "needs root and the other implementations"]
fn floe_as_a_lite_agent_answers_pion() {
    floe_is_lite(Other::Pion);
}

fn floe_meets_a_lite(other: Other) {
    let setting = Setting { other: &["--lite"], ..Setting::new([CONE, Nat::Open]) };
    let mut session = Session::connect(other, Role::Controlling, &setting);
    let credentials = session.pair.peers[OTHER].of_type("credentials").next().unwrap();
    assert_eq!(credentials["lite"], true);
    session.leads_to(&[Family::V4.host(2), Family::V6.host(2)]);
}

#[test]
#[ignore = "needs root and the other implementations"]
fn floe_finds_a_lite_libnice() {
    floe_meets_a_lite(Other::Libnice);
}

#[test]
#[ignore = "needs root and the other implementations"]
fn floe_finds_a_lite_pion() {
    floe_meets_a_lite(Other::Pion);
}

/// Consent of a lite agent is what the other side's checks tell; it lasts longer than the 30 s after which silence ends it.
#[test]
#[ignore = "needs root and the other implementations"]
fn a_lite_floe_and_libnice_stay_connected() {
    let setting = Setting { floe: &["--lite"], ..Setting::new([Nat::Open, CONE]) };
    let mut session = Session::connect(Other::Libnice, Role::Controlled, &setting);
    session.lasts(Duration::from_secs(35));
}
