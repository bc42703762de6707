//! The layers of floe, held by a test: a file uses only the rows below its own, and what
//! touches the world (clocks, sockets, threads, locks) stays in `net/` and `bin/`.
#![expect(clippy::unwrap_used, reason = "a source file that cannot be read fails the test")]

use std::fmt;
use std::path::Path;

/// The rows of the layer picture from the bottom up: a module uses itself and the rows below its own.
const ROWS: [&[&str]; 7] = [
    &[
        "candidate",
        "credentials",
        "error",
        "hash",
        "io",
        "nat",
        "rng",
        "sdp",
        "signal",
        "sorted",
        "stats",
        "time",
        "trace",
    ],
    &["stun"],
    &["tcp"],
    &["consent"],
    &["checks", "gather", "turn"],
    &["agent", "discovery", "mdns", "mux", "portmap", "server"],
    &["net", "sim"],
];
/// Its words know each other: signals hold candidates, candidates hold addresses of `io`.
const VOCABULARY: usize = 0;

/// Words that only the named files may use. A trailing `/` names a directory.
const OWNERS: &[(&[&str], &[&str])] = &[
    (&["stun_codec", "bytecodec"], &["stun/codec.rs", "stun/attributes.rs"]),
    (&["hmac", "sha1", "sha2", "md5", "subtle"], &["stun/auth.rs", "stun/hmac_sha1.rs"]),
    (&["quinn_udp"], &["net/udp.rs"]),
    (&["nix"], &["net/icmp.rs", "net/roaming/notices.rs"]),
    (&["quick_xml"], &["portmap/upnp/xml.rs"]),
    (&["httparse"], &["portmap/upnp/http.rs", "portmap/upnp/ssdp.rs"]),
    (&["Instant::now"], &["net/", "bin/", SIM_EPOCH]),
    (&["tokio", "socket2", "Mutex", "RwLock", "RefCell", "Arc"], &["net/", "bin/"]),
    (&["thread", "UdpSocket", "TcpStream", "net::TcpListener"], &["net/", "bin/"]),
];
/// Where the simulator takes its epoch, in one line that carries an `expect` of clippy.
const SIM_EPOCH: &str = "sim/world.rs";

/// Lines of code and documentation a file may have, its tests aside.
const LINES: usize = 380;

/// One breach of the rules, printed as a compiler would.
struct Fault {
    file: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// A source file with comments and literals blanked out, so that what is left is code.
struct Source<'a> {
    /// The path below `src/`.
    file: &'a str,
    code: String,
    /// Whether a line (from 0) belongs to an item under `#[cfg(test)]`.
    in_test: Vec<bool>,
}

impl<'a> Source<'a> {
    fn new(file: &'a str, text: &str) -> Self {
        let code = blank(text);
        let all = file.ends_with("/tests.rs") || file.contains("/tests/");
        let mut in_test = vec![all; code.lines().count()];
        for (start, _) in code.match_indices("#[cfg(test)]") {
            let first = line_of(&code, start);
            let last = line_of(&code, item_end(&code, start + "#[cfg(test)]".len()));
            in_test[first..=last].fill(true);
        }
        Self { file, code, in_test }
    }

    fn fault(&self, line: usize, rule: String) -> Fault {
        Fault { file: self.file.to_owned(), line: line + 1, rule }
    }

    /// Every `crate::…` path must lead down or stay inside its module.
    fn layers(&self) -> Vec<Fault> {
        let own = module(self.file);
        // The command is a crate of its own: `crate::` stays in it.
        if own == "bin" {
            return Vec::new();
        }
        let Some(home) = row(own) else {
            return match own {
                "lib" => Vec::new(),
                _ => vec![self.fault(0, format!("`{own}` has no place in the layers: add it to ROWS"))],
            };
        };
        let mut faults = Vec::new();
        for (at, _) in self.code.match_indices("crate::") {
            let line = line_of(&self.code, at);
            for target in targets(&self.code[at + "crate::".len()..]) {
                match row(target) {
                    _ if target == own => {}
                    Some(below) if below < home || (below == home && home == VOCABULARY) => {}
                    Some(_) => faults.push(self.fault(line, format!("`{own}` must not use `{target}`"))),
                    None => faults.push(self.fault(
                        line,
                        format!("`crate::{target}` hides the layer: name the module it is from"),
                    )),
                }
            }
        }
        faults
    }

    /// Some words have an owner. Tests may use them: they prove the owner right.
    fn owned_words(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (line, code) in self.code.lines().enumerate().filter(|(line, _)| !self.in_test[*line]) {
            for (words, owners) in OWNERS {
                if owners.iter().any(|o| self.file == *o || (o.ends_with('/') && self.file.starts_with(o))) {
                    continue;
                }
                for word in words.iter().filter(|word| has_word(code, word)) {
                    faults.push(self.fault(line, format!("only {} may name `{word}`", owners.join(", "))));
                }
            }
        }
        if self.file == SIM_EPOCH {
            let uses = self.code.match_indices("Instant::now").skip(1);
            faults.extend(uses.map(|(at, _)| {
                self.fault(
                    line_of(&self.code, at),
                    "the simulator reads the clock once, for its epoch".into(),
                )
            }));
        }
        faults
    }

    fn length(&self) -> Option<Fault> {
        let lines = self.in_test.iter().filter(|test| !**test).count();
        (lines > LINES).then(|| self.fault(0, format!("{lines} lines, tests aside: more than {LINES}")))
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = self.layers();
        faults.extend(self.owned_words());
        faults.extend(self.length());
        faults
    }
}

