//! `floe peer` processes and the signaling channel between two of them, which is the test itself.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::process::Process;

/// One `floe peer`, and what it has reported (the lines of its contract).
pub(crate) struct Peer {
    process: Process,
    /// All its lines so far.
    pub(crate) lines: Vec<Value>,
    /// Its lines that the other side has been given.
    signalled: usize,
}

impl Peer {
    pub(crate) fn spawn(lab: &Lab, host: &str, args: &[&str]) -> Self {
        let mut command = lab.command(host, env!("CARGO_BIN_EXE_floe"));
        command.arg("peer").args(args);
        Self::start(host, &mut command)
    }

    /// Any process that speaks the contract.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        Self { process: Process::spawn(name, command), lines: Vec::new(), signalled: 0 }
    }

    pub(crate) fn say(&mut self, line: &Value) {
        // A process that has ended says why in its own lines.
        let _ = writeln!(self.process.child.stdin.as_ref().unwrap(), "{line}");
    }

    /// Takes one line if there is one soon.
    fn listen(&mut self, patience: Duration) {
        if let Some(text) = self.process.line(patience) {
            let line = serde_json::from_str(&text);
            self.lines.push(line.unwrap_or_else(|e| panic!("{text}: {e}\n{}", self.process.report())));
        }
    }

    /// Its lines of a type so far.
    pub(crate) fn of_type<'a>(&'a self, kind: &'a str) -> impl DoubleEndedIterator<Item = &'a Value> {
        self.lines.iter().filter(move |line| line["type"] == kind)
    }

    /// Whether it has ever been in this state.
    pub(crate) fn has_been(&self, state: &str) -> bool {
        self.of_type("state").any(|line| line["state"] == state)
    }

    pub(crate) fn has_received(&self, text: &str) -> bool {
        self.of_type("data").any(|line| line["text"] == text)
    }

    pub(crate) fn has_error(&self, part: &str) -> bool {
        self.of_type("error").any(|line| line["message"].as_str().is_some_and(|m| m.contains(part)))
    }

    /// The types (`host`, `srflx`, …) of the local and the remote candidate of the latest selected pair.
    pub(crate) fn selected_types(&self) -> Option<[String; 2]> {
        let line = self.of_type("selected").next_back()?;
        Some(["local", "remote"].map(|side| candidate_type(line[side].as_str().unwrap())))
    }

    /// The transports of the two.
    pub(crate) fn selected_transports(&self) -> Option<[String; 2]> {
        let line = self.of_type("selected").next_back()?;
        let transport = |side: &str| Some(line[side].as_str()?.split(' ').nth(2)?.to_owned());
        Some([transport("local")?, transport("remote")?])
    }

    /// The addresses of all candidates it has signalled.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = SocketAddr> {
        self.of_type("candidate").map(|line| candidate_addr(line["candidate"].as_str().unwrap()))
    }

    pub(crate) fn report(&mut self) -> String {
        self.process.report()
    }
}

fn candidate_type(line: &str) -> String {
    let mut words = line.split(' ').skip_while(|word| *word != "typ");
    words.nth(1).unwrap_or_else(|| panic!("no typ in {line}")).to_owned()
}

pub(crate) fn candidate_addr(line: &str) -> SocketAddr {
    let words: Vec<_> = line.split(' ').collect();
    SocketAddr::new(words[4].parse().unwrap(), words[5].parse().unwrap())
}

/// Two peers, one on each host: the first is controlling.
pub(crate) struct Pair {
    pub(crate) peers: [Peer; 2],
    pub(crate) signals: Signals,
}

/// What the signaling channel does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Signals {
    /// It carries lines as they come.
    #[default]
    Carried,
    /// It keeps them.
    Held,
}

impl Pair {
    /// `args` go to both.
    pub(crate) fn spawn(lab: &Lab, args: &[&str]) -> Self {
        let peer = |host, role| Peer::spawn(lab, host, &[&[role], args].concat());
        Self::of([peer("host1", "--controlling"), peer("host2", "--controlled")])
    }

    pub(crate) fn of(peers: [Peer; 2]) -> Self {
        Self { peers, signals: Signals::Carried }
    }

    /// Carries lines to and fro until `done`, for `patience` at most; then says whether it is done.
    pub(crate) fn run_until(&mut self, patience: Duration, done: impl Fn(&[Peer; 2]) -> bool) -> bool {
        let end = Instant::now() + patience;
        while !done(&self.peers) {
            if Instant::now() > end {
                return false;
            }
            for from in 0..2 {
                self.peers[from].listen(Duration::from_millis(5));
                if self.signals == Signals::Carried {
                    self.signal(from);
                }
            }
        }
        true
    }

    fn signal(&mut self, from: usize) {
        let [a, b] = &mut self.peers;
        let (from, to) = if from == 0 { (a, b) } else { (b, a) };
        let fresh = from.lines[from.signalled..].to_vec();
        from.signalled = from.lines.len();
        for line in fresh {
            if ["credentials", "candidate", "end-of-candidates"].iter().any(|kind| line["type"] == *kind) {
                to.say(&line);
            }
        }
    }

    /// Waits until both have completed, then sends data both ways and checks that it arrives.
    pub(crate) fn connect(&mut self, lab: &Lab, patience: Duration) {
        let completed = self.run_until(patience, |peers| peers.iter().all(|p| p.has_been("completed")));
        assert!(completed, "the peers did not complete\n{}", self.report(lab));
        // UDP: under loss one datagram proves nothing.
        for attempt in 0..10 {
            for (from, text) in [(0, "to the controlled side"), (1, "to the controlling side")] {
                self.peers[from].say(&json!({"type": "send", "text": text}));
            }
            let arrived = |peers: &[Peer; 2]| {
                peers[0].has_received("to the controlling side")
                    && peers[1].has_received("to the controlled side")
            };
            if self.run_until(Duration::from_secs(1), arrived) {
                return;
            }
            assert!(attempt < 9, "no data both ways\n{}", self.report(lab));
        }
    }

    /// Everything one needs to understand a failure.
    pub(crate) fn report(&mut self, lab: &Lab) -> String {
        let peers: Vec<_> = self.peers.iter_mut().map(Peer::report).collect();
        format!("{}{}", peers.concat(), lab.describe())
    }
}
