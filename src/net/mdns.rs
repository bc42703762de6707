//! Multicast DNS (RFC 6762) on the links of an endpoint, for all its sessions: one task, which starts when the first
//! name is published or asked for. Who uses no names sends and hears nothing of it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::agent::{Resolve, ResolveId};
use crate::io::{Datagram, SocketId, Transmit};
use crate::mdns::{GROUP_V4, GROUP_V6, Input, Link, Mdns, Output, PORT, Reach, RequestId};
use crate::time::Instant;

use super::clock::{self, Alarm};
use super::interfaces::Place;
use super::seed::seed;

/// Commands that may wait for the task; what does not fit is not published, or has no address.
const COMMANDS: usize = 256;
/// Messages are not longer (RFC 6762 §17).
const BUFFER: usize = 9000;
/// What the machine writes is shorter: two names and a record.
const OUTPUT: usize = 1024;
/// RFC 6762 §11.
const TTL: u32 = 255;

/// The end of a question.
pub(super) type Answer = (ResolveId, Option<IpAddr>);

/// The way of sessions to the task.
#[derive(Debug)]
pub(super) struct Names {
    places: Vec<Place>,
    commands: OnceLock<mpsc::Sender<Command>>,
}

#[derive(Debug)]
enum Command {
    Publish(Box<str>, IpAddr),
    Withdraw(Box<str>),
    Resolve(Resolve, mpsc::Sender<Answer>),
}

impl Names {
    /// Names on the links of these places.
    pub(super) fn new(places: Vec<Place>) -> Arc<Self> {
        Arc::new(Self { places, commands: OnceLock::new() })
    }

    pub(super) fn publish(&self, name: Box<str>, ip: IpAddr) {
        if self.send(Command::Publish(name, ip)).is_err() {
            tracing::warn!(%ip, "an address has no name: too much is to be done at once");
        }
    }

    pub(super) fn withdraw(&self, name: Box<str>) {
        // What is not withdrawn is forgotten after its TTL.
        let _ = self.send(Command::Withdraw(name));
    }

    /// Asks for a name. The answer comes on `reply`, once.
    pub(super) fn resolve(&self, resolve: Resolve, reply: mpsc::Sender<Answer>) {
        if let Err(Command::Resolve(resolve, reply)) = self.send(Command::Resolve(resolve, reply)) {
            answer(&reply, resolve.request, None);
        }
    }

    fn send(&self, command: Command) -> Result<(), Command> {
        let commands = self.commands.get_or_init(|| {
            let (sender, commands) = mpsc::channel(COMMANDS);
            tokio::spawn(Task::new(&self.places, commands).run());
            sender
        });
        commands.try_send(command).map_err(mpsc::error::TrySendError::into_inner)
    }
}

fn answer(reply: &mpsc::Sender<Answer>, request: ResolveId, address: Option<IpAddr>) {
    // A session has room for all that it may ask; one that has ended needs no answer.
    let _ = reply.try_send((request, address));
}

/// Owns the machine and its sockets.
struct Task {
    machine: Mdns,
    /// Their [`SocketId`] is their place.
    ports: Vec<Port>,
    commands: mpsc::Receiver<Command>,
    /// Who waits for which request.
    waiting: BTreeMap<RequestId, (ResolveId, mpsc::Sender<Answer>)>,
    requests: u64,
    wake: Option<Instant>,
}

struct Port {
    socket: UdpSocket,
    /// What datagrams that arrive were sent to.
    local: IpAddr,
}

/// What the loop wakes up for.
enum Happening {
    Due,
    Command(Option<Command>),
    /// A datagram of this length lies in the buffer.
    Received(usize, usize, SocketAddr),
}

impl Task {
    fn new(places: &[Place], commands: mpsc::Receiver<Command>) -> Self {
        let mut machine = Mdns::new(seed());
        let mut ports = Vec::new();
        // The second one asks too: who has just announced a name does not multicast it again within a second, but
        // answers whoever asks from another port (RFC 6762 §6, §6.7).
        let sockets = places.iter().flat_map(|place| [(place, Reach::Full), (place, Reach::AskOnly)]);
        for (place, reach) in sockets {
            match open(place, reach) {
                Ok(port) => {
                    let socket = SocketId(ports.len() as u32);
                    machine.add_link(Link { socket, local: place.sender(), prefix: place.prefix, reach });
                    ports.push(port);
                }
                Err(error) => {
                    tracing::debug!(%error, ?reach, address = %place.ip, "a socket for multicast DNS");
                }
            }
        }
        Self { machine, ports, commands, waiting: BTreeMap::new(), requests: 0, wake: None }
    }

