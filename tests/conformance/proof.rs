//! Whether a test exists: its source says so.

use std::collections::BTreeMap;
use std::path::Path;

use super::table::{read, root};

/// The source files that were looked into.
#[derive(Default)]
pub(crate) struct Sources(BTreeMap<String, String>);

impl Sources {
    /// What is wrong with a named test; `None` if it is there and runs.
    pub(crate) fn fault(&mut self, file: &Path, name: &str) -> Option<String> {
        let path = file.to_str()?.to_owned();
        if !root().join(file).is_file() {
            return Some(format!("{path} is no file"));
        }
        let text = self.0.entry(path.clone()).or_insert_with(|| read(file));
        match attributes_of(text, name) {
            None => Some(format!("{path} has no fn {name}")),
            Some(attributes) if attributes.iter().any(|it| it.starts_with("#[ignore")) => {
                Some(format!("{path}::{name} is ignored"))
            }
            Some(attributes) if attributes.iter().any(|it| is_test(it)) => None,
            Some(_) => Some(format!("{path}::{name} is no test")),
        }
    }
}

fn is_test(attribute: &str) -> bool {
    attribute == "#[test]" || attribute.starts_with("#[tokio::test")
}

/// The attributes of a function, in a macro such as `proptest!` too.
fn attributes_of<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| {
        let after = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        after.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    })?;
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("///"));
    Some(above.filter(|line| line.starts_with("#[")).copied().collect())
}

#[test]
fn a_test_is_told_from_what_is_none() {
    let text = "
        #[test]
        fn plain() {}
        #[tokio::test(start_paused = true)]
        async fn with_a_runtime() {}
        /// Why.
        #[test]
        #[ignore = \"slow\"]
        fn ignored() {}
        fn helper() {}
        fn plain_but_longer() {}
    ";
    assert_eq!(attributes_of(text, "plain"), Some(vec!["#[test]"]));
    assert!(attributes_of(text, "with_a_runtime").is_some_and(|them| is_test(them[0])));
    assert!(attributes_of(text, "ignored").is_some_and(|them| them.contains(&"#[ignore = \"slow\"]")));
    assert_eq!(attributes_of(text, "helper"), Some(vec![]));
    assert_eq!(attributes_of(text, "plain_but"), None);
}
