//! `floe server`: a STUN and TURN server.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use floe::net::Server;
use floe::server::{Cidr, PeerRules};

use crate::exit::{self, Exit};
use crate::lines;

/// Run a STUN and TURN server over UDP
///
/// Without --user it answers STUN only. Relayed addresses are those it listens on: one of each family.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  floe server --listen 203.0.113.1:3478 --listen [2001:db8::1]:3478 --user ann:secret --public

It runs until it is interrupted. Exit status: 0 after that, 1 if an address cannot be bound, 2 for a usage error")]
pub(crate) struct Args {
    /// An address to listen on, UDP; may be repeated; port 0 is any port
    #[arg(long, value_name = "ADDR:PORT", required = true)]
    listen: Vec<SocketAddr>,
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
    let server = Server::bind(config, args.listen).await.map_err(Exit::failure)?;
    for addr in server.addrs() {
        lines::print(&format!("listening on udp {addr}"));
    }
    exit::interrupted().await;
    let stats = server.shutdown().await;
    lines::print(&format!("{stats:#?}"));
    Ok(())
}
