//! The driver of a [`Probe`]: sockets, a clock, and nothing else.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use floe::discovery::Verdict;
//! use floe::net::discovery::{Plan, measure};
//!
//! let plan = Plan::toward(["203.0.113.1:3478".parse().unwrap()])?;
//! let report = measure(plan.config(), |event, _report| println!("{event:?}")).await?;
//! println!("{}", Verdict::of(&report));
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::discovery::{Config, Event, Input, Output, Probe, Report};
use crate::io::{CloseReason, ConnectId, Datagram, SocketId, Transmit};
use crate::tcp::Framing;

use super::clock::{self, Alarm};
use super::interfaces;
use super::seed::seed;
use super::stream::{self, Inlet};

/// Longer datagrams are cut: no answer is as long.
const DATAGRAM: usize = 2048;
/// Tokens of connections count from here: no UDP socket of a probe has one of them.
const FIRST_CONNECTION: u32 = 1 << 16;
/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);
/// What longer requests can be expected to be answered: servers read so much.
const MAX_MTU: usize = 1500;

/// From where to which servers.
#[derive(Debug, Clone)]
#[must_use]
pub struct Plan {
    local: IpAddr,
    servers: Vec<SocketAddr>,
}

impl Plan {
    /// From the address that the system sends from to the first of these servers; those of the other family are left
    /// out. Nothing is sent for it.
    ///
    /// # Errors
    /// `NotFound` without a server, and what the system says if there is no route.
    pub fn toward(servers: impl IntoIterator<Item = SocketAddr>) -> io::Result<Self> {
        let servers: Vec<SocketAddr> = servers.into_iter().collect();
        let first = *servers.first().ok_or(io::ErrorKind::NotFound)?;
        let socket = std::net::UdpSocket::bind(SocketAddr::new(super::probe::any(first), 0))?;
        socket.connect(first)?;
        Ok(Self { local: socket.local_addr()?.ip(), servers })
    }

    /// From this address of the host.
    pub fn from(local: IpAddr, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { local, servers: servers.into_iter().collect() }
    }

    /// The address that is asked from.
    pub fn local(&self) -> IpAddr {
        self.local
    }

    /// A configuration with a seed of the operating system, which tests fragments too where the interface has an MTU of
    /// at most 1500 bytes: servers need not read longer requests.
    ///
    /// # Panics
    /// If the operating system has no randomness: nothing may be started without.
    pub fn config(&self) -> Config {
        let config = Config::new(self.local, self.servers.iter().copied(), seed());
        let mtu = interfaces::mtu(self.local);
        match u16::try_from(mtu) {
            Ok(mtu) if usize::from(mtu) <= MAX_MTU => config.fragments(mtu),
            _ => config,
        }
    }
}

/// Measures; `tell` learns of each step, with what is known by then. May be dropped: all sockets are closed.
///
/// # Errors
/// If this host has no address as `local` of the configuration, or no sockets left.
pub async fn measure(config: Config, mut tell: impl FnMut(Event, &Report)) -> io::Result<Report> {
    let mut probe = Probe::new(config, clock::now());
    let mut world = World::default();
    let mut connecting: JoinSet<Opened> = JoinSet::new();
    let mut alarm = Alarm::new(clock::now());
    let mut buf = vec![0; Probe::BUFFER];
    loop {
        let wake = loop {
            match probe.poll_output(&mut buf) {
                Output::Transmit(transmit) => world.send(&transmit),
                Output::Open { socket, local } => {
                    let input = match UdpSocket::bind(local).await {
                        Ok(bound) => {
                            // Without it the first datagram would be dropped: nobody knows yet that there is room.
                            bound.writable().await?;
                            let local = bound.local_addr()?;
                            world.sockets.insert(socket, bound);
                            Input::Opened { socket, local }
                        }
                        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Input::NotOpened { socket },
                        Err(error) => return Err(error),
                    };
                    probe.handle_input(clock::now(), input);
                }
                Output::Connect(connect) => {
                    let (request, from, to) = (connect.request, connect.local, connect.remote);
                    let opened = async move {
                        let opened = tokio::time::timeout(PATIENCE, stream::connect(from, to)).await;
                        (request, to, opened.unwrap_or_else(|late| Err(late.into())))
                    };
                    connecting.spawn(opened);
                }
                Output::Close(socket) => {
                    world.sockets.remove(&socket);
                    world.streams.remove(&socket);
                }
                Output::Event(event) => tell(event, probe.report()),
                Output::Wait(wake) => break wake,
            }
        };
        if probe.is_over() {
            return Ok(probe.report().clone());
        }
        tokio::select! {
            () = alarm.ring(wake.map(|wake| wake.at)) => probe.handle_input(clock::now(), Input::Timeout),
            Some(opened) = connecting.join_next() => {
                if let Ok((request, to, opened)) = opened {
                    world.connected(&mut probe, request, to, opened);
                }
            }
            () = poll_fn(|cx| world.poll_receive(cx, &mut probe)) => {}
        }
    }
}

