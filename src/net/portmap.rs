//! Port mappings on real sockets: one task for an address of this host and its gateway.

mod sockets;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::io::Transport;
use crate::portmap::{Config, Event, Input, MapError, Mapper, MappingId, Output, Protocol, Wish};
use crate::time::{Duration, Instant};

use super::clock::{self, Alarm};
use super::gateway::{self, Gateway};
use super::seed::seed;
use sockets::{Arrival, Sockets};

/// Commands that may wait for the task, and events that may wait for whoever takes them.
const QUEUE: usize = 256;
/// How long the gateway has to confirm that mappings are deleted.
const LINGER: Duration = Duration::from_secs(2);
/// What the machine writes is shorter.
const OUTPUT: usize = 1500;

/// How ports of this host are mapped; see [`portmap`](crate::portmap).
#[derive(Debug, Clone)]
#[must_use]
pub struct PortMapping {
    gateway: Option<IpAddr>,
    local: Option<IpAddr>,
    lifetime: Option<Duration>,
    patience: Option<Duration>,
    protocols: Vec<Protocol>,
    pub(super) wait: Duration,
    pub(super) first: Option<Duration>,
}

impl Default for PortMapping {
    fn default() -> Self {
        Self::new()
    }
}

impl PortMapping {
    /// At the default gateway, which Linux tells; on other systems it has to be [named](Self::gateway).
    pub fn new() -> Self {
        Self {
            gateway: None,
            local: None,
            lifetime: None,
            patience: None,
            protocols: vec![Protocol::Pcp, Protocol::NatPmp, Protocol::Upnp],
            wait: Duration::from_secs(2),
            first: None,
        }
    }

    /// At this gateway instead of the default one.
    pub fn gateway(mut self, ip: IpAddr) -> Self {
        self.gateway = Some(ip);
        self
    }

    /// Maps ports of this address; default: the one that packets to the gateway leave from. Sessions of an
    /// [`Endpoint`](super::Endpoint) map those of their sockets.
    pub fn local(mut self, ip: IpAddr) -> Self {
        self.local = Some(ip);
        self
    }

    /// How long mappings are asked for; see [`Config::lifetime`].
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// When [`Event::Unavailable`] comes; see [`Config::patience`].
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Which protocols are tried; default all.
    pub fn protocols(mut self, protocols: &[Protocol]) -> Self {
        self.protocols = protocols.to_vec();
        self
    }

    /// How long the end of a session's gathering waits for mappings; default 2 s. A later one is not signalled any more
    /// (RFC 8838 §13). Sessions without a gateway do not wait.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sends nothing from the sockets of a session before their ports are mapped, for so long at most; default: checks
    /// and questions to servers leave at once. RFC 6887 §10.2 wants it: behind a NAT that maps each destination anew, a
    /// port that has sent already may get another mapping. Without a gateway that answers, each session begins so much
    /// later; 250 to 500 ms are enough for one that does.
    pub fn before_traffic(mut self, wait: Duration) -> Self {
        self.first = Some(wait);
        self
    }

    /// The mapper of an address.
    fn config(&self, local: IpAddr, gateway: Gateway) -> Config {
        let config = Config::new(local, gateway.ip, seed()).scope_id(gateway.scope);
        let mut config = config.protocols(&self.protocols);
        if let Some(lifetime) = self.lifetime {
            config = config.lifetime(lifetime);
        }
        if let Some(patience) = self.patience {
            config = config.patience(patience);
        }
        config
    }

    /// The gateway for a local address.
    fn gateway_of(&self, local: IpAddr) -> io::Result<Gateway> {
        match self.gateway {
            Some(ip) if ip.is_ipv4() == local.is_ipv4() => Ok(Gateway { ip, scope: 0 }),
            _ => gateway::of(local),
        }
    }

