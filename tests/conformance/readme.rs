//! The counts by RFC, here and in the README.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::table::{Class, Proof, Row, read, root, rows};

const BEGIN: &str = "<!-- conformance: begin -->\n";
const END: &str = "<!-- conformance: end -->\n";

/// Of one RFC, or of all.
#[derive(Default)]
struct Counts {
    rules: usize,
    must: usize,
    tested: usize,
    refused: usize,
    refused_must: usize,
    to_do: usize,
}

impl Counts {
    fn add(&mut self, row: &Row) {
        self.rules += 1;
        self.must += usize::from(row.is_must());
        match row.proof {
            Proof::Test(..) => self.tested += 1,
            Proof::Refused(..) => {
                self.refused += 1;
                self.refused_must += usize::from(row.is_must());
            }
            Proof::Todo(_) => self.to_do += 1,
        }
    }

    fn line(&self, of: &str) -> String {
        let Self { rules, must, tested, refused, refused_must, to_do } = self;
        format!("| {of} | {rules} | {must} | {tested} | {refused} ({refused_must}) | {to_do} |\n")
    }
}

fn table(rows: &[Row]) -> String {
    let mut by_rfc = BTreeMap::<&str, Counts>::new();
    let mut all = Counts::default();
    for row in rows {
        by_rfc.entry(&row.rfc).or_default().add(row);
        all.add(row);
    }
    let mut text =
        String::from("| | rules | MUST | tested | refused (MUST) | to do |\n|---|--:|--:|--:|--:|--:|\n");
    text.extend(by_rfc.iter().map(|(rfc, counts)| counts.line(rfc)));
    text + &all.line("all")
}

fn refusals(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        if let Proof::Refused(class, why) = &row.proof {
            let class = match class {
                Class::Decision(number) => format!("decision {number}"),
                Class::Contradicts(other) => format!("contradicts {other}"),
                Class::Role => "role".to_owned(),
                Class::Choice => "choice".to_owned(),
            };
            let _ = writeln!(text, "{:?} {row} ({class}): {why}", row.level);
        }
    }
    text
}

#[test]
fn counts_by_rfc_are_those_of_the_readme() {
    let rows = rows();
    let table = table(&rows);
    println!("{table}\n{}", refusals(&rows));
    let readme = read("README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has the marker where the table begins");
    let (old, after) = rest.split_once(END).expect("README.md has the marker where the table ends");
    if std::env::var("CONFORMANCE_README").is_ok_and(|what| what == "write") {
        let fresh = [before, BEGIN, &table, END, after].concat();
        std::fs::write(root().join("README.md"), fresh).expect("README.md can be written");
        return;
    }
    assert_eq!(old, table, "CONFORMANCE_README=write cargo test --features sim --test conformance counts");
}