type Opened = (ConnectId, SocketAddr, io::Result<TcpStream>);

#[derive(Debug, Default)]
struct World {
    sockets: BTreeMap<SocketId, UdpSocket>,
    streams: BTreeMap<SocketId, Inlet>,
}

impl World {
    /// A datagram that cannot be sent is lost, as on the way.
    fn send(&self, transmit: &Transmit<'_>) {
        let sent = match (self.sockets.get(&transmit.socket), self.streams.get(&transmit.socket)) {
            (Some(socket), _) => socket.try_send_to(transmit.payload, transmit.destination).map(drop),
            (None, Some(inlet)) => inlet.stream().try_send(transmit),
            (None, None) => return,
        };
        if let Err(error) = sent {
            tracing::debug!(%error, to = %transmit.destination, "not sent");
        }
    }

    fn connected(
        &mut self,
        probe: &mut Probe,
        request: ConnectId,
        remote: SocketAddr,
        opened: io::Result<TcpStream>,
    ) {
        let opened = opened.and_then(|io| Ok((io.local_addr()?, io)));
        let input = match opened {
            Ok((local, io)) => {
                let socket = SocketId(FIRST_CONNECTION + request.0);
                let inlet = Inlet::new(Framing::Turn, Box::pin(io), local, remote, DATAGRAM);
                self.streams.insert(socket, inlet);
                Input::Connected { request, socket }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Input::NotConnected { request, why: CloseReason::Refused }
            }
            Err(_) => Input::NotConnected { request, why: CloseReason::Unreachable },
        };
        probe.handle_input(clock::now(), input);
    }

    /// Hands the probe what has arrived; pending if nothing has.
    fn poll_receive(&mut self, cx: &mut Context<'_>, probe: &mut Probe) -> Poll<()> {
        let mut has_some = false;
        let mut room = [0; DATAGRAM];
        for (id, socket) in &self.sockets {
            let mut buf = ReadBuf::new(&mut room);
            // An error is a report of an unreachable port, and as good as silence.
            if let Poll::Ready(received) = socket.poll_recv_from(cx, &mut buf) {
                has_some = true;
                if let (Ok(source), Ok(local)) = (received, socket.local_addr()) {
                    let datagram =
                        Datagram { socket: *id, local: local.ip(), source, ecn: None, payload: buf.filled() };
                    probe.handle_input(clock::now(), Input::Datagram(datagram));
                }
            }
        }
        let mut over = Vec::new();
        for (id, inlet) in &mut self.streams {
            if inlet.poll_fill(cx).is_ready() {
                has_some = true;
                let take = |datagram: Datagram<'_>| {
                    probe.handle_input(clock::now(), Input::Datagram(datagram));
                };
                if let Err(why) = inlet.receive(*id, take) {
                    over.push((*id, why));
                }
            }
        }
        for (socket, why) in over {
            self.streams.remove(&socket);
            probe.handle_input(clock::now(), Input::Closed { socket, why });
        }
        if has_some { Poll::Ready(()) } else { Poll::Pending }
    }
}
