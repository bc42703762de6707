//! Two peers, each behind a NAT, and the path that they find.

use std::time::Duration;

use crate::lab::{Family, Lab, Nat, Stray};
use crate::peer::{Pair, Peer};
use crate::server::{Implementation, PASSWORD, Server, USERNAME};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const SERVERS: [Implementation; 2] = [Implementation::Floe, Implementation::Coturn];
const PATIENCE: Duration = Duration::from_secs(20);

const CONE: Nat = Nat::PortRestricted(Stray::Dropped);
const SYMMETRIC: Nat = Nat::Symmetric(Stray::Dropped);

/// How the selected pair carries data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    Direct,
    Relayed,
}

/// Connects the two, sends data both ways and returns the path of the selected pair.
fn path(lab: &Lab, server: Implementation, family: Family, args: &[&str]) -> Path {
    let mut server = Server::start(lab, server, family);
    let (stun, turn) = (server.uri("stun"), server.uri("turn"));
    let (host1, host2) = (family.host(1).to_string(), family.host(2).to_string());
    let servers =
        ["--stun", &stun, "--turn", &turn, "--turn-username", USERNAME, "--turn-password", PASSWORD];
    let peer = |host, role, bind: &str| {
        Peer::spawn(lab, host, &[&[role, "--bind", bind], &servers[..], args].concat())
    };
    let mut pair = Pair::of([peer("host1", "--controlling", &host1), peer("host2", "--controlled", &host2)]);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.connect(lab, PATIENCE)));
    if let Err(panic) = outcome {
        eprintln!("{}", server.process.report());
        std::panic::resume_unwind(panic);
    }
    let relayed = pair.peers.iter().filter_map(Peer::selected_types).flatten().any(|kind| kind == "relay");
    if relayed { Path::Relayed } else { Path::Direct }
}

/// The path between these NATs, for both families and with both servers.
fn all_paths_are(nats: [Nat; 2], expected: Path) {
    for family in FAMILIES {
        for server in SERVERS {
            let found = path(&Lab::new(nats), server, family, &[]);
            assert_eq!(found, expected, "{nats:?} {server:?} {family:?}");
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn hosts_that_reach_each_other_need_no_server() {
    let lab = Lab::new([Nat::Open, Nat::Open]);
    let mut pair = Pair::spawn(&lab, &[]);
    pair.connect(&lab, PATIENCE);
    for peer in &pair.peers {
        assert_eq!(peer.selected_types().unwrap(), ["host", "host"]);
        // Both families were gathered.
        assert!(peer.candidates().any(|addr| addr.is_ipv4()) && peer.candidates().any(|addr| addr.is_ipv6()));
    }
}

/// RFC 6544: a router that translates, and lets TCP out and no UDP.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_host_without_udp_reaches_an_open_one_over_tcp() {
    for nats in [[Nat::OnlyUdpPort(9), Nat::Open], [Nat::Open, Nat::OnlyUdpPort(9)]] {
        let lab = Lab::new(nats);
        let mut pair = Pair::spawn(&lab, &["--tcp"]);
        pair.connect(&lab, PATIENCE);
        for peer in &pair.peers {
            assert_eq!(peer.selected_transports().unwrap(), ["tcp", "tcp"]);
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn two_firewalls_are_opened_from_inside() {
    all_paths_are([Nat::Firewall, Nat::Firewall], Path::Direct);
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn endpoint_independent_nats_connect_directly() {
    all_paths_are([CONE, CONE], Path::Direct);
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn a_full_cone_lets_a_symmetric_nat_connect_directly() {
    all_paths_are([Nat::FullCone, SYMMETRIC], Path::Direct);
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn a_symmetric_nat_and_a_port_restricted_one_need_the_relay() {
    all_paths_are([CONE, SYMMETRIC], Path::Relayed);
    all_paths_are([SYMMETRIC, CONE], Path::Relayed);
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn two_symmetric_nats_need_the_relay() {
    all_paths_are([SYMMETRIC, SYMMETRIC], Path::Relayed);
}

/// A stray packet moves a mapping, so the path may be peer-reflexive or relayed, but there is one.
#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn nats_that_track_stray_packets_are_crossed_somehow() {
    for first in [Nat::PortRestricted(Stray::Tracked), Nat::Symmetric(Stray::Tracked)] {
        for family in FAMILIES {
            for server in SERVERS {
                let lab = Lab::new([first, Nat::PortRestricted(Stray::Tracked)]);
                path(&lab, server, family, &[]);
            }
        }
    }
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn where_udp_reaches_only_the_server_the_path_is_relayed() {
    all_paths_are([Nat::OnlyUdpPort(3478), Nat::OnlyUdpPort(3478)], Path::Relayed);
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn the_relay_policy_is_kept_where_a_direct_path_exists() {
    for server in SERVERS {
        let lab = Lab::new([Nat::Open, Nat::Open]);
        assert_eq!(path(&lab, server, Family::V4, &["--policy", "relay"]), Path::Relayed);
    }
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn a_tenth_of_the_packets_lost_delays_and_does_not_prevent() {
    let lab = Lab::with_loss([CONE, CONE], 10);
    path(&lab, Implementation::Floe, Family::V4, &[]);
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn a_wrong_turn_password_is_an_error_line() {
    for implementation in SERVERS {
        let lab = Lab::new([SYMMETRIC, SYMMETRIC]);
        let server = Server::start(&lab, implementation, Family::V4);
        let turn = server.uri("turn");
        let args = ["--turn", &turn, "--turn-username", USERNAME, "--turn-password", "wrong"];
        let mut pair = Pair::spawn(&lab, &args);
        let told = pair.run_until(PATIENCE, |peers| peers.iter().all(|p| p.has_error("401")));
        assert!(told, "{implementation:?}: no error line names 401\n{}", pair.report(&lab));
    }
}
