//! An endpoint: which addresses of this host its sessions use, and the pace they share.

use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument as _;

use crate::agent::{Agent, Config, Event, MAX_OUTSTANDING, Policy, Reason, Role};

use super::activity::Activities;
use super::bases::{Bases, Bound};
use super::clock;
use super::connection::Connection;
use super::counters::Counters;
use super::driver::{Driver, Timing};
use super::escort::Escort;
use super::filter::InterfaceFilter;
use super::handle::{Handle, Status};
use super::interfaces::{self, Local};
use super::listeners::Listeners;
use super::mapped::{Gateways, Mapped};
use super::mdns::Names;
use super::opener::Opener;
use super::pacer::Pacer;
use super::ports::Ports;
use super::roaming::{Roam, Roaming, Watcher};
use super::route::Outlet;
use super::seed::seed;
use super::session::Session;
use super::signaling::Signaling;
use super::tls::{Tls, Trust};
use super::udp::{Source, UdpSocket};

/// Events that may wait for the application.
const EVENTS: usize = 256;
/// Datagrams of data that may wait for the application.
const DATAGRAMS: usize = 1024;
/// Commands that may wait for the driver; more make their callers wait.
const COMMANDS: usize = 32;

/// Where sessions begin. Their new transactions are at least 5 ms apart, however many sessions there are
/// (RFC 8445 §14.2): have one endpoint a process.
#[derive(Debug)]
pub struct Endpoint {
    settings: Builder,
    pacer: Arc<Pacer>,
    names: Arc<Names>,
    tls: Arc<Tls>,
    gateways: Option<Arc<Gateways>>,
    /// The number of the next session, for tracing.
    next: AtomicU64,
    /// Watches as long as there are sessions.
    watcher: Mutex<Weak<Watcher>>,
}

/// Which addresses and ports an [`Endpoint`] uses.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    addresses: Vec<IpAddr>,
    families: Families,
    filter: InterfaceFilter,
    ports: Option<RangeInclusive<u16>>,
    trust: Trust,
    #[cfg(feature = "portmap")]
    port_mapping: Option<super::PortMapping>,
    roaming: Option<Roaming>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Families {
    #[default]
    Both,
    Ipv4,
}

