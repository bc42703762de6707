//! What carries signals between two endpoints.

use std::future::Future;
use std::io;

use tokio::sync::mpsc;

use crate::signal::Signal;

/// A way to the peer that exists before ICE has found one: a WebSocket, a SIP dialog, a pipe. It stays with the
/// session after the connection is made: trickled candidates come late.
///
/// Signals arrive in the order they were sent, or not at all. Nothing is said here about secrecy: credentials
/// travel in them, so the way should be encrypted and authenticated (RFC 8445 §19).
pub trait Signaling: Send + 'static {
    /// Sends a signal to the peer.
    ///
    /// While it waits nothing is received, so it must not wait for the peer to send.
    ///
    /// # Errors
    /// If the way is broken; it is not used again then.
    fn send(&mut self, signal: Signal) -> impl Future<Output = io::Result<()>> + Send;

    /// The next signal of the peer; `None` if there will be none.
    ///
    /// It must be safe to drop the future before it is done: no signal may be lost by that.
    ///
    /// # Errors
    /// If the way is broken; it is not used again then.
    fn recv(&mut self) -> impl Future<Output = io::Result<Option<Signal>>> + Send;
}

/// Signals that may wait in one direction of a [`pair`]: more than an agent has to say.
const CAPACITY: usize = 512;

/// Two ends of a way inside one process, for tests and demonstrations.
pub fn pair() -> (Pipe, Pipe) {
    let (to_b, from_a) = mpsc::channel(CAPACITY);
    let (to_a, from_b) = mpsc::channel(CAPACITY);
    (Pipe { to_peer: to_b, from_peer: from_b }, Pipe { to_peer: to_a, from_peer: from_a })
}

/// One end of a [`pair`].
#[derive(Debug)]
pub struct Pipe {
    to_peer: mpsc::Sender<Signal>,
    from_peer: mpsc::Receiver<Signal>,
}

impl Signaling for Pipe {
    async fn send(&mut self, signal: Signal) -> io::Result<()> {
        self.to_peer.send(signal).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    async fn recv(&mut self) -> io::Result<Option<Signal>> {
        Ok(self.from_peer.recv().await)
    }
}
