//! A process inside a namespace whose lines are kept: for the test to wait on, and for the report when it fails.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Ended on drop, by its own id.
pub(crate) struct Process {
    pub(crate) child: Child,
    name: String,
    lines: Receiver<Line>,
    /// Everything it has said so far.
    log: Vec<Line>,
}

struct Line {
    after: Duration,
    stream: &'static str,
    text: String,
}

impl Process {
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let (sender, lines) = channel();
        let start = Instant::now();
        follow("out", start, child.stdout.take().unwrap(), sender.clone());
        follow("err", start, child.stderr.take().unwrap(), sender);
        Self { child, name: name.to_owned(), lines, log: Vec::new() }
    }

    /// The next line of its stdout, if one comes within `patience`.
    pub(crate) fn line(&mut self, patience: Duration) -> Option<String> {
        let end = Instant::now() + patience;
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            let (text, is_out) = (line.text.clone(), line.stream == "out");
            self.log.push(line);
            if is_out {
                return Some(text);
            }
        }
    }

    /// Waits until a line of either stream contains `text`, or the time is over.
    pub(crate) fn says(&mut self, text: &str, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            let found = line.text.contains(text);
            self.log.push(line);
            if found {
                return true;
            }
        }
        false
    }

    /// All that it said, with times since it started.
    pub(crate) fn report(&mut self) -> String {
        self.log.extend(self.lines.try_iter());
        let lines = self.log.iter();
        let lines = lines.map(|l| format!("  {:9.3} {} {}", l.after.as_secs_f64(), l.stream, l.text));
        format!("{} (pid {}):\n{}\n", self.name, self.child.id(), lines.collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The thread ends with the stream.
fn follow(stream: &'static str, start: Instant, from: impl Read + Send + 'static, to: Sender<Line>) {
    thread::spawn(move || {
        for text in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(Line { after: start.elapsed(), stream, text }).is_err() {
                break;
            }
        }
    });
}