/// `agent/mod.rs` and `agent.rs` are both the module `agent`.
fn module(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// The first names of a path after `crate::`: one, or those of a `{group}`.
fn targets(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![first_name(path)];
    };
    let mut names = Vec::new();
    let (mut depth, mut expect_name) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expect_name = true,
            c if expect_name && !c.is_whitespace() => {
                names.push(first_name(&group[at..]));
                expect_name = false;
            }
            _ => {}
        }
    }
    names
}

fn first_name(path: &str) -> &str {
    path.split(|c: char| !is_ident(c)).next().unwrap()
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_ident) && !code[at + word.len()..].starts_with(is_ident))
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count()
}

/// Where the item that starts at `from` ends: at its `;` or at the brace that closes it.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code[from..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return from + at;
        }
    }
    code.len() - 1
}

/// Replaces comments and the contents of literals by spaces and keeps the lines.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let raw = rest.trim_start_matches(['b', 'r']).trim_start_matches('#').starts_with('"')
            && rest.starts_with(['r', 'b'])
            && !code.ends_with(is_ident);
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if raw && rest.split('"').next().unwrap().contains('r') {
            let open = rest.find('"').unwrap() + 1;
            let close = format!("\"{}", "#".repeat(rest[..open].matches('#').count()));
            rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == '\'' && is_char_literal(rest) {
            quoted(rest, '\'')
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    code
}

/// The length of a literal with escapes that starts and ends with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

fn visit(dir: &Path, check: &mut impl FnMut(&Path)) {
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            visit(&path, check);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            check(&path);
        }
    }
}

#[test]
fn every_source_file_keeps_to_its_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut faults) = (0, Vec::new());
    visit(&src, &mut |path| {
        let file = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        files += 1;
        faults.extend(Source::new(&file, &std::fs::read_to_string(path).unwrap()).faults());
    });
    let report: Vec<_> = faults.iter().map(Fault::to_string).collect();
    assert!(report.is_empty(), "{} faults in {files} files:\n{}", report.len(), report.join("\n"));
    assert!(files > 30, "only {files} files were read");
}

/// What the rules say of a made-up file.
fn verdict(file: &str, text: &str) -> Vec<String> {
    Source::new(file, text).faults().iter().map(Fault::to_string).collect()
}

#[test]
fn a_path_that_leads_up_or_sideways_is_a_fault() {
    for (file, text) in [
        ("stun/wire.rs", "\nuse crate::agent::Agent;"),
        ("checks/set.rs", "\nuse crate::turn::Client;"),
        ("agent/mod.rs", "\nfn f() { crate::net::open(); }"),
        ("net/driver.rs", "\nuse crate::{io::{SocketId, Wake}, sim::World};"),
        ("io.rs", "\nuse crate::stun;"),
    ] {
        let faults = verdict(file, text);
        assert_eq!(faults.len(), 1, "{file}: {faults:?}");
        assert!(faults[0].starts_with(&format!("src/{file}:2: ")) && faults[0].contains("must not use"));
    }
}

#[test]
fn a_path_that_leads_down_is_none() {
    assert!(verdict("agent/mod.rs", "use crate::{checks, io::{self, Wake}, turn::data};").is_empty());
    assert!(verdict("signal.rs", "use crate::candidate::Candidate;").is_empty());
    assert!(verdict("error.rs", "/// See [`crate::agent::Agent`].\npub enum E {}").is_empty());
    assert!(verdict("lib.rs", "pub use crate::agent::Agent;").is_empty());
}

#[test]
fn a_root_re_export_and_an_unknown_module_are_faults() {
    assert!(verdict("stun/wire.rs", "use crate::Agent;")[0].contains("hides the layer"));
    assert!(verdict("helpers.rs", "")[0].contains("has no place"));
}

#[test]
fn an_owned_word_elsewhere_is_a_fault() {
    for (words, owners) in OWNERS {
        for word in *words {
            let text = format!("use {word};");
            assert_eq!(verdict("agent/mod.rs", &text).len(), 1, "{word}");
            let home = if owners[0].ends_with('/') { "net/x.rs" } else { owners[0] };
            assert!(verdict(home, &text).is_empty(), "{word}");
        }
    }
    assert_eq!(verdict("agent/mod.rs", "use std::net::TcpListener;").len(), 1);
    assert!(verdict("agent/mod.rs", "let s = Socket::TcpListener { local }; // an Arc").is_empty());
    assert!(verdict("agent/mod.rs", "let s = \"Arc\"; let c = '\"'; let r = r#\"Mutex \"#;").is_empty());
}

#[test]
fn a_second_clock_in_the_simulator_is_a_fault() {
    assert!(verdict(SIM_EPOCH, "let epoch = Instant::now();").is_empty());
    assert_eq!(verdict(SIM_EPOCH, "let a = Instant::now();\nlet b = Instant::now();").len(), 1);
    assert_eq!(verdict("sim/nat.rs", "let a = Instant::now();").len(), 1);
}

#[test]
fn a_test_item_is_exempt_from_owned_words_but_not_from_layers() {
    let test = |body: &str| format!("#[cfg(test)]\nmod tests {{\n    {body}\n}}\n");
    assert!(verdict("checks/set.rs", &test("use std::sync::Arc;")).is_empty());
    assert_eq!(verdict("checks/set.rs", &test("use crate::sim::World;")).len(), 1);
    assert_eq!(verdict("checks/set.rs", &(test("") + "use std::sync::Arc;")).len(), 1);
}

#[test]
fn a_god_file_is_a_fault() {
    let long = "fn f() {}\n".repeat(LINES);
    assert!(verdict("agent/mod.rs", &long).is_empty());
    assert!(verdict("agent/mod.rs", &format!("{long}fn g() {{}}\n"))[0].contains("381 lines"));
    let tests = format!("{long}#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert!(verdict("agent/mod.rs", &tests).is_empty());
}
