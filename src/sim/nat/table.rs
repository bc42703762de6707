//! What a NAT remembers: mappings, and who may use them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::{Alg, Filtering, Mapping, Nat, Parity, Pooling, Ports, Refresh, Stray, payload};
use crate::io::Transport;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// How long Linux keeps a connection that saw packets of one side only (`nf_conntrack_udp_timeout`).
const STRAY_LIFETIME: Duration = Duration::from_secs(30);

/// How long a mapping of a TCP connection lives without refresh (RFC 5382 REQ-5).
const TCP_LIFETIME: Duration = Duration::from_secs(7440);

/// Which destinations share a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Toward {
    Anyone,
    Address(IpAddr),
    Endpoint(SocketAddr),
    Port(u16),
}

#[derive(Debug, Clone)]
struct Entry {
    transport: Transport,
    internal: SocketAddr,
    external: SocketAddr,
    toward: Toward,
    refreshed: Instant,
    /// The remotes that were sent to, and when their permission was refreshed.
    remotes: BTreeMap<SocketAddr, Instant>,
}

/// The mappings of one NAT.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Table {
    nat: Nat,
    /// At least one.
    externals: Vec<IpAddr>,
    /// Which of them a host has: one more with each host.
    paired: BTreeMap<IpAddr, usize>,
    entries: Vec<Entry>,
    /// Which port was tried by whom, and until when that counts.
    strays: BTreeMap<(u16, SocketAddr), Instant>,
    next_port: u16,
}

impl Table {
    pub(in crate::sim) fn new(nat: Nat, externals: Vec<IpAddr>) -> Self {
        let (paired, strays) = (BTreeMap::new(), BTreeMap::new());
        Self { nat, externals, paired, entries: Vec::new(), strays, next_port: 1024 }
    }

    /// The same one before anybody sent anything, with another behaviour.
    pub(in crate::sim) fn anew(&self, nat: Nat) -> Self {
        Self::new(nat, self.externals.clone())
    }

    pub(in crate::sim) fn nat(&self) -> &Nat {
        &self.nat
    }

    /// Its address outside, the first one of several.
    pub(in crate::sim) fn external(&self) -> IpAddr {
        self.externals[0]
    }

    /// Whether it has this address outside.
    pub(in crate::sim) fn has(&self, ip: IpAddr) -> bool {
        self.externals.contains(&ip)
    }

    /// What becomes of a payload when this address is translated to that one.
    pub(in crate::sim) fn translate(&self, payload: &mut [u8], from: IpAddr, to: IpAddr) {
        if self.nat.alg == Alg::Generic {
            payload::rewrite(payload, from, to);
        }
    }

    /// Forgets everything, as after a restart.
    pub(in crate::sim) fn flush(&mut self) {
        self.entries.clear();
        self.paired.clear();
        self.strays.clear();
    }

