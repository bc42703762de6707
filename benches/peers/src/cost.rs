//! What the implementations cost, at their default settings, in two agents on a perfect wire.

use std::fmt::Write;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::contenders;
use crate::lab::Lab;
use crate::meter::allocations;
use crate::peer::Contender;
use crate::table::names;

/// Longer than this callgrind is not waited for.
const PATIENCE: &str = "600";

fn contender(name: &str) -> Contender {
    contenders().into_iter().find(|it| it.name == name).expect("an implementation")
}

/// Only differences are used.
#[expect(clippy::disallowed_methods, reason = "an Instant has no other constructor")]
fn start() -> Instant {
    Instant::now()
}

fn connected(name: &str, sockets: u32) -> Option<Lab> {
    let mut lab = Lab::new(&contender(name), start(), sockets);
    lab.signal();
    lab.complete().then_some(lab)
}

/// One run for callgrind: `complete N`, or `answer N TIMES`, or `idle N TIMES`.
pub(crate) fn exercise(name: &str, what: &str, sockets: u32, times: u32) {
    let Some(mut lab) = connected(name, sockets) else {
        println!("it does not complete");
        std::process::exit(3);
    };
    if times > 0 {
        // What is left to check is over then.
        lab.run_for(Duration::from_secs(60));
    }
    for _ in 0..times {
        match what {
            "answer" => lab.answer(),
            "idle" => lab.idle(),
            _ => {}
        }
    }
}

/// Instructions inside the implementation, without those of the SHA-1 compression function: the valgrind of today does
/// not know the processor's own.
fn instructions(name: &str, what: &str, sockets: u32, times: u32) -> Option<u64> {
    let program = std::env::current_exe().expect("this program");
    let work = ["exercise", name, what, &sockets.to_string(), &times.to_string()].map(str::to_owned);
    let natively =
        Command::new("timeout").arg("20").arg(&program).args(&work).status().expect("this program");
    if !natively.success() {
        return None;
    }
    let out = std::env::temp_dir()
        .join(format!("floe-peers.{}.{name}.{what}.{sockets}.{times}", std::process::id()));
    let file = out.to_str().expect("a path");
    let status = Command::new("timeout")
        .args([PATIENCE, "valgrind", "--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .args(["--toggle-collect=*metered*", &format!("--callgrind-out-file={file}")])
        .arg(program)
        .args(&work)
        .status()
        .expect("valgrind");
    let annotate =
        Command::new("callgrind_annotate").args(["--inclusive=yes", "--threshold=100", file]).output();
    let _ = std::fs::remove_file(&out);
    if !status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&annotate.expect("callgrind_annotate").stdout).into_owned();
    let first = |line: &str| line.split_whitespace().next()?.replace(',', "").parse::<u64>().ok();
    let total = text.lines().find(|line| line.contains("PROGRAM TOTALS")).and_then(first)?;
    let is_sha1 = |line: &&str| {
        let line = line.to_lowercase();
        line.contains("sha1") && (line.contains("compress") || line.contains("block_data_order"))
    };
    let sha1 = text.lines().filter(is_sha1).filter_map(first).max();
    eprintln!("{name} {what} {sockets} {times}: {total} - {sha1:?}");
    Some(total - sha1?)
}

/// One more of the same.
fn each(name: &str, what: &str, sockets: u32) -> Option<u64> {
    let [few, many] = [100, 300].map(|times| instructions(name, what, sockets, times));
    Some((many? - few?) / 200)
}

fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (digit, left) in digits.chars().zip((0..digits.len()).rev()) {
        text.push(digit);
        if left > 0 && left % 3 == 0 {
            text.push(',');
        }
    }
    text
}

fn or_dash(count: Option<u64>) -> String {
    count.map_or_else(|| "–".to_owned(), thousands)
}

fn created(name: &str, sockets: u32) -> u64 {
    let lab = Lab::new(&contender(name), start(), sockets);
    lab.weigh()
}

/// Heap once connected and a second later; allocations until connected; allocations and packets in the minute after.
fn life(name: &str, sockets: u32) -> [Option<u64>; 4] {
    let before = allocations();
    let Some(mut lab) = connected(name, sockets) else { return [None; 4] };
    let until = allocations() - before;
    lab.run_for(Duration::from_secs(1));
    let (before, sent) = (allocations(), lab.sent);
    lab.run_for(Duration::from_secs(60));
    let (after, packets) = (allocations() - before, lab.sent - sent);
    [Some(lab.weigh()), Some(until), Some(after), Some(packets)]
}

/// What callgrind is asked for one line of the table.
#[derive(Clone, Copy)]
enum Question {
    Complete(u32),
    Answer,
    Idle(u32),
}

impl Question {
    fn title(self) -> String {
        match self {
            Self::Complete(size) => format!("instructions of both agents until completed, {size} × {size}"),
            Self::Answer => "instructions to answer a check, 1 × 1".to_owned(),
            Self::Idle(size) => format!("instructions of an idle turn, {size} × {size}"),
        }
    }

    fn ask(self, name: &str) -> Option<u64> {
        match self {
            Self::Complete(size) => instructions(name, "complete", size, 0),
            Self::Answer => each(name, "answer", 1),
            Self::Idle(size) => each(name, "idle", size),
        }
    }
}

/// All answers of callgrind, by question and name: the longest first, as many at once as there are processors.
fn ask_all(questions: &[Question]) -> Vec<Vec<Option<u64>>> {
    let names = names();
    let mut jobs: Vec<_> = (0..questions.len()).flat_map(|q| (0..names.len()).map(move |n| (q, n))).collect();
    jobs.sort_by_key(|(q, _)| match questions[*q] {
        Question::Complete(size) => size,
        Question::Answer | Question::Idle(_) => 0,
    });
    let jobs = Mutex::new(jobs);
    let answers = Mutex::new(vec![vec![None; names.len()]; questions.len()]);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let job = jobs.lock().expect("jobs").pop();
                    let Some((question, name)) = job else { return };
                    let answer = questions[question].ask(names[name]);
                    answers.lock().expect("answers")[question][name] = answer;
                }
            });
        }
    });
    answers.into_inner().expect("answers")
}

/// As Markdown.
pub(crate) fn markdown() -> String {
    let mut memory: Vec<(String, Vec<Option<u64>>)> = Vec::new();
    for size in [1, 10] {
        let title = format!("heap of an agent, created, {size} × {size} (bytes)");
        memory.push((title, names().into_iter().map(|name| Some(created(name, size))).collect()));
    }
    let titles = [
        "heap of an agent a minute after it is connected (bytes)",
        "allocations of both agents until connected",
        "allocations of both agents in the minute afterwards",
        "packets in the minute afterwards",
    ];
    for (which, title) in titles.iter().enumerate() {
        for size in [1, 10] {
            let cells = names().into_iter().map(|name| life(name, size)[which]).collect();
            memory.push((format!("{title}, {size} × {size}"), cells));
        }
    }
    let questions = [1, 10, 32, 100].map(Question::Complete);
    let questions = [&questions[..], &[Question::Answer, Question::Idle(1), Question::Idle(10)]].concat();
    let answers = ask_all(&questions);
    let lines = questions.iter().map(|question| question.title()).zip(answers).chain(memory);
    let mut text = format!("| | {} |\n|---|{}\n", names().join(" | "), "---:|".repeat(names().len()));
    for (title, cells) in lines {
        let cells: Vec<_> = cells.into_iter().map(or_dash).collect();
        writeln!(text, "| {title} | {} |", cells.join(" | ")).expect("text");
    }
    text
}
