//! The traces of two agents as one ladder for the terminal.

use std::collections::HashMap;
use std::fmt;

use super::{Class, Content, Record, Side, Trace, What, millis};
use crate::time::Instant;

/// Characters of a line.
const WIDTH: usize = 100;
/// Characters between the two rails: the time takes 10 before the left one.
const BODY: usize = WIDTH - 12;

/// Prints two traces side by side, 100 columns wide, times in milliseconds from the epoch:
///
/// ```text
///        ms alice                                                                 bob
///     1.000 │ • state checking                                                      │
///     2.000 │── Binding request #0707  10.0.0.2:5000 → 10.0.0.3:6000 ──────────────►│
///     3.500 │◄───────────── Binding success #0707  10.0.0.3:6000 → 10.0.0.2:5000 ───│
///     9.000 │── Binding request #0a0a  10.0.0.2:5000 → 192.0.2.9:3478 ─►            │
/// ```
///
/// An arrow from rail to rail is a datagram that both have seen, at the time it was sent; a short one was seen
/// at one end only: it is lost, or the other end is a server. Only what the rings still hold can be matched.
#[derive(Debug, Clone, Copy)]
pub struct Ladder<'a> {
    epoch: Instant,
    left: (&'a str, &'a Trace),
    right: (&'a str, &'a Trace),
}

impl<'a> Ladder<'a> {
    /// Each agent by its name and its trace.
    pub fn new(epoch: Instant, left: (&'a str, &'a Trace), right: (&'a str, &'a Trace)) -> Self {
        Self { epoch, left, right }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rail {
    Left,
    Right,
}

/// What is drawn for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drawn {
    /// From rail to rail: sent, and received at the other end.
    Across,
    /// What one end alone knows of.
    OneSided,
    /// Nothing: the sender's line shows it.
    Elsewhere,
}

impl fmt::Display for Ladder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut records: Vec<(Rail, &Record)> = self.left.1.records().map(|it| (Rail::Left, it)).collect();
        records.extend(self.right.1.records().map(|it| (Rail::Right, it)));
        records.sort_by_key(|(_, record)| record.at);

        let (left, right) = (fit(self.left.0, BODY / 2), fit(self.right.0, BODY / 2));
        let gap = BODY + 2 - left.chars().count() - right.chars().count();
        writeln!(f, "{:>9} {left}{:gap$}{right}", "ms", "")?;
        for ((rail, record), drawn) in records.iter().zip(drawn(&records)) {
            if drawn != Drawn::Elsewhere {
                let body = body(*rail, &record.what, drawn);
                writeln!(f, "{:>9.3} │{body}│", millis(self.epoch, record.at))?;
            }
        }
        Ok(())
    }
}

/// Matches what one end received with what the other sent: the same content, the latest one that was sent
/// before, so that of a row of retransmissions the lost ones stay unmatched.
fn drawn(records: &[(Rail, &Record)]) -> Vec<Drawn> {
    let is_receipt = |record: &Record| matches!(record.what, What::Received { .. });
    let mut order: Vec<usize> = (0..records.len()).collect();
    // At one instant what is sent comes before what is received: a link may have no latency.
    order.sort_by_key(|index| (records[*index].1.at, is_receipt(records[*index].1)));

    let mut drawn = vec![Drawn::OneSided; records.len()];
    let mut in_flight: HashMap<(Rail, Content), Vec<usize>> = HashMap::new();
    for index in order {
        let (rail, record) = records[index];
        match record.what {
            What::Sent { content, .. } => in_flight.entry((rail, content)).or_default().push(index),
            What::Received { content, .. } => {
                let sender = if rail == Rail::Left { Rail::Right } else { Rail::Left };
                if let Some(sent) = in_flight.get_mut(&(sender, content)).and_then(Vec::pop) {
                    drawn[sent] = Drawn::Across;
                    drawn[index] = Drawn::Elsewhere;
                }
            }
            _ => {}
        }
    }
    drawn
}

/// The [`BODY`] characters between the rails.
fn body(rail: Rail, what: &What, drawn: Drawn) -> String {
    let (label, to_right) = match what {
        What::Sent { base, remote, content } => {
            (packet(content, &format!("{base} → {remote}"), &format!("→ {remote}")), rail == Rail::Left)
        }
        What::Received { base, remote, content } => {
            (packet(content, &format!("{remote} → {base}"), &format!("{remote} →")), rail == Rail::Right)
        }
        _ => return note(rail, what),
    };
    let line = "─".repeat((BODY - 6).saturating_sub(label.chars().count()));
    match (drawn, rail, to_right) {
        (Drawn::Across, _, true) => format!("── {label} {line}─►"),
        (Drawn::Across, _, false) => format!("◄─{line} {label} ──"),
        (_, Rail::Left, true) => format!("{:BODY$}", format!("── {label} ─►")),
        (_, Rail::Left, false) => format!("{:BODY$}", format!("◄─ {label} ──")),
        (_, Rail::Right, true) => format!("{:>BODY$}", format!("── {label} ─►")),
        (_, Rail::Right, false) => format!("{:>BODY$}", format!("◄─ {label} ──")),
    }
}

/// What happened at one end, beside its rail.
fn note(rail: Rail, what: &What) -> String {
    let text = match what {
        What::Dropped { remote, why, .. } => format!("dropped, from {remote}: {why}"),
        What::Candidate { side, kind, address, .. } => {
            let whose = if *side == Side::Local { "own" } else { "peer's" };
            format!("{whose} {} candidate {address}", kind.as_str())
        }
        What::Unresolved { kind, port, .. } => {
            format!("peer's {} candidate at port {port} has a name that nobody answers for", kind.as_str())
        }
        What::Pair { local, remote, state } => format!("pair {local} ↔ {remote} {state}"),
        What::Nominated { local, remote } => format!("nominated {local} ↔ {remote}"),
        What::State(state) => format!("state {state}"),
        What::Path { destination: Some(destination), .. } => format!("path to {destination}"),
        What::Path { destination: None, .. } => "no path".to_owned(),
        What::Sent { .. } | What::Received { .. } => String::new(),
    };
    let text = fit(&text, BODY - 4);
    match rail {
        Rail::Left => format!("{:BODY$}", format!(" • {text}")),
        Rail::Right => format!("{:>BODY$}", format!("{text} • ")),
    }
}

/// What a datagram is and between whom: `both` ends if there is room, else the `far` one.
fn packet(content: &Content, both: &str, far: &str) -> String {
    let what = match content {
        Content::Data(length) => format!("{length} bytes of data"),
        Content::Stun(summary) => {
            let method =
                summary.method_name().map_or_else(|| format!("{:#05x}", summary.method), str::to_owned);
            let class = match summary.class {
                Class::Request => "request".to_owned(),
                Class::Indication => "indication".to_owned(),
                Class::Success => "success".to_owned(),
                Class::Error(code) => format!("error {code}"),
            };
            let [a, b, ..] = summary.transaction_id;
            let nominates = if summary.nominates { " USE-CANDIDATE" } else { "" };
            format!("{method} {class}{nominates} #{a:02x}{b:02x}")
        }
    };
    let room = BODY - 6;
    let full = format!("{what}  {both}");
    if full.chars().count() <= room { full } else { fit(&format!("{what}  {far}"), room) }
}

/// At most `width` characters, with an ellipsis in place of what is cut.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