    /// Starts to map ports, within a tokio runtime.
    ///
    /// # Errors
    /// `NotFound` without a default gateway, `Unsupported` where it is not known and was not named, and why a socket could
    /// not be bound or the gateway not be reached.
    pub fn open(&self) -> io::Result<PortMapper> {
        let gateway = match (self.gateway, self.local) {
            (Some(ip), _) => Gateway { ip, scope: 0 },
            (None, Some(local)) => gateway::of(local)?,
            (None, None) => gateway::default_v4()?,
        };
        let local = self.local.map_or_else(|| gateway::source_to(gateway.ip), Ok)?;
        let commands = start(self.config(local, gateway), gateway)?;
        let (sink, events) = mpsc::channel(QUEUE);
        Ok(PortMapper { commands, sink, events: Mutex::new(events), local, gateway: gateway.ip })
    }

    /// Starts the mapper of an address of sessions.
    pub(super) fn start(&self, local: IpAddr) -> io::Result<mpsc::Sender<Command>> {
        let gateway = self.gateway_of(local)?;
        start(self.config(local, gateway), gateway)
    }
}

/// Maps ports of this host at its gateway; see [`portmap::Mapper`](crate::portmap::Mapper). Mappings are taken back when
/// it is [closed](Self::close), or dropped while the runtime goes on.
#[derive(Debug)]
pub struct PortMapper {
    commands: mpsc::Sender<Command>,
    sink: mpsc::Sender<Report>,
    events: Mutex<mpsc::Receiver<Report>>,
    local: IpAddr,
    gateway: IpAddr,
}

impl PortMapper {
    /// Whose ports are mapped.
    pub fn local(&self) -> IpAddr {
        self.local
    }

    /// By whom.
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// Maps a port, and keeps it mapped.
    ///
    /// # Errors
    /// [`MapError`].
    pub async fn map(&self, wish: Wish) -> Result<MappingId, MapError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Map { wish, sink: self.sink.clone(), reply: Some(reply) };
        self.commands.send(command).await.map_err(|_| MapError::Closed)?;
        answer.await.unwrap_or(Err(MapError::Closed))
    }

    /// Takes a mapping back; [`Event::Unmapped`] tells when it is gone.
    pub async fn unmap(&self, id: MappingId) {
        // A task that has ended has no mapping.
        let _ = self.commands.send(Command::Unmap(id)).await;
    }

    /// The network has changed; see [`Mapper::rediscover`].
    pub async fn rediscover(&self) {
        let _ = self.commands.send(Command::Rediscover).await;
    }

    /// The next event, in order. One task at a time can wait; the future may be dropped without loss. Take events: from
    /// 256 waiting ones on the next ones are lost.
    pub async fn event(&self) -> Option<Event> {
        let next = std::future::poll_fn(|cx| {
            self.events.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(cx)
        });
        tokio::select! {
            // What is left of a task that has ended comes first.
            biased;
            report = next => report.map(|report| report.event),
            () = self.commands.closed() => None,
        }
    }

    /// Takes all mappings back, and waits until the gateway has confirmed it, for two seconds at most.
    pub async fn close(&self) {
        let _ = self.commands.send(Command::Close).await;
        self.commands.closed().await;
    }
}

/// What is asked of the task.
#[derive(Debug)]
pub(super) enum Command {
    Map {
        wish: Wish,
        sink: mpsc::Sender<Report>,
        reply: Option<oneshot::Sender<Result<MappingId, MapError>>>,
    },
    Unmap(MappingId),
    /// The same by its port.
    Release(Transport, u16),
    Rediscover,
    Close,
}

/// An event, and of which port.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    pub(super) event: Event,
}

/// Who wants to know of a port.
struct Owner {
    id: MappingId,
    transport: Transport,
    port: u16,
    sink: mpsc::Sender<Report>,
}

fn start(config: Config, gateway: Gateway) -> io::Result<mpsc::Sender<Command>> {
    let local = config.local();
    let sockets = Sockets::open(local, gateway)?;
    let (sender, commands) = mpsc::channel(QUEUE);
    let mapper = Mapper::new(config);
    let task = Task { mapper, local, sockets, commands, owners: Vec::new(), wake: None };
    tokio::spawn(task.run());
    Ok(sender)
}

