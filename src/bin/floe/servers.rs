//! The STUN and TURN servers of a command line.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::task::JoinHandle;

use floe::Config;
use floe::agent::ServerId;
use floe::net::{Trust, resolve};
use floe::stun::uri::{Scheme, Uri};
use floe::turn::{ServerTransport, TurnServer};

use crate::exit::Exit;

#[derive(Debug, Args)]
pub(crate) struct Servers {
    /// A STUN server, such as stun:203.0.113.1:3478 (RFC 7064); may be repeated
    #[arg(long, value_name = "URI")]
    stun: Vec<Uri>,
    /// A TURN server, such as turn:203.0.113.1:3478?transport=tcp or turns:turn.example.org (RFC 7065); may be
    /// repeated, each with its own username and password
    #[arg(long, value_name = "URI", requires = "turn_username")]
    turn: Vec<Uri>,
    /// The username for the TURN server before it
    #[arg(long, value_name = "NAME", requires = "turn")]
    turn_username: Vec<String>,
    /// The password for the TURN server before it
    #[arg(long, value_name = "PASSWORD", requires = "turn")]
    turn_password: Vec<String>,
    /// PEM roots to trust for turns:, in place of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// The names of an agent's servers, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn of(&self, server: ServerId) -> &str {
        self.0.get(usize::from(server.0)).map_or("a server", String::as_str)
    }
}

impl Servers {
    /// What can be told without asking anybody.
    pub(crate) fn check(&self) -> Result<(), Exit> {
        let counts = [self.turn_username.len(), self.turn_password.len()];
        if counts != [self.turn.len(); 2] {
            return Err(Exit::usage("each --turn needs one --turn-username and one --turn-password"));
        }
        if let Some(uri) = self.stun.iter().find(|uri| uri.scheme != Scheme::Stun) {
            return Err(Exit::usage(format!("--stun {uri}: only stun: is supported")));
        }
        match self.turn.iter().find(|uri| ServerTransport::of(uri).is_none()) {
            Some(uri) if uri.scheme == Scheme::Turns => {
                Err(Exit::usage(format!("--turn {uri}: DTLS is not supported, transport=tcp is")))
            }
            Some(uri) => Err(Exit::usage(format!("--turn {uri}: only turn: and turns: are TURN servers"))),
            None => Ok(()),
        }
    }

    /// Whom to trust for TLS.
    pub(crate) fn trust(&self) -> Result<Trust, Exit> {
        let Some(file) = &self.ca else { return Ok(Trust::System) };
        let pem = std::fs::read(file);
        pem.map(Trust::Pem).map_err(|error| Exit::usage(format!("--ca {}: {error}", file.display())))
    }

    /// Gives the servers to an agent, each name with one address of each family. A name without an address is told
    /// to `complain` and left out. All names are asked for at once, and none of them for longer than [`PATIENCE`].
    pub(crate) async fn add_to(
        &self,
        mut config: Config,
        mut complain: impl FnMut(String),
    ) -> (Config, Names) {
        let mut names = Vec::new();
        let [stun, turn] = [&self.stun, &self.turn].map(|uris| uris.iter().map(look_up).collect::<Vec<_>>());
        for (uri, answer) in self.stun.iter().zip(stun) {
            for addr in addresses(uri, answer, &mut complain).await {
                config = config.stun_server(addr);
                names.push(uri.to_string());
            }
        }
        let credentials = self.turn_username.iter().zip(&self.turn_password);
        for ((uri, answer), (username, password)) in self.turn.iter().zip(turn).zip(credentials) {
            for addr in addresses(uri, answer, &mut complain).await {
                let Some(transport) = ServerTransport::of(uri) else { continue };
                config = config.turn_server(TurnServer::new(addr, username, password).over(transport));
                names.push(uri.to_string());
            }
        }
        (config, Names(names))
    }
}

/// How long a name may take: the checks wait for it, and most sessions do without the server.
const PATIENCE: Duration = Duration::from_secs(3);

type Lookup = JoinHandle<io::Result<Vec<SocketAddr>>>;

fn look_up(uri: &Uri) -> Lookup {
    let uri = uri.clone();
    tokio::spawn(async move {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "its name has no answer in time");
        tokio::time::timeout(PATIENCE, resolve(&uri)).await.map_err(late)?
    })
}

async fn addresses(uri: &Uri, answer: Lookup, complain: &mut impl FnMut(String)) -> Vec<SocketAddr> {
    match answer.await.map_err(io::Error::from).and_then(|answer| answer) {
        Ok(addrs) => {
            let first = |v4| addrs.iter().find(|addr| addr.is_ipv4() == v4).copied();
            [first(true), first(false)].into_iter().flatten().collect()
        }
        Err(error) => {
            complain(format!("{uri}: {error}"));
            Vec::new()
        }
    }
}
