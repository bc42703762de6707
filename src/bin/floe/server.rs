//! `floe server`: a STUN and TURN server.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use floe::net::Server;
use floe::net::server::{Builder, Identity, Listening, ServerStats};
use floe::server::{Cidr, Config, PeerRules};
use serde::Serialize;
use tokio::time::Instant;

use crate::exit::{self, Exit};
use crate::lines;

/// Run a STUN and TURN server
///
/// It listens over UDP and TCP, and over TLS if it is given a certificate. Without --user or --rest-secret it answers STUN
/// only. Relayed addresses are those it listens on: one of each family.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  floe server --listen 203.0.113.1:3478 --listen [2001:db8::1]:3478 --user ann:secret --public
  floe server --listen 203.0.113.1:3478 --user ann:secret \
      --tls-listen 203.0.113.1:5349 --tls-cert chain.pem --tls-key key.pem

Each connection and each relayed address takes a file descriptor (ulimit -n).

It prints where it listens, a line each. Its counters come as one JSON object a line, on SIGUSR1, every
--stats-interval seconds and at the end. It runs until it is interrupted. Exit status: 0 after that, 1 if an address cannot be bound, 2 for a usage error")]
pub(crate) struct Args {
    /// An address to listen on, UDP and TCP; may be repeated; port 0 is any port
    #[arg(long, value_name = "ADDR:PORT", required = true)]
    listen: Vec<SocketAddr>,
    /// Answer as RFC 5780 says, with this second address and port, UDP; may be repeated, once a family
    #[arg(long, value_name = "ADDR:PORT")]
    alternate: Vec<SocketAddr>,
    /// Do not listen over TCP
    #[arg(long)]
    no_tcp: bool,
    /// An address to listen on, TLS; may be repeated; port 0 is any port
    #[arg(long, value_name = "ADDR:PORT", requires_all = ["tls_cert", "tls_key"])]
    tls_listen: Vec<SocketAddr>,
    /// The server's certificate and those that lead to a root, PEM
    #[arg(long, value_name = "FILE", requires = "tls_listen")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_listen")]
    tls_key: Option<PathBuf>,
    /// A user of the relay; may be repeated
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    user: Vec<(String, String)>,
    /// Let users in with a password for a time, made of this secret: the name is UNIXTIME or UNIXTIME:NAME, the password
    /// the base64 of the HMAC-SHA1 of the name
    #[arg(long, value_name = "SECRET", value_parser = secret)]
    rest_secret: Option<String>,
    /// The realm of the credentials
    #[arg(long, default_value = "floe")]
    realm: String,
    /// Allocations that one user may have at a time
    #[arg(long, value_name = "COUNT")]
    quota: Option<usize>,
    /// Allocations of all users together
    #[arg(long, value_name = "COUNT")]
    max_allocations: Option<usize>,
    /// TCP and TLS connections at a time
    #[arg(long, value_name = "COUNT")]
    max_connections: Option<usize>,
    /// TCP and TLS connections at a time from one address; of IPv6 from one /64
    #[arg(long, value_name = "COUNT")]
    max_connections_per_source: Option<usize>,
    /// Do not let clients move with their allocation to another address (RFC 8016)
    #[arg(long)]
    no_mobility: bool,
    /// Send who wants an allocation to this server instead; may be repeated, once a family
    #[arg(long, value_name = "ADDR:PORT")]
    redirect: Vec<SocketAddr>,
    /// The ports of relayed addresses
    #[arg(long, value_name = "FIRST-LAST", value_parser = ports)]
    relay_ports: Option<RangeInclusive<u16>>,
    /// Relay to these addresses although they are loopback, link-local or the server's own; may be repeated
    #[arg(long, value_name = "CIDR")]
    allow_peer: Vec<Cidr>,
    /// Never relay to these addresses; may be repeated
    #[arg(long, value_name = "CIDR")]
    deny_peer: Vec<Cidr>,
    /// Relay to public addresses only, not into private networks
    #[arg(long)]
    public: bool,
    /// Print the counters every so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    stats_interval: Option<u64>,
}

