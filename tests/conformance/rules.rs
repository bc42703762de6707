//! What holds for the table itself.

use super::proof::Sources;
use super::table::{Class, Level, Proof, Row, by_test, read, rows};

/// MUST rows of all topics that may be refused.
const MAX_REFUSED: usize = 12;
/// Rows that one test may stand for.
const MAX_ROWS: usize = 6;
/// MUST rows that nobody has looked at yet. It only goes down.
const OPEN_MUST_ROWS: usize = 5;
/// What a row of [`LATER`] says.
const LATER_ROUND: &str = "later round (TURN over TCP/TLS)";
/// Rows about TCP, TLS and DTLS, and ALTERNATE-SERVER, which that round brings. Nothing else is here.
const LATER: [&str; 25] = [
    "STUN-6.2.2-a",
    "STUN-6.2.2-b",
    "STUN-6.2.2-e",
    "STUN-6.2.2-f",
    "STUN-6.2.2-g",
    "STUN-6.2.2-h",
    "STUN-6.2.2-i",
    "STUN-6.2.2-j",
    "STUN-6.2.2-k",
    "STUN-6.2.3-a",
    "STUN-6.2.3-b",
    "STUN-6.2.3-c",
    "STUN-6.2.3-d",
    "STUN-6.2.3-e",
    "STUN-9.1.4-d",
    "STUN-9.2.5-k",
    "STUN-10-a",
    "STUN-10-b",
    "STUN-10-c",
    "STUN-10-d",
    "STUN-10-e",
    "STUN-11-a",
    "STUN-12-a",
    "STUN-12-c",
    "STUN-14.16-a",
];

fn list(rows: &[&Row]) -> String {
    rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>().join(" ")
}

fn is_later(row: &Row) -> bool {
    row.proof == Proof::Todo(LATER_ROUND.to_owned())
}

#[test]
fn every_must_row_has_a_test_or_a_refusal() {
    let rows = rows();
    let open: Vec<&Row> = rows
        .iter()
        .filter(|row| row.is_must() && matches!(row.proof, Proof::Todo(_)) && !is_later(row))
        .collect();
    assert!(open.len() <= OPEN_MUST_ROWS, "{} are open: {}", open.len(), list(&open));
}

#[test]
fn what_waits_for_a_later_round_is_listed() {
    let rows = rows();
    let later: Vec<&str> = rows.iter().filter(|row| is_later(row)).map(|row| row.id.as_str()).collect();
    assert_eq!(later, LATER);
}

#[test]
fn every_named_test_exists_and_runs() {
    let rows = rows();
    let mut sources = Sources::default();
    let faults: Vec<String> = by_test(&rows)
        .into_iter()
        .filter_map(|((file, name), rows)| Some(format!("{}: {}", list(&rows), sources.fault(file, name)?)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_starred_row_has_a_test_of_its_own() {
    let rows = rows();
    let shared: Vec<String> = by_test(&rows)
        .into_iter()
        .filter(|(_, rows)| rows.len() > 1 && rows.iter().any(|row| row.starred))
        .map(|((_, name), rows)| format!("{name}: {}", list(&rows)))
        .collect();
    assert!(shared.is_empty(), "{}", shared.join("\n"));
}

#[test]
fn no_test_stands_for_more_than_6_rows() {
    let rows = rows();
    for ((_, name), rows) in by_test(&rows) {
        assert!(rows.len() <= MAX_ROWS, "{name}: {}", list(&rows));
    }
}

#[test]
fn at_most_12_must_rows_are_refused() {
    let rows = rows();
    let refused: Vec<&Row> =
        rows.iter().filter(|row| row.is_must() && matches!(row.proof, Proof::Refused(..))).collect();
    assert!(refused.len() <= MAX_REFUSED, "{} are refused: {}", refused.len(), list(&refused));
}

#[test]
fn a_refusal_says_why() {
    let rows = rows();
    let decisions = read("tests/conformance/decisions.md");
    for row in &rows {
        let Proof::Refused(class, why) = &row.proof else { continue };
        assert!(why.len() > 10, "{row}: {why:?} is no reason");
        match class {
            Class::Decision(number) => {
                assert!(decisions.contains(&format!("\n| {number} |")), "{row}: no decision {number}");
            }
            Class::Contradicts(other) => {
                assert!(rows.iter().any(|row| row.id == *other), "{row}: {other} is no row");
            }
            Class::Choice => assert_ne!(row.level, Level::Must, "{row} leaves no choice"),
            Class::Role => {}
        }
    }
}
