//! `floe nat`: how do the NATs between here and the Internet behave?

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use floe::discovery::{Event, Finding, Report, Verdict};
use floe::net::Resolver;
use floe::net::discovery::{Plan, measure};
use floe::stun::uri::{Scheme, Uri};

use crate::exit::{self, Exit};
use crate::known_nat;
use crate::lines;
use crate::nat_alone;
use crate::nat_words as words;

/// Find out how the NATs between here and the Internet behave
///
/// Asks STUN servers and compares what they see: mapping and filtering in the words of RFC 4787, hairpinning, ports. A
/// server that speaks RFC 5780, such as `floe server --alternate`, tells all of it; two plain STUN servers with different
/// addresses tell the mapping. IPv4 and IPv6 are measured one after the other, most of a minute each and four at most.
/// Without a server it tells what this host and its gateway know: whether the address is public, and whether the gateway
/// is itself behind a NAT. For that the gateway maps a port for a moment.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floe nat                                           what can be told without a server
  floe nat stun:stun.example.org
  floe nat stun:198.51.100.1 stun:203.0.113.1        two plain STUN servers
  floe nat stun:stun.example.org --lifetime --json

Whether fragments pass is told only if they do: silence may be the server's.

Exit status: 0 if something was measured, or without a server if there is a way out; else 1, 2 for a usage error")]
pub(crate) struct Args {
    /// The servers, such as stun:203.0.113.1:3478 (RFC 7064)
    #[arg(value_name = "STUN-URI")]
    uris: Vec<Uri>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Measure from this address, and its family only
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,
    /// Measure how long mappings live too, up to so many seconds: it takes up to four times as long
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "300",
        value_parser = clap::value_parser!(u64).range(10..=3600))]
    lifetime: Option<u64>,
    /// Ask this name server for names instead of the system's resolver; may be repeated
    #[arg(long, value_name = "ADDR:PORT")]
    name_server: Vec<SocketAddr>,
}

pub(crate) async fn run(args: Args) -> Result<(), Exit> {
    if let Some(uri) = args.uris.iter().find(|uri| uri.scheme != Scheme::Stun) {
        return Err(Exit::usage(format!("{uri}: only stun: servers tell of NATs")));
    }
    if args.uris.is_empty() {
        if args.lifetime.is_some() {
            return Err(Exit::usage("--lifetime needs a server that speaks RFC 5780"));
        }
        return tokio::select! {
            ended = nat_alone::run(args.bind, args.json) => ended,
            () = exit::interrupted() => Err(Exit::Told),
        };
    }
    let resolver = match args.name_server.as_slice() {
        [] => Resolver::system(),
        servers => Resolver::name_servers(servers.iter().copied()).map_err(Exit::usage)?,
    };
    tokio::select! {
        ended = measure_all(&args, &resolver) => ended,
        () = exit::interrupted() => Err(Exit::Told),
    }
}

async fn measure_all(args: &Args, resolver: &Resolver) -> Result<(), Exit> {
    let mut servers = Vec::new();
    for uri in &args.uris {
        match resolver.resolve_behavior(uri).await {
            Ok(found) => servers.extend(found.addrs),
            Err(error) => complain(args, &format!("{uri}: {error}")),
        }
    }
    let is_wanted = |v4: bool| args.bind.is_none_or(|ip| ip.is_ipv4() == v4);
    let mut problem = None;
    let mut has_some = false;
    for v4 in [true, false] {
        let of_family: Vec<SocketAddr> = servers.iter().copied().filter(|it| it.is_ipv4() == v4).collect();
        if of_family.is_empty() || !is_wanted(v4) {
            continue;
        }
        match measure_one(args, of_family).await {
            Ok(report) => has_some |= report.server.is_some(),
            Err(error) => problem = Some(error),
        }
    }
    match problem {
        _ if has_some => Ok(()),
        Some(error) => Err(Exit::failure(error)),
        None if servers.is_empty() => Err(Exit::failure("no server has an address")),
        None => Err(Exit::Told),
    }
}

async fn measure_one(args: &Args, servers: Vec<SocketAddr>) -> Result<Report, String> {
    let family = if servers[0].is_ipv4() { "IPv4" } else { "IPv6" };
    let plan = match args.bind {
        Some(local) => Ok(Plan::from(local, servers)),
        None => Plan::toward(servers),
    };
    let plan = plan.map_err(|error| format!("{family}: {error}"))?;
    let mut config = plan.config();
    if let Some(seconds) = args.lifetime {
        config = config.lifetime(Duration::from_secs(seconds));
    }
    if !args.json {
        lines::print(&format!("{family} from {}", plan.local()));
    }
    let tell = |event: Event, report: &Report| match event {
        Event::Began(test) if args.json => lines::print(&words::began(family, test)),
        // A terminal shows what is waited for; a file has only results.
        Event::Began(test) => eprintln!("floe: measuring {test} …"),
        Event::Ended(test) if !args.json => {
            for line in words::rows(test, report) {
                lines::print(&line);
            }
        }
        _ => {}
    };
    let report = measure(config, tell).await.map_err(|error| format!("{family}: {error}"))?;
    let verdict = Verdict::of(&report);
    if args.json {
        lines::print(&words::json(family, &report));
    } else {
        lines::print(&verdict);
        if let Some(options) = known_nat::options(&report.behavior()) {
            lines::print(&format!("An agent makes use of it by: floe peer {options}"));
        }
        if let Finding::Unknown(why) = report.mapping
            && report.server.is_some()
        {
            lines::print(&format!("(The mapping is not known: {why}.)"));
        }
    }
    Ok(report)
}

fn complain(args: &Args, problem: &str) {
    if args.json {
        lines::print(&serde_json::json!({ "type": "error", "message": problem }));
    }
    eprintln!("floe: {problem}");
}
