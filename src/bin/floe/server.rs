//! `floe server`: a STUN and TURN server.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use floe::net::Server;
use floe::net::server::{Builder, Identity, Listening};
use floe::server::{Cidr, PeerRules};

use crate::exit::{self, Exit};
use crate::lines;

/// Run a STUN and TURN server
///
/// It listens over UDP and TCP, and over TLS if it is given a certificate. Without --user it answers STUN only. Relayed
/// addresses are those it listens on: one of each family.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  floe server --listen 203.0.113.1:3478 --listen [2001:db8::1]:3478 --user ann:secret --public
  floe server --listen 203.0.113.1:3478 --user ann:secret \
      --tls-listen 203.0.113.1:5349 --tls-cert chain.pem --tls-key key.pem

It runs until it is interrupted. Exit status: 0 after that, 1 if an address cannot be bound, 2 for a usage error")]
pub(crate) struct Args {
    /// An address to listen on, UDP and TCP; may be repeated; port 0 is any port
    #[arg(long, value_name = "ADDR:PORT", required = true)]
    listen: Vec<SocketAddr>,
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
    /// The realm of the credentials
    #[arg(long, default_value = "floe")]
    realm: String,
    /// Allocations that one user may have at a time
    #[arg(long, value_name = "COUNT")]
    quota: Option<usize>,
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

pub(crate) async fn run(args: Args) -> Result<(), Exit> {
    let mut rules = PeerRules::default();
    if args.public {
        rules = rules.public();
    }
    rules = args.deny_peer.into_iter().fold(rules, PeerRules::deny);
    rules = args.allow_peer.into_iter().fold(rules, PeerRules::allow);
    let mut config = Server::config().realm(&args.realm).peers(rules);
    for (name, password) in args.user {
        config = config.user(name, password);
    }
    // The first address of each family: a later one would take its place.
    for addr in args.listen.iter().rev() {
        config = config.relay_address(addr.ip());
    }
    if let Some(quota) = args.quota {
        config = config.quota(quota);
    }
    if let Some(ports) = args.relay_ports {
        config = config.relay_ports(ports);
    }
    let mut server = args.listen.iter().copied().fold(Server::builder(config), Builder::udp);
    if !args.no_tcp {
        server = args.listen.iter().copied().fold(server, Builder::tcp);
    }
    if let (Some(cert), Some(key)) = (&args.tls_cert, &args.tls_key) {
        let identity = Identity::from_pem(&read(cert)?, &read(key)?).map_err(Exit::failure)?;
        server = args.tls_listen.iter().fold(server, |server, addr| server.tls(*addr, identity.clone()));
    }
    let server = server.bind().await.map_err(Exit::failure)?;
    for Listening { protocol, addr } in server.listening() {
        lines::print(&format!("listening on {protocol} {addr}"));
    }
    exit::interrupted().await;
    let stats = server.shutdown().await;
    lines::print(&format!("{stats:#?}"));
    Ok(())
}
