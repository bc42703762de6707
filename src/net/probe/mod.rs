//! Tests of a STUN or TURN server, step by step: does its name resolve, does it answer, what does it give, does data
//! pass?
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use floe::net::probe::{Credential, Probe};
//!
//! let probe = Probe::new();
//! let credential = Credential::new("ann", "secret");
//! let never = std::future::pending();
//! probe
//!     .turn(&"turns:turn.example.org".parse()?, &credential, never, |report| println!("{report:?}"))
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! A TURN server is asked for two allocations, and each sends to the relayed address of the other: what arrives has gone
//! through the relay twice, whatever stands between client and server. Its rules have to allow its own relayed addresses
//! as peers.

mod binding;
mod echo;
mod failure;
mod link;
mod relay;
mod side;
mod step;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use crate::io::{StreamProtocol, Transport};
use crate::stun::uri::{Scheme, Uri};
use crate::turn::{ServerTransport, TurnServer};

use super::resolve::Resolver;
use super::tls::{Tls, Trust};

pub use failure::Failure;
use link::Link;
pub(super) use link::any;
use step::Teller;
pub use step::{Report, Rtt, Step, Telling, Via, Whose};

/// How a server is tested. Each test has sockets of its own.
#[derive(Debug, Clone)]
#[must_use]
pub struct Probe {
    local: Option<IpAddr>,
    trust: Trust,
    resolver: Resolver,
    patience: Duration,
    datagrams: u32,
}

/// Username and password (RFC 8489 §9.2).
#[derive(Clone)]
pub struct Credential {
    username: String,
    password: String,
}

impl Credential {
    /// They are used as they are.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into() }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

/// What is spoken to a server, and over what.
#[derive(Debug)]
struct Server<'a> {
    uri: &'a Uri,
    /// `None` over UDP.
    protocol: Option<StreamProtocol>,
}

impl Probe {
    /// From any address, with the system's resolver and roots, a patience of 10 s for each step, and 10 datagrams.
    pub fn new() -> Self {
        Self {
            local: None,
            trust: Trust::System,
            resolver: Resolver::system(),
            patience: Duration::from_secs(10),
            datagrams: 10,
        }
    }

