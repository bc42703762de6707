//! From the URI of a server to its transport addresses (RFC 8489 §8, RFC 7064 §3.2, RFC 7065 §3.2, RFC 2782).
//!
//! ```text
//!  an address, or a name with a port ─────────────────────────────► addresses, that port
//!  a name alone ─► SRV of the service ─┬─ none, or no DNS ────────► addresses of the name, the scheme's port
//!                                      ├─ "." ────────────────────► no such service
//!                                      └─ targets by priority and weight ─► addresses of each, its port
//! ```

#[cfg(feature = "dns")]
mod dns;
mod srv;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::stun::uri::{Host, Uri};

use srv::{Srv, in_order};

/// A name with more addresses than this is a name for a farm of servers; the first ones serve.
const MAX_ADDRESSES: usize = 16;
/// Targets of SRV records whose addresses are asked for.
const MAX_TARGETS: usize = 8;
/// How long SRV records may take: most servers have none, and some networks do not answer for them.
#[cfg(feature = "dns")]
const SRV_PATIENCE: Duration = Duration::from_millis(1500);
/// How long the addresses of a name may take.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Who is asked for names: the system, or name servers of one's own choice. A clone shares what it remembers.
///
/// With the feature `dns` SRV records are asked for where a URI has no port; without it, addresses only.
#[derive(Debug, Clone, Default)]
pub struct Resolver {
    #[cfg(feature = "dns")]
    dns: dns::Dns,
}

/// Where a server is, and how that was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Resolution {
    /// The addresses to try, each once, at most 16. By priority and weight of the SRV records, and within a name
    /// families take turns, so that a broken family delays by one attempt only (RFC 8305 §4).
    pub addrs: Vec<SocketAddr>,
    /// What was asked, in the order of asking.
    pub lookups: Vec<Lookup>,
}

/// One question, and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup {
    /// The name that was asked for.
    pub name: String,
    /// What was asked for.
    pub record: Record,
    /// The records as text, or why there is none.
    pub answer: Result<Vec<String>, String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Record {
    /// SRV: priority, weight, port and target (RFC 2782).
    Srv,
    /// A: an IPv4 address.
    A,
    /// AAAA: an IPv6 address.
    Aaaa,
    /// Addresses of both families by the system's resolver, from wherever it has them.
    Address,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Srv => "SRV",
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Address => "A/AAAA",
        })
    }
}

/// The addresses of a server by the system's resolver, in the order to try them: [`Resolver::resolve`].
///
/// # Errors
/// `NotFound` for a name without an address or without this service, and whatever the resolver says.
pub async fn resolve(uri: &Uri) -> io::Result<Vec<SocketAddr>> {
    Ok(Resolver::system().resolve(uri).await?.addrs)
}

impl Resolver {
    /// The system's: its hosts file and name servers. With the feature `dns` the same name servers are asked for SRV
    /// records.
    pub fn system() -> Self {
        Self::default()
    }

    /// These name servers, over UDP and TCP, and nobody else: no hosts file and no search domains.
    ///
    /// # Errors
    /// `InvalidInput` without a name server.
    #[cfg(feature = "dns")]
    pub fn name_servers(servers: impl IntoIterator<Item = SocketAddr>) -> io::Result<Self> {
        Ok(Self { dns: dns::Dns::of(servers.into_iter().collect())? })
    }

    /// The addresses of a server. The transport of the URI picks the service: `_turn._udp`, `_turns._tcp` and so on.
    ///
    /// A SRV question that fails counts as "no record": the addresses of the name are tried (RFC 8489 §8.1). They
    /// are asked for at the same time, so that a server without SRV records costs no round trip more.
    ///
    /// # Errors
    /// `NotFound` for a name without an address, or that has no such service (RFC 2782, target "."); and whatever
    /// the resolver says.
    pub async fn resolve(&self, uri: &Uri) -> io::Result<Resolution> {
        let name = match &uri.host {
            Host::Ip(ip) => {
                let addrs = vec![SocketAddr::new(*ip, uri.port_or_default())];
                return Ok(Resolution { addrs, lookups: Vec::new() });
            }
            Host::Name(name) => name.trim_end_matches('.'),
        };
        let (services, addresses) = tokio::join!(self.services(uri, name), self.addresses(name));
        let mut resolution = Resolution::default();
        resolution.lookups.extend(services.lookup);
        if services.records.is_empty() {
            resolution.add(addresses, uri.port_or_default());
        } else {
            for (port, found) in self.targets(services.records).await {
                resolution.add(found, port);
            }
        }
        resolution.checked()
    }

    /// The same for NAT behaviour discovery: where the name has the service `_stun-behavior._udp`, that is used, and
    /// otherwise what [`resolve`](Self::resolve) finds (RFC 5780 §5.1).
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn resolve_behavior(&self, uri: &Uri) -> io::Result<Resolution> {
        let Host::Name(name) = &uri.host else { return self.resolve(uri).await };
        let name = name.trim_end_matches('.');
        if uri.port.is_none()
            && name.contains('.')
            && let Some(service) = srv::behavior_service(uri)
        {
            let mut resolution = Resolution::default();
            let services = self.ask_services(format!("{service}.{name}")).await;
            resolution.lookups.extend(services.lookup);
            for (port, found) in self.targets(services.records).await {
                resolution.add(found, port);
            }
            if !resolution.addrs.is_empty() {
                return Ok(resolution);
            }
        }
        self.resolve(uri).await
    }

