//! `.local` names instead of addresses (RFC 6762), between two hosts of one link.

use crate::lab::{Family, Lab, Nat, Stray};
use crate::others::{Other, Role};
use crate::peer::Peer;
use crate::session::{FLOE, OTHER, Session, Setting, run};

const OPEN: Nat = Nat::PortRestricted(Stray::Tracked);
const HIDDEN: [&str; 3] = ["--mdns", "--interface", "out"];

claim! {
    /// floe learns Chromium's names from the link, and Chromium floe's.
    chromium_and_floe_find_each_other_by_name: crate::names::both_hidden;
    Chromium
}

fn both_hidden(other: Other, role: Role) {
    let mut session = Session::connect(other, role, &on_one_link(&HIDDEN, &["--mdns"]));
    for side in [FLOE, OTHER] {
        hides(&session.pair.peers[side]);
    }
    // As it was signalled, so without the address; peer-reflexive if Chromium's check was faster than the answer of the link.
    let [_, remote] = session.pair.peers[FLOE].selected_types().unwrap();
    assert!(["host", "prflx"].contains(&remote.as_str()), "{}", session.report());
}

claim! {
    /// Nothing but multicast reaches floe before it has sent something itself: it must have found Chromium's address.
    floe_asks_for_the_names_of_others: crate::names::must_ask;
    Chromium
}

fn must_ask(other: Other, role: Role) {
    let firewall = Setting {
        nats: [Nat::PortRestricted(Stray::Dropped), OPEN],
        prepare: |lab| {
            default_route(lab);
            run(lab, "nat1", "nft", "insert rule inet lab stray udp dport 5353 accept");
        },
        ..on_one_link(&["--interface", "out"], &["--mdns"])
    };
    let session = Session::connect(other, role, &firewall);
    hides(&session.pair.peers[OTHER]);
    let [_, remote] = session.pair.peers[FLOE].selected_types().unwrap();
    assert_eq!(remote, "host");
}

claim! {
    /// aioice shows its own addresses and asks the link for floe's.
    others_ask_for_the_names_of_floe: crate::names::must_answer;
    Aioice
}

fn must_answer(other: Other, role: Role) {
    let mut session = Session::connect(other, role, &on_one_link(&HIDDEN, &[]));
    hides(&session.pair.peers[FLOE]);
    session.leads_to(&[Family::V4.outside(2), Family::V6.outside(2)]);
}

/// The routers themselves are the hosts here: both are on the public segment, and take what comes in.
fn on_one_link<'a>(floe: &'a [&'a str], other: &'a [&'a str]) -> Setting<'a> {
    let hosts = ["nat1", "nat2"];
    Setting { floe, other, hosts, prepare: default_route, ..Setting::new([OPEN; 2]) }
}

/// Where Chromium, which hides all other addresses from a page, and aioice look for the link.
fn default_route(lab: &Lab) {
    run(lab, "nat2", "ip", &format!("route add default via {}", Family::V4.outside(1)));
    run(lab, "nat2", "ip", &format!("-6 route add default via {}", Family::V6.outside(1)));
}

/// No candidate shows an address.
fn hides(peer: &Peer) {
    let lines = peer.of_type("candidate").map(|line| line["candidate"].as_str().unwrap());
    let candidates: Vec<_> = lines.collect();
    assert!(
        !candidates.is_empty() && candidates.iter().all(|line| line.contains(".local ")),
        "{candidates:?}"
    );
}
