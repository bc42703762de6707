//! The search between a NAT that maps each destination to another port and one that does not: real sockets, one each
//! probe, and data that the relay carries until the path is direct.
//!
//! The port that a probe of the hard side gets is open to the other side's socket only, and that side's NAT lets in only
//! what it has sent to. Both drop what comes too early in their input hooks: a stray packet that connection tracking kept
//! would give the mapping that it was sent to another port (see `nats`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lab::{Family, Lab, Nat, SERVER, Stray, feed};
use crate::peer::{Pair, Peer};
use crate::process::Process;
use crate::server::{Implementation, PASSWORD, Server, USERNAME};

const PATIENCE: Duration = Duration::from_secs(20);
/// Between two datagrams of data.
const PACE: Duration = Duration::from_millis(20);
const NAMES: [&str; 2] = ["hard", "stable"];

/// What a search has come to.
struct Found {
    /// From the start of the peers on.
    after: Duration,
    /// UDP packets to the other side's NAT by then, of both.
    packets: u64,
    /// Datagrams of data, of both.
    sent: usize,
    /// Those that never came.
    lost: usize,
}

/// Host 1 is behind a NAT of this kind, host 2 behind a port-restricted one.
fn lab(hard: Nat) -> Lab {
    Lab::new([hard, Nat::PortRestricted(Stray::Dropped)])
}

/// Data goes both ways all the time.
fn search(lab: &Lab, args: [&[&str]; 2]) -> Found {
    let server = Server::start(lab, Implementation::Floe, Family::V4);
    let (stun, turn) = (server.uri("stun"), server.uri("turn"));
    for (host, to) in [("host1", Family::V4.outside(2)), ("host2", Family::V4.outside(1))] {
        let rules = format!(
            "table ip count {{
  counter direct {{ }}
  chain out {{
    type filter hook output priority filter
    ip daddr {to} meta l4proto udp counter name direct
  }}
}}
"
        );
        feed(lab.command(host, "nft").args(["-f", "-"]), &rules);
    }
    let start = Instant::now();
    let peer = |host: &str, role: &str, bind: &str, args: &[&str]| {
        let common = [role, "--bind", bind, "--stun", &stun, "--turn", &turn];
        let user = ["--turn-username", USERNAME, "--turn-password", PASSWORD];
        Peer::spawn(lab, host, &[&common[..], &user, args].concat())
    };
    let hosts = [1, 2].map(|side| Family::V4.host(side).to_string());
    let mut pair = Pair::of([
        peer("host1", "--controlling", &hosts[0], args[0]),
        peer("host2", "--controlled", &hosts[1], args[1]),
    ]);
    pair.connect(lab, PATIENCE);
    let begins_relayed = |peer: &Peer| {
        let first = peer.of_type("selected").next().unwrap();
        ["local", "remote"].iter().any(|side| first[*side].as_str().unwrap().contains("typ relay"))
    };
    assert!(pair.peers.iter().all(begins_relayed), "direct without a search\n{}", pair.report(lab));
    let (mut sent, mut found) = (0, None);
    // A second more: what the change of paths loses shows itself.
    while found.as_ref().is_none_or(|(after, _)| start.elapsed() < *after + Duration::from_secs(1)) {
        for (peer, name) in pair.peers.iter_mut().zip(NAMES) {
            peer.say(&json!({"type": "send", "text": format!("{name} {sent}")}));
        }
        sent += 1;
        pair.run_until(PACE, |_| false);
        if found.is_none() && is_direct(&pair.peers) {
            found = Some((start.elapsed(), ["host1", "host2"].map(|host| direct(lab, host)).iter().sum()));
        }
        assert!(start.elapsed() < 2 * PATIENCE, "no direct path\n{}", pair.report(lab));
    }
    let (after, packets) = found.unwrap();
    let missing = |peers: &[Peer; 2]| {
        let came = |at: usize, name: &str| {
            peers[at].of_type("data").filter(|line| line["text"].as_str().unwrap().starts_with(name)).count()
        };
        2 * sent - came(0, NAMES[1]) - came(1, NAMES[0])
    };
    pair.run_until(Duration::from_secs(1), |peers| missing(peers) == 0);
    let lost = missing(&pair.peers);
    assert!(pair.peers.iter().all(|peer| peer.of_type("error").count() == 0), "{}", pair.report(lab));
    println!("direct after {after:?}, {packets} packets, {lost} of {} lost", 2 * sent);
    Found { after, packets, sent: 2 * sent, lost }
}

