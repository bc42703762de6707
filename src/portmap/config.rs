//! What a mapper is told at its birth. Setters consume, nothing here can fail.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::event::Protocol;
use crate::time::Duration;

/// The lifetime that RFC 6886 §3.3 recommends to ask for.
const LIFETIME: Duration = Duration::from_secs(7200);
/// When it is told that nothing has been mapped so far.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all randomness comes from. `Debug` does not show it: whoever knows it can guess the nonces of mappings.
#[derive(Clone, Copy)]
pub(super) struct Seed(pub(super) [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

/// The configuration of a [`Mapper`](super::Mapper): one address of this host, and one gateway.
#[derive(Debug, Clone)]
#[must_use]
pub struct Config {
    pub(super) local: IpAddr,
    pub(super) gateway: IpAddr,
    /// Of a link-local gateway.
    pub(super) scope: u32,
    pub(super) seed: Seed,
    pub(super) lifetime: Duration,
    pub(super) protocols: Vec<Protocol>,
    pub(super) patience: Duration,
}

impl Config {
    /// Maps ports of `local`, an address of this host, at `gateway`, its next hop to the Internet. Nothing but the
    /// gateway is ever asked; what comes from other addresses is dropped.
    ///
    /// `seed` has to be unpredictable: with the nonce of a mapping anybody on the network could delete it (RFC 6887
    /// §18.1).
    pub fn new(local: IpAddr, gateway: IpAddr, seed: [u8; 32]) -> Self {
        let protocols = vec![Protocol::Pcp, Protocol::NatPmp, Protocol::Upnp];
        let (seed, scope) = (Seed(seed), 0);
        Self { local, gateway, scope, seed, lifetime: LIFETIME, protocols, patience: PATIENCE }
    }

    /// The scope id of an IPv6 gateway that has a link-local address, as most have; default 0.
    pub fn scope_id(mut self, scope: u32) -> Self {
        self.scope = scope;
        self
    }

    /// How long mappings are asked for; default 7200 s (RFC 6886 §3.3), clamped to 120 s to 24 h (RFC 6887 §15). They
    /// are renewed until they are unmapped; this is how long one outlives a host that has gone without a word.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.clamp(Duration::from_secs(120), super::lease::LONGEST);
        self
    }

    /// Which protocols are tried; default all. NAT-PMP without PCP is spoken at once; with it, only to a gateway that
    /// says it knows no PCP (RFC 6886 §1.1).
    pub fn protocols(mut self, protocols: &[Protocol]) -> Self {
        self.protocols = protocols.to_vec();
        self
    }

    /// After which time [`Event::Unavailable`](super::Event::Unavailable) tells that a port is not mapped yet; default
    /// 10 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The address of this host.
    pub fn local(&self) -> IpAddr {
        self.local
    }

    /// The gateway at this port.
    pub(super) fn server(&self, port: u16) -> SocketAddr {
        match self.gateway {
            IpAddr::V4(ip) => (ip, port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.scope).into(),
        }
    }

    /// Whether this protocol is wanted, and can help an address like ours: NAT-PMP and UPnP translate IPv4, which an
    /// address that is public already does not need (RFC 6886 §3); PCP opens firewalls too (RFC 6887 §4).
    pub(super) fn speaks(&self, protocol: Protocol) -> bool {
        let fits = match (protocol, self.local, self.gateway) {
            (Protocol::Pcp, local, gateway) => local.is_ipv4() == gateway.is_ipv4(),
            (_, local @ IpAddr::V4(_), IpAddr::V4(_)) => !super::address::is_public(local),
            _ => false,
        };
        fits && self.protocols.contains(&protocol)
    }
}
