//! The STUN and TURN servers of a command line.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::task::JoinHandle;

use floe::Config;
use floe::agent::ServerId;
use floe::net::{Trust, answering, resolve};
use floe::stun::IceServer;
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
    /// More servers: a JSON list of RTCIceServer as browsers have it, such as
    /// [{"urls": "turn:turn.example.org", "username": "ann", "credential": "secret"}]
    #[arg(long = "ice-servers", value_name = "FILE")]
    list: Option<PathBuf>,
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
        self.listed()?;
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

    /// All servers: those of the options, then those of the file.
    fn all(&self) -> Result<Vec<Server>, Exit> {
        let mut servers: Vec<Server> =
            self.stun.iter().map(|uri| Server { uri: uri.clone(), credential: None }).collect();
        let credentials = self.turn_username.iter().cloned().zip(self.turn_password.iter().cloned());
        for (uri, credential) in self.turn.iter().zip(credentials) {
            servers.push(Server { uri: uri.clone(), credential: Some(credential) });
        }
        for server in self.listed()? {
            let credential =
                server.credential().map(|(name, password)| (name.to_owned(), password.to_owned()));
            let of_uri = |uri: &Uri| Server { uri: uri.clone(), credential: credential.clone() };
            servers.extend(server.urls().iter().map(of_uri));
        }
        Ok(servers)
    }

    /// The servers of the file.
    fn listed(&self) -> Result<Vec<IceServer>, Exit> {
        let Some(file) = &self.list else { return Ok(Vec::new()) };
        let wrong = |problem: &dyn std::fmt::Display| {
            Exit::usage(format!("--ice-servers {}: {problem}", file.display()))
        };
        let text = std::fs::read(file).map_err(|error| wrong(&error))?;
        serde_json::from_slice(&text).map_err(|error| wrong(&error))
    }

    /// Gives the servers to an agent, each name with one address of each family: the one that answers first. A name
    /// without an address is told to `complain` and left out. All names are asked for at once.
    pub(crate) async fn add_to(
        &self,
        mut config: Config,
        mut complain: impl FnMut(String),
    ) -> Result<(Config, Names), Exit> {
        let lookups: Vec<_> = self.all()?.into_iter().map(|server| (look_up(&server.uri), server)).collect();
        let (mut stun, mut turn) = (Vec::new(), Vec::new());
        for (lookup, Server { uri, credential }) in lookups {
            let addrs = match lookup.await.map_err(io::Error::from).and_then(|answer| answer) {
                Ok(addrs) => addrs,
                Err(error) => {
                    complain(format!("{uri}: {error}"));
                    continue;
                }
            };
            match (ServerTransport::of(&uri), credential) {
                (Some(transport), Some((username, password))) => {
                    let server = |addr| TurnServer::new(addr, &username, &password).over(transport.clone());
                    turn.extend(addrs.into_iter().map(|addr| (server(addr), uri.to_string())));
                }
                _ if uri.scheme == Scheme::Stun => {
                    stun.extend(addrs.into_iter().map(|addr| (addr, uri.to_string())));
                }
                // The mapped address of a TLS connection is of no use for UDP.
                _ => complain(format!("{uri}: left out, it cannot be asked over this transport")),
            }
        }
        // An agent numbers STUN servers before TURN servers.
        let mut names = Vec::new();
        for (addr, name) in stun {
            config = config.stun_server(addr);
            names.push(name);
        }
        for (server, name) in turn {
            config = config.turn_server(server);
            names.push(name);
        }
        Ok((config, Names(names)))
    }
}

/// A server, with username and password if it is of TURN.
#[derive(Debug)]
struct Server {
    uri: Uri,
    credential: Option<(String, String)>,
}

/// How long a name may take: the checks wait for it, and most sessions do without the server.
const PATIENCE: Duration = Duration::from_secs(3);

type Lookup = JoinHandle<io::Result<Vec<SocketAddr>>>;

fn look_up(uri: &Uri) -> Lookup {
    let uri = uri.clone();
    tokio::spawn(async move {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "its name has no answer in time");
        let addrs = tokio::time::timeout(PATIENCE, resolve(&uri)).await.map_err(late)??;
        Ok(answering(&uri, &addrs).await)
    })
}