    /// The SRV records of a URI without a port (RFC 8489 §8.1). A name of one label is not for the public DNS.
    async fn services(&self, uri: &Uri, name: &str) -> Services {
        match srv::service(uri).filter(|_| uri.port.is_none() && name.contains('.')) {
            Some(service) => self.ask_services(format!("{service}.{name}")).await,
            None => Services::default(),
        }
    }

    #[cfg(feature = "dns")]
    async fn ask_services(&self, name: String) -> Services {
        let answer = timeout(SRV_PATIENCE, self.dns.services(&name)).await;
        let answer = answer.unwrap_or_else(|_| Err(LATE.to_owned()));
        let texts = |records: &Vec<Srv>| records.iter().map(Srv::to_string).collect();
        let shown = answer.as_ref().map(texts).map_err(Clone::clone);
        let lookup = Lookup { name, record: Record::Srv, answer: shown };
        Services { lookup: Some(lookup), records: answer.unwrap_or_default() }
    }

    #[cfg(not(feature = "dns"))]
    #[expect(clippy::unused_async, reason = "its twin has to wait")]
    async fn ask_services(&self, _name: String) -> Services {
        Services::default()
    }

    /// The addresses of all targets at once; each with its port, in the order to try them.
    async fn targets(&self, records: Vec<Srv>) -> Vec<(u16, Vec<Found>)> {
        let mut tasks = JoinSet::new();
        let usable = in_order(records, super::seed::below).into_iter().filter(Srv::is_service);
        for (place, record) in usable.take(MAX_TARGETS).enumerate() {
            let resolver = self.clone();
            tasks.spawn(async move { (place, record.port, resolver.addresses(&record.target).await) });
        }
        let mut found = tasks.join_all().await;
        found.sort_by_key(|(place, ..)| *place);
        found.into_iter().map(|(_, port, found)| (port, found)).collect()
    }

    async fn addresses(&self, name: &str) -> Vec<Found> {
        #[cfg(feature = "dns")]
        if self.dns.is_chosen() {
            return self.dns.addresses(name).await;
        }
        let answer = match timeout(PATIENCE, tokio::net::lookup_host((name, 0))).await {
            Ok(Ok(addrs)) => Ok(addrs.map(|addr| addr.ip()).collect()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(LATE.to_owned()),
        };
        vec![Found { name: name.to_owned(), record: Record::Address, answer }]
    }
}

/// What is said of a question without an answer.
const LATE: &str = "no answer in time";

/// The SRV records of a service, and how they were asked for.
#[derive(Debug, Default)]
struct Services {
    lookup: Option<Lookup>,
    records: Vec<Srv>,
}

/// The addresses of a name, of one family or of both.
#[derive(Debug)]
struct Found {
    name: String,
    record: Record,
    answer: Result<Vec<IpAddr>, String>,
}

impl Resolution {
    /// Adds the addresses of one name, families in turn.
    fn add(&mut self, found: Vec<Found>, port: u16) {
        let mut ips = Vec::new();
        for found in found {
            let answer = found.answer.map(|all| {
                let texts = all.iter().map(IpAddr::to_string).collect();
                ips.extend(all);
                texts
            });
            self.lookups.push(Lookup { name: found.name, record: found.record, answer });
        }
        for ip in in_turn(ips) {
            let addr = SocketAddr::new(ip, port);
            if self.addrs.len() < MAX_ADDRESSES && !self.addrs.contains(&addr) {
                self.addrs.push(addr);
            }
        }
    }

    fn checked(self) -> io::Result<Self> {
        if !self.addrs.is_empty() {
            return Ok(self);
        }
        // What was asked last says most.
        let why = self.lookups.iter().rev().find_map(|lookup| {
            let problem = lookup.answer.as_ref().err()?;
            Some(format!("{} of {}: {problem}", lookup.record, lookup.name))
        });
        let why = why.unwrap_or_else(|| "its name has no such service".to_owned());
        Err(io::Error::new(io::ErrorKind::NotFound, format!("no address: {why}")))
    }
}

/// Families in turn, beginning with that of the first one (RFC 8305 §4); otherwise as they come.
fn in_turn(ips: Vec<IpAddr>) -> Vec<IpAddr> {
    let Some(first) = ips.first().map(IpAddr::is_ipv4) else { return ips };
    let (one, other): (Vec<_>, Vec<_>) = ips.into_iter().partition(|ip| ip.is_ipv4() == first);
    let rounds = one.len().max(other.len());
    (0..rounds).flat_map(|at| [one.get(at), other.get(at)]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_needs_no_resolver() {
        let resolved = resolve(&"turn:[2001:db8::1]".parse().unwrap()).await.unwrap();
        assert_eq!(resolved, ["[2001:db8::1]:3478".parse().unwrap()]);
    }

    /// RFC 8305 §4.
    #[test]
    fn families_take_turns() {
        let ips = |texts: &[&str]| texts.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        for (given, ordered) in [
            (ips(&["::1", "::2", "::3", "192.0.2.1"]), ips(&["::1", "192.0.2.1", "::2", "::3"])),
            (ips(&["192.0.2.1", "192.0.2.2", "::1"]), ips(&["192.0.2.1", "::1", "192.0.2.2"])),
            (ips(&["192.0.2.1"]), ips(&["192.0.2.1"])),
            (ips(&[]), ips(&[])),
        ] {
            assert_eq!(in_turn(given), ordered);
        }
    }
}