    /// Asks from this address, and servers of its family only.
    pub fn bind(mut self, local: IpAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// Whose certificates are believed.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Who is asked for names.
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// How long each step may take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many datagrams go through a relay, once in indications and once through a channel; at least one.
    pub fn datagrams(mut self, count: u32) -> Self {
        self.datagrams = count.max(1);
        self
    }

    /// Asks a STUN server for this host's address: over UDP for `stun:`, over TLS for `stuns:`, over TCP for `stun:` if
    /// [`Uri::transport`] says so.
    ///
    /// `tell` learns of each step when it is done. The addresses of the server are tried one after the other.
    ///
    /// # Errors
    /// [`Failure`], of the last address that was tried.
    pub async fn stun(&self, uri: &Uri, tell: impl Telling) -> Result<(), Failure> {
        let protocol = match (uri.scheme, uri.transport_or_default()) {
            (Scheme::Stun, Transport::Udp) => None,
            (Scheme::Stun, Transport::Tcp) => Some(StreamProtocol::Turn),
            (Scheme::Stuns, Transport::Tcp) => {
                Some(StreamProtocol::TurnTls { server_name: uri.host.to_name().into() })
            }
            (Scheme::Stuns, Transport::Udp) => return Err(Failure::Uri("DTLS is not supported")),
            (Scheme::Turn | Scheme::Turns, _) => return Err(Failure::Uri("is not that of a STUN server")),
        };
        let server = Server { uri, protocol };
        let stop = std::pin::pin!(std::future::pending());
        self.each_address(&server, stop, tell, async |link, _tls, teller, patience, _stop| {
            binding::ask(link, teller, patience).await
        })
        .await
    }

    /// Asks a TURN server for relayed addresses and sends through them. When `stop` is done, what was allocated is given
    /// back and the test fails with [`Failure::Stopped`]; it is given back too when a step fails.
    ///
    /// `tell` learns of each step when it is done. The addresses of the server are tried one after the other.
    ///
    /// # Errors
    /// [`Failure`], of the last address that was tried.
    pub async fn turn(
        &self,
        uri: &Uri,
        credential: &Credential,
        stop: impl Future<Output = ()>,
        tell: impl Telling,
    ) -> Result<(), Failure> {
        let transport = match ServerTransport::of(uri) {
            Some(transport) => transport,
            None if uri.scheme == Scheme::Turns => return Err(Failure::Uri("DTLS is not supported")),
            None => return Err(Failure::Uri("is not that of a TURN server")),
        };
        let server = Server { uri, protocol: transport.protocol() };
        let stop = std::pin::pin!(stop);
        self.each_address(&server, stop, tell, async |link, tls, teller, patience, stop| {
            let turn = TurnServer::new(link.server(), &credential.username, &credential.password);
            let test = relay::Test {
                server: turn.over(transport.clone()),
                protocol: server.protocol.as_ref(),
                local: self.local,
                tls,
                patience,
                datagrams: self.datagrams,
            };
            test.run(link, teller, stop).await
        })
        .await
    }

    /// Resolves the name, and runs `test` against one address after the other, as long as it is the address that is of
    /// no use.
    async fn each_address<T: Telling, S: Future<Output = ()>>(
        &self,
        server: &Server<'_>,
        mut stop: Pin<&mut S>,
        tell: T,
        mut test: impl AsyncFnMut(Link, &Tls, &mut Teller<T>, Duration, Pin<&mut S>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut teller = Teller::new(tell);
        let tls = Tls::new(&self.trust).map_err(Failure::Trust)?;
        let resolution = tokio::select! {
            resolution = self.resolver.resolve(server.uri) => resolution.map_err(Failure::Name)?,
            () = tokio::time::sleep(self.patience) => return Err(Failure::Name(io::ErrorKind::TimedOut.into())),
            () = &mut stop => return Err(Failure::Stopped),
        };
        let is_usable = |addr: &&SocketAddr| self.local.is_none_or(|ip| ip.is_ipv4() == addr.is_ipv4());
        let addrs: Vec<SocketAddr> = resolution.addrs.iter().filter(is_usable).copied().collect();
        teller.tell(Step::Resolved(resolution));
        let mut addrs = addrs.into_iter().peekable();
        while let Some(addr) = addrs.next() {
            let is_last = addrs.peek().is_none();
            let patience = if is_last { self.patience } else { self.patience.min(ONE_OF_SEVERAL) };
            let opened = tokio::select! {
                opened = Link::open(self.local, addr, server.protocol.as_ref(), &tls, &mut teller) => opened,
                () = tokio::time::sleep(patience) => {
                    Err(Failure::Silent { server: addr, step: "the connection" })
                }
                () = &mut stop => return Err(Failure::Stopped),
            };
            let tested = match opened {
                Ok(link) => test(link, &tls, &mut teller, patience, stop.as_mut()).await,
                Err(failure) => Err(failure),
            };
            match tested {
                Err(failure) if failure.is_of_address() && !is_last => {
                    teller.tell(Step::Unusable { server: addr, why: failure.to_string() });
                }
                tested => return tested,
            }
        }
        Err(Failure::Family)
    }
}

/// Whether whoever is at this address answers a Binding request over UDP, with whatever.
pub(super) async fn answers(addr: SocketAddr) -> io::Result<()> {
    let mut teller = Teller::new(|_| ());
    let mut link = Link::datagrams_to(addr, &mut teller).await.map_err(io::Error::other)?;
    match binding::exchange(&mut link).await {
        Ok(_) | Err(Failure::Answer { .. }) => Ok(()),
        Err(failure) => Err(io::Error::other(failure)),
    }
}

/// How long a step may take at an address that is not the last one.
const ONE_OF_SEVERAL: Duration = Duration::from_secs(3);
