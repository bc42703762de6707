//! What others read in floe's packets.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab::{Family, Lab};
use crate::peer::{Pair, Peer};
use crate::process::Process;
use crate::server::{Implementation, PASSWORD, Server, USERNAME};
use crate::session::{CONE, PATIENCE};

/// Everything on the public segment, until it is stopped.
struct Capture {
    process: Process,
    file: PathBuf,
}

impl Capture {
    fn start(lab: &Lab, name: &str) -> Self {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.pcap", std::process::id()));
        let mut command = lab.command("pub", "tcpdump");
        // As root it would give up its rights before it opens the file.
        command.args(["-i", "segment", "-U", "-Z", "root", "-w"]).arg(&file).arg("udp");
        let mut process = Process::spawn("tcpdump", &mut command);
        assert!(process.says("listening on", PATIENCE), "{}", process.report());
        Self { process, file }
    }

    /// What tshark reads in the packets that a filter selects: one line each.
    fn read(&self, filter: &str) -> Vec<String> {
        let mut command = Command::new("tshark");
        // Checks between peers use any port: the dissector has to look at each.
        command.args(["-o", "udp.try_heuristic_first:TRUE", "-r"]).arg(&self.file).args(["-Y", filter]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A session between two NATs with `floe server`, whose packets all pass the public segment.
fn capture(name: &str, policy: &str) -> Capture {
    let lab = Lab::new([CONE, CONE]);
    let mut capture = Capture::start(&lab, name);
    let server = Server::start(&lab, Implementation::Floe, Family::V4);
    let (stun, turn) = (server.uri("stun"), server.uri("turn"));
    let args = ["--stun", &stun, "--turn", &turn, "--turn-username", USERNAME, "--turn-password", PASSWORD];
    let mut pair = Pair::spawn(&lab, &[&args[..], &["--policy", policy]].concat());
    pair.connect(&lab, PATIENCE);
    pair.run_until(Duration::from_secs(1), |_| false);
    // The first data may have left before there was a channel.
    for peer in &mut pair.peers {
        peer.say(&serde_json::json!({"type": "send", "text": "later"}));
    }
    pair.run_until(PATIENCE, |peers| peers.iter().all(|peer| peer.has_received("later")));
    let relayed = pair.peers.iter().filter_map(Peer::selected_types).flatten().any(|kind| kind == "relay");
    assert_eq!(relayed, policy == "relay", "{}", pair.report(&lab));
    for peer in &mut pair.peers {
        peer.say(&serde_json::json!({"type": "close"}));
    }
    pair.run_until(PATIENCE, |peers| peers.iter().all(|peer| peer.has_been("closed")));
    // tcpdump writes each packet at once; it must have seen the last ones.
    pair.run_until(Duration::from_millis(500), |_| false);
    drop(pair);
    capture.process.says("never said", Duration::from_millis(1));
    capture
}

const BAD: &str = "_ws.malformed || _ws.expert.severity == error || _ws.expert.severity == warning";

#[test]
#[ignore = "needs root, tcpdump and tshark"]
fn a_direct_session_has_no_malformed_field() {
    let capture = capture("direct", "all");
    // Binding to the server and to the peer, with all that a check has.
    for needed in [
        "stun.type == 0x0001 && udp.port == 3478",
        "stun.type == 0x0001 && stun.att.type == 0x8029 || stun.att.type == 0x802a",
        "stun.type == 0x0101 && stun.att.type == 0x0020 && stun.att.type == 0x0008",
        "stun.type == 0x0001 && stun.att.type == 0x0025",
    ] {
        assert!(!capture.read(needed).is_empty(), "nothing captured: {needed}");
    }
    assert_eq!(capture.read(BAD), [""; 0]);
}

#[test]
#[ignore = "needs root, tcpdump and tshark"]
fn a_relayed_session_has_no_malformed_field() {
    let capture = capture("relayed", "relay");
    // Allocate with its challenge, CreatePermission, ChannelBind, ChannelData, and Refresh with a lifetime of 0.
    for needed in [
        "stun.type == 0x0003",
        "stun.type == 0x0113 && stun.att.error == 1",
        "stun.type == 0x0103 && stun.att.type == 0x0016",
        "stun.type == 0x0108",
        "stun.type == 0x0109",
        "stun.channel",
        "stun.type == 0x0104",
    ] {
        assert!(!capture.read(needed).is_empty(), "nothing captured: {needed}");
    }
    assert_eq!(capture.read(BAD), [""; 0]);
}
