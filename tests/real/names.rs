//! `.local` names between two hosts of one link, over real multicast.

use std::time::Duration;

use crate::lab::{Lab, Nat, Stray};
use crate::peer::{Pair, Peer};

const PATIENCE: Duration = Duration::from_secs(20);

/// Of each family alone, and of both: neither side learns an address of the other but by asking the link. Whose question
/// is answered first checks, and the other one may learn the address from that check.
#[test]
#[ignore = "needs root, ip and nft"]
fn hosts_of_one_link_find_each_other_by_name() {
    // The routers themselves are the hosts here: both are on the public segment, and take what comes in.
    let lab = Lab::new([Nat::PortRestricted(Stray::Tracked); 2]);
    for interface in
        [&["--interface", "out"][..], &["--interface", "2001:db8::/32"], &["--interface", "out", "--no-ipv6"]]
    {
        let peer = |host, role| Peer::spawn(&lab, host, &[&[role, "--mdns"], interface].concat());
        let mut pair = Pair::of([peer("nat1", "--controlling"), peer("nat2", "--controlled")]);
        let done = pair.run_until(PATIENCE, |peers| peers.iter().all(|peer| peer.has_been("completed")));
        let [a, b] = &mut pair.peers;
        assert!(done, "{}\n{}", a.report(), b.report());
        for peer in &pair.peers {
            let lines = peer.lines.iter().filter(|line| line["type"] == "candidate");
            let candidates: Vec<_> = lines.map(|line| line["candidate"].as_str().unwrap()).collect();
            assert!(
                !candidates.is_empty() && candidates.iter().all(|line| line.contains(".local ")),
                "{candidates:?}"
            );
        }
        let types = pair.peers.each_ref().map(|peer| peer.selected_types().expect("a selected pair"));
        assert!(types.iter().all(|[local, remote]| local == "host" && remote != "relay"), "{types:?}");
        assert!(types.iter().any(|[_, remote]| remote == "host"), "nobody was found by name: {types:?}");
    }
}

/// Behind different routers the names mean nothing: both sides say so and stay without a connection, as long as nothing
/// else is signalled.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_name_does_not_cross_a_router() {
    let lab = Lab::new([Nat::Open, Nat::Open]);
    let mut pair = Pair::spawn(&lab, &["--mdns"]);
    let connected = |peers: &[Peer; 2]| peers.iter().any(|peer| peer.has_been("connected"));
    assert!(!pair.run_until(Duration::from_secs(6), connected));
}
