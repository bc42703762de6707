//! Carries signals between a session and its peer, for as long as both last.

use std::future::pending;
use std::io;

use tokio::sync::{mpsc, oneshot};

use crate::agent::Event;
use crate::signal::Signal;

use super::handle::{Command, signal_over};
use super::signaling::Signaling;

/// A session's events and its peer's signals meet here.
#[derive(Debug)]
pub(super) struct Escort<S> {
    pub(super) peer: S,
    pub(super) events: mpsc::Receiver<Event>,
    /// Weak: the connection alone keeps the session open.
    pub(super) commands: mpsc::WeakSender<Command>,
    /// Takes the first error.
    pub(super) failed: Option<oneshot::Sender<io::Error>>,
}

impl<S: Signaling> Escort<S> {
    /// Runs until the session ends. Without signaling it goes on to take the session's events.
    pub(super) async fn run(mut self) {
        let (mut sends, mut receives) = (true, true);
        loop {
            let from_peer = async { if receives { self.peer.recv().await } else { pending().await } };
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(Event::Signal(signal)) if sends => {
                        let sent = self.peer.send(signal).await;
                        sends = self.is_fine(sent).is_some();
                    }
                    // Whoever is first: restarts that cross are one.
                    Some(Event::RestartNeeded(_)) if sends => self.restart().await,
                    Some(_) => {}
                    None => return,
                },
                signal = from_peer => match self.is_fine(signal).flatten() {
                    Some(signal) => self.take(signal).await,
                    None => receives = false,
                },
            }
        }
    }

    async fn restart(&mut self) {
        if let Some(commands) = self.commands.upgrade() {
            let _ = commands.send(Command::Restart).await;
        }
    }

    async fn take(&mut self, signal: Signal) {
        let Some(commands) = self.commands.upgrade() else { return };
        // A signal that the agent refuses harms nobody; the driver counts and traces it.
        let _ = signal_over(&commands, signal).await;
    }

    fn is_fine<T>(&mut self, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::warn!(%error, "signaling broke");
                if let Some(failed) = self.failed.take() {
                    // Nobody waits once the connection is made.
                    let _ = failed.send(error);
                }
                None
            }
        }
    }
}
