//! `floe stun` and `floe turn`: does this server work?

use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use floe::io::Transport;
use floe::net::probe::{Credential, Failure, Probe, Report};
use floe::net::{Resolver, Trust};
use floe::stun::uri::{Scheme, Uri};

use crate::exit::{self, Exit};
use crate::lines;
use crate::steps;

/// Test STUN servers: ask them for this host's address
///
/// Prints each step with the time since the beginning: what DNS says of the name, the connection, TLS, the answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floe stun stun:stun.example.org stun:203.0.113.1:3478
  floe stun --tcp stun:stun.example.org
  floe stun stuns:stun.example.org

Exit status: 0 if every server answers, else 1, 2 for a usage error")]
pub(crate) struct Stun {
    /// The servers, such as stun:203.0.113.1:3478, or stuns:stun.example.org for TLS (RFC 7064)
    #[arg(required = true, value_name = "URI")]
    uris: Vec<Uri>,
    /// Ask stun: servers over TCP
    #[arg(long)]
    tcp: bool,
    #[command(flatten)]
    how: How,
}

/// Test a TURN server: allocate, send through the relay, give back
///
/// Allocates twice and sends from each relayed address to the other one: in indications, then through a channel. Prints
/// each step with the time since the beginning.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floe turn turn:203.0.113.1 --username ann --password secret
  floe turn turns:turn.example.org:443?transport=tcp --username ann --password secret --ca roots.pem

The transport is that of the URI: UDP, or TCP with ?transport=tcp, or TLS with turns:. The server has to allow its own
relayed addresses as peers, and two allocations of the user.

Exit status: 0 if data came back and every step worked, else 1, 2 for a usage error")]
pub(crate) struct Turn {
    /// The server, such as turn:203.0.113.1:3478?transport=tcp or turns:turn.example.org (RFC 7065)
    #[arg(value_name = "URI")]
    uri: Uri,
    /// The username
    #[arg(long, value_name = "NAME")]
    username: String,
    /// The password
    #[arg(long, value_name = "PASSWORD")]
    password: String,
    /// Datagrams to send, once in indications and once through a channel
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct How {
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// PEM roots to trust for TLS, in place of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Ask from this address, and addresses of its family only
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,
    /// Ask this name server for names instead of the system's resolver; may be repeated
    #[arg(long, value_name = "ADDR:PORT")]
    name_server: Vec<SocketAddr>,
    /// Seconds that each step may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

impl How {
    fn probe(&self) -> Result<Probe, Exit> {
        let mut probe = Probe::new().patience(Duration::from_secs(self.timeout));
        if let Some(file) = &self.ca {
            let pem = std::fs::read(file);
            let pem = pem.map_err(|error| Exit::usage(format!("--ca {}: {error}", file.display())))?;
            probe = probe.trust(Trust::Pem(pem));
        }
        if let Some(ip) = self.bind {
            probe = probe.bind(ip);
        }
        if !self.name_server.is_empty() {
            let resolver = Resolver::name_servers(self.name_server.iter().copied());
            probe = probe.resolver(resolver.map_err(Exit::usage)?);
        }
        Ok(probe)
    }

    fn print(&self, report: &Report) {
        if self.json {
            lines::print(&steps::json(report));
        } else {
            for line in steps::text(report) {
                lines::print(&line);
            }
        }
    }

    /// Says how a test ended, and what that means for the command.
    fn conclude(&self, uri: &Uri, ended: Result<(), Failure>) -> Result<(), Exit> {
        match ended {
            Ok(()) => Ok(()),
            Err(failure @ (Failure::Uri(_) | Failure::Trust(_))) => {
                Err(Exit::usage(format!("{uri}: {failure}")))
            }
            Err(failure) => {
                if self.json {
                    lines::print(&steps::failure(&failure));
                }
                // Where stdout is read by a program, a person looks at stderr.
                if !self.json || !std::io::stdout().is_terminal() {
                    eprintln!("floe: {uri}: {}", steps::printable(&failure.to_string()));
                }
                Err(Exit::Told)
            }
        }
    }
}

pub(crate) async fn stun(args: Stun) -> Result<(), Exit> {
    let probe = args.how.probe()?;
    for uri in &args.uris {
        match uri.scheme {
            Scheme::Stun => {}
            Scheme::Stuns if !args.tcp => {}
            Scheme::Stuns => return Err(Exit::usage(format!("{uri}: is over TCP already, without --tcp"))),
            Scheme::Turn | Scheme::Turns => {
                return Err(Exit::usage(format!("{uri}: only stun: and stuns: are STUN servers")));
            }
        }
    }
    let mut result = Ok(());
    for uri in &args.uris {
        let mut asked = uri.clone();
        if args.tcp {
            asked.transport = Some(Transport::Tcp);
        }
        if !args.how.json {
            lines::print(&uri);
        }
        let ended = tokio::select! {
            ended = probe.stun(&asked, |report| args.how.print(&report)) => ended,
            () = exit::interrupted() => return Err(Exit::Told),
        };
        if let Err(exit) = args.how.conclude(uri, ended) {
            result = Err(exit);
        }
    }
    result
}

pub(crate) async fn turn(args: Turn) -> Result<(), Exit> {
    let probe = args.how.probe()?.datagrams(args.count);
    let credential = Credential::new(args.username, args.password);
    let tell = |report: Report| args.how.print(&report);
    let ended = probe.turn(&args.uri, &credential, exit::interrupted(), tell).await;
    args.how.conclude(&args.uri, ended)
}
