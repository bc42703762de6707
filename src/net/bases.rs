//! The sockets of a session, one for each address of this host that it uses: bound when it begins, and when its network
//! changes.

use std::net::{IpAddr, SocketAddr};

use crate::agent::Agent;
use crate::io::{ComponentId, Socket, SocketId, Transport};
use crate::time::Instant;

use super::clock;
use super::driver::Driver;
use super::endpoint::Builder;
use super::interfaces::Local;
use super::listeners::{Listener, Listeners};
use super::mapped::Mapped;
use super::ports::{Port, Ports};
use super::udp::Source;

/// Who has to know of a socket.
pub(super) struct Bound<'a> {
    pub(super) agent: &'a mut Agent,
    pub(super) ports: &'a mut Ports,
    pub(super) listeners: &'a mut Listeners,
    pub(super) mapped: &'a mut Mapped,
}

/// Those of a session.
#[derive(Debug)]
pub(super) struct Bases {
    pub(super) settings: Builder,
    pub(super) source: Source,
    pub(super) components: Vec<ComponentId>,
    pub(super) has_tcp: bool,
    /// The UDP sockets, and those that listen.
    sockets: Vec<(IpAddr, SocketId)>,
}

impl Bases {
    pub(super) fn new(
        settings: Builder,
        source: Source,
        components: Vec<ComponentId>,
        has_tcp: bool,
    ) -> Self {
        Self { settings, source, components, has_tcp, sockets: Vec::new() }
    }

    /// One socket of each component for each address, best first: the agent numbers their preferences as they come. What
    /// cannot be bound is left out. Returns what the agent has got, whose ports may be mapped.
    pub(super) fn bind(&mut self, locals: &[Local], bound: &mut Bound<'_>) -> Vec<(Transport, SocketAddr)> {
        let mut now_bound = Vec::new();
        for component in self.components.clone() {
            for local in locals {
                match self.bind_udp(component, *local, bound) {
                    Ok(addr) => now_bound.extend(addr.map(|addr| (Transport::Udp, addr))),
                    Err(error) => tracing::warn!(error, address = %local.addr.ip(), "address left out"),
                }
            }
            // Where nobody can listen there is UDP only.
            let listens = self.has_tcp;
            for local in locals.iter().filter(|_| listens) {
                match self.listen(component, *local, bound) {
                    Ok(addr) => now_bound.extend(addr.map(|addr| (Transport::Tcp, addr))),
                    Err(error) => {
                        tracing::warn!(error, address = %local.addr.ip(), "no TCP on this address");
                    }
                }
            }
        }
        now_bound
    }

    fn bind_udp(
        &mut self,
        component: ComponentId,
        local: Local,
        bound: &mut Bound<'_>,
    ) -> Result<Option<SocketAddr>, String> {
        let socket = self.settings.bind_socket(local, self.source).map_err(|error| error.to_string())?;
        let addr = socket.local();
        let (id, base) = (bound.ports.reserve(), Socket::Udp { local: addr, component });
        let is_held = bound.mapped.hold(id, base);
        if !is_held {
            bound.agent.add_socket(clock::now(), id, base).map_err(|error| error.to_string())?;
        }
        bound.ports.put(id, Port::udp(socket));
        self.sockets.push((addr.ip(), id));
        Ok(Some(addr).filter(|_| !is_held))
    }

    fn listen(
        &mut self,
        component: ComponentId,
        local: Local,
        bound: &mut Bound<'_>,
    ) -> Result<Option<SocketAddr>, String> {
        let listener = Listener::bind(local, self.settings.ports()).map_err(|error| error.to_string())?;
        let addr = listener.local();
        let (id, base) = (bound.ports.reserve(), Socket::TcpListener { local: addr, component });
        let is_held = bound.mapped.hold(id, base);
        if !is_held {
            bound.agent.add_socket(clock::now(), id, base).map_err(|error| error.to_string())?;
        }
        bound.listeners.push(id, listener);
        self.sockets.push((addr.ip(), id));
        Ok(Some(addr).filter(|_| !is_held))
    }

    /// The sockets on these addresses, which the session has no more.
    pub(super) fn leave(&mut self, ips: &[IpAddr]) -> Vec<SocketId> {
        let (left, stay) =
            std::mem::take(&mut self.sockets).into_iter().partition(|(ip, _): &(IpAddr, _)| ips.contains(ip));
        self.sockets = stay;
        let left: Vec<(IpAddr, SocketId)> = left;
        left.into_iter().map(|(_, id)| id).collect()
    }
}

impl Driver {
    /// When ports are mapped, or the time for that is over, sockets that waited for it are used, and there are no further
    /// candidates.
    pub(super) fn end_gathering(&mut self, now: Instant) {
        let released = self.mapped.release(now);
        let has_new = !released.is_empty();
        for (id, socket) in released {
            if let Err(error) = self.agent.add_socket(now, id, socket) {
                tracing::warn!(%error, "address left out");
                self.ports.close(id);
            }
        }
        if has_new {
            self.mapped.tell(now, &mut self.agent);
        }
        if self.mapped.take_end(now) {
            self.agent.end_of_sockets(now);
        }
    }
}
