//! Questions to name servers, through hickory-resolver.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::timeout;

use super::srv::Srv;
use super::{Found, LATE, PATIENCE, Record};

/// Records of an answer that are looked at.
const MAX_RECORDS: usize = 64;
/// How long one family may be waited for when the other one is there. RFC 8305 §3 has 50 ms for a browser that needs
/// one family; an agent uses both.
const OTHER_FAMILY: Duration = Duration::from_secs(1);

/// Name servers: those of the system, or chosen ones.
#[derive(Clone, Default)]
pub(super) struct Dns {
    chosen: Vec<SocketAddr>,
    /// Made when the first question is asked. `None` if the system has no configuration of name servers.
    resolver: Arc<OnceLock<Option<TokioResolver>>>,
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}

impl Dns {
    pub(super) fn of(chosen: Vec<SocketAddr>) -> io::Result<Self> {
        if chosen.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name server"));
        }
        Ok(Self { chosen, resolver: Arc::default() })
    }

    /// Whether the application chose them, so that they are asked for addresses too.
    pub(super) fn is_chosen(&self) -> bool {
        !self.chosen.is_empty()
    }

    fn resolver(&self) -> Option<&TokioResolver> {
        let make = || {
            let made = if self.is_chosen() { of_servers(&self.chosen) } else { of_system() };
            made.inspect_err(|error| tracing::debug!(%error, "no name servers")).ok()
        };
        self.resolver.get_or_init(make).as_ref()
    }

    async fn ask(&self, name: &str, record: RecordType) -> Result<Vec<RData>, String> {
        let resolver = self.resolver().ok_or("no name server is known")?;
        // With the dot at the end no search domain is tried.
        let answer = resolver.lookup(format!("{name}."), record).await.map_err(|error| told(&error))?;
        Ok(answer.answers().iter().take(MAX_RECORDS).map(|record| record.data.clone()).collect())
    }

    /// The SRV records of a service, in no order.
    pub(super) async fn services(&self, name: &str) -> Result<Vec<Srv>, String> {
        let records = self.ask(name, RecordType::SRV).await?;
        let services = records.into_iter().filter_map(|data| match data {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        });
        Ok(services.collect())
    }

    /// A and AAAA at the same time. AAAA first: IPv6 is preferred (RFC 8305 §4).
    pub(super) async fn addresses(&self, name: &str) -> Vec<Found> {
        let (v6, v4) = (self.family(name, RecordType::AAAA), self.family(name, RecordType::A));
        tokio::pin!(v6, v4);
        let late = || Err(LATE.to_owned());
        let (v6, v4) = tokio::select! {
            answer = &mut v6 => {
                let rest = if answer.is_ok() { OTHER_FAMILY } else { PATIENCE };
                (answer, timeout(rest, v4).await.unwrap_or_else(|_| late()))
            }
            answer = &mut v4 => {
                let rest = if answer.is_ok() { OTHER_FAMILY } else { PATIENCE };
                (timeout(rest, v6).await.unwrap_or_else(|_| late()), answer)
            }
        };
        let found = |record, answer| Found { name: name.to_owned(), record, answer };
        vec![found(Record::Aaaa, v6), found(Record::A, v4)]
    }

    async fn family(&self, name: &str, record: RecordType) -> Result<Vec<IpAddr>, String> {
        let records = timeout(PATIENCE, self.ask(name, record)).await.map_err(|_| LATE.to_owned())??;
        let addresses = records.into_iter().filter_map(|data| match data {
            RData::A(ip) => Some(IpAddr::V4(ip.0)),
            RData::AAAA(ip) => Some(IpAddr::V6(ip.0)),
            _ => None,
        });
        Ok(addresses.collect())
    }
}

fn told(error: &NetError) -> String {
    if error.is_nx_domain() {
        "no such name".to_owned()
    } else if error.is_no_records_found() {
        "no such record".to_owned()
    } else {
        error.to_string()
    }
}

fn of_system() -> Result<TokioResolver, NetError> {
    TokioResolver::builder_tokio()?.build()
}

fn of_servers(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let server = |addr: &SocketAddr| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = addr.port();
            connection
        });
        NameServerConfig::new(addr.ip(), true, connections.into())
    };
    let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
    let mut options = ResolverOpts::default();
    options.use_hosts_file = ResolveHosts::Never;
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.with_options(options).build()
}
