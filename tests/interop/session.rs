//! A session of floe, on host 1, with another implementation, on host 2.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::{Family, Lab, Nat, Stray};
use crate::others::{Other, Role};
use crate::peer::{Pair, Peer, candidate_addr};
use crate::server::{Implementation, PASSWORD, Server, USERNAME};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const CONE: Nat = Nat::PortRestricted(Stray::Dropped);

/// Which of the two in `Pair`.
pub(crate) const FLOE: usize = 0;
pub(crate) const OTHER: usize = 1;

/// What to run. Both sides get `args` and the options of the server.
pub(crate) struct Setting<'a> {
    pub(crate) nats: [Nat; 2],
    pub(crate) loss_percent: u8,
    pub(crate) server: Option<(Implementation, Uses)>,
    pub(crate) args: &'a [&'a str],
    /// More options of floe.
    pub(crate) floe: &'a [&'a str],
    /// More options of the other side.
    pub(crate) other: &'a [&'a str],
    /// The namespaces of the two.
    pub(crate) hosts: [&'a str; 2],
    /// What is done to the lab before anything runs in it.
    pub(crate) prepare: fn(&Lab),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Uses {
    Stun,
    Turn,
}

impl Setting<'_> {
    /// Two hosts behind such NATs, without a server.
    pub(crate) fn new(nats: [Nat; 2]) -> Self {
        let hosts = ["host1", "host2"];
        Self { nats, loss_percent: 0, server: None, args: &[], floe: &[], other: &[], hosts, prepare: |_| {} }
    }
}

pub(crate) struct Session {
    pub(crate) lab: Lab,
    pub(crate) pair: Pair,
    server: Option<Server>,
    other: Other,
    /// Number of the last text sent, for texts that occur once.
    texts: u32,
}

impl Session {
    pub(crate) fn start(other: Other, role: Role, setting: &Setting<'_>) -> Self {
        let lab = Lab::with_loss(setting.nats, setting.loss_percent);
        (setting.prepare)(&lab);
        let server = setting.server.map(|(which, _)| Server::start(&lab, which, Family::V4));
        let mut common: Vec<_> = setting.args.iter().map(ToString::to_string).collect();
        if let (Some(server), Some((_, uses))) = (&server, setting.server) {
            let (kind, option) = if uses == Uses::Stun { ("stun", "--stun") } else { ("turn", "--turn") };
            common.extend([option.to_owned(), server.uri(kind)]);
            if uses == Uses::Turn {
                let user = ["--turn-username", USERNAME, "--turn-password", PASSWORD];
                common.extend(user.map(str::to_owned));
            }
        }
        let common: Vec<_> = common.iter().map(String::as_str).collect();
        let ([floe_role, other_role], [floe_host, other_host]) = (role.options(), setting.hosts);
        let floe = Peer::spawn(&lab, floe_host, &[&[floe_role], &common[..], setting.floe].concat());
        let mut command = other.command(&lab, other_host);
        command.arg(other_role).args(&common).args(setting.other);
        let peers = [floe, Peer::start(&format!("{other:?}"), &mut command)];
        Self { lab, pair: Pair::of(peers), server, other, texts: 0 }
    }

    /// As `start`, and the two have connected and data goes both ways.
    pub(crate) fn connect(other: Other, role: Role, setting: &Setting<'_>) -> Self {
        let mut session = Self::start(other, role, setting);
        session.is_connected(1);
        session.passes_data();
        session
    }

    /// Carries signals until `done`.
    pub(crate) fn reaches(&mut self, what: &str, patience: Duration, done: impl Fn(&[Peer; 2]) -> bool) {
        let reached = self.pair.run_until(patience, done);
        assert!(reached, "not reached: {what}\n{}", self.report());
    }

    /// For so long neither side reports anything but that it is connected; then data still goes both ways.
    pub(crate) fn lasts(&mut self, time: Duration) {
        let broken =
            |peer: &Peer| ["disconnected", "failed", "closed"].iter().any(|state| peer.has_been(state));
        let is_broken = self.pair.run_until(time, |peers| peers.iter().any(broken));
        assert!(!is_broken, "did not last\n{}", self.report());
        self.passes_data();
    }