impl Builder {
    /// Uses these addresses, in this order of preference, instead of those of the interfaces. Only so loopback is
    /// used.
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.addresses = addresses.into_iter().collect();
        self
    }

    /// Leaves IPv6 addresses out. Default: both families.
    pub fn ipv4_only(mut self) -> Self {
        self.families = Families::Ipv4;
        self
    }

    /// Which interfaces and addresses of theirs are used; default all. Addresses that are named are not asked about.
    pub fn interfaces(mut self, filter: InterfaceFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Binds to free ports of this range, for firewalls that open one. Default: any port.
    pub fn port_range(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = Some(ports);
        self
    }

    /// Whose certificates of TURN servers are believed; default [`Trust::System`].
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Maps the ports of sessions at the gateway: a mapping is a server-reflexive candidate that needs no server. Default:
    /// none is mapped. A session takes its mappings back when it ends.
    #[cfg(feature = "portmap")]
    pub fn port_mapping(mut self, mapping: super::PortMapping) -> Self {
        self.port_mapping = Some(mapping);
        self
    }

    /// Whether sessions follow changes of the network. Default: on, and off where [`addresses`](Self::addresses) are named.
    pub fn roaming(mut self, roaming: Roaming) -> Self {
        self.roaming = Some(roaming);
        self
    }

    fn is_roaming(&self) -> bool {
        let default = if self.addresses.is_empty() { Roaming::On } else { Roaming::Off };
        self.roaming.unwrap_or(default) == Roaming::On
    }

    #[cfg(feature = "portmap")]
    fn gateways(&self) -> Option<Arc<Gateways>> {
        self.port_mapping.clone().map(Gateways::new)
    }

    #[cfg(not(feature = "portmap"))]
    #[expect(clippy::unused_self, reason = "with the feature the settings count")]
    fn gateways(&self) -> Option<Arc<Gateways>> {
        None
    }

    /// The endpoint.
    ///
    /// # Errors
    /// `AddrNotAvailable` if no interface has an address to use; for named addresses and a port range, why a
    /// socket could not be bound; `InvalidInput` for roots that cannot be read, `Unsupported` for roots in a build
    /// without the feature `tls`.
    #[expect(clippy::unused_async, reason = "it needs the runtime, and may come to wait for the system")]
    pub async fn bind(self) -> io::Result<Endpoint> {
        let locals = self.locals(Source::Bound)?;
        if locals.is_empty() {
            let problem = "no interface has an address for host candidates";
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, problem));
        }
        let names = Names::new(interfaces::places(locals.iter().map(|local| local.addr.ip())));
        if !self.addresses.is_empty() {
            for local in locals {
                self.bind_socket(local, Source::Bound)?;
            }
        }
        let tls = Arc::new(Tls::new(&self.trust)?);
        let gateways = self.gateways();
        let (pacer, next, watcher) = (Arc::default(), AtomicU64::new(0), Mutex::default());
        Ok(Endpoint { settings: self, gateways, pacer, names, tls, next, watcher })
    }

    /// The addresses to use now: interfaces come and go.
    fn locals(&self, source: Source) -> io::Result<Vec<Local>> {
        let mut locals = match (self.addresses.is_empty(), source) {
            (false, _) => interfaces::named(&self.addresses),
            (true, Source::Bound) => interfaces::gather(&self.filter)?,
            (true, Source::Routed) => interfaces::routed(&self.filter),
        };
        locals.retain(|local| self.admits(local));
        Ok(locals)
    }

    /// Those that this host has.
    pub(super) fn present(&self, source: Source) -> io::Result<Vec<Local>> {
        if self.addresses.is_empty() || source == Source::Routed {
            return self.locals(source);
        }
        let mut locals = interfaces::present(&self.addresses);
        locals.retain(|local| self.admits(local));
        Ok(locals)
    }

    fn admits(&self, local: &Local) -> bool {
        self.families == Families::Both || local.addr.is_ipv4()
    }

    /// The range to bind to.
    pub(super) fn ports(&self) -> Option<&RangeInclusive<u16>> {
        self.ports.as_ref()
    }

    pub(super) fn bind_socket(&self, local: Local, source: Source) -> io::Result<UdpSocket> {
        UdpSocket::bind(local.addr, source, self.ports.as_ref(), local.mtu)
    }
}

impl Endpoint {
    /// An endpoint on the addresses of all interfaces.
    ///
    /// # Errors
    /// `AddrNotAvailable` if no interface has an address to use.
    pub async fn bind() -> io::Result<Self> {
        Self::builder().bind().await
    }

    /// Chooses addresses, families and ports.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A configuration with a seed of the operating system.
    ///
    /// # Panics
    /// If the operating system has no randomness: nothing may be started without.
    pub fn config(&self, role: Role) -> Config {
        Config::new(role, seed())
    }

    /// Opens a session, within a tokio runtime: it gathers at once.
    ///
    /// An address that cannot be bound is traced and left out. Without any the session fails with
    /// [`Reason::NoLocalCandidates`].
    pub fn open(&self, config: Config) -> Session {
        let (handle, events) = self.start(config);
        Session::new(handle, events)
    }

    /// Opens a session and connects it to the peer at the other end of `peer`, which stays with the session. It
    /// returns at the first path to the peer; a better one may follow (RFC 8445 §12.1).
    ///
    /// # Errors
    /// [`ConnectError`]. Dropping the future closes the session.
    pub async fn connect(&self, config: Config, peer: impl Signaling) -> Result<Connection, ConnectError> {
        let (handle, events) = self.start(config);
        let (failed, mut failure) = oneshot::channel();
        let commands = handle.commands.downgrade();
        let escort = Escort { peer, events, commands, failed: Some(failed) };
        let mut status = handle.status.clone();
        tokio::spawn(
            async move {
                tokio::select! {
                    () = escort.run() => {}
                    // A peer that takes no more signals does not hold a session that has ended.
                    _ = status.wait_for(|status| status.end.is_some()) => {}
                }
            }
            .in_current_span(),
        );
        let connection = Connection::new(handle);
        tokio::select! {
            biased;
            () = connection.has_path() => Ok(connection),
            reason = connection.closed() => Err(reason.map_or(ConnectError::Closed, ConnectError::Failed)),
            Ok(error) = &mut failure => Err(ConnectError::Signaling(error)),
        }
    }

