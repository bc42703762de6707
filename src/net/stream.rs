//! TCP and TLS connections of a session: framed, so that the agent sees messages as on UDP.
//!
//! ```text
//!  any task ── Stream::try_send ──► pipe ──► writer task ──► kernel
//!  driver ◄── Inlet::poll_fill ◄── deframer ◄──────────────── kernel
//! ```
//!
//! A message goes into the pipe as a whole or not at all: a full pipe drops datagrams, as a full socket does, and never
//! cuts a frame.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

use crate::io::{CloseReason, Connect, Datagram, SocketId, StreamProtocol, Transmit};
use crate::tcp::{BadFrame, Deframer, Framing};

use super::tls::{self, Tls};

/// Bytes that wait for the kernel. More would only make what arrives old.
const PIPE: usize = 128 << 10;
/// Bytes of one read.
const READ: usize = 64 << 10;
/// How long a connection may take to come about, TLS included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a closed connection may take to send what is still in its pipe.
const LINGER: Duration = Duration::from_secs(2);

/// Whatever the messages run on.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Send + Sync> Io for T {}

/// The sending side: any task may hold it.
#[derive(Debug)]
pub(super) struct Stream {
    framing: Framing,
    pipe: Mutex<Pipe>,
    /// The writer has something to do.
    filled: Notify,
    /// Whoever waits for room may try again.
    drained: Notify,
    /// The MTU of the interface of its own address.
    mtu: usize,
}

#[derive(Debug, Default)]
struct Pipe {
    bytes: Vec<u8>,
    is_closed: bool,
}

/// The receiving side, which the driver owns. When it is dropped the connection is closed, behind what is in the pipe.
pub(super) struct Inlet {
    stream: Arc<Stream>,
    reader: ReadHalf<Pin<Box<dyn Io>>>,
    deframer: Deframer,
    local: SocketAddr,
    remote: SocketAddr,
    /// What the last read ended with.
    end: Option<CloseReason>,
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

impl Stream {
    fn pipe(&self) -> MutexGuard<'_, Pipe> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The MTU of its interface in bytes.
    pub(super) fn mtu(&self) -> usize {
        self.mtu
    }

