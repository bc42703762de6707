//! What session descriptions say about ICE (RFC 8839, RFC 8838).

mod fuzzed;
mod later;
mod over_sdp;
mod read;
mod trickle;
#[cfg(feature = "serde")]
mod web;
mod write;

use floe::candidate::Candidate;
use floe::sdp::Description;
use floe::signal::Signal;
use floe::{Agent, Event, Output};

/// Reads a description.
fn read(text: &str) -> Description {
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The field of the error that reading gives.
fn field(text: &str) -> &'static str {
    text.parse::<Description>().expect_err(text).field
}

fn candidate(line: &str) -> Candidate {
    line.parse().expect(line)
}

/// What an agent emits that has the candidates given, one line a signal.
fn emitted(lines: &[&str]) -> Vec<Signal> {
    lines.iter().map(|line| line.parse().expect(line)).collect()
}

/// The signals that an agent has ready.
fn drain(agent: &mut Agent) -> Vec<Signal> {
    let (mut buf, mut signals) = ([0; 1500], Vec::new());
    loop {
        match agent.poll_output(&mut buf) {
            Output::Event(Event::Signal(signal)) => signals.push(signal),
            Output::Wait(_) => return signals,
            _ => {}
        }
    }
}

/// The own description with what an agent emitted.
fn local(mids: &[&str], lines: &[&str]) -> Description {
    let mut description = Description::with_mids(mids);
    description.extend(&emitted(lines));
    description
}

/// The lines of a text that begin so.
fn count(text: &str, start: &str) -> usize {
    text.lines().filter(|line| line.starts_with(start)).count()
}

const CREDENTIALS: &str = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n";
