//! `floe stun` and `floe turn`: against floe's own server, and against coturn over UDP, TCP and TLS.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;

const FLOE: &str = env!("CARGO_BIN_EXE_floe");
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the command to its end.
fn floe(args: &[&str]) -> Output {
    Command::new(FLOE).args(args).stdin(Stdio::null()).output().unwrap()
}

/// Its lines of JSON.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().unwrap()).collect()
}

/// `floe server` on loopback, and its port.
fn server() -> (Process, String) {
    let mut command = Command::new(FLOE);
    command.args([
        "server",
        "--listen",
        "127.0.0.1:0",
        "--user",
        "ann:secret",
        "--allow-peer",
        "127.0.0.1/32",
    ]);
    let mut process = Process::spawn("floe server", &mut command);
    let line = process.line(PATIENCE).unwrap_or_else(|| panic!("{}", process.report()));
    let port = line.rsplit_once(':').unwrap().1.to_owned();
    (process, port)
}

#[test]
fn floe_turn_tells_each_step_and_succeeds() {
    let (_server, port) = server();
    let uri = format!("turn:127.0.0.1:{port}");
    let output = floe(&["turn", &uri, "--username", "ann", "--password", "secret", "--count", "3", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = lines(&output);
    let expected = "resolved connected challenged allocated connected challenged allocated permitted echoed bound \
                    echoed refreshed deleted";
    assert_eq!(kinds(&lines).join(" "), expected);
    for line in lines.iter().filter(|line| line["type"] == "echoed") {
        assert_eq!((&line["sent"], &line["received"]), (&3.into(), &3.into()));
    }
    let text = floe(&["turn", &uri, "--username", "ann", "--password", "secret", "--count", "3"]);
    let text = String::from_utf8(text.stdout).unwrap();
    for said in ["3 of 3 came back in indications, 0 lost", "3 of 3 came back in channel, 0 lost"] {
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn floe_stun_asks_every_server_and_fails_if_one_does() {
    let (_server, port) = server();
    let good = format!("stun:127.0.0.1:{port}");
    let output = floe(&["stun", &good, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(kinds(&lines(&output)), ["resolved", "connected", "mapped"]);

    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = floe(&["stun", &format!("stun:{closed}"), &good, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    let error = lines.iter().find(|line| line["type"] == "error").unwrap();
    assert_eq!(error["where"], "connection");
    assert_eq!(kinds(&lines).last(), Some(&"mapped"), "the second one is asked all the same");
}

#[test]
fn a_wrong_password_is_status_1_and_misuse_is_status_2() {
    let (_server, port) = server();
    let uri = format!("turn:127.0.0.1:{port}");
    let output = floe(&["turn", &uri, "--username", "ann", "--password", "wrong", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    let error = lines.last().unwrap();
    assert_eq!((&error["where"], &error["code"]), (&"credentials".into(), &401.into()));
    for misuse in [
        &["stun"][..],
        &["stun", "turn:127.0.0.1"],
        &["stun", "--tcp", "stuns:localhost"],
        &["turn", "stun:127.0.0.1", "--username", "ann", "--password", "secret"],
        &["turn", "turns:localhost?transport=udp", "--username", "ann", "--password", "secret"],
        &["turn", "turn:127.0.0.1"],
        &["stun", "stun:127.0.0.1", "--ca", "/nonexistent"],
    ] {
        assert_eq!(floe(misuse).status.code(), Some(2), "{misuse:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_gives_the_allocations_back() {
    let (_server, port) = server();
    let mut command = Command::new(FLOE);
    command.args(["turn", &format!("turn:127.0.0.1:{port}"), "--username", "ann", "--password", "secret"]);
    command.args(["--count", "10000", "--json"]);
    let mut process = Process::spawn("floe turn", &mut command);
    assert!(process.says("permitted", PATIENCE), "{}", process.report());
    let killed = Command::new("kill").args(["-INT", &process.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(process.says("\"deleted\"", PATIENCE), "{}", process.report());
    assert_eq!(process.child.wait().unwrap().code(), Some(1));
}

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Coturn {
    child: Child,
    port: u16,
    tls_port: u16,
    scratch: Scratch,
}

impl Coturn {
    /// On loopback, with a certificate for `localhost` that its own root has signed.
    fn start() -> Self {
        let scratch = Scratch(std::env::temp_dir().join(format!("floe-probe-{}", std::process::id())));
        std::fs::create_dir_all(&scratch.0).unwrap();
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (pem, key) = (scratch.0.join("cert.pem"), scratch.0.join("key.pem"));
        std::fs::write(&pem, signed.cert.pem()).unwrap();
        std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
        let free = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, tls_port) = (free(), free());
        let child = Command::new("turnserver")
            .args(["-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--no-dtls", "--no-cli"])
            .args(["--listening-port", &port.to_string(), "--tls-listening-port", &tls_port.to_string()])
            .arg("--cert")
            .arg(&pem)
            .arg("--pkey")
            .arg(&key)
            .args(["--lt-cred-mech", "--realm", "lab.example", "--user", "ann:correct horse"])
            .args(["--allow-loopback-peers", "--cli-password", "unused", "--log-file", "stdout"])
            .args(["--pidfile", "/dev/null", "--userdb", "/dev/null"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let coturn = Self { child, port, tls_port, scratch };
        let up =
            || floe(&["stun", "--tcp", &format!("stun:127.0.0.1:{port}"), "--timeout", "1"]).status.success();
        assert!((0..50).any(|_| up()), "coturn does not answer");
        coturn
    }

    fn roots(&self) -> String {
        self.scratch.0.join("cert.pem").to_str().unwrap().to_owned()
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs coturn"]
fn floe_turn_and_floe_stun_test_coturn_over_udp_tcp_and_tls() {
    let coturn = Coturn::start();
    let (port, tls_port, roots) = (coturn.port, coturn.tls_port, coturn.roots());
    for uri in [
        format!("turn:127.0.0.1:{port}"),
        format!("turn:127.0.0.1:{port}?transport=tcp"),
        format!("turns:localhost:{tls_port}"),
    ] {
        let credential =
            ["--username", "ann", "--password", "correct horse", "--json", "--bind", "127.0.0.1"];
        let output = floe(&[&["turn", &uri, "--ca", &roots][..], &credential[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{uri}: {output:?}");
        let lines = lines(&output);
        assert_eq!(kinds(&lines).iter().filter(|kind| **kind == "echoed").count(), 2, "{uri}");
        assert_eq!(kinds(&lines).last(), Some(&"deleted"), "{uri}");
        assert_eq!(kinds(&lines).contains(&"secured"), uri.starts_with("turns"), "{uri}");
    }
    for args in [
        &["stun", &format!("stun:127.0.0.1:{port}")][..],
        &["stun", "--tcp", &format!("stun:127.0.0.1:{port}")],
        &["stun", "--ca", &roots, "--bind", "127.0.0.1", &format!("stuns:localhost:{tls_port}")],
    ] {
        let output = floe(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    }
    let unbelieved = floe(&["stun", "--json", "--bind", "127.0.0.1", &format!("stuns:localhost:{tls_port}")]);
    assert_eq!(unbelieved.status.code(), Some(1));
    assert_eq!(lines(&unbelieved).last().unwrap()["where"], "tls");
}

#[test]
fn floe_gather_takes_servers_as_browsers_have_them() {
    let (_server, port) = server();
    let scratch = Scratch(std::env::temp_dir().join(format!("floe-servers-{}", std::process::id())));
    std::fs::create_dir_all(&scratch.0).unwrap();
    let file = scratch.0.join("servers.json");
    let gather = |json: String| {
        std::fs::write(&file, json).unwrap();
        floe(&["gather", "--bind", "127.0.0.1", "--ice-servers", file.to_str().unwrap()])
    };
    let urls = format!(r#""urls": ["stun:127.0.0.1:{port}", "turn:127.0.0.1:{port}?transport=udp"]"#);
    let output = gather(format!(r#"[{{{urls}, "username": "ann", "credential": "secret"}}]"#));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("  relay  127.0.0.1:"), "{text}");

    let output = gather(format!(r#"[{{{urls}, "username": "ann"}}]"#));
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("credential"), "{told}");
}