    /// Takes all of a transmit or nothing: `WouldBlock` if the pipe is too full, `NotConnected` if the connection is
    /// over.
    pub(super) fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let segment = transmit.segment_size.unwrap_or(transmit.payload.len()).max(1);
        let mut pipe = self.pipe();
        if pipe.is_closed {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let before = pipe.bytes.len();
        // An empty datagram is a datagram too.
        let first = transmit.payload.is_empty().then_some(transmit.payload);
        for payload in first.into_iter().chain(transmit.payload.chunks(segment)) {
            self.framing.put(payload, &mut pipe.bytes);
        }
        if before > 0 && pipe.bytes.len() > PIPE {
            pipe.bytes.truncate(before);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        drop(pipe);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits until the pipe has had room, or the connection is over. Any number of tasks may wait.
    pub(super) async fn writable(&self) {
        let drained = self.drained.notified();
        let is_ready = {
            let pipe = self.pipe();
            pipe.is_closed || pipe.bytes.is_empty()
        };
        if !is_ready {
            drained.await;
        }
    }

    fn close(&self) {
        self.pipe().is_closed = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Waits until the connection is closed, and then as long as it may take to send what is left.
    async fn lingers(&self) {
        loop {
            let filled = self.filled.notified();
            if self.pipe().is_closed {
                return tokio::time::sleep(LINGER).await;
            }
            filled.await;
        }
    }

    /// Hands the pipe to the kernel until the connection is closed.
    async fn write(&self, mut writer: WriteHalf<Pin<Box<dyn Io>>>) {
        let mut batch = Vec::new();
        loop {
            let filled = self.filled.notified();
            let is_closed = {
                let mut pipe = self.pipe();
                std::mem::swap(&mut pipe.bytes, &mut batch);
                pipe.is_closed
            };
            if !batch.is_empty() {
                self.drained.notify_waiters();
                let is_written = tokio::select! {
                    written = writer.write_all(&batch) => written.is_ok(),
                    // The other side may have stopped reading for good.
                    () = self.lingers() => false,
                };
                if !is_written {
                    break;
                }
                batch.clear();
            } else if is_closed {
                let _ = tokio::time::timeout(LINGER, writer.shutdown()).await;
                break;
            } else {
                // Encryption keeps a buffer of its own.
                if writer.flush().await.is_err() {
                    break;
                }
                filled.await;
            }
        }
        self.close();
    }
}

/// Opens a connection and its TLS.
pub(super) async fn open(connect: &Connect, mtu: usize, tls: &Tls) -> Result<Inlet, CloseReason> {
    let opened = tokio::time::timeout(PATIENCE, open_patiently(connect, mtu, tls));
    opened.await.unwrap_or(Err(CloseReason::TimedOut))
}

/// A connection on which nothing runs yet.
pub(super) async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = match local {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.bind(local)?;
    let io = socket.connect(remote).await?;
    // Checks and data are small and urgent.
    let _ = io.set_nodelay(true);
    Ok(io)
}

async fn open_patiently(to: &Connect, mtu: usize, tls: &Tls) -> Result<Inlet, CloseReason> {
    let io = connect(to.local, to.remote).await.map_err(|error| reason(&error))?;
    let local = io.local_addr().map_err(|error| reason(&error))?;
    let (framing, io): (_, Pin<Box<dyn Io>>) = match &to.protocol {
        StreamProtocol::Ice => (Framing::Rfc4571, Box::pin(io)),
        StreamProtocol::Turn => (Framing::Turn, Box::pin(io)),
        StreamProtocol::TurnTls { server_name } => {
            let secured = tls.connect(server_name, io).await;
            (Framing::Turn, Box::pin(secured.map_err(|error| tls::reason(&error))?))
        }
    };
    Ok(Inlet::new(framing, io, local, to.remote, mtu))
}

impl Inlet {
    /// A connection of a candidate pair that somebody else has opened (RFC 6544 §7.2).
    ///
    /// # Errors
    /// It is over already.
    pub(super) fn accepted(io: TcpStream, remote: SocketAddr, mtu: usize) -> io::Result<Self> {
        let _ = io.set_nodelay(true);
        let local = io.local_addr()?;
        Ok(Self::new(Framing::Rfc4571, Box::pin(io), local, remote, mtu))
    }

    /// What runs on a connection that stands.
    pub(super) fn new(
        framing: Framing,
        io: Pin<Box<dyn Io>>,
        local: SocketAddr,
        remote: SocketAddr,
        mtu: usize,
    ) -> Self {
        let (reader, writer) = tokio::io::split(io);
        let stream = Arc::new(Stream {
            framing,
            pipe: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            mtu,
        });
        let sender = stream.clone();
        tokio::spawn(async move { sender.write(writer).await });
        Self { stream, reader, deframer: Deframer::new(framing), local, remote, end: None }
    }

    /// The sending side.
    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Its own address.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Reads once. Ready when [`receive`](Self::receive) has something to tell.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.end.is_some() {
            return Poll::Ready(());
        }
        let mut room = ReadBuf::new(self.deframer.room(READ));
        let read = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut room));
        let len = room.filled().len();
        match read {
            Ok(()) if len > 0 => self.deframer.filled(len),
            Ok(()) => self.end = Some(CloseReason::Ended),
            Err(error) => self.end = Some(reason(&error)),
        }
        Poll::Ready(())
    }

    /// Hands every whole message to `take`.
    ///
    /// # Errors
    /// Why nothing more will come.
    pub(super) fn receive(
        &mut self,
        id: SocketId,
        mut take: impl FnMut(Datagram<'_>),
    ) -> Result<(), CloseReason> {
        let (local, source) = (self.local.ip(), self.remote);
        while let Some(payload) = self.deframer.next_frame().map_err(|BadFrame| CloseReason::Malformed)? {
            take(Datagram { socket: id, local, source, ecn: None, payload });
        }
        self.end.map_or(Ok(()), Err)
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.stream.close();
    }
}

/// What an error of the socket means for a connection.
pub(super) fn reason(error: &io::Error) -> CloseReason {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => CloseReason::Refused,
        ErrorKind::TimedOut => CloseReason::TimedOut,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            CloseReason::Reset
        }
        ErrorKind::UnexpectedEof => CloseReason::Ended,
        // What TLS says of bytes that are none.
        ErrorKind::InvalidData => CloseReason::Tls,
        _ => CloseReason::Unreachable,
    }
}
