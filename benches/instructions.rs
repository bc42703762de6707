//! What floe costs in instructions, counted by callgrind and so the same on every run:
//! `cargo bench --bench instructions --no-default-features`. It needs valgrind.
//!
//! The binary runs itself under callgrind, each operation once and twice as often; the difference is the operation
//! alone. The compression function of SHA-1 stands in a column of its own: callgrind hides the SHA instructions from the
//! program, so what it counts there is not what a processor that has them does.

mod wire;

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::process::{Command, ExitCode, Stdio};

use wire::{Wire, start};

/// What is counted, how many host candidates a side, and how often it is repeated.
const OPERATIONS: [(Operation, u32, u32); 14] = [
    (Operation::Answer, 1, 100),
    (Operation::Answer, 10, 100),
    (Operation::Answer, 32, 100),
    (Operation::Data, 1, 100),
    (Operation::Data, 10, 100),
    (Operation::Idle, 1, 100),
    (Operation::Idle, 10, 100),
    (Operation::Idle, 32, 100),
    (Operation::Create, 1, 10),
    (Operation::Complete, 1, 4),
    (Operation::Complete, 10, 1),
    (Operation::Complete, 32, 1),
    (Operation::Complete, 64, 1),
    (Operation::Complete, 100, 1),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// One authenticated check on the selected pair: `handle_input` and every `poll_output`.
    Answer,
    /// One datagram of the peer's data.
    Data,
    /// A timeout that finds nothing to do, and the `poll_output` after it.
    Idle,
    /// Two agents with their sockets, and their signals.
    Create,
    /// Two agents from nothing to Completed.
    Complete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer a check",
            Self::Data => "receive data",
            Self::Idle => "idle turn",
            Self::Create => "create (both agents)",
            Self::Complete => "complete (both agents)",
        }
    }

    fn run(self, sockets: u32, times: u32) {
        match self {
            Self::Answer | Self::Data | Self::Idle => self.repeat(sockets, times),
            Self::Create => (0..times).for_each(|_| drop(black_box(Wire::new(start(), sockets)))),
            Self::Complete => {
                for _ in 0..times {
                    let mut wire = Wire::new(start(), sockets);
                    wire.signal();
                    wire.complete();
                    black_box(&wire);
                }
            }
        }
    }

    /// On a session that is Completed.
    fn repeat(self, sockets: u32, times: u32) {
        let mut wire = Wire::new(start(), sockets);
        wire.signal();
        wire.complete();
        let check = wire.next_consent_request();
        let mut buf = [0; 1500];
        for _ in 0..times {
            match self {
                Self::Answer => assert!(wire.answer(&check, &mut buf) > 0, "the check was not answered"),
                Self::Data => {
                    assert_eq!(wire.data(check.0, check.1, &[0xff; 1200]), 1200, "the data was dropped");
                }
                _ => wire.idle(&mut buf),
            }
        }
    }
}

/// Instructions of a whole run.
#[derive(Clone, Copy, Default)]
struct Count {
    sha1: u64,
    rest: u64,
}

/// Runs this binary under callgrind.
fn count(operation: usize, times: u32) -> Result<Count, String> {
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let path = std::env::temp_dir().join(format!("floe-instructions-{}-{times}", std::process::id()));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", path.display()))
        .arg(myself)
        .args(["run", &operation.to_string(), &times.to_string()])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("valgrind: {error}"))?;
    let profile = fs::read_to_string(&path).map_err(|error| error.to_string());
    let _ = fs::remove_file(&path);
    if !status.success() {
        return Err(format!("{} ended with {status}", OPERATIONS[operation].0.name()));
    }
    Ok(sum(&profile?))
}

/// Adds up the cost of each line of a profile, by whether its function compresses for SHA-1. A name is written out
/// once and referred to by its number afterwards; the line after `calls=` is the callee's cost, not the function's own.
fn sum(profile: &str) -> Count {
    let (mut count, mut names) = (Count::default(), HashMap::new());
    let (mut compresses, mut callee) = (false, false);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let (number, text) = name.split_once(' ').unwrap_or((name, ""));
            let is_named = text.contains("sha1") && text.contains("compress");
            let known = *names.entry(number).or_insert(is_named);
            if line.starts_with("fn=") {
                compresses = known;
            }
        } else if line.starts_with("calls=") {
            callee = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0);
            match (std::mem::take(&mut callee), compresses) {
                (true, _) => {}
                (false, true) => count.sha1 += cost,
                (false, false) => count.rest += cost,
            }
        }
    }
    count
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [run, operation, times] = args.as_slice()
        && run == "run"
        && let (Ok(operation), Ok(times)) = (operation.parse::<usize>(), times.parse())
    {
        let (operation, sockets, _) = OPERATIONS[operation];
        operation.run(sockets, times);
        return ExitCode::SUCCESS;
    }
    println!("{:<24} {:>6} {:>14} {:>14}", "instructions of", "N", "without SHA-1", "SHA-1");
    for (index, (operation, sockets, times)) in OPERATIONS.iter().enumerate() {
        if args.first().is_some_and(|only| !operation.name().contains(only.as_str())) {
            continue;
        }
        match (count(index, *times), count(index, 2 * times)) {
            (Ok(once), Ok(twice)) => {
                let each = |once: u64, twice: u64| twice.saturating_sub(once) / u64::from(*times);
                let (rest, sha1) = (each(once.rest, twice.rest), each(once.sha1, twice.sha1));
                println!("{:<24} {sockets:>6} {rest:>14} {sha1:>14}", operation.name());
            }
            (Err(error), _) | (_, Err(error)) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