    /// Until no endpoint and no session is left.
    async fn run(mut self) {
        let mut alarm = Alarm::new(clock::now());
        let mut buf = vec![0; BUFFER];
        let mut first = 0;
        loop {
            let happening = tokio::select! {
                () = alarm.ring(self.wake) => Happening::Due,
                command = self.commands.recv() => Happening::Command(command),
                (at, len, source) = poll_fn(|cx| poll_receive(&self.ports, first, &mut buf, cx)) => {
                    Happening::Received(at, len, source)
                }
            };
            let now = clock::now();
            match happening {
                Happening::Due => self.machine.handle_input(now, Input::Timeout),
                Happening::Command(Some(command)) => self.handle_command(now, command),
                Happening::Command(None) => return,
                Happening::Received(at, len, source) => {
                    first = at + 1;
                    let (socket, local) = (SocketId(at as u32), self.ports[at].local);
                    let datagram = Datagram { socket, local, source, ecn: None, payload: &buf[..len] };
                    self.machine.handle_input(now, Input::Datagram(datagram));
                }
            }
            self.drain();
        }
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Publish(name, ip) => {
                if let Err(error) = self.machine.publish(now, &name, ip) {
                    tracing::warn!(%error, %ip, "an address has no name");
                }
            }
            Command::Withdraw(name) => self.machine.withdraw(&name),
            Command::Resolve(resolve, reply) => {
                self.requests += 1;
                let request = RequestId(self.requests);
                match self.machine.resolve(now, request, &resolve.name) {
                    Ok(()) => drop(self.waiting.insert(request, (resolve.request, reply))),
                    Err(error) => {
                        tracing::debug!(%error, "a name is not asked for");
                        answer(&reply, resolve.request, None);
                    }
                }
            }
        }
    }

    fn drain(&mut self) {
        let mut buf = [0; OUTPUT];
        loop {
            match self.machine.poll_output(&mut buf) {
                Output::Transmit(transmit) => send(&self.ports, &transmit),
                Output::Resolved { request, address } => {
                    if let Some((id, reply)) = self.waiting.remove(&request) {
                        answer(&reply, id, address);
                    }
                }
                Output::Wait(wake) => {
                    self.wake = wake.map(|wake| wake.at);
                    return;
                }
            }
        }
    }
}

/// A message that cannot be sent is lost, as on the link; the machine repeats what matters.
fn send(ports: &[Port], transmit: &Transmit<'_>) {
    let Some(port) = ports.get(transmit.socket.0 as usize) else { return };
    // Not by way of tokio, which takes a socket for full until it has heard that it is not: the first query would be lost.
    let sent = SockRef::from(&port.socket).send_to(transmit.payload, &transmit.destination.into());
    if let Err(error) = sent {
        tracing::trace!(%error, destination = %transmit.destination, "multicast DNS: send error");
    }
}

/// The first socket from `first` on that has a datagram.
fn poll_receive(
    ports: &[Port],
    first: usize,
    buf: &mut [u8],
    cx: &mut Context<'_>,
) -> Poll<(usize, usize, SocketAddr)> {
    for at in (0..ports.len()).map(|step| (first + step) % ports.len()) {
        let mut read = ReadBuf::new(buf);
        // An error of an earlier message is none of this one.
        if let Poll::Ready(Ok(source)) = ports[at].socket.poll_recv_from(cx, &mut read) {
            return Poll::Ready((at, read.filled().len(), source));
        }
    }
    Poll::Pending
}

/// A socket for the link of an address.
fn open(place: &Place, reach: Reach) -> io::Result<Port> {
    let socket = socket2::Socket::new(Domain::for_address(place.sender()), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    let group: IpAddr = if place.ip.is_ipv4() { GROUP_V4.into() } else { GROUP_V6.into() };
    if reach == Reach::Full {
        // Others on this host answer for names too.
        socket.set_reuse_address(true)?;
        #[cfg(unix)]
        socket.set_reuse_port(true)?;
    }
    match place.ip {
        IpAddr::V4(ip) => {
            socket.set_multicast_if_v4(&ip)?;
            socket.set_multicast_ttl_v4(TTL)?;
            socket.set_ttl_v4(TTL)?;
            if reach == Reach::Full {
                // Else Linux delivers what arrives on other links too.
                #[cfg(target_os = "linux")]
                socket.set_multicast_all_v4(false)?;
                socket.join_multicast_v4(&GROUP_V4, &ip)?;
            }
        }
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_multicast_if_v6(place.index)?;
            socket.set_multicast_hops_v6(TTL)?;
            socket.set_unicast_hops_v6(TTL)?;
            if reach == Reach::Full {
                #[cfg(target_os = "linux")]
                socket.set_multicast_all_v6(false)?;
                socket.join_multicast_v6(&GROUP_V6, place.index)?;
            }
        }
    }
    // Where the system can, the socket is bound to the group: it gets nothing that a router has forwarded.
    let local = match (reach, place.ip) {
        (Reach::Full, _) if cfg!(unix) => SocketAddr::new(group, PORT),
        (Reach::Full, IpAddr::V4(_)) => SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), PORT),
        (Reach::Full, IpAddr::V6(_)) => SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), PORT),
        (Reach::AskOnly, _) => {
            let mut local = place.sender();
            local.set_port(0);
            local
        }
    };
    let mut bound = local;
    if let SocketAddr::V6(bound) = &mut bound {
        bound.set_scope_id(place.index);
    }
    socket.bind(&bound.into())?;
    let local = if local.ip() == group { group } else { place.ip };
    Ok(Port { socket: UdpSocket::from_std(socket.into())?, local })
}
