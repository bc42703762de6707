//! What holds for the table itself.

use super::proof::Sources;
use super::table::{Class, Level, Proof, Row, by_test, read, rows};

/// MUST rows of all topics that may be refused.
const MAX_REFUSED: usize = 12;
/// Rows that one test may stand for.
const MAX_ROWS: usize = 6;

fn list(rows: &[&Row]) -> String {
    rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_must_row_has_a_test_or_a_refusal() {
    let rows = rows();
    let open: Vec<&Row> =
        rows.iter().filter(|row| row.is_must() && matches!(row.proof, Proof::Todo(_))).collect();
    assert!(open.is_empty(), "{} are open: {}", open.len(), list(&open));
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
