//! The task that owns the machine and all its sockets.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::ServerStats;
use super::sockets::Sockets;
use super::stream::Read;
use crate::io::{Datagram, SocketId, Transmit, Wake};
use crate::net::clock::{self, Alarm};
use crate::net::ports::ERRORS_IN_A_ROW;
use crate::net::readiness::Token;
use crate::server::{self, Forward, Input, Open, Output, Received};
use crate::tcp::{Deframer, Framing};
use crate::time::Instant;
use crate::turn::data::{HEADROOM, wrap};

/// Answers are never longer than the least MTU.
const OUTPUT: usize = 1280;
/// Bytes that are read from a connection at a time.
const READ: usize = 16 << 10;
/// Connections that are accepted before others have their turn.
const ACCEPTS: usize = 16;
/// How long no connection is accepted after the system could not give one, for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How old the time of day may be that the machine goes by: somebody may have set the clock.
const UNIX_TIME_AGE: Duration = Duration::from_secs(10);

/// Whoever asks for the counters.
pub(super) type Question = oneshot::Sender<ServerStats>;

pub(super) struct Driver {
    pub(super) machine: server::Server,
    pub(super) sockets: Sockets,
    wake: Option<Wake>,
    /// When the machine was told the time of day.
    told_time: Option<Instant>,
    scratch: Box<[u8]>,
}

enum Happening {
    Due,
    Question(Option<Question>),
    Readable(SocketId),
}

impl Driver {
    pub(super) fn new(machine: server::Server) -> Self {
        Self {
            machine,
            sockets: Sockets::default(),
            wake: None,
            told_time: None,
            scratch: vec![0; READ].into(),
        }
    }

    pub(super) async fn run(mut self, mut questions: mpsc::Receiver<Question>) -> ServerStats {
        let mut alarm = Alarm::new(clock::now());
        self.drain();
        loop {
            let due = self.wake.map(|wake| wake.at);
            let happening = tokio::select! {
                biased;
                () = alarm.ring(due) => Happening::Due,
                happening = async {
                    tokio::select! {
                        question = questions.recv() => Happening::Question(question),
                        id = poll_fn(|cx| self.sockets.readiness.poll_next(cx)) => Happening::Readable(id),
                    }
                } => happening,
            };
            self.tell_time(clock::now());
            match happening {
                Happening::Due => {
                    let _ = self.machine.handle_input(clock::now(), Input::Timeout);
                    self.drain();
                }
                // Whoever asked may have gone.
                Happening::Question(Some(reply)) => drop(reply.send(self.stats())),
                Happening::Question(None) => return self.end().await,
                Happening::Readable(id) => {
                    self.serve(id);
                    // Readiness is not of tokio: without this a flood would keep the thread.
                    tokio::task::coop::consume_budget().await;
                }
            }
            self.flush();
        }
    }

    fn tell_time(&mut self, now: Instant) {
        if self.told_time.is_none_or(|at| now.saturating_duration_since(at) >= UNIX_TIME_AGE) {
            self.machine.set_unix_time(now, clock::unix());
            self.told_time = Some(now);
        }
    }

    fn stats(&self) -> ServerStats {
        ServerStats { server: self.machine.stats(), ..self.sockets.stats }
    }

    /// Handles what the kernel holds already, one batch a socket.
    async fn end(mut self) -> ServerStats {
        // The reactor has to look once more.
        tokio::task::yield_now().await;
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..self.sockets.len() {
            let Poll::Ready(id) = self.sockets.readiness.poll_next(&mut cx) else { break };
            self.serve(id);
        }
        self.flush();
        let stats = self.stats();
        self.sockets.shut_down();
        tracing::debug!("server ended");
        stats
    }

    fn open(&mut self, open: Open) {
        let now = clock::now();
        let input = match self.sockets.bind(open.local) {
            Ok((socket, local)) => Input::Opened { request: open.request, socket, local },
            Err(error) => {
                tracing::debug!(%error, local = %open.local, "relay socket not bound");
                self.sockets.stats.bind_errors += 1;
                Input::OpenFailed { request: open.request }
            }
        };
        let _ = self.machine.handle_input(now, input);
    }

    /// A socket has something. A closed one may still be in the queue.
    fn serve(&mut self, id: SocketId) {
        if self.sockets.ports.contains_key(&id) {
            self.receive(id);
        } else if self.sockets.streams.contains_key(&id) {
            self.read(id);
        } else if self.sockets.listeners.contains_key(&id) {
            self.accept(id);
        }
    }

