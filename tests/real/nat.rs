//! `floe nat` behind nftables NATs, with `floe server --alternate` and with coturn as the server of RFC 5780.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Lab, Nat, SERVER, Stray};
use crate::process::Process;

const FLOE: &str = env!("CARGO_BIN_EXE_floe");
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    Floe,
    Coturn,
}

/// A server with two addresses and two ports in this lab.
fn server(lab: &Lab, by: By) -> Process {
    let [a, b] = SERVER[0];
    let (first, second) = (format!("{a}:3478"), format!("{b}:3479"));
    match by {
        By::Floe => {
            let mut command = lab.command("server", FLOE);
            command.args(["server", "--listen", &first, "--alternate", &second]);
            let mut process = Process::spawn("floe server", &mut command);
            assert!(process.says("3478", PATIENCE), "{}", process.report());
            process
        }
        By::Coturn => {
            let mut command = coturn(lab.command("server", "turnserver"), [a, b]);
            let process = Process::spawn("coturn", &mut command);
            let answers = || {
                let mut ask = lab.command("host1", FLOE);
                ask.args(["stun", &format!("stun:{b}:3479"), "--timeout", "1"])
                    .output()
                    .unwrap()
                    .status
                    .success()
            };
            assert!((0..20).any(|_| answers()), "coturn does not answer");
            process
        }
    }
}

/// `turnserver` with two addresses, on the ports of RFC 5780's examples.
pub(crate) fn coturn(mut command: Command, [a, b]: [&str; 2]) -> Command {
    command.args(["-n", "-L", a, "-L", b, "--stun-only", "--no-tls", "--no-dtls", "--no-cli"]);
    command.args(["--listening-port", "3478", "--alt-listening-port", "3479", "--cli-password", "unused"]);
    command.args(["--log-file", "stdout", "--pidfile", "/dev/null", "--userdb", "/dev/null"]);
    command
}

/// What `floe nat` says behind this NAT.
fn measure(nat: Nat, by: By, more: &[&str]) -> Value {
    let lab = Lab::new([nat, Nat::Open]);
    let _server = server(&lab, by);
    let mut command = lab.command("host1", FLOE);
    command.args(["nat", &format!("stun:{}:3478", SERVER[0][0]), "--json"]).args(more);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(output.status.code(), Some(0), "{nat:?} {by:?}: {text}");
    let report: Value = serde_json::from_str(last).unwrap();
    assert_eq!(report["type"], "nat", "{text}");
    report
}

fn told<'a>(report: &'a Value, fact: &str) -> &'a str {
    report[fact]["is"].as_str().unwrap_or_else(|| panic!("{fact} of {report:#}"))
}

/// Behind each NAT that nftables can make.
fn every_nat_is_told(by: By) {
    const EIM: &str = "endpoint-independent";
    const APD: &str = "address-and-port-dependent";
    let all = [
        (Nat::Open, "none", EIM, EIM, "preserving"),
        (Nat::Firewall, "none", EIM, APD, "preserving"),
        (Nat::FullCone, "translated", EIM, EIM, "preserving"),
        (Nat::PortRestricted(Stray::Dropped), "translated", EIM, APD, "preserving"),
        (Nat::PortRestricted(Stray::Tracked), "translated", EIM, APD, "preserving"),
        (Nat::Symmetric(Stray::Dropped), "translated", APD, APD, "random"),
    ];
    // Each in a laboratory of its own, where it waits most of the time.
    std::thread::scope(|scope| {
        for (nat, translation, mapping, filtering, ports) in all {
            scope.spawn(move || {
                let report = measure(nat, by, &[]);
                let facts = ["translation", "mapping", "filtering", "ports"].map(|fact| told(&report, fact));
                assert_eq!(facts, [translation, mapping, filtering, ports], "{nat:?}: {report:#}");
                // What an agent makes of it.
                let known = if mapping == EIM { "--hard-nat stable" } else { "--hard-nat random" };
                assert_eq!(report["peer_options"], known, "{nat:?}: {report:#}");
            });
        }
    });
}

#[test]
#[ignore = "needs root, ip and nft"]
fn floe_nat_tells_every_nat_of_nftables_with_floe_server() {
    every_nat_is_told(By::Floe);
}

/// RFC 5780 spoken with the server of others.
#[test]
#[ignore = "needs root, ip, nft and coturn"]
fn floe_nat_tells_every_nat_of_nftables_with_coturn() {
    every_nat_is_told(By::Coturn);
}

#[test]
#[ignore = "needs root, ip and nft"]
fn floe_nat_tells_the_mapping_with_two_plain_servers_and_what_it_cannot() {
    for (nat, mapping) in [
        (Nat::PortRestricted(Stray::Dropped), "endpoint-independent"),
        (Nat::Symmetric(Stray::Dropped), "dependent"),
    ] {
        let lab = Lab::new([nat, Nat::Open]);
        let servers: Vec<_> = SERVER[0]
            .iter()
            .map(|ip| {
                let mut command = lab.command("server", FLOE);
                let mut process = Process::spawn(
                    "floe server",
                    command.args(["server", "--listen", &format!("{ip}:3478")]),
                );
                assert!(process.says("3478", PATIENCE), "{}", process.report());
                process
            })
            .collect();
        let mut command = lab.command("host1", FLOE);
        command.arg("nat").args(SERVER[0].map(|ip| format!("stun:{ip}:3478"))).arg("--json");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let report: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(told(&report, "mapping"), mapping, "{report:#}");
        assert_eq!(report["filtering"]["why"], "no-other-address", "{report:#}");
        drop(servers);
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn floe_nat_finds_udp_blocked_where_the_server_answers_over_tcp() {
    let report = {
        let lab = Lab::new([Nat::OnlyUdpPort(9), Nat::Open]);
        let _server = server(&lab, By::Floe);
        let mut command = lab.command("host1", FLOE);
        let output =
            command.args(["nat", &format!("stun:{}:3478", SERVER[0][0]), "--json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "nothing could be measured");
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str::<Value>(text.lines().last().unwrap()).unwrap()
    };
    assert_eq!(told(&report, "connectivity"), "tcp-only", "{report:#}");
    assert_eq!(report["verdict"], "turn-over-tcp");
}

#[test]
fn a_server_that_is_not_of_stun_is_misuse() {
    for uri in ["turn:127.0.0.1", "stuns:127.0.0.1"] {
        let output = Command::new(FLOE).args(["nat", uri]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{uri}");
    }
}

#[test]
fn a_lifetime_without_a_server_is_misuse() {
    let output = Command::new(FLOE).args(["nat", "--lifetime"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("server"));
}
