//! The table as it lies on the disk.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A file of rules and one of rows each.
pub(crate) const TOPICS: [&str; 7] = ["ice", "trickle_sdp", "consent", "stun", "tcp", "nat", "portmap"];

/// How strong a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// MUST, MUST NOT, SHALL, REQUIRED, and PROC: a step or a format that the RFC states without a keyword, and that
    /// peers rely on.
    Must,
    /// SHOULD, RECOMMENDED, and their opposites.
    Should,
    /// MAY, OPTIONAL.
    May,
}

/// Why floe does not do what a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// Sources disagree; this decision of `decisions.md` says how floe reads them.
    Decision(u8),
    /// This other row says the opposite.
    Contradicts(String),
    /// floe does not play the role that the rule is about.
    Role,
    /// The rule leaves the choice.
    Choice,
}

/// What stands behind a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A test: file and name.
    Test(PathBuf, String),
    /// Not done, and why.
    Refused(Class, String),
    /// Not done yet.
    Todo(String),
}

/// A rule with its proof.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) rfc: String,
    pub(crate) level: Level,
    pub(crate) starred: bool,
    pub(crate) proof: Proof,
}

impl Row {
    pub(crate) fn is_must(&self) -> bool {
        self.level == Level::Must
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All rows of all topics.
///
/// # Panics
/// If a line cannot be read, or rules and rows are not the same.
pub(crate) fn rows() -> Vec<Row> {
    TOPICS.iter().flat_map(|topic| rows_of(topic)).collect()
}

fn rows_of(topic: &str) -> Vec<Row> {
    let rules = rules_of(topic);
    let text = read(format!("tests/conformance/{topic}.rows"));
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let ids: Vec<&str> = lines.iter().map(|line| line.split('\t').next().unwrap_or_default()).collect();
    let wanted: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    let missing: Vec<_> = wanted.iter().filter(|id| !ids.contains(id)).collect();
    let unknown: Vec<_> = ids.iter().filter(|id| !wanted.contains(id)).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "{topic}: missing {missing:?}, unknown {unknown:?}");
    assert_eq!(ids, wanted, "{topic}: the rows have the order of the rules, and each is there once");
    rules.into_iter().zip(lines).map(|(rule, line)| rule.row(line)).collect()
}

/// A line of the text.
struct Rule {
    id: String,
    rfc: String,
    level: String,
    starred: bool,
}

fn rules_of(topic: &str) -> Vec<Rule> {
    let text = read(format!("tests/conformance/{topic}.md"));
    let cells = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
        let [id, place, level, ..] = cells[..] else { return None };
        let (id, starred) = id.strip_suffix(" (*)").map_or((id, false), |id| (id, true));
        let (rfc, _) = place.split_once(" §")?;
        let (id, rfc, level) = (id.to_owned(), rfc.to_owned(), level.to_owned());
        Some(Rule { id, rfc, level, starred })
    });
    cells.collect()
}

impl Rule {
    fn row(self, line: &str) -> Row {
        let cells: Vec<&str> = line.split('\t').collect();
        let [id, level, star, proof] = cells[..] else { panic!("four columns, not {line:?}") };
        assert_eq!(level, self.level, "{id}: the level");
        assert_eq!(star, if self.starred { "*" } else { "-" }, "{id}: the star");
        let proof = proof_of(proof).unwrap_or_else(|| panic!("{id}: what is {proof:?}?"));
        Row { id: self.id, rfc: self.rfc, level: level_of(level), starred: self.starred, proof }
    }
}

fn level_of(word: &str) -> Level {
    match word {
        "MUST" | "MUST NOT" | "SHALL" | "SHALL NOT" | "REQUIRED" | "PROC" => Level::Must,
        // In lower case it is the advice of a BCP.
        "SHOULD" | "SHOULD NOT" | "RECOMMENDED" | "NOT RECOMMENDED" | "should" => Level::Should,
        "MAY" | "OPTIONAL" => Level::May,
        other => panic!("{other:?} is no level"),
    }
}

fn proof_of(text: &str) -> Option<Proof> {
    if let Some(what) = text.strip_prefix("todo: ") {
        return Some(Proof::Todo(what.to_owned()));
    }
    if let Some(refusal) = text.strip_prefix("refused: ") {
        let (class, why) = refusal.split_once(": ")?;
        let class = match class {
            "role" => Class::Role,
            "choice" => Class::Choice,
            class => match class.split_once(' ')? {
                ("decision", number) => Class::Decision(number.parse().ok()?),
                ("contradicts", row) => Class::Contradicts(row.to_owned()),
                _ => return None,
            },
        };
        return Some(Proof::Refused(class, why.to_owned()));
    }
    let (file, name) = text.split_once("::")?;
    Some(Proof::Test(PathBuf::from(file), name.to_owned()))
}

/// Which rows each test stands for.
pub(crate) fn by_test(rows: &[Row]) -> BTreeMap<(&Path, &str), Vec<&Row>> {
    let mut tests = BTreeMap::<_, Vec<_>>::new();
    for row in rows {
        if let Proof::Test(file, name) = &row.proof {
            tests.entry((file.as_path(), name.as_str())).or_default().push(row);
        }
    }
    tests
}
