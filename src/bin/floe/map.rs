//! `floe map`: a port of this host, reachable through the gateway until Ctrl-C.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use floe::io::Transport;
use floe::net::{PortMapper, PortMapping};
use floe::portmap::{Event, Mapping, MappingId, Protocol, Wish};

use crate::exit::{self, Exit};
use crate::lines;
use crate::steps::printable;

/// Make a port of this machine reachable through the gateway, until Ctrl-C
///
/// Asks the default gateway by PCP, NAT-PMP or UPnP, whichever it speaks, prints the address outside, renews the mapping,
/// and takes it back in the end.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floe map 5000
  floe map 8080 --tcp --external 80 --json
  floe map 5000 --udp --tcp --gateway 192.168.1.1 --protocol upnp

What does not map is told on stderr, and so is a gateway that is itself behind a NAT.

Exit status: 0 after an interrupt if the port was mapped, else 1, 2 for a usage error")]
pub(crate) struct Args {
    /// The port on this machine
    #[arg(value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Map it for UDP (default)
    #[arg(long)]
    udp: bool,
    /// Map it for TCP; with --udp for both
    #[arg(long)]
    tcp: bool,
    /// The port outside that is asked for; the gateway may give another one
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    external: Option<u16>,
    /// The gateway to ask, in place of the default one
    #[arg(long, value_name = "ADDR")]
    gateway: Option<IpAddr>,
    /// Map a port of this address of this machine
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,
    /// Ask in this protocol only; may be repeated
    #[arg(long, value_enum, value_name = "NAME")]
    protocol: Vec<ProtocolArg>,
    /// Seconds to ask for at a time; the mapping is renewed before they are over
    #[arg(long, value_name = "SECONDS", default_value_t = 7200, value_parser = clap::value_parser!(u64).range(120..=86_400))]
    lifetime: u64,
    /// Give up if nothing is mapped after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ProtocolArg {
    Pcp,
    NatPmp,
    Upnp,
}

impl Args {
    fn settings(&self) -> Result<PortMapping, Exit> {
        let mut settings = PortMapping::new()
            .lifetime(Duration::from_secs(self.lifetime))
            .patience(Duration::from_secs(self.timeout));
        if let (Some(gateway), Some(bind)) = (self.gateway, self.bind)
            && gateway.is_ipv4() != bind.is_ipv4()
        {
            return Err(Exit::usage("--gateway and --bind are not of the same family"));
        }
        if let Some(gateway) = self.gateway {
            settings = settings.gateway(gateway);
        }
        if let Some(bind) = self.bind {
            settings = settings.local(bind);
        }
        if !self.protocol.is_empty() {
            let protocols = self.protocol.iter().map(|protocol| match protocol {
                ProtocolArg::Pcp => Protocol::Pcp,
                ProtocolArg::NatPmp => Protocol::NatPmp,
                ProtocolArg::Upnp => Protocol::Upnp,
            });
            settings = settings.protocols(&protocols.collect::<Vec<_>>());
        }
        Ok(settings)
    }

    fn transports(&self) -> &'static [Transport] {
        match (self.udp, self.tcp) {
            (true, true) => &[Transport::Udp, Transport::Tcp],
            (false, true) => &[Transport::Tcp],
            (_, false) => &[Transport::Udp],
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<(), Exit> {
    let mapper = args.settings()?.open().map_err(Exit::failure)?;
    let mut ports = Ports { json: args.json, transports: BTreeMap::new() };
    for transport in args.transports() {
        let mut wish = Wish::new(*transport, args.port);
        if let Some(external) = args.external {
            wish = wish.external(external);
        }
        let id = mapper.map(wish).await.map_err(Exit::failure)?;
        ports.transports.insert(id, *transport);
    }
    let mut interrupted = std::pin::pin!(exit::interrupted());
    let result = loop {
        tokio::select! {
            event = mapper.event() => match event {
                Some(Event::Unavailable { id }) => {
                    ports.show(&Event::Unavailable { id });
                    let (transport, gateway) = (ports.transport(id), mapper.gateway());
                    let problem = format!("{} port {} is not mapped at {gateway}", transport, args.port);
                    break Err(Exit::failure(problem));
                }
                Some(event) => ports.show(&event),
                None => break Err(Exit::failure("the mapper has ended")),
            },
            () = &mut interrupted => break Ok(()),
        }
    };
    close(&mapper, &ports).await;
    result
}

/// Takes the mappings back, and shows what the gateway has confirmed.
async fn close(mapper: &PortMapper, ports: &Ports) {
    let mut closed = std::pin::pin!(mapper.close());
    let mut is_closed = false;
    loop {
        tokio::select! {
            biased;
            event = mapper.event() => match event {
                Some(event) => ports.show(&event),
                None => return,
            },
            () = &mut closed, if !is_closed => is_closed = true,
        }
    }
}

struct Ports {
    json: bool,
    transports: BTreeMap<MappingId, Transport>,
}

impl Ports {
    fn transport(&self, id: MappingId) -> &'static str {
        self.transports.get(&id).map_or("", |transport| name(*transport))
    }

    fn show(&self, event: &Event) {
        if self.json {
            if let Some(value) = self.value(event) {
                lines::print(&value);
            }
            return;
        }
        match event {
            Event::Mapped { mapping, .. } => lines::print(&format!("mapped    {}", text(mapping))),
            Event::Renewed { mapping, .. } => lines::print(&format!("renewed   {}", text(mapping))),
            Event::Lost { id } => lines::print(&format!("lost      {}", self.transport(*id))),
            Event::Unmapped { id } => lines::print(&format!("unmapped  {}", self.transport(*id))),
            Event::Restarted => lines::print(&"the gateway has restarted: mapping again"),
            Event::Problem { protocol, problem, .. } => {
                eprintln!("floe: {protocol}: {}", printable(&problem.to_string()));
            }
            _ => {}
        }
    }

    fn value(&self, event: &Event) -> Option<Value> {
        let of = |kind: &str, id: &MappingId| json!({ "type": kind, "transport": self.transport(*id) });
        Some(match event {
            Event::Mapped { mapping, .. } => object("mapped", mapping),
            Event::Renewed { mapping, .. } => object("renewed", mapping),
            Event::Lost { id } => of("lost", id),
            Event::Unmapped { id } => of("unmapped", id),
            Event::Unavailable { id } => of("unavailable", id),
            Event::Restarted => json!({ "type": "restarted" }),
            Event::Problem { id, protocol, problem } => json!({
                "type": "problem",
                "transport": id.map(|id| self.transport(id)),
                "protocol": protocol.to_string(),
                "problem": problem.to_string(),
            }),
            _ => return None,
        })
    }
}

fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

fn text(mapping: &Mapping) -> String {
    let Mapping { internal, external, lifetime, protocol, .. } = mapping;
    let how_long = lifetime.map_or_else(
        || "until it is taken back".to_owned(),
        |lifetime| format!("for {} s", lifetime.as_secs()),
    );
    format!("{} {external} → {internal} by {protocol} {how_long}", name(mapping.transport))
}

fn object(kind: &str, mapping: &Mapping) -> Value {
    json!({
        "type": kind,
        "transport": name(mapping.transport),
        "external": mapping.external,
        "internal": mapping.internal,
        "public": mapping.is_public(),
        "lifetime": mapping.lifetime.map(|lifetime| lifetime.as_secs()),
        "protocol": mapping.protocol.to_string(),
    })
}
