//! One connection of a client: bytes in, bytes out, whole frames only.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::net::TcpStream;

use super::io::Io;
use super::tls::Welcome;
use crate::net::readiness::Token;
use crate::tcp::{Deframer, Framing};

/// Bytes that wait for a client that reads slowly. More would only make what it reads older.
const QUEUE: usize = 64 << 10;
/// Memory that an empty queue keeps.
const KEPT: usize = 4096;

/// What became of a message for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queued {
    Taken,
    Dropped,
}

/// What a read brought.
#[derive(Debug)]
pub(super) enum Read {
    /// Nothing, until the token is woken.
    Nothing,
    /// So many bytes.
    Bytes(usize),
    /// The client has said all.
    End,
}

/// A connection and its place in the queue of those that have something.
pub(super) struct Stream {
    io: Io,
    pub(super) local: IpAddr,
    pub(super) remote: SocketAddr,
    pub(super) token: Arc<Token>,
    waker: Waker,
    pub(super) deframer: Deframer,
    queue: Vec<u8>,
    /// Bytes of the queue that are sent already.
    sent: usize,
    /// Whether it stands in the list of those to flush.
    pub(super) is_dirty: bool,
}

impl Stream {
    pub(super) fn new(
        tcp: TcpStream,
        welcome: &Welcome,
        local: IpAddr,
        remote: SocketAddr,
        token: Arc<Token>,
    ) -> Self {
        Self {
            io: Io::new(tcp, welcome),
            local,
            remote,
            waker: Waker::from(token.clone()),
            token,
            deframer: Deframer::new(Framing::Turn),
            queue: Vec::new(),
            sent: 0,
            is_dirty: false,
        }
    }

    /// Reads once.
    ///
    /// # Errors
    /// The connection is broken, or TLS did not come about.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> io::Result<Read> {
        match self.io.poll_read(&mut Context::from_waker(&self.waker), buf) {
            Poll::Pending => Ok(Read::Nothing),
            Poll::Ready(Ok(0)) => Ok(Read::End),
            Poll::Ready(len) => len.map(Read::Bytes),
        }
    }

    /// Takes a message for the client, or drops it as a whole because too much waits already.
    pub(super) fn queue(&mut self, message: &[u8]) -> Queued {
        let waiting = self.queue.len() - self.sent;
        if waiting > 0 && waiting + message.len() > QUEUE {
            return Queued::Dropped;
        }
        if self.sent > QUEUE / 2 {
            self.queue.drain(..self.sent);
            self.sent = 0;
        }
        Framing::Turn.put(message, &mut self.queue);
        Queued::Taken
    }

    /// Hands to the kernel what it takes. When it takes more again, the token is woken.
    ///
    /// # Errors
    /// The connection is broken, or TLS did not come about.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.is_dirty = false;
        let waker = self.waker.clone();
        match self.poll_flush(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// Sends what there is room for, and says that nothing more comes. Nobody waits for it.
    pub(super) fn shut_down(&mut self) {
        if self.flush().is_ok() {
            let _ = self.io.poll_shutdown(&mut Context::from_waker(&self.waker));
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.queue.len() {
            self.sent += ready!(self.io.poll_write(cx, &self.queue[self.sent..]))?;
        }
        self.queue.clear();
        self.sent = 0;
        if self.queue.capacity() > KEPT {
            self.queue = Vec::new();
        }
        self.io.poll_flush(cx)
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