    /// The external endpoint of a packet from inside; `None` if there is no port left.
    pub(in crate::sim) fn outbound(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        transport: Transport,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Option<SocketAddr> {
        self.expire(now);
        let toward = self.toward(source, destination);
        let same =
            |entry: &Entry| (entry.transport, entry.internal, entry.toward) == (transport, source, toward);
        let at = if let Some(at) = self.entries.iter().position(same) {
            at
        } else {
            if self.entries.len() >= self.nat.limit {
                return None;
            }
            let external = self.assign(rng, transport, source, destination)?;
            let remotes = BTreeMap::new();
            let entry = Entry { transport, internal: source, external, toward, refreshed: now, remotes };
            self.entries.push(entry);
            self.entries.len() - 1
        };
        let entry = &mut self.entries[at];
        if matches!(self.nat.refresh, Refresh::Outbound | Refresh::Both) {
            entry.refreshed = now;
            entry.remotes.insert(destination, now);
        }
        entry.remotes.entry(destination).or_insert(now);
        Some(entry.external)
    }

    /// The internal endpoint of a packet from outside; `None` if no mapping lets it in.
    pub(in crate::sim) fn inbound(
        &mut self,
        now: Instant,
        transport: Transport,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Option<SocketAddr> {
        self.expire(now);
        let nat = &self.nat;
        let admitted = self.entries.iter_mut().find(|entry| {
            (entry.transport, entry.external) == (transport, destination)
                && entry.admits(nat.filtering, source)
        });
        let Some(entry) = admitted else {
            if nat.stray == Stray::Tracked && transport == Transport::Udp {
                self.strays.insert((destination.port(), source), now + STRAY_LIFETIME);
            }
            return None;
        };
        if matches!(nat.refresh, Refresh::Both | Refresh::Inbound) {
            entry.refreshed = now;
            if let Some(refreshed) = entry.remotes.get_mut(&source) {
                *refreshed = now;
            }
        }
        Some(entry.internal)
    }

    fn expire(&mut self, now: Instant) {
        let lifetime = |entry: &Entry| match entry.transport {
            Transport::Udp => self.nat.lifetime,
            Transport::Tcp => TCP_LIFETIME,
        };
        self.entries.retain(|entry| now < entry.refreshed + lifetime(entry));
        for entry in &mut self.entries {
            let lifetime = lifetime(entry);
            entry.remotes.retain(|_, refreshed| now < *refreshed + lifetime);
        }
        self.strays.retain(|_, until| now < *until);
    }

    fn toward(&self, source: SocketAddr, destination: SocketAddr) -> Toward {
        match self.nat.mapping {
            _ if !self.nat.translates(source.ip().into()) => Toward::Anyone,
            Mapping::Identity | Mapping::EndpointIndependent => Toward::Anyone,
            Mapping::AddressDependent => Toward::Address(destination.ip()),
            Mapping::AddressAndPortDependent => Toward::Endpoint(destination),
            Mapping::PortDependent => Toward::Port(destination.port()),
        }
    }

    /// All kinds of assignment take the first free port; they differ in where they begin to look.
    fn assign(
        &mut self,
        rng: &mut Rng,
        transport: Transport,
        internal: SocketAddr,
        remote: SocketAddr,
    ) -> Option<SocketAddr> {
        if !self.nat.translates(internal.ip().into()) {
            return Some(internal);
        }
        let ip = self.address(rng, internal.ip());
        let range = self.nat.range.clone().unwrap_or_else(|| port_range(internal.port()));
        let (low, high) = (*range.start(), *range.end());
        let any = |rng: &mut Rng| rng.between(low.into(), high.into()) as u16;
        let start = match self.nat.ports {
            Ports::Preserving | Ports::Overloading if range.contains(&internal.port()) => internal.port(),
            Ports::Sequential if range.contains(&self.next_port) => self.next_port,
            Ports::Sequential => low,
            _ => any(rng),
        };
        let fits = |port: &u16| self.nat.parity == Parity::Ignored || (port ^ internal.port()) & 1 == 0;
        let port = (start..=high)
            .chain(low..start)
            .filter(fits)
            .find(|port| self.is_free(SocketAddr::new(ip, *port), transport, internal, remote))?;
        self.next_port = port.checked_add(self.nat.step).unwrap_or(low);
        Some(SocketAddr::new(ip, port))
    }

    /// The external address of a new mapping of this host.
    fn address(&mut self, rng: &mut Rng, host: IpAddr) -> IpAddr {
        let count = self.externals.len();
        let at = match self.nat.pooling {
            _ if count == 1 => 0,
            Pooling::Arbitrary => rng.between(0, count as u64 - 1) as usize,
            Pooling::Paired => {
                let next = self.paired.len();
                *self.paired.entry(host).or_insert(next % count)
            }
        };
        self.externals[at]
    }

    fn is_free(
        &self,
        external: SocketAddr,
        transport: Transport,
        internal: SocketAddr,
        remote: SocketAddr,
    ) -> bool {
        let toward = self.toward(internal, remote);
        let overloads = self.nat.ports == Ports::Overloading;
        let clashes = |entry: &Entry| {
            (entry.transport, entry.external) == (transport, external)
                && self.nat.translates(entry.internal.ip().into())
                && (!overloads || entry.toward == toward || entry.remotes.contains_key(&remote))
        };
        !self.strays.contains_key(&(external.port(), remote)) && !self.entries.iter().any(clashes)
    }
}

impl Entry {
    fn admits(&self, filtering: Filtering, source: SocketAddr) -> bool {
        match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => self.remotes.keys().any(|remote| remote.ip() == source.ip()),
            Filtering::AddressAndPortDependent => self.remotes.contains_key(&source),
        }
    }
}

/// Well-known ports stay well known, the others stay others (RFC 4787 §4.2.1).
fn port_range(internal: u16) -> RangeInclusive<u16> {
    if internal < 1024 { 1..=1023 } else { 1024..=65535 }
}
