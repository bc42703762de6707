//! Mapped ports of sessions: each socket asks the gateway of its address, and a mapping becomes a candidate.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::agent::Agent;
use crate::io::{Socket, SocketId, Transport};
use crate::portmap::{Event, Wish};
use crate::time::{Duration, Instant};

use super::clock;
pub(super) use super::portmap::Report;
use super::portmap::{Command, PortMapping};

/// Reports that may wait for the driver.
const REPORTS: usize = 64;
/// How long the end of a session waits for the gateway to confirm that mappings are deleted.
const LINGER: Duration = Duration::from_secs(2);

/// The mappers of an endpoint, one for each address; each starts with the first socket there.
#[derive(Debug)]
pub(super) struct Gateways {
    settings: PortMapping,
    /// `None`: this address has no gateway.
    mappers: Mutex<BTreeMap<IpAddr, Option<mpsc::Sender<Command>>>>,
}

impl Gateways {
    pub(super) fn new(settings: PortMapping) -> Arc<Self> {
        Arc::new(Self { settings, mappers: Mutex::default() })
    }

    fn mapper(&self, local: IpAddr) -> Option<mpsc::Sender<Command>> {
        let mut mappers = self.mappers.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let started = self.settings.start(local);
            started.inspect_err(|error| tracing::debug!(%error, %local, "no port mappings")).ok()
        };
        mappers.entry(local).or_insert_with(start).clone()
    }
}

/// One port of a session that is mapped, or is to be.
#[derive(Debug)]
struct Port {
    transport: Transport,
    local: SocketAddr,
    mapper: mpsc::Sender<Command>,
    /// Neither mapped nor unavailable so far.
    is_open: bool,
    /// Where the Internet reaches it.
    external: Option<SocketAddr>,
}

/// The mapped ports of a session.
#[derive(Debug)]
pub(super) struct Mapped {
    gateways: Option<Arc<Gateways>>,
    ports: Vec<Port>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    /// Until then the end of gathering waits.
    until: Option<Instant>,
    /// Sockets that the agent does not have yet, and until when at most (RFC 6887 §10.2).
    held: Vec<(SocketId, Socket)>,
    hold: Option<Instant>,
}

impl Mapped {
    pub(super) fn new(gateways: Option<Arc<Gateways>>) -> Self {
        Self {
            gateways,
            ports: Vec::new(),
            reports: mpsc::channel(REPORTS),
            until: None,
            held: Vec::new(),
            hold: None,
        }
    }

    /// A socket that is bound (RFC 6887 §11): its port is to be mapped.
    pub(super) fn add(&mut self, transport: Transport, local: SocketAddr) {
        let Some(gateways) = &self.gateways else { return };
        let Some(mapper) = gateways.mapper(local.ip()) else { return };
        let wish = Wish::new(transport, local.port());
        let command = Command::Map { wish, sink: self.reports.0.clone(), reply: None };
        if mapper.try_send(command).is_ok() {
            self.ports.push(Port { transport, local, mapper, is_open: true, external: None });
            self.until.get_or_insert_with(|| clock::now() + gateways.settings.wait);
        }
    }

    /// Takes a socket that the agent gets when its port is mapped. `false`: there is nothing to wait for.
    pub(super) fn hold(&mut self, id: SocketId, socket: Socket) -> bool {
        let wait = self.gateways.as_ref().and_then(|gateways| gateways.settings.first);
        let Some(wait) = wait else { return false };
        let (transport, local) = match socket {
            Socket::Udp { local, .. } => (Transport::Udp, local),
            Socket::TcpListener { local, .. } => (Transport::Tcp, local),
        };
        let before = self.ports.len();
        self.add(transport, local);
        if self.ports.len() == before {
            // No gateway: nothing translates.
            return false;
        }
        self.hold.get_or_insert_with(|| clock::now() + wait);
        self.held.push((id, socket));
        true
    }

    /// The sockets that have waited long enough.
    pub(super) fn release(&mut self, now: Instant) -> Vec<(SocketId, Socket)> {
        let is_waiting = self.ports.iter().any(|port| port.is_open);
        match self.hold.take_if(|until| !is_waiting || *until <= now) {
            Some(_) => std::mem::take(&mut self.held),
            None => Vec::new(),
        }
    }

    /// The agent has these sockets now; what is known of them it learns.
    pub(super) fn tell(&self, now: Instant, agent: &mut Agent) {
        for port in &self.ports {
            if let Some(external) = port.external {
                agent.add_mapped(now, port.transport, port.local, external);
            }
        }
    }

    /// When there is no more waiting for mappings; `None` if nothing waits.
    pub(super) fn deadline(&self) -> Option<Instant> {
        crate::time::earliest(self.until, self.hold)
    }

    /// Whether the end of gathering has waited, and need not any more.
    pub(super) fn take_end(&mut self, now: Instant) -> bool {
        let is_waiting = self.ports.iter().any(|port| port.is_open);
        self.until.take_if(|until| !is_waiting || *until <= now).is_some()
    }

    /// The next report. May be dropped and called again.
    pub(super) async fn report(&mut self) -> Report {
        match self.reports.1.recv().await {
            Some(report) => report,
            // There is always a sender: this one's own.
            None => std::future::pending().await,
        }
    }

    /// A mapping is told to the agent.
    pub(super) fn follow(&mut self, now: Instant, agent: &mut Agent, report: &Report) {
        let is_it = |port: &&mut Port| {
            (port.transport, port.local.ip(), port.local.port())
                == (report.transport, report.local.ip(), report.local.port())
        };
        let Some(port) = self.ports.iter_mut().find(is_it) else { return };
        match &report.event {
            Event::Mapped { mapping, .. } => {
                port.is_open = false;
                // Behind a further NAT nobody is known to reach it; a STUN server tells how far that one lets peers in.
                if mapping.is_public() {
                    port.external = Some(mapping.external);
                    agent.add_mapped(now, mapping.transport, port.local, mapping.external);
                }
            }
            Event::Lost { .. } => {
                port.external = None;
                agent.remove_mapped(report.transport, port.local);
            }
            Event::Unavailable { .. } => port.is_open = false,
            _ => {}
        }
    }

    /// Takes the mappings back.
    pub(super) async fn close(mut self) {
        let mut left = self.unmap();
        let confirmed = async {
            while left > 0 {
                if let Event::Unmapped { .. } = self.report().await.event {
                    left -= 1;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, confirmed).await;
    }

    /// How many there are to wait for.
    fn unmap(&mut self) -> usize {
        let ports = self.ports.drain(..);
        let release =
            |port: &Port| port.mapper.try_send(Command::Release(port.transport, port.local.port())).is_ok();
        ports.filter(release).count()
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.unmap();
    }
}
