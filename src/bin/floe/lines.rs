//! JSON lines on stdout, and the lines of stdin.

use std::io::{BufRead as _, Write as _};

use tokio::sync::mpsc;

/// Longer lines are refused, in bytes: the longest signal is far shorter.
const MAX_LINE: usize = 64 * 1024;

/// Prints one line and flushes it. Nobody reads any more: the process ends.
pub(crate) fn print(line: &impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
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
