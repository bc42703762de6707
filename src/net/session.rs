//! One ICE session, as its events: for whoever brings signaling in another form than
//! [`Signaling`](super::Signaling).

use std::future::poll_fn;
use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::agent::{Diagnosis, Event, Path, Reason, State};
use crate::error::SignalError;
use crate::io::ComponentId;
use crate::signal::Signal;
use crate::trace::Trace;

use super::counters::Stats;
use super::handle::{Handle, copy};

/// A handle to a session. The session itself runs in a task of its own until it is closed, has failed, or this
/// handle is dropped.
#[derive(Debug)]
pub struct Session {
    handle: Handle,
    events: Mutex<mpsc::Receiver<Event>>,
}

impl Session {
    pub(super) fn new(handle: Handle, events: mpsc::Receiver<Event>) -> Self {
        Self { handle, events: Mutex::new(events) }
    }

    /// The next event, in order; `None` when the session has ended and all were taken. [`Event::Signal`] has to
    /// reach the peer. Take events: from 256 waiting ones on the next ones are lost and counted.
    ///
    /// One task at a time can wait; the future may be dropped without loss.
    pub async fn event(&self) -> Option<Event> {
        poll_fn(|cx| self.events.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(cx)).await
    }

    /// Gives the agent a signal of the peer, in the order the peer emitted them.
    ///
    /// # Errors
    /// Why the agent did not take it; the session goes on without it.
    pub async fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        self.handle.signal(signal).await
    }

    /// Sends one datagram of data, and waits where the send buffer is full.
    ///
    /// # Errors
    /// `NotConnected` while there is no path: before the first valid pair, without consent, after the end.
    /// `InvalidInput` for a component that the session does not have, and with [`TooLarge`](super::TooLarge)
    /// inside for a datagram longer than [`max_payload`](Self::max_payload). Else what the kernel says.
    pub async fn send(&self, component: ComponentId, payload: &[u8]) -> io::Result<()> {
        self.handle.outlet(component)?.send(payload).await
    }

    /// Sends one datagram of data at once.
    ///
    /// # Errors
    /// As [`send`](Self::send), and `WouldBlock` if the send buffer is full.
    pub fn try_send(&self, component: ComponentId, payload: &[u8]) -> io::Result<()> {
        self.handle.outlet(component)?.try_send(payload)
    }

    /// Receives one datagram of data: its component and its length. What does not fit into `buf` is lost.
    ///
    /// One task at a time can wait; the future may be dropped without loss.
    ///
    /// # Errors
    /// `ConnectionAborted` with the [`Reason`] inside when the session failed, `NotConnected` when it was closed.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<(ComponentId, usize)> {
        let payload = poll_fn(|cx| self.handle.poll_data(cx)).await?;
        Ok((payload.component, copy(&payload.bytes, buf)))
    }

    /// Where the data of this component goes at present.
    pub fn path(&self, component: ComponentId) -> Option<Path> {
        self.handle.outlet(component).ok()?.path()
    }

    /// The largest payload in bytes that the present path takes: the MTU of the interface less IP and UDP headers
    /// and what a relay's framing adds. Links further on may carry less.
    pub fn max_payload(&self, component: ComponentId) -> Option<usize> {
        self.handle.outlet(component).ok()?.max_payload()
    }

    /// Where the session stands.
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// Why the session failed, if it did.
    pub fn reason(&self) -> Option<Reason> {
        self.handle.reason()
    }

    /// The counters, also of a session that has ended.
    pub async fn stats(&self) -> Stats {
        self.handle.stats().await
    }

    /// Why there is no path, or none but a relayed one: what was sent, what came back, and the most probable causes. Also
    /// of a session that has ended; `None` if it was torn down, as by the end of its runtime.
    pub async fn diagnosis(&self) -> Option<Diagnosis> {
        self.handle.diagnosis().await
    }

    /// A copy of the records kept so far, for a [`Ladder`](crate::trace::Ladder); empty unless
    /// [`Config::trace`](crate::agent::Config::trace) asked for them.
    pub async fn trace(&self) -> Trace {
        self.handle.trace().await
    }

    /// Restarts ICE (RFC 8445 §9): new credentials and candidates are signalled, and data stays on the present path
    /// until the peer has answered and a new pair is selected.
    pub async fn restart(&self) {
        self.handle.restart().await;
    }

    /// Closes the session and waits until its sockets are closed. TURN servers have two seconds to confirm that
    /// the allocations are deleted.
    pub async fn close(&self) {
        self.handle.close().await;
    }
}
