//! A connection: datagrams to and from the peer, over whatever path ICE has found.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::agent::{Diagnosis, Path, Reason, State};
use crate::io::ComponentId;
use crate::trace::Trace;

use super::counters::Stats;
use super::handle::{Handle, copy};
use super::route::Outlet;

/// The data of the first component of a session whose signaling runs by itself. Share it in an `Arc`; dropping it
/// closes the session.
///
/// Datagrams may be lost, doubled and reordered, and who wrote them is not verified: put DTLS or QUIC on top.
#[derive(Debug)]
pub struct Connection {
    handle: Handle,
}

impl Connection {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    fn outlet(&self) -> io::Result<&Outlet> {
        self.handle.outlet(ComponentId::FIRST)
    }

    /// Waits for the first path, forever if there is none.
    pub(super) async fn has_path(&self) {
        let found = match self.outlet() {
            Ok(outlet) => outlet.has_path().await,
            Err(_) => false,
        };
        if !found {
            std::future::pending::<()>().await;
        }
    }

    /// Sends one datagram, and waits where the send buffer is full. Any number of tasks may send.
    ///
    /// # Errors
    /// `NotConnected` while there is no path: without consent (RFC 7675 §5.1), and after the end. `InvalidInput`
    /// with [`TooLarge`](super::TooLarge) inside for a datagram longer than [`max_payload`](Self::max_payload).
    /// Else what the kernel says.
    pub async fn send(&self, payload: &[u8]) -> io::Result<()> {
        self.outlet()?.send(payload).await
    }

    /// Sends one datagram at once.
    ///
    /// # Errors
    /// As [`send`](Self::send), and `WouldBlock` if the send buffer is full: see [`writable`](Self::writable).
    pub fn try_send(&self, payload: &[u8]) -> io::Result<()> {
        self.outlet()?.try_send(payload)
    }

    /// Waits until there may be room in the send buffer again, after [`try_send`](Self::try_send) said
    /// `WouldBlock`.
    ///
    /// # Errors
    /// `NotConnected` without a path.
    pub async fn writable(&self) -> io::Result<()> {
        self.outlet()?.wait_for_room().await
    }

    /// Receives one datagram and returns its length. What does not fit into `buf` is lost.
    ///
    /// One task at a time can wait; the future may be dropped without loss. Up to 1024 datagrams wait for the
    /// application, more are lost and counted.
    ///
    /// # Errors
    /// `ConnectionAborted` with the [`Reason`] inside when the session failed, `NotConnected` when it was closed.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_recv(cx, buf)).await
    }

    /// As [`recv`](Self::recv), for whoever polls. The last caller is the one that is woken.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let payload = ready!(self.handle.poll_data(cx))?;
            if payload.component == ComponentId::FIRST {
                return Poll::Ready(Ok(copy(&payload.bytes, buf)));
            }
        }
    }

    /// Where datagrams go at present; `None` when nothing may be sent.
    pub fn path(&self) -> Option<Path> {
        self.outlet().ok()?.path()
    }

    /// The largest payload in bytes that the present path takes: the MTU of the interface less IP and UDP headers
    /// and what a relay's framing adds. Links further on may carry less.
    pub fn max_payload(&self) -> Option<usize> {
        self.outlet().ok()?.max_payload()
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

    /// Waits until the session is over, and says why it failed; `None`: it was closed.
    pub async fn closed(&self) -> Option<Reason> {
        let mut status = self.handle.status.clone();
        let over = status.wait_for(|status| matches!(status.state, State::Failed | State::Closed));
        drop(over.await);
        self.reason()
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