    fn receive(&mut self, id: SocketId) {
        let Some(port) = self.sockets.ports.get(&id) else { return };
        if port.socket.poll_readable(&mut Context::from_waker(&port.waker)).is_pending() {
            return;
        }
        let (socket, token) = (port.socket.clone(), port.token.clone());
        let now = clock::now();
        let received = socket.receive_framed(id, |header, buf, len| self.take(now, header, buf, len));
        let errors_in_a_row = match received {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                // ICMP says what anybody on the way may say: it ends nothing.
                tracing::trace!(%error, local = %socket.local(), "receive error");
                self.sockets.stats.receive_errors += 1;
                self.sockets.ports.get(&id).map_or(0, |port| port.errors_in_a_row + 1)
            }
            _ => 0,
        };
        if let Some(port) = self.sockets.ports.get_mut(&id) {
            port.errors_in_a_row = errors_in_a_row;
        }
        self.drain();
        if errors_in_a_row >= ERRORS_IN_A_ROW {
            tracing::warn!(local = %socket.local(), "socket given up");
            return;
        }
        // There may be more, after the others had their turn.
        std::task::Wake::wake(token);
    }

    /// A datagram at `HEADROOM..HEADROOM + len`.
    fn take(&mut self, now: Instant, header: Datagram<'static>, buf: &mut [u8], len: usize) {
        let datagram = Datagram { payload: &buf[HEADROOM..HEADROOM + len], ..header };
        match self.machine.handle_input(now, Input::Datagram(datagram)) {
            Received::Forward(Forward { socket, local, destination, framing, payload }) => {
                if framing.overhead() == 0 {
                    self.sockets.send(&Transmit::new(socket, local, destination, payload));
                } else {
                    // The payload is the whole datagram: it is framed where it lies.
                    let framed = wrap(framing, buf, len);
                    self.sockets.send(&Transmit::new(socket, local, destination, framed));
                }
            }
            // Answers are sent before the next datagram is looked at: only so many wait.
            Received::Consumed => self.drain(),
            Received::Unclaimed => self.sockets.stats.unclaimed += 1,
        }
    }

    /// Accepts who has connected.
    fn accept(&mut self, id: SocketId) {
        for _ in 0..ACCEPTS {
            let Some(listener) = self.sockets.listeners.get(&id) else { return };
            let (token, welcome) = (listener.token.clone(), listener.welcome.clone());
            match listener.socket.poll_accept(&mut Context::from_waker(&listener.waker)) {
                Poll::Pending => return,
                Poll::Ready(Ok((tcp, remote))) => {
                    // A connection that is over already has no address.
                    let Ok(local) = tcp.local_addr() else { continue };
                    let socket = self.sockets.connected(tcp, &welcome, local, remote);
                    let accepted = Input::Accepted { socket, local, source: remote };
                    let _ = self.machine.handle_input(clock::now(), accepted);
                    self.drain();
                }
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "no connection accepted");
                    self.sockets.stats.accept_errors += 1;
                    pause(token);
                    return;
                }
            }
        }
        if let Some(listener) = self.sockets.listeners.get(&id) {
            std::task::Wake::wake(listener.token.clone());
        }
    }

    /// Reads from a connection once, and hands what is whole to the machine.
    fn read(&mut self, id: SocketId) {
        let Some(stream) = self.sockets.streams.get_mut(&id) else { return };
        let read = stream.flush().and_then(|()| stream.read(&mut self.scratch));
        let len = match read {
            Ok(Read::Nothing) => return,
            Ok(Read::Bytes(len)) => len,
            Ok(Read::End) => return self.disconnect(id),
            Err(error) => {
                tracing::debug!(%error, remote = %stream.remote, "connection broken");
                self.sockets.stats.receive_errors += 1;
                return self.disconnect(id);
            }
        };
        let (local, source, token) = (stream.local, stream.remote, stream.token.clone());
        // Its place is taken meanwhile: what the machine does may reach this connection too.
        let mut deframer = std::mem::replace(&mut stream.deframer, Deframer::new(Framing::Turn));
        deframer.push(&self.scratch[..len]);
        let now = clock::now();
        loop {
            match deframer.next_frame() {
                Ok(Some(payload)) => {
                    let datagram = Datagram { socket: id, local, source, ecn: None, payload };
                    self.take_message(now, datagram);
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, remote = %source, "connection closed");
                    self.sockets.stats.unclaimed += 1;
                    return self.disconnect(id);
                }
            }
        }
        deframer.release();
        if let Some(stream) = self.sockets.streams.get_mut(&id) {
            stream.deframer = deframer;
        }
        // There may be more, after the others had their turn.
        std::task::Wake::wake(token);
    }

    /// A message on a connection. What comes from a client is sent on as it is.
    fn take_message(&mut self, now: Instant, datagram: Datagram<'_>) {
        match self.machine.handle_input(now, Input::Datagram(datagram)) {
            Received::Forward(Forward { socket, local, destination, payload, .. }) => {
                self.sockets.send(&Transmit::new(socket, local, destination, payload));
            }
            Received::Consumed => self.drain(),
            Received::Unclaimed => self.sockets.stats.unclaimed += 1,
        }
    }

    /// A connection is over.
    fn disconnect(&mut self, id: SocketId) {
        self.sockets.close(id);
        let _ = self.machine.handle_input(clock::now(), Input::Closed { socket: id });
        self.drain();
    }

    /// Sends what waits on connections.
    fn flush(&mut self) {
        loop {
            let dirty = self.sockets.dirty();
            if dirty.is_empty() {
                return;
            }
            for id in dirty {
                let Some(stream) = self.sockets.streams.get_mut(&id) else { continue };
                if let Err(error) = stream.flush() {
                    tracing::debug!(%error, remote = %stream.remote, "connection broken");
                    self.sockets.stats.send_errors += 1;
                    self.disconnect(id);
                }
            }
        }
    }

    /// Does what the machine wants, until it waits.
    fn drain(&mut self) {
        let mut buf = [0; OUTPUT];
        loop {
            match self.machine.poll_output(&mut buf) {
                Output::Transmit(transmit) => self.sockets.send(&transmit),
                Output::Open(open) => self.open(open),
                Output::Close(id) => self.sockets.close(id),
                Output::Wait(wake) => {
                    self.wake = wake;
                    return;
                }
            }
        }
    }
}

/// Looks at a listener again after a while.
fn pause(token: Arc<Token>) {
    tokio::spawn(async move {
        tokio::time::sleep(ACCEPT_PAUSE).await;
        std::task::Wake::wake(token);
    });
}