    /// Says that the network has changed, where the platform tells the application: interfaces and routes are looked at
    /// now, and not half a second later at the most. Nothing happens if nothing has changed.
    pub fn network_changed(&self) {
        if let Some(watcher) = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).upgrade() {
            watcher.look();
        }
    }

    fn watch(&self) -> Option<Arc<Watcher>> {
        if !self.settings.is_roaming() {
            return None;
        }
        let mut known = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        Some(known.upgrade().unwrap_or_else(|| {
            let watcher = Watcher::start(self.settings.clone());
            *known = Arc::downgrade(&watcher);
            watcher
        }))
    }

    fn start(&self, config: Config) -> (Handle, mpsc::Receiver<Event>) {
        let span = tracing::debug_span!("session", number = self.next.fetch_add(1, Ordering::Relaxed));
        let _entered = span.enter();
        let components: Vec<_> = config.component_ids().collect();
        let source = match config.policy {
            Policy::DefaultRoute | Policy::DefaultRouteOnly => Source::Routed,
            _ => Source::Bound,
        };
        let has_tcp = config.has_tcp();
        let mut agent = Agent::new(config, clock::now());
        let mut mapped = Mapped::new(self.gateways.clone().filter(|_| agent.wants_mappings()));
        let (mut ports, mut listeners) = (Ports::default(), Listeners::default());
        // First, so that no change in between is missed.
        let watched = self.watch().map(|watcher| (watcher.network(), watcher));
        let locals = self.settings.locals(source).unwrap_or_else(|error| {
            tracing::warn!(%error, "the interfaces cannot be listed");
            Vec::new()
        });
        let mut bases = Bases::new(self.settings.clone(), source, components.clone(), has_tcp);
        let mut bound =
            Bound { agent: &mut agent, ports: &mut ports, listeners: &mut listeners, mapped: &mut mapped };
        bases.bind(&locals, &mut bound);
        let roam = watched.map(|(network, watcher)| {
            Roam::new(watcher, Roam::presence(&network, locals.iter().map(|local| local.addr)))
        });
        for (transport, local) in agent.sockets() {
            mapped.add(transport, local);
        }
        if mapped.deadline().is_none() {
            agent.end_of_sockets(clock::now());
        }

        let counters = Arc::<Counters>::default();
        let activities = Activities::new(components.iter().copied());
        let (routes, outlets): (Vec<_>, Vec<_>) = components
            .into_iter()
            .zip(activities.each())
            .map(|(component, activity)| {
                let (sender, receiver) = watch::channel(None);
                ((component, sender), Outlet::new(component, receiver, counters.clone(), activity))
            })
            .unzip();
        let (command_sender, commands) = mpsc::channel(COMMANDS);
        let (events, event_receiver) = mpsc::channel(EVENTS);
        let (data, data_receiver) = mpsc::channel(DATAGRAMS);
        let status = Status { state: agent.state(), reason: None, end: None };
        let (status, status_receiver) = watch::channel(status);
        let handle = Handle {
            commands: command_sender,
            status: status_receiver,
            data: data_receiver.into(),
            outlets,
            counters: counters.clone(),
        };
        let driver = Driver {
            agent,
            ports,
            pacer: self.pacer.clone(),
            counters,
            commands,
            events,
            data: Some(data),
            status,
            routes,
            activities,
            timing: Timing::default(),
            names: self.names.clone(),
            answers: mpsc::channel(MAX_OUTSTANDING),
            opener: Opener::new(self.tls.clone()),
            listeners,
            mapped,
            bases,
            roam,
        };
        tokio::spawn(driver.run().instrument(span.clone()));
        (handle, event_receiver)
    }
}

/// Why [`Endpoint::connect`] did not connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// ICE found no path.
    #[error("no path to the peer: {0}")]
    Failed(Reason),
    /// The way for signals broke before a path was found.
    #[error("signaling broke: {0}")]
    Signaling(#[source] io::Error),
    /// The session was closed before a path was found, as by the end of the runtime.
    #[error("the session was closed")]
    Closed,
}
