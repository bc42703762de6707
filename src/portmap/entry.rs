//! One port that is to be mapped.

use std::net::{IpAddr, SocketAddr};

use super::event::{Mapping, MappingId, Protocol};
use super::lease::Lease;
use super::order::{Grant, Order, Purpose};
use super::pcp::Name;
use crate::io::Transport;
use crate::time::{Duration, Instant, Timer, earliest};

/// A port to map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Wish {
    pub(super) transport: Transport,
    pub(super) internal: u16,
    pub(super) external: Option<u16>,
}

impl Wish {
    /// A port of this host. It has to be in use by whoever asks, and by nobody else (RFC 6887 §11).
    pub fn new(transport: Transport, port: u16) -> Self {
        Self { transport, internal: port, external: None }
    }

    /// What is to be mapped.
    pub fn place(&self) -> (Transport, u16) {
        (self.transport, self.internal)
    }

    /// Suggests a port outside; another one may be granted. Default: none in PCP and NAT-PMP, the same as inside in
    /// UPnP, which has to be told one.
    pub fn external(mut self, port: u16) -> Self {
        self.external = Some(port).filter(|port| *port != 0);
        self
    }
}

/// Who has the mappings: both protocols of port 5351 are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Control,
    Upnp,
}

impl From<Protocol> for Side {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Pcp | Protocol::NatPmp => Self::Control,
            Protocol::Upnp => Self::Upnp,
        }
    }
}

/// A mapping that stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) grant: Grant,
    pub(super) lease: Lease,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: MappingId,
    pub(super) name: Name,
    external: Option<u16>,
    pub(super) held: Option<Held>,
    /// When it is asked for again after an error.
    pub(super) retry: Timer,
    /// When it is told that there is no mapping.
    pub(super) patience: Timer,
    /// Who has said no.
    pub(super) refused: Vec<Side>,
    pub(super) is_ending: bool,
}

impl Entry {
    pub(super) fn new(id: MappingId, wish: Wish, nonce: [u8; 12], patience: Instant) -> Self {
        let name = Name { nonce, transport: wish.transport, internal: wish.internal };
        Self {
            id,
            name,
            external: wish.external,
            held: None,
            retry: Timer::STOPPED,
            patience: Timer::at(patience),
            refused: Vec::new(),
            is_ending: false,
        }
    }

    /// Asks for the mapping there is (RFC 6887 §11.2.1), or for what the caller would like.
    pub(super) fn order(&self, purpose: Purpose, lifetime: Duration, local: IpAddr) -> Order {
        let any = SocketAddr::new(if local.is_ipv4() { [0; 4].into() } else { [0; 16].into() }, 0);
        let wish = self.external.map(|port| SocketAddr::new(any.ip(), port));
        let suggested = self.held.map(|held| held.grant.external).or(wish);
        Order { id: self.id, name: self.name, purpose, suggested, lifetime }
    }

    pub(super) fn is_held_by(&self, side: Side) -> bool {
        self.held.is_some_and(|held| Side::from(held.grant.protocol) == side)
    }

    pub(super) fn mapping(&self, local: IpAddr) -> Option<Mapping> {
        let Grant { external, lifetime, protocol } = self.held?.grant;
        let internal = SocketAddr::new(local, self.name.internal);
        Some(Mapping { transport: self.name.transport, internal, external, lifetime, protocol })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let lease = self.held.map(|held| earliest(held.lease.renewal, held.lease.end()));
        let lease = lease.flatten().filter(|_| !self.is_ending);
        earliest(lease, earliest(self.retry.deadline(), self.patience.deadline()))
    }
}