/// Owns the machine and its sockets.
struct Task {
    mapper: Mapper,
    local: IpAddr,
    sockets: Sockets,
    commands: mpsc::Receiver<Command>,
    owners: Vec<Owner>,
    wake: Option<Instant>,
}

enum Happening {
    Due,
    Command(Option<Command>),
    Arrived(Arrival),
}

impl Task {
    async fn run(mut self) {
        let mut alarm = Alarm::new(clock::now());
        let mut until = None;
        while !self.mapper.is_over() && until.is_none_or(|until| clock::now() < until) {
            let due = crate::time::earliest(self.wake, until);
            let happening = tokio::select! {
                () = alarm.ring(due) => Happening::Due,
                command = self.commands.recv(), if until.is_none() => Happening::Command(command),
                arrival = self.sockets.arrival() => Happening::Arrived(arrival),
            };
            let now = clock::now();
            match happening {
                Happening::Due => self.mapper.handle_input(now, Input::Timeout),
                Happening::Arrived(arrival) => {
                    if let Some(input) = self.sockets.input(&arrival) {
                        self.mapper.handle_input(now, input);
                    }
                }
                Happening::Command(Some(Command::Map { wish, sink, reply })) => {
                    let mapped = self.mapper.map(now, wish);
                    match mapped {
                        Ok(id) => {
                            let (transport, port) = wish.place();
                            self.owners.push(Owner { id, transport, port, sink });
                        }
                        Err(error) => tracing::debug!(%error, "a port is not mapped"),
                    }
                    if let Some(reply) = reply {
                        // Whoever asked may have gone.
                        let _ = reply.send(mapped);
                    }
                }
                Happening::Command(Some(Command::Unmap(id))) => self.mapper.unmap(now, id),
                Happening::Command(Some(Command::Release(transport, port))) => {
                    // Of two, the one before is being taken back already.
                    let mut owners = self.owners.iter().rev();
                    let owner = owners.find(|it| (it.transport, it.port) == (transport, port));
                    if let Some(id) = owner.map(|owner| owner.id) {
                        self.mapper.unmap(now, id);
                    }
                }
                Happening::Command(Some(Command::Rediscover)) => self.mapper.rediscover(now),
                Happening::Command(Some(Command::Close) | None) => {
                    self.mapper.close(now);
                    until = Some(now + LINGER);
                }
            }
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut buf = [0; OUTPUT];
        loop {
            match self.mapper.poll_output(&mut buf) {
                Output::Transmit { channel, destination, payload } => {
                    self.sockets.send(channel, destination, payload);
                }
                Output::Connect { stream, remote } => self.sockets.connect(stream, remote),
                Output::Write { stream, bytes } => self.sockets.write(stream, bytes),
                Output::Close(stream) => self.sockets.close(stream),
                Output::Event(event) => self.tell(&event),
                Output::Wait(wake) => {
                    self.wake = wake.map(|wake| wake.at);
                    return;
                }
            }
        }
    }

    /// To whom it concerns: the owner of the port, or everybody.
    fn tell(&mut self, event: &Event) {
        tracing::debug!(?event, local = %self.local, "port mapping");
        let id = match event {
            Event::Mapped { id, .. }
            | Event::Renewed { id, .. }
            | Event::Lost { id }
            | Event::Unavailable { id }
            | Event::Unmapped { id } => Some(*id),
            Event::Problem { id, .. } => *id,
            Event::Restarted => None,
        };
        let mut told: Vec<&mpsc::Sender<Report>> = Vec::new();
        for Owner { id: owner, transport, port, sink } in &self.owners {
            let is_told = told.iter().any(|other| other.same_channel(sink));
            if id.is_none_or(|id| id == *owner) && !is_told {
                told.push(sink);
                let (transport, local) = (*transport, SocketAddr::new(self.local, *port));
                // One who does not take events loses them.
                let _ = sink.try_send(Report { transport, local, event: event.clone() });
            }
        }
        if let Event::Unmapped { id } = event {
            self.owners.retain(|owner| owner.id != *id);
        }
    }
}
