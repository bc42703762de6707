//! Which addresses of this machine an agent uses, and what the peer learns of them.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use floe::Config;
use floe::agent::HostNames;
use floe::candidate::TcpRank;
use floe::net::{Builder, Endpoint, InterfaceFilter, PortMapping};

#[derive(Debug, clap::Args)]
pub(crate) struct Addresses {
    /// Use this address only; may be repeated; the only way to use loopback
    #[arg(long, value_name = "ADDR")]
    bind: Vec<IpAddr>,
    /// Use this interface only, such as eth0, wl* or 10.0.0.0/8; !docker* leaves one out; may be repeated
    #[arg(long, value_name = "[!]NAME|CIDR", conflicts_with = "bind", allow_hyphen_values = true)]
    interface: Vec<String>,
    /// Leave IPv6 out
    #[arg(long)]
    no_ipv6: bool,
    /// Bind to ports of this range, such as 50000-50100
    #[arg(long, value_name = "FIRST-LAST", value_parser = ports)]
    port_range: Option<RangeInclusive<u16>>,
    /// Signal a random .local name instead of each address, for peers on the same network to resolve
    #[arg(long)]
    mdns: bool,
    /// Gather TCP candidates too: UDP is preferred, and a relay comes last
    #[arg(long)]
    tcp: bool,
    /// A NAT translates the local address one to one: signal the external one too; may be repeated
    #[arg(long, value_name = "LOCAL=EXTERNAL")]
    external: Vec<External>,
    /// Have the gateway map the ports (PCP, NAT-PMP, UPnP), and signal them
    #[arg(long)]
    map: bool,
    /// The gateway to ask, in place of the default one
    #[arg(long, value_name = "ADDR", requires = "map")]
    gateway: Option<IpAddr>,
}

/// An address of this machine, and what it is outside.
#[derive(Debug, Clone, Copy)]
struct External {
    local: IpAddr,
    outside: IpAddr,
}

impl FromStr for External {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (local, outside) = text.split_once('=').ok_or("not two addresses with = between them")?;
        let ip = |text: &str| text.parse::<IpAddr>().map_err(|_| format!("{text:?} is not an IP address"));
        let (local, outside) = (ip(local)?, ip(outside)?);
        if local.is_ipv4() != outside.is_ipv4() {
            return Err("one address is IPv4, the other IPv6".to_owned());
        }
        Ok(Self { local, outside })
    }
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = text.split_once('-').and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    let range = range.filter(|range| !range.is_empty() && *range.start() > 0);
    range.ok_or_else(|| "not two ports, the smaller first, with - between them".to_owned())
}

impl Addresses {
    /// An endpoint that uses them.
    pub(crate) fn endpoint(&self) -> Builder {
        let filter =
            self.interface.iter().fold(InterfaceFilter::new(), |filter, rule| match rule.strip_prefix('!') {
                Some(rule) => filter.without(rule),
                None => filter.only(rule.as_str()),
            });
        let mut endpoint = Endpoint::builder().addresses(self.bind.iter().copied()).interfaces(filter);
        if self.no_ipv6 {
            endpoint = endpoint.ipv4_only();
        }
        if let Some(ports) = &self.port_range {
            endpoint = endpoint.port_range(ports.clone());
        }
        if self.map {
            let mapping = self.gateway.iter().fold(PortMapping::new(), |all, ip| all.gateway(*ip));
            endpoint = endpoint.port_mapping(mapping);
        }
        endpoint
    }

    /// What an agent is told of them.
    pub(crate) fn add_to(&self, config: Config) -> Config {
        let names = if self.mdns { HostNames::Mdns } else { HostNames::Addresses };
        let config = config.host_names(names);
        let config = if self.tcp { config.tcp(TcpRank::AfterUdp) } else { config };
        self.external.iter().fold(config, |config, it| config.external_address(it.local, it.outside))
    }
}
