//! A STUN and TURN server on real sockets.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use floe::net::Server;
//!
//! let config = Server::config().user("alice", "secret").relay_address("192.0.2.1".parse().unwrap());
//! let server = Server::bind(config, ["192.0.2.1:3478".parse().unwrap()]).await?;
//! println!("{:?}", server.stats().await);
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::io::{Datagram, SocketId, Transmit, Wake};
use crate::server::{self, Config, Forward, Input, Open, Output, Received};
use crate::time::Instant;
use crate::turn::data::{HEADROOM, wrap};

use super::clock::{self, Alarm};
use super::interfaces;
use super::ports::ERRORS_IN_A_ROW;
use super::readiness::{Readiness, Token};
use super::seed::seed;
use super::udp::{Source, UdpSocket};

/// Answers are never longer than the least MTU.
const OUTPUT: usize = 1280;
/// Questions that may wait.
const QUESTIONS: usize = 32;

/// A snapshot of a server's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// What the machine counted.
    pub server: server::Stats,
    /// Datagrams that were lost because a send buffer was full.
    pub packets_discarded_on_send: u64,
    /// Datagrams that the kernel would not send, those that would have to be fragmented among them.
    pub send_errors: u64,
    /// Errors when receiving, such as reports of unreachable ports.
    pub receive_errors: u64,
    /// Datagrams that are nothing for a server.
    pub unclaimed: u64,
    /// Relay sockets that could not be bound.
    pub bind_errors: u64,
}

/// A handle to a running server. It ends when this handle is dropped.
#[derive(Debug)]
pub struct Server {
    addrs: Vec<SocketAddr>,
    questions: mpsc::Sender<oneshot::Sender<ServerStats>>,
    task: JoinHandle<ServerStats>,
}

impl Server {
    /// A configuration with a seed of the operating system.
    ///
    /// # Panics
    /// If the operating system has no randomness: nothing may be started without.
    pub fn config() -> Config {
        Config::new(seed())
    }

    /// Starts a server that listens on these addresses. Port 0 is any port: [`addrs`](Self::addrs) has the one.
    ///
    /// # Errors
    /// Why an address cannot be bound; `InvalidInput` for an unspecified one: answers must come from the address
    /// that was asked, so name each.
    #[expect(clippy::unused_async, reason = "it needs the runtime, and may come to wait for the system")]
    pub async fn bind(config: Config, addrs: impl IntoIterator<Item = SocketAddr>) -> io::Result<Self> {
        let mut driver = Driver {
            machine: server::Server::new(config, clock::now()),
            ports: HashMap::new(),
            readiness: Readiness::default(),
            next_id: 0,
            mtus: HashMap::new(),
            wake: None,
            stats: ServerStats::default(),
        };
        let mut bound = Vec::new();
        for addr in addrs {
            if addr.ip().is_unspecified() {
                let problem = format!("{addr} is every address: name those to listen on");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
            }
            let (id, local) = driver.bind(addr)?;
            driver.machine.add_socket(id, local);
            bound.push(local);
        }
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let span = tracing::debug_span!("server", addrs = ?bound);
        let task = tokio::spawn(driver.run(asked).instrument(span));
        Ok(Self { addrs: bound, questions, task })
    }

    /// The addresses it listens on, in the order they were given.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The counters.
    pub async fn stats(&self) -> ServerStats {
        let (reply, answer) = oneshot::channel();
        // The task ends only after this handle.
        let _ = self.questions.send(reply).await;
        answer.await.unwrap_or_default()
    }

    /// Ends the server and waits until all its sockets are closed. What was received before is still answered and
    /// relayed. Returns the last counters.
    pub async fn shutdown(self) -> ServerStats {
        drop(self.questions);
        self.task.await.unwrap_or_default()
    }
}

/// A socket and its place in the queue of those that have something.
#[derive(Debug)]
struct Port {
    socket: Arc<UdpSocket>,
    token: Arc<Token>,
    waker: Waker,
    errors_in_a_row: u32,
}

/// Owns the machine and all its sockets.
#[derive(Debug)]
struct Driver {
    machine: server::Server,
    ports: HashMap<SocketId, Port>,
    readiness: Readiness,
    next_id: u32,
    /// The MTU of each address: asking the system for every relay socket would be slow.
    mtus: HashMap<IpAddr, usize>,
    wake: Option<Wake>,
    stats: ServerStats,
}