    /// Both have connected, and floe has done so so many times (once a generation).
    pub(crate) fn is_connected(&mut self, generations: usize) {
        self.reaches(&format!("connected, generation {generations}"), PATIENCE, |[floe, other]| {
            // A browser that is controlled never calls itself completed.
            completions(floe) >= generations && (other.has_been("connected") || other.has_been("completed"))
        });
    }

    /// Data goes both ways now. UDP: under loss one datagram proves nothing.
    pub(crate) fn passes_data(&mut self) {
        for _ in 0..10 {
            self.texts += 1;
            let text = format!("text {} of", self.texts);
            let [to_other, to_floe] = [format!("{text} floe"), format!("{text} the other")];
            self.say(FLOE, &json!({"type": "send", "text": to_other}));
            let arrived = if self.other.sends_text() {
                self.say(OTHER, &json!({"type": "send", "text": to_floe}));
                self.pair.run_until(Duration::from_secs(1), |[floe, other]| {
                    floe.has_received(&to_floe) && other.has_received(&to_other)
                })
            } else {
                self.browser_has_data()
            };
            if arrived {
                return;
            }
        }
        panic!("no data both ways\n{}", self.report());
    }

    /// Chromium counts floe's datagrams; floe has got the first record of Chromium's handshake, which ever comes again.
    fn browser_has_data(&mut self) -> bool {
        let counted = |stats: Value| stats["packets_received"].as_u64().unwrap_or(0);
        let seen = counted(self.stats(OTHER));
        self.say(FLOE, &json!({"type": "send", "text": "not for DTLS"}));
        let handshake =
            |peers: &[Peer; 2]| peers[FLOE].of_type("data").any(|line| is_handshake(&line["text"]));
        // Chromium counts anew only every 50 ms.
        (0..10).any(|_| {
            let greeted = self.pair.run_until(Duration::from_millis(100), handshake);
            self.rests(Duration::from_millis(60));
            counted(self.stats(OTHER)) > seen && greeted
        })
    }

    /// Carries signals for a time.
    pub(crate) fn rests(&mut self, time: Duration) {
        self.pair.run_until(time, |_| false);
    }

    /// What one side answers to `stats`.
    pub(crate) fn stats(&mut self, side: usize) -> Value {
        let before = self.pair.peers[side].of_type("stats").count();
        self.say(side, &json!({"type": "stats"}));
        self.reaches("stats", PATIENCE, |peers| peers[side].of_type("stats").count() > before);
        self.pair.peers[side].of_type("stats").next_back().unwrap().clone()
    }

    pub(crate) fn say(&mut self, side: usize, line: &Value) {
        self.pair.peers[side].say(line);
    }

    /// The addresses of floe's selected pair: its own and the other's.
    pub(crate) fn selected(&mut self) -> [SocketAddr; 2] {
        let report = self.report();
        let selected = self.pair.peers[FLOE].of_type("selected").next_back();
        let line = selected.unwrap_or_else(|| panic!("no pair selected\n{report}"));
        ["local", "remote"].map(|side| candidate_addr(line[side].as_str().unwrap()))
    }

    /// The other end of floe's selected pair is one of these.
    pub(crate) fn leads_to(&mut self, expected: &[IpAddr]) {
        let [_, remote] = self.selected();
        assert!(expected.contains(&remote.ip()), "{remote} is none of {expected:?}\n{}", self.report());
    }

    /// Everything one needs to understand a failure.
    pub(crate) fn report(&mut self) -> String {
        let server = self.server.as_mut().map_or_else(String::new, |server| server.process.report());
        format!("{}{server}", self.pair.report(&self.lab))
    }
}

/// How often it has completed.
pub(crate) fn completions(peer: &Peer) -> usize {
    peer.of_type("state").filter(|line| line["state"] == "completed").count()
}

/// A DTLS record of type handshake.
fn is_handshake(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.starts_with('\u{16}'))
}

/// Runs a program in a namespace of the lab.
pub(crate) fn run(lab: &Lab, namespace: &str, program: &str, arguments: &str) {
    let mut command = lab.command(namespace, program);
    let output = command.args(arguments.split(' ')).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