fn user(text: &str) -> Result<(String, String), String> {
    let (name, password) = text.split_once(':').ok_or("has no colon between name and password")?;
    if name.is_empty() || name.len() > 508 || password.is_empty() {
        return Err("the name has 1 to 508 bytes, the password at least one".to_owned());
    }
    Ok((name.to_owned(), password.to_owned()))
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let bounds =
        text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    match bounds {
        Some((first, last)) if (1024..=last).contains(&first) => Ok(first..=last),
        _ => Err("is not two ports from 1024 on, such as 50000-50999".to_owned()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Exit> {
    std::fs::read(path).map_err(|error| Exit::failure(format!("{}: {error}", path.display())))
}

fn secret(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// The counters, as a line.
#[derive(Debug, Serialize)]
struct Counters {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Seconds since the start.
    uptime: u64,
    #[serde(flatten)]
    stats: ServerStats,
}

pub(crate) async fn run(args: Args) -> Result<(), Exit> {
    let started = Instant::now();
    let server = start(&args).await?;
    // Whoever has read where it listens may ask.
    let mut asked = exit::Asked::new();
    for Listening { protocol, addr } in server.listening() {
        lines::print(&format!("listening on {protocol} {addr}"));
    }
    let print = |stats| {
        let counters = Counters { kind: "stats", uptime: started.elapsed().as_secs(), stats };
        match serde_json::to_string(&counters) {
            Ok(line) => lines::print(&line),
            Err(problem) => eprintln!("floe: counters that cannot be printed: {problem}"),
        }
    };
    let mut end = std::pin::pin!(exit::interrupted());
    let mut interval = args.stats_interval.map(|seconds| {
        let every = Duration::from_secs(seconds);
        tokio::time::interval_at(started + every, every)
    });
    loop {
        let tick = async {
            match &mut interval {
                Some(interval) => drop(interval.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut end => break,
            () = asked.again() => {}
            () = tick => {}
        }
        print(server.stats().await);
    }
    print(server.shutdown().await);
    Ok(())
}

async fn start(args: &Args) -> Result<Server, Exit> {
    let mut server = args.listen.iter().copied().fold(Server::builder(config(args)), Builder::udp);
    server = args.alternate.iter().copied().fold(server, Builder::alternate);
    if !args.no_tcp {
        server = args.listen.iter().copied().fold(server, Builder::tcp);
    }
    if let (Some(cert), Some(key)) = (&args.tls_cert, &args.tls_key) {
        let identity = Identity::from_pem(&read(cert)?, &read(key)?).map_err(Exit::failure)?;
        server = args.tls_listen.iter().fold(server, |server, addr| server.tls(*addr, identity.clone()));
    }
    server.bind().await.map_err(Exit::failure)
}

fn config(args: &Args) -> Config {
    let mut rules = PeerRules::default();
    if args.public {
        rules = rules.public();
    }
    rules = args.deny_peer.iter().copied().fold(rules, PeerRules::deny);
    rules = args.allow_peer.iter().copied().fold(rules, PeerRules::allow);
    let mut config = Server::config().realm(&args.realm).peers(rules);
    for (name, password) in &args.user {
        config = config.user(name, password);
    }
    if let Some(secret) = &args.rest_secret {
        config = config.rest_secret(secret);
    }
    // The first address of each family: a later one would take its place.
    for addr in args.listen.iter().rev() {
        config = config.relay_address(addr.ip());
    }
    for addr in args.redirect.iter().rev() {
        config = config.redirect(*addr);
    }
    if args.no_mobility {
        config = config.without_mobility();
    }
    if let Some(ports) = &args.relay_ports {
        config = config.relay_ports(ports.clone());
    }
    if let Some(allocations) = args.quota {
        config = config.quota(allocations);
    }
    if let Some(allocations) = args.max_allocations {
        config = config.max_allocations(allocations);
    }
    if let Some(connections) = args.max_connections {
        config = config.max_connections(connections);
    }
    if let Some(connections) = args.max_connections_per_source {
        config = config.max_connections_per_source(connections);
    }
    config
}
