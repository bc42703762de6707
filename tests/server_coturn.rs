//! `floe server` and coturn's own clients, which are other people's reading of the RFCs. They need Debian's `coturn`,
//! and are run by the CI step that runs ignored tests.
//!
//! What uclient of coturn 4.6 does that is not the server's: it draws channel numbers from the range of RFC 5766, of
//! which RFC 8656 has left a quarter, and gives up on the 400; over TLS it reports the last messages of each client as
//! lost whatever the server, since it does not look into what TLS has read already; a client that moves over UDP closes
//! its old socket before the server may send to the new one; and a dual allocation it asks for by the number of a draft.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// How often two clients are started that draw a channel number each which does not exist three times in four: both
/// are good once in 16 times. The allocations of those that gave up stay until their end.
const ATTEMPTS: usize = 300;
const ALLOCATIONS: &str = "1000";

struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// Protocol and address, as they were printed.
    listening: Vec<(String, String)>,
}

impl Server {
    /// Starts it on loopback; `count` lines say where it listens.
    fn start(args: &[&str], count: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_floe"))
            .args(["server", "--realm", "lab.example", "--user", "ann:secret"])
            .args(["--allow-peer", "127.0.0.0/8", "--allow-peer", "::1"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("floe");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let listening = (0..count)
            .map(|_| {
                let mut line = String::new();
                lines.read_line(&mut line).expect("a line");
                let words: Vec<_> = line.split_whitespace().collect();
                let ["listening", "on", protocol, addr] = words[..] else { panic!("{line:?}") };
                (protocol.to_owned(), addr.to_owned())
            })
            .collect();
        Self { child, lines, listening }
    }

    fn port(&self, protocol: &str) -> &str {
        let (_, addr) = self.listening.iter().find(|(name, _)| name == protocol).expect(protocol);
        addr.rsplit(':').next().expect("a port")
    }

    /// Interrupts it: its last counters.
    fn stop(mut self) -> serde_json::Value {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the counters");
        assert!(self.child.wait().expect("its end").success());
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &str, args: &[&str]) -> (Output, String) {
    let output = Command::new("timeout").args(["100", program]).args(args).output().expect(program);
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, text)
}

/// Four clients send 50 messages each through two relays.
fn uclient(args: &[&str]) -> (Output, String) {
    let load = ["-w", "secret", "-n", "50", "-m", "4", "-l", "170", "-y", "-c"];
    run("turnutils_uclient", &[&["-u", "ann"][..], &load, args].concat())
}

fn lost_nothing((output, text): &(Output, String)) -> bool {
    output.status.success() && text.contains("Total lost packets 0 (") && text.contains("tot_recv_msgs=200")
}

fn address(v6: bool) -> (&'static str, &'static str, &'static [&'static str]) {
    if v6 { ("[::1]:0", "::1", &["-x"]) } else { ("127.0.0.1:0", "127.0.0.1", &[]) }
}

fn indications(transport: &[&str]) {
    for v6 in [false, true] {
        let (listen, ip, family) = address(v6);
        let server = Server::start(&["--listen", listen], 2);
        let result = uclient(&[transport, family, &["-s", "-p", server.port("udp"), ip]].concat());
        assert!(lost_nothing(&result), "{}", result.1);
        let counters = server.stop();
        assert_eq!(counters["server"]["packetsToPeers"], 200);
        assert_eq!(counters["server"]["packetsToClients"], 200);
    }
}

#[test]
#[ignore = "needs coturn"]
fn indications_of_uclient_over_udp_arrive_in_both_families() {
    indications(&[]);
}

#[test]
#[ignore = "needs coturn"]
fn indications_of_uclient_over_tcp_arrive_in_both_families() {
    indications(&["-t"]);
}

fn channels(transport: &[&str]) {
    for v6 in [false, true] {
        let (listen, ip, family) = address(v6);
        let server = Server::start(&["--listen", listen, "--quota", ALLOCATIONS], 2);
        let mut tries = 0;
        loop {
            // Two clients: each more is another chance of a number that does not exist.
            let load = ["-u", "ann", "-w", "secret", "-n", "50", "-m", "2", "-l", "171", "-y", "-c"];
            let to = ["-p", server.port("udp"), ip];
            let (output, text) = run("turnutils_uclient", &[&load[..], transport, family, &to].concat());
            tries += 1;
            if output.status.success() {
                assert!(text.contains("Total lost packets 0 ("), "{text}");
                assert!(text.contains("tot_recv_msgs=100"), "{text}");
                break;
            }
            assert!(text.contains("channel bind: error 400"), "{text}");
            assert!(tries < ATTEMPTS, "no good channel number in {ATTEMPTS} attempts");
        }
        let counters = server.stop();
        assert_eq!(counters["server"]["packetsToClients"], 100);
    }
}

#[test]
#[ignore = "needs coturn"]
fn channels_of_uclient_over_udp_arrive_in_both_families() {
    channels(&[]);
}

#[test]
#[ignore = "needs coturn"]
fn channels_of_uclient_over_tcp_arrive_in_both_families() {
    channels(&["-t"]);
}

#[test]
#[ignore = "needs coturn"]
fn uclient_over_tls_has_all_its_messages_relayed() {
    let files = std::env::temp_dir().join(format!("floe-tls-{}", std::process::id()));
    std::fs::create_dir_all(&files).expect("a directory");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (files.join("cert.pem"), files.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    for v6 in [false, true] {
        let (listen, ip, family) = address(v6);
        let (cert, key) = (cert.to_str().expect("UTF-8"), key.to_str().expect("UTF-8"));
        let tls = ["--listen", listen, "--tls-listen", listen, "--tls-cert", cert, "--tls-key", key];
        let server = Server::start(&tls, 3);
        let (output, text) =
            uclient(&[&["-t", "-S", "-s"][..], family, &["-p", server.port("tls"), ip]].concat());
        assert!(output.status.success(), "{text}");
        let counters = server.stop();
        assert_eq!(counters["server"]["packetsToPeers"], 200, "{counters}");
        assert_eq!(counters["server"]["packetsToClients"], 200, "{counters}");
        assert_eq!(counters["packetsDiscardedOnSend"], 0, "{counters}");
    }
    std::fs::remove_dir_all(&files).expect("removed");
}

#[test]
#[ignore = "needs coturn"]
fn a_client_that_moves_over_tcp_loses_nothing() {
    let server = Server::start(&["--listen", "127.0.0.1:0"], 2);
    let result = uclient(&["-t", "-M", "-s", "-p", server.port("tcp"), "127.0.0.1"]);
    assert!(lost_nothing(&result), "{}", result.1);
    let counters = server.stop();
    assert!(counters["server"]["moves"].as_u64() > Some(0), "{counters}");
}

#[test]
#[ignore = "needs coturn"]
fn uclient_makes_its_password_of_the_secret() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--rest-secret", "north"], 2);
    let to = ["-n", "20", "-m", "2", "-y", "-c", "-s", "-p", server.port("udp"), "127.0.0.1"];
    let (output, text) = run("turnutils_uclient", &[&["-u", "bob", "-W", "north"][..], &to].concat());
    assert!(output.status.success() && text.contains("Total lost packets 0 ("), "{text}");
    let (output, text) = run("turnutils_uclient", &[&["-u", "bob", "-W", "south"][..], &to].concat());
    assert!(!output.status.success() && text.contains("Cannot complete Allocation"), "{text}");
}

#[test]
#[ignore = "needs coturn"]
fn stunclient_learns_its_address_in_both_families() {
    for v6 in [false, true] {
        let (listen, ip, _) = address(v6);
        let server = Server::start(&["--listen", listen], 2);
        let (_, text) = run("turnutils_stunclient", &["-p", server.port("udp"), ip]);
        assert!(text.contains("UDP reflexive addr: "), "{text}");
        assert!(text.contains(ip), "{text}");
    }
}

#[test]
#[ignore = "needs coturn"]
fn natdiscovery_finds_out_that_loopback_has_no_nat() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--alternate", "127.0.0.2:0"], 5);
    let tests = ["-m", "-f", "-t", "-T", "1", "-H", "-p", server.port("udp"), "127.0.0.1"];
    let (_, text) = run("turnutils_natdiscovery", &tests);
    for found in [
        "NAT with Endpoint Independent Mapping!",
        "NAT with Endpoint Independent Filtering!",
        "No ALG: Mapped == XOR-Mapped",
        "successful hairpinning",
    ] {
        assert!(text.contains(found), "{found:?} is not in {text}");
    }
    let (_, text) = run("turnutils_natdiscovery", &["-m", "-f", "-P", "-p", server.port("udp"), "127.0.0.1"]);
    assert!(text.contains("NAT with Endpoint Independent Filtering!"), "{text}");
}

#[cfg(unix)]
#[test]
fn its_counters_come_on_sigusr1_and_at_the_end() {
    let mut server = Server::start(&["--listen", "127.0.0.1:0", "--no-tcp"], 1);
    let id = server.child.id().to_string();
    assert!(Command::new("kill").args(["-USR1", &id]).status().expect("kill").success());
    let mut line = String::new();
    server.lines.read_line(&mut line).expect("the counters");
    let counters: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(counters["type"], "stats");
    assert_eq!(counters["server"]["allocations"], 0);
    assert_eq!(server.stop()["packetsDiscardedOnSend"], 0);
}

#[test]
fn its_counters_come_at_an_interval() {
    let mut server = Server::start(&["--listen", "127.0.0.1:0", "--no-tcp", "--stats-interval", "1"], 1);
    let mut line = String::new();
    for _ in 0..2 {
        line.clear();
        server.lines.read_line(&mut line).expect("the counters");
    }
    let counters: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert!(counters["uptime"].as_u64() >= Some(2));
}
