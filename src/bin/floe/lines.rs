//! JSON lines on stdout, and the lines of stdin.

use std::borrow::Cow;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// Longer lines are refused, in bytes: the longest signal is far shorter.
const MAX_LINE: usize = 64 * 1024;

/// What `floe peer` reports, beside its signals.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Line<'a> {
    State { state: &'a str, ms: f64 },
    Selected { local: String, remote: String, ms: f64 },
    Data { text: Cow<'a, str> },
    Error { message: String },
    Stats(Stats),
    Diagnosis { causes: Vec<Cause>, text: String },
}

/// One cause of a diagnosis, most probable first.
#[derive(Debug, Serialize)]
pub(crate) struct Cause {
    name: &'static str,
    certainty: String,
    text: String,
}

impl From<&floe::agent::diagnosis::Cause> for Cause {
    fn from(cause: &floe::agent::diagnosis::Cause) -> Self {
        Self { name: cause.name(), certainty: cause.certainty().to_string(), text: cause.to_string() }
    }
}

/// The counters, with the names of W3C webrtc-stats where it has one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    pub(crate) packets_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) packets_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) packets_discarded_on_send: u64,
    pub(crate) packets_discarded_on_receive: u64,
    pub(crate) send_errors: u64,
    pub(crate) receive_errors: u64,
    pub(crate) datagrams_dropped: u64,
    pub(crate) datagrams_unclaimed: u64,
    pub(crate) signals_refused: u64,
    /// Bytes; absent without a path.
    pub(crate) max_payload: Option<usize>,
}

/// Stdout behind a thread of its own: whoever does not read it holds up what is printed, and nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Out(mpsc::Sender<String>);

/// What waits for stdout at the end.
#[derive(Debug)]
pub(crate) struct Rest(oneshot::Receiver<()>);

impl Out {
    /// Lines that may wait for whoever reads; more make the caller wait.
    const WAITING: usize = 8192;

    pub(crate) fn new() -> (Self, Rest) {
        let (sender, mut lines) = mpsc::channel::<String>(Self::WAITING);
        let (done, rest) = oneshot::channel();
        std::thread::spawn(move || {
            let mut out = std::io::stdout().lock();
            while let Some(line) = lines.blocking_recv() {
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    break;
                }
            }
            // Whoever waited for it may have lost patience.
            let _ = done.send(());
        });
        (Self(sender), Rest(rest))
    }

    /// Whether somebody still reads.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }

    /// Prints what happened. Where stdout is a pipe to the other side and a person looks on, stderr says it too.
    pub(crate) async fn report(&self, line: &Line<'_>) {
        self.json(line).await;
        let mut err = std::io::stderr();
        if std::io::stdout().is_terminal() || !err.is_terminal() {
            return;
        }
        let text = match line {
            Line::State { state, ms } => format!("floe: {state} after {ms} ms\n"),
            Line::Selected { local, remote, .. } => format!("floe: selected {local} ↔ {remote}\n"),
            Line::Error { message } => format!("floe: {message}\n"),
            Line::Data { .. } | Line::Stats(_) | Line::Diagnosis { .. } => return,
        };
        // Whole, since the other side may write to the same terminal.
        let _ = err.write_all(text.as_bytes());
    }

    /// A line of type error.
    pub(crate) async fn error(&self, message: String) {
        self.report(&Line::Error { message }).await;
    }

    /// Prints one line of JSON.
    pub(crate) async fn json(&self, line: &impl Serialize) {
        match serde_json::to_string(line) {
            // Nobody reads any more: `closed` tells.
            Ok(line) => drop(self.0.send(line).await),
            Err(problem) => eprintln!("floe: a line that cannot be printed: {problem}"),
        }
    }
}

impl Rest {
    /// Waits until all is printed, for a second at most: nobody may read it.
    pub(crate) async fn printed(self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.0).await;
    }
}

/// Prints one line and flushes it. Nobody reads any more: the process ends.
pub(crate) fn print(line: &impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Milliseconds, to a microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// The lines of stdin, read by a thread of its own, since a terminal or a file cannot be polled. The channel closes
/// with the input. A line that is no UTF-8, or too long, comes as an error.
pub(crate) fn stdin() -> mpsc::Receiver<Result<String, &'static str>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match std::io::Read::take(&mut input, MAX_LINE as u64).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = if line.len() == MAX_LINE && line.last() != Some(&b'\n') {
                if input.skip_until(b'\n').is_err() {
                    return;
                }
                Err("the line is too long")
            } else {
                String::from_utf8(line).map_err(|_| "the line is not UTF-8")
            };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