/// Whether both have selected a pair without a relay.
fn is_direct(peers: &[Peer; 2]) -> bool {
    peers.iter().all(|peer| peer.selected_types().is_some_and(|types| !types.contains(&"relay".to_owned())))
}

/// UDP packets that a host has sent to the other one's NAT.
fn direct(lab: &Lab, host: &str) -> u64 {
    let output =
        lab.command(host, "nft").args(["list", "counter", "ip", "count", "direct"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut words = text.split_whitespace().skip_while(|word| *word != "packets").skip(1);
    words.next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

/// The relay is the first path, no datagram is lost on the way to the second one, and budgets are kept to.
fn check(found: &Found, packets: u64) {
    assert!(found.packets <= packets, "{} packets", found.packets);
    assert!(found.lost == 0, "{} of {} lost", found.lost, found.sent);
    assert!(found.after > Duration::from_secs(2));
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_ports_of_a_block_are_found_while_the_relay_carries_data() {
    check(&search(&lab(Nat::Block), [&["--hard-nat", "random"], &["--hard-nat", "stable"]]), 700);
}

/// With 512 sockets and 2,000 probes one search of ten million finds nothing.
fn random_ports_are_found(stray: Stray) {
    let hard = ["--hard-nat", "random", "--hard-nat-packets", "512", "--hard-nat-time", "20"];
    let stable = ["--hard-nat", "stable", "--hard-nat-packets", "2000", "--hard-nat-time", "20"];
    check(&search(&lab(Nat::Symmetric(stray)), [&hard, &stable]), 2700);
}

#[test]
#[ignore = "needs root, ip and nft"]
fn random_ports_are_found_while_the_relay_carries_data() {
    random_ports_are_found(Stray::Dropped);
}

/// It says of each wrong port that nobody is there, to the socket that data is sent from.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_nat_that_answers_by_icmp_harms_neither_the_search_nor_the_data() {
    random_ports_are_found(Stray::Tracked);
}

/// The options that `floe nat` prints on a host, measured with two plain servers.
fn measured(lab: &Lab, host: &str) -> String {
    let servers = SERVER[0].map(|ip| {
        let mut command = lab.command("server", env!("CARGO_BIN_EXE_floe"));
        let mut server =
            Process::spawn("floe server", command.args(["server", "--listen", &format!("{ip}:3478")]));
        assert!(server.says("listening", PATIENCE), "{}", server.report());
        server
    });
    let mut command = lab.command(host, env!("CARGO_BIN_EXE_floe"));
    command.arg("nat").args(SERVER[0].map(|ip| format!("stun:{ip}:3478"))).arg("--json");
    let output = command.output().unwrap();
    drop(servers);
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    report["peer_options"].as_str().unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
#[ignore = "needs root, ip and nft"]
fn what_floe_nat_prints_on_both_sides_finds_the_direct_path() {
    let lab = lab(Nat::Block);
    let [hard, stable] = ["host1", "host2"].map(|host| measured(&lab, host));
    assert_eq!([&hard[..], &stable], ["--hard-nat random", "--hard-nat stable"]);
    let [hard, stable] = [&hard, &stable].map(|options| options.split(' ').collect::<Vec<_>>());
    check(&search(&lab, [&hard, &stable]), 700);
}

#[test]
fn a_search_that_cannot_be_is_misuse() {
    for args in [
        &["--hard-nat", "sometimes"][..],
        &["--hard-nat", "1"],
        &["--hard-nat", "random", "--hard-nat-packets", "513"],
        &["--hard-nat", "stable", "--hard-nat-packets", "4097"],
        &["--hard-nat", "stable", "--hard-nat-time", "61"],
        &["--hard-nat-packets", "100"],
        &["--mapping-lifetime", "0"],
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_floe"));
        let output = command.arg("peer").args(args).stdin(std::process::Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}
