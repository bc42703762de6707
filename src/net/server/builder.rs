//! Where a server is to listen.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::Server;
use super::driver::Driver;
#[cfg(feature = "tls")]
use super::tls::Identity;
use super::tls::Welcome;
use crate::net::clock;
use crate::server::{self, Config};

/// Questions that may wait.
const QUESTIONS: usize = 32;

/// What runs below STUN and TURN between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS on TCP.
    Tls,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// One place where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listening {
    /// What clients speak there.
    pub protocol: Protocol,
    /// The address with its port.
    pub addr: SocketAddr,
}

/// A server that has not been started.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    config: Config,
    places: Vec<Place>,
}

#[derive(Debug)]
enum Place {
    Udp(SocketAddr),
    Alternate(SocketAddr),
    Tcp(SocketAddr),
    #[cfg(feature = "tls")]
    Tls(SocketAddr, Identity),
}

impl Builder {
    pub(super) fn new(config: Config) -> Self {
        Self { config, places: Vec::new() }
    }

    /// Listens here over UDP. Port 0 is any port.
    pub fn udp(mut self, addr: SocketAddr) -> Self {
        self.places.push(Place::Udp(addr));
        self
    }

    /// Answers as RFC 5780 says, so that clients find out how their NAT behaves: listens over UDP here too, at this port
    /// of the first UDP address of the same family, and here at the port of that one. Port 0 is any port. The address
    /// has to be another one than that.
    pub fn alternate(mut self, addr: SocketAddr) -> Self {
        self.places.push(Place::Alternate(addr));
        self
    }

    /// Accepts TCP connections here. Port 0 is the port of the first UDP socket on the same address, or any.
    pub fn tcp(mut self, addr: SocketAddr) -> Self {
        self.places.push(Place::Tcp(addr));
        self
    }

    /// Accepts TLS connections here, as this server. Port 0 is any port.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, addr: SocketAddr, identity: Identity) -> Self {
        self.places.push(Place::Tls(addr, identity));
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// Why an address cannot be bound; `InvalidInput` for an unspecified one: answers must come from the address
    /// that was asked, so name each; and for an [`alternate`](Self::alternate) without a UDP address of its family, or
    /// that has the same address or the same port.
    #[expect(clippy::unused_async, reason = "it needs the runtime, and may come to wait for the system")]
    pub async fn bind(self) -> io::Result<Server> {
        let mut driver = Driver::new(server::Server::new(self.config, clock::now()));
        let mut listening: Vec<Listening> = Vec::new();
        for place in self.places {
            let addr = match place {
                Place::Udp(addr) | Place::Alternate(addr) | Place::Tcp(addr) => addr,
                #[cfg(feature = "tls")]
                Place::Tls(addr, _) => addr,
            };
            if addr.ip().is_unspecified() {
                let problem = format!("{addr} is every address: name those to listen on");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
            }
            if let Place::Alternate(addr) = place {
                let same =
                    |it: &&Listening| it.protocol == Protocol::Udp && it.addr.is_ipv4() == addr.is_ipv4();
                let primary = listening.iter().find(same).map(|it| it.addr);
                let added = driver.alternate(primary, addr)?;
                listening.extend(added.map(|addr| Listening { protocol: Protocol::Udp, addr }));
                continue;
            }
            listening.push(match place {
                Place::Udp(addr) | Place::Alternate(addr) => {
                    Listening { protocol: Protocol::Udp, addr: driver.udp(addr)? }
                }
                Place::Tcp(mut addr) => {
                    if addr.port() == 0 {
                        let same = listening
                            .iter()
                            .find(|it| it.protocol == Protocol::Udp && it.addr.ip() == addr.ip());
                        addr.set_port(same.map_or(0, |it| it.addr.port()));
                    }
                    Listening { protocol: Protocol::Tcp, addr: driver.listen(addr, Welcome::Plain)? }
                }
                #[cfg(feature = "tls")]
                Place::Tls(addr, identity) => {
                    let addr = driver.listen(addr, Welcome::Tls(identity.0))?;
                    Listening { protocol: Protocol::Tls, addr }
                }
            });
        }
        let udp = listening.iter().filter(|it| it.protocol == Protocol::Udp);
        let addrs: Vec<_> = udp.map(|it| it.addr).collect();
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let span = tracing::debug_span!("server", ?listening);
        let task = tokio::spawn(driver.run(asked).instrument(span));
        Ok(Server { listening, addrs, questions, task })
    }
}

impl Driver {
    fn udp(&mut self, addr: SocketAddr) -> io::Result<SocketAddr> {
        let (id, local) = self.sockets.bind(addr)?;
        self.machine.add_socket(id, local);
        Ok(local)
    }

    /// The three sockets that make four with the primary one.
    fn alternate(&mut self, primary: Option<SocketAddr>, addr: SocketAddr) -> io::Result<[SocketAddr; 3]> {
        let invalid = |problem: &str| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("alternate address {addr}: {problem}"))
        };
        let primary =
            primary.ok_or_else(|| invalid("there is no UDP address of its family to be the first"))?;
        if primary.ip() == addr.ip() {
            return Err(invalid("it is the address that there is already"));
        }
        if primary.port() == addr.port() {
            return Err(invalid("the port has to be another one"));
        }
        let first = self.sockets.id_of(primary).ok_or_else(|| invalid("the first one is gone"))?;
        let second = self.sockets.bind(SocketAddr::new(primary.ip(), addr.port()))?;
        let third = self.sockets.bind(SocketAddr::new(addr.ip(), primary.port()))?;
        let fourth = self.sockets.bind(SocketAddr::new(addr.ip(), second.1.port()))?;
        self.machine.add_behavior_sockets([[(first, primary), second], [third, fourth]]);
        Ok([second, third, fourth].map(|(_, local)| local))
    }

    fn listen(&mut self, addr: SocketAddr, welcome: Welcome) -> io::Result<SocketAddr> {
        let local = self.sockets.listen(addr, welcome)?;
        self.machine.add_listener(local);
        Ok(local)
    }
}
