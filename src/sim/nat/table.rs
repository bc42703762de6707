//! What a NAT remembers: mappings, and who may use them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::{Filtering, Mapping, Nat, Ports, Refresh, Stray};
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
    external: IpAddr,
    entries: Vec<Entry>,
    /// Which port was tried by whom, and until when that counts.
    strays: BTreeMap<(u16, SocketAddr), Instant>,
    next_port: u16,
}

impl Table {
    pub(in crate::sim) fn new(nat: Nat, external: IpAddr) -> Self {
        Self { nat, external, entries: Vec::new(), strays: BTreeMap::new(), next_port: 1024 }
    }

    pub(in crate::sim) fn nat(&self) -> &Nat {
        &self.nat
    }

    pub(in crate::sim) fn external(&self) -> IpAddr {
        self.external
    }

    /// Forgets everything, as after a restart.
    pub(in crate::sim) fn flush(&mut self) {
        self.entries.clear();
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
            let external = self.assign(rng, transport, source, destination)?;
            let remotes = BTreeMap::new();
            let entry = Entry { transport, internal: source, external, toward, refreshed: now, remotes };
            self.entries.push(entry);
            self.entries.len() - 1
        };
        let entry = &mut self.entries[at];
        entry.refreshed = now;
        entry.remotes.insert(destination, now);
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
        if nat.refresh == Refresh::Both {
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
        let range = match self.nat.ports {
            Ports::Block(first, last) => first..=last.max(first),
            _ => port_range(internal.port()),
        };
        let start = match self.nat.ports {
            Ports::Preserving | Ports::Overloading => internal.port(),
            Ports::Sequential => self.next_port,
            Ports::Random | Ports::Block(..) => {
                rng.between((*range.start()).into(), (*range.end()).into()) as u16
            }
        };
        let start = start.clamp(*range.start(), *range.end());
        let port = (start..=*range.end())
            .chain(*range.start()..start)
            .find(|port| self.is_free(*port, transport, internal, remote))?;
        self.next_port = port.checked_add(1).unwrap_or(1024);
        Some(SocketAddr::new(self.external, port))
    }

    fn is_free(&self, port: u16, transport: Transport, internal: SocketAddr, remote: SocketAddr) -> bool {
        let toward = self.toward(internal, remote);
        let overloads = self.nat.ports == Ports::Overloading;
        let clashes = |entry: &Entry| {
            (entry.transport, entry.external.port()) == (transport, port)
                && self.nat.translates(entry.internal.ip().into())
                && (!overloads || entry.toward == toward || entry.remotes.contains_key(&remote))
        };
        !self.strays.contains_key(&(port, remote)) && !self.entries.iter().any(clashes)
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
