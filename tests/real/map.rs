//! `floe map` and mapped candidates at a real gateway, miniupnpd, in all three protocols.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::home::{GATEWAY, HOST, Home, PUBLIC};
use crate::lab::run;
use crate::process::Process;

const PATIENCE: Duration = Duration::from_secs(20);
const FLOE: &str = env!("CARGO_BIN_EXE_floe");
/// Answers one datagram, or one connection, and ends.
const UDP: &str =
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.77.0.2', 5000))
print('ready', flush=True); data, source = s.recvfrom(99); s.sendto(b'hello ' + data, source)";
const TCP: &str = "import socket; s = socket.create_server(('10.77.0.2', 5000))
print('ready', flush=True); c, _ = s.accept(); c.sendall(b'hello ' + c.recv(99)); c.close()";

/// `floe map 5000` with these arguments.
fn map(home: &Home, args: &[&str]) -> Process {
    let mut command = home.command("host", FLOE);
    command.args(["map", "5000", "--json"]).args(args);
    Process::spawn("floe map", &mut command)
}

fn value(process: &mut Process) -> Value {
    let Some(line) = process.line(PATIENCE) else { panic!("no line\n{}", process.report()) };
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Ctrl-C, and how it ended.
fn interrupt(process: &mut Process) -> Option<i32> {
    run(Command::new("kill").args(["-INT", &process.child.id().to_string()]));
    process.child.wait().unwrap().code()
}

/// What the host answers to somebody outside.
fn reach(home: &Home, transport: &str, port: &str) -> String {
    let server = if transport == "tcp" { TCP } else { UDP };
    let mut server = Process::spawn("server", home.command("host", "python3").args(["-c", server]));
    assert!(server.says("ready", PATIENCE), "{}", server.report());
    let kind = if transport == "tcp" { "STREAM" } else { "DGRAM" };
    let client = format!(
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_{kind}); s.settimeout(10)
s.connect(('{PUBLIC}', {port})); s.send(b'ann'); print(s.recv(99).decode())"
    );
    let output = home.command("outside", "python3").args(["-c", &client]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
#[ignore = "needs root and miniupnpd"]
fn each_protocol_maps_a_port_that_the_outside_reaches_and_takes_it_back() {
    let home = Home::new(PUBLIC);
    for (protocol, name) in [("pcp", "PCP"), ("nat-pmp", "NAT-PMP"), ("upnp", "UPnP")] {
        for transport in ["udp", "tcp"] {
            let flag = format!("--{transport}");
            let mut floe = map(&home, &[&flag, "--protocol", protocol, "--external", "4000"]);
            let mapped = value(&mut floe);
            let what = format!("{protocol} {transport}: {mapped}\n{}", floe.report());
            assert_eq!(mapped["type"], "mapped", "{what}");
            assert_eq!(mapped["external"], format!("{PUBLIC}:4000"), "{what}");
            assert_eq!(mapped["internal"], format!("{HOST}:5000"), "{what}");
            assert_eq!((&mapped["protocol"], &mapped["public"]), (&name.into(), &true.into()), "{what}");
            assert_eq!(reach(&home, transport, "4000"), "hello ann", "{what}");
            assert_eq!(home.mappings(), 1, "{what}");
            assert_eq!(interrupt(&mut floe), Some(0), "{}", floe.report());
            assert_eq!(value(&mut floe)["type"], "unmapped");
            assert_eq!(home.mappings(), 0, "{what}");
        }
    }
}

#[test]
#[ignore = "needs root and miniupnpd"]
fn the_default_gateway_is_found_and_pcp_is_preferred() {
    let home = Home::new(PUBLIC);
    let mut floe = map(&home, &["--udp", "--tcp"]);
    let both = [value(&mut floe), value(&mut floe)];
    assert!(both.iter().all(|it| it["protocol"] == "PCP"), "{both:?}\n{}", floe.report());
    assert_ne!(both[0]["transport"], both[1]["transport"]);
    assert_eq!(home.mappings(), 2);
    assert_eq!(interrupt(&mut floe), Some(0));
    assert_eq!(home.mappings(), 0);
}

#[test]
#[ignore = "needs root and miniupnpd"]
fn a_port_that_another_mapping_has_is_replaced_by_another_one() {
    let home = Home::new(PUBLIC);
    home_second_host(&home);
    for protocol in ["pcp", "nat-pmp", "upnp"] {
        let args = ["--protocol", protocol, "--external", "4000"];
        let mut first = map(&home, &args);
        assert_eq!(value(&mut first)["external"], format!("{PUBLIC}:4000"), "{}", first.report());
        let mut command = home.command("host", FLOE);
        command.args(["map", "5000", "--json", "--bind", "10.77.0.3"]).args(args);
        let mut second = Process::spawn("floe map", &mut command);
        let mapped = value(&mut second);
        assert_eq!(mapped["type"], "mapped", "{protocol} {mapped}\n{}", second.report());
        assert_ne!(mapped["external"], format!("{PUBLIC}:4000"), "{protocol}");
        for floe in [&mut first, &mut second] {
            assert_eq!(interrupt(floe), Some(0), "{}", floe.report());
        }
    }
}

/// Another address of the host, which to the gateway is another host.
fn home_second_host(home: &Home) {
    run(Command::new("ip").args(["-n", &home.name("host"), "addr", "add", "10.77.0.3/24", "dev", "eth0"]));
}

#[test]
#[ignore = "needs root and miniupnpd"]
fn a_gateway_without_a_public_address_is_told_to_be_behind_a_nat() {
    for public in ["203.0.113.1", "192.168.99.9"] {
        let home = Home::new(public);
        for protocols in [&["--protocol", "nat-pmp"][..], &["--protocol", "upnp"], &[]] {
            let mut floe = map(&home, protocols);
            assert!(
                floe.says("is itself behind a NAT", PATIENCE),
                "{public} {protocols:?}\n{}",
                floe.report()
            );
            assert_eq!(floe.child.wait().unwrap().code(), Some(1), "{}", floe.report());
            assert_eq!(home.mappings(), 0);
        }
    }
}

#[test]
#[ignore = "needs root and miniupnpd"]
fn a_gateway_that_speaks_nothing_is_told_in_time() {
    let mut home = Home::new(PUBLIC);
    home.daemon = None;
    let mut floe = map(&home, &["--timeout", "3"]);
    assert!(floe.says(&format!("not mapped at {GATEWAY}"), PATIENCE), "{}", floe.report());
    assert_eq!(floe.child.wait().unwrap().code(), Some(1));
}

#[test]
#[ignore = "needs root and miniupnpd"]
fn gathering_with_map_gives_a_candidate_without_a_server() {
    let home = Home::new(PUBLIC);
    let output = home.command("host", FLOE).args(["gather", "--map", "--no-ipv6", "--tcp"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mapped: Vec<&str> = text.lines().filter(|line| line.contains(PUBLIC)).collect();
    assert_eq!(mapped.len(), 2, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(mapped.iter().all(|line| line.contains("srflx") && line.contains(HOST)), "{text}");
    assert!(mapped.iter().any(|line| line.ends_with("tcp passive")), "{text}");
    assert_eq!(home.mappings(), 0, "taken back");
}
