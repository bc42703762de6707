//! The lab's own tests: its NATs behave as they are named, observed with plain UDP sockets from outside. What the path
//! tests prove of floe rests on these.

use std::net::SocketAddr;
use std::time::Duration;

use crate::lab::{Family, Lab, Nat, SERVER, Stray};
use crate::process::Process;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/echo.py");
const PATIENCE: Duration = Duration::from_secs(10);

/// Two echo sockets on the server's two addresses, and a host that asks them.
struct Observer {
    family: Family,
    lab: Lab,
    _echo: Process,
}

impl Observer {
    fn new(nat: Nat, family: Family) -> Self {
        Self::behind(Lab::new([nat, Nat::Open]), family)
    }

    fn behind(lab: Lab, family: Family) -> Self {
        let mut command = lab.command("server", "python3");
        let mut echo = Process::spawn("echo", command.args([SCRIPT, "serve"]).args(SERVER[family as usize]));
        assert!(echo.says("ready", PATIENCE), "{}", echo.report());
        Self { family, lab, _echo: echo }
    }

    /// Sends each text to the first or the second address of the server, all from port 5000 of host 1. For each: the
    /// source address that the server saw, or `None` where no answer came.
    fn ask(&self, asks: &[(usize, &str)]) -> Vec<Option<SocketAddr>> {
        let to: Vec<_> = asks.iter().map(|(to, text)| (SERVER[self.family as usize][*to], text)).collect();
        let mut command = self.lab.command("host1", "python3");
        command.args([SCRIPT, "ask", &self.family.host(1).to_string(), &serde_json::json!(to).to_string()]);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<_> = text.lines().map(answer).collect();
        assert_eq!(answers.len(), asks.len(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        answers
    }

    /// What the two addresses of the server see of one socket.
    fn mappings(&self) -> [SocketAddr; 2] {
        let seen = self.ask(&[(0, "echo"), (1, "echo")]);
        [seen[0].unwrap(), seen[1].unwrap()]
    }

    fn outside(&self) -> std::net::IpAddr {
        self.family.outside(1)
    }
}

fn answer(line: &str) -> Option<SocketAddr> {
    let text: Option<String> = serde_json::from_str(line).unwrap();
    text.map(|text| {
        let (addr, port) = text.split_once(' ').unwrap();
        SocketAddr::new(addr.parse().unwrap(), port.parse().unwrap())
    })
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_lab_nat_maps_independently_of_the_endpoint() {
    for family in FAMILIES {
        for nat in [Nat::PortRestricted(Stray::Dropped), Nat::FullCone] {
            let observer = Observer::new(nat, family);
            let [first, second] = observer.mappings();
            assert_eq!(first, second, "{nat:?}");
            assert_eq!(first.ip(), observer.outside());
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_lab_nat_filters_by_address_and_port() {
    for family in FAMILIES {
        for nat in
            [Nat::PortRestricted(Stray::Dropped), Nat::Symmetric(Stray::Dropped), Nat::Block, Nat::Firewall]
        {
            let answers = Observer::new(nat, family).ask(&[(0, "other"), (0, "echo")]);
            assert!(answers[0].is_none(), "{nat:?}: {answers:?}");
            assert!(answers[1].is_some(), "{nat:?}: {answers:?}");
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_lab_nat_is_symmetric() {
    for family in FAMILIES {
        let observer = Observer::new(Nat::Symmetric(Stray::Dropped), family);
        let [first, second] = observer.mappings();
        assert_ne!(first.port(), second.port());
        assert_eq!([first.ip(), second.ip()], [observer.outside(); 2]);
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_lab_nat_with_a_block_is_symmetric_within_it() {
    for family in FAMILIES {
        let observer = Observer::new(Nat::Block, family);
        let [first, second] = observer.mappings();
        assert_ne!(first.port(), second.port());
        assert!([first, second].iter().all(|it| (20_000..=22_047).contains(&it.port())), "{first} {second}");
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_lab_nat_is_a_full_cone() {
    for family in FAMILIES {
        let answers = Observer::new(Nat::FullCone, family).ask(&[(0, "echo"), (0, "other")]);
        assert!(answers[1].is_some());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_lab_router_and_firewall_translate_nothing() {
    for family in FAMILIES {
        for nat in [Nat::Open, Nat::Firewall] {
            let host = SocketAddr::new(family.host(1), 5000);
            assert_eq!(Observer::new(nat, family).mappings(), [host; 2], "{nat:?}");
        }
        assert!(Observer::new(Nat::Open, family).ask(&[(0, "other")])[0].is_some());
    }
}

/// The reason for the rule `ct state new drop` in the input hook.
#[test]
#[ignore = "needs root, ip and nft"]
fn a_tracked_stray_packet_moves_the_next_mapping_and_a_dropped_one_does_not() {
    for family in FAMILIES {
        for (stray, moves) in [(Stray::Dropped, false), (Stray::Tracked, true)] {
            let observer = Observer::new(Nat::PortRestricted(stray), family);
            // The second address sends to the mapping of port 5000 before the host has sent to it.
            let first = observer.ask(&[(0, "other")]);
            assert_eq!(first, [None], "{stray:?}");
            let [first, second] = observer.mappings();
            assert_eq!(first.port() != second.port(), moves, "{stray:?}: {first} {second}");
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_lab_nat_passes_udp_on_one_port_only() {
    for family in FAMILIES {
        assert_eq!(Observer::new(Nat::OnlyUdpPort(3478), family).ask(&[(0, "echo")]), [None]);
        assert!(Observer::new(Nat::OnlyUdpPort(7000), family).ask(&[(0, "echo")])[0].is_some());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_lab_nat_loses_about_as_many_packets_as_asked() {
    let observer = Observer::behind(Lab::with_loss([Nat::Open, Nat::Open], 30), Family::V4);
    let mut command = observer.lab.command("host1", "python3");
    command.args([SCRIPT, "flood", &Family::V4.host(1).to_string(), SERVER[0][0], "400"]);
    let output = command.output().unwrap();
    let answered: u32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    // 30 % each way: 49 % come back, with a standard deviation of 10 packets.
    assert!((130..=262).contains(&answered), "{answered} of 400");
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_lab_is_removed_even_when_a_test_panics() {
    let name = std::sync::Mutex::new(String::new());
    let result = std::panic::catch_unwind(|| {
        let lab = Lab::new([Nat::Open, Nat::Open]);
        *name.lock().unwrap() = lab.name("nat1");
        panic!("on purpose");
    });
    assert!(result.is_err());
    let name = name.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let list = std::process::Command::new("ip").args(["netns", "list"]).output().unwrap();
    assert!(!name.is_empty() && !String::from_utf8_lossy(&list.stdout).contains(&name));
}