enum Happening {
    Due,
    Question(Option<oneshot::Sender<ServerStats>>),
    Readable(SocketId),
}

impl Driver {
    async fn run(mut self, mut questions: mpsc::Receiver<oneshot::Sender<ServerStats>>) -> ServerStats {
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
                        id = poll_fn(|cx| self.readiness.poll_next(cx)) => Happening::Readable(id),
                    }
                } => happening,
            };
            match happening {
                Happening::Due => {
                    let _ = self.machine.handle_input(clock::now(), Input::Timeout);
                    self.drain();
                }
                // Whoever asked may have gone.
                Happening::Question(Some(reply)) => drop(reply.send(self.stats())),
                Happening::Question(None) => return self.end().await,
                Happening::Readable(id) => {
                    self.receive(id);
                    // Readiness is not of tokio: without this a flood would keep the thread.
                    tokio::task::coop::consume_budget().await;
                }
            }
        }
    }

    fn stats(&self) -> ServerStats {
        ServerStats { server: self.machine.stats(), ..self.stats }
    }

    /// Handles what the kernel holds already, one batch a socket.
    async fn end(mut self) -> ServerStats {
        // The reactor has to look once more.
        tokio::task::yield_now().await;
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..self.ports.len() {
            let Poll::Ready(id) = self.readiness.poll_next(&mut cx) else { break };
            self.receive(id);
        }
        tracing::debug!("server ended");
        self.stats()
    }

    fn bind(&mut self, addr: SocketAddr) -> io::Result<(SocketId, SocketAddr)> {
        let mtu = *self.mtus.entry(addr.ip()).or_insert_with(|| interfaces::mtu(addr.ip()));
        let socket = UdpSocket::bind(addr, Source::Bound, None, mtu)?;
        let local = socket.local();
        let id = SocketId(self.next_id);
        self.next_id += 1;
        let token = self.readiness.token(id);
        let waker = Waker::from(token.clone());
        self.ports.insert(id, Port { socket: Arc::new(socket), token, waker, errors_in_a_row: 0 });
        Ok((id, local))
    }

    fn open(&mut self, open: Open) {
        let now = clock::now();
        let input = match self.bind(open.local) {
            Ok((socket, local)) => Input::Opened { request: open.request, socket, local },
            Err(error) => {
                tracing::debug!(%error, local = %open.local, "relay socket not bound");
                self.stats.bind_errors += 1;
                Input::OpenFailed { request: open.request }
            }
        };
        let _ = self.machine.handle_input(now, input);
    }

    fn receive(&mut self, id: SocketId) {
        // A closed socket may still be in the queue.
        let Some(port) = self.ports.get(&id) else { return };
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
                self.stats.receive_errors += 1;
                self.ports.get(&id).map_or(0, |port| port.errors_in_a_row + 1)
            }
            _ => 0,
        };
        if let Some(port) = self.ports.get_mut(&id) {
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
                    let transmit = Transmit::new(socket, local, destination, payload);
                    send(&self.ports, &mut self.stats, &transmit);
                } else {
                    // The payload is the whole datagram: it is framed where it lies.
                    let framed = wrap(framing, buf, len);
                    let transmit = Transmit::new(socket, local, destination, framed);
                    send(&self.ports, &mut self.stats, &transmit);
                }
            }
            // Answers are sent before the next datagram is looked at: only so many wait.
            Received::Consumed => self.drain(),
            Received::Unclaimed => self.stats.unclaimed += 1,
        }
    }

    /// Does what the machine wants, until it waits.
    fn drain(&mut self) {
        let mut buf = [0; OUTPUT];
        loop {
            match self.machine.poll_output(&mut buf) {
                Output::Transmit(transmit) => send(&self.ports, &mut self.stats, &transmit),
                Output::Open(open) => self.open(open),
                Output::Close(id) => drop(self.ports.remove(&id)),
                Output::Wait(wake) => {
                    self.wake = wake;
                    return;
                }
            }
        }
    }
}

fn send(ports: &HashMap<SocketId, Port>, stats: &mut ServerStats, transmit: &Transmit<'_>) {
    let Some(port) = ports.get(&transmit.socket) else { return };
    match port.socket.try_send(transmit) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => stats.packets_discarded_on_send += 1,
        Err(error) => {
            tracing::trace!(%error, destination = %transmit.destination, "send error");
            stats.send_errors += 1;
        }
    }
}
