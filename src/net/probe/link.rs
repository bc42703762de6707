//! The way of whole messages to one server and back, over UDP or a connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use tokio::net::UdpSocket;

use crate::io::{CloseReason, SocketId, StreamProtocol, Transmit, Transport};
use crate::net::stream::{self, Inlet, Io};
use crate::net::tls::Tls;
use crate::tcp::Framing;

use super::failure::Failure;
use super::step::{Step, Teller, Telling};

/// Longer datagrams are cut: no message of a test is as long.
const DATAGRAM: usize = 2048;

#[derive(Debug)]
pub(super) struct Link {
    local: SocketAddr,
    server: SocketAddr,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    /// Connected to the server: other senders are not heard, and the system tells of closed ports.
    Udp(UdpSocket),
    /// With the messages that came at once.
    Stream(Inlet, VecDeque<Vec<u8>>),
}

impl Link {
    pub(super) async fn open<T: Telling>(
        local: Option<IpAddr>,
        server: SocketAddr,
        protocol: Option<&StreamProtocol>,
        tls: &Tls,
        teller: &mut Teller<T>,
    ) -> Result<Self, Failure> {
        let from = SocketAddr::new(local.unwrap_or_else(|| any(server)), 0);
        match protocol {
            None => Self::datagrams(from, server, teller).await,
            Some(protocol) => Self::stream(from, server, protocol, tls, teller).await,
        }
    }

    /// Over UDP, from any address.
    pub(super) async fn datagrams_to<T: Telling>(
        server: SocketAddr,
        teller: &mut Teller<T>,
    ) -> Result<Self, Failure> {
        Self::datagrams(SocketAddr::new(any(server), 0), server, teller).await
    }

    async fn datagrams<T: Telling>(
        from: SocketAddr,
        server: SocketAddr,
        teller: &mut Teller<T>,
    ) -> Result<Self, Failure> {
        let socket =
            UdpSocket::bind(from).await.map_err(|error| Failure::Bind { local: from.ip(), error })?;
        let connected = async {
            socket.connect(server).await?;
            // Without it the first datagram would be dropped: nobody knows yet that there is room for it.
            socket.writable().await?;
            socket.local_addr()
        };
        let local = connected.await.map_err(|error| Failure::Connect { server, error })?;
        teller.tell(Step::Connected { local, server, transport: Transport::Udp });
        Ok(Self { local, server, carrier: Carrier::Udp(socket) })
    }

    async fn stream<T: Telling>(
        from: SocketAddr,
        server: SocketAddr,
        protocol: &StreamProtocol,
        tls: &Tls,
        teller: &mut Teller<T>,
    ) -> Result<Self, Failure> {
        let wrong = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => {
                Failure::Bind { local: from.ip(), error }
            }
            _ => Failure::Connect { server, error },
        };
        let io = stream::connect(from, server).await.map_err(wrong)?;
        let local = io.local_addr().map_err(wrong)?;
        teller.tell(Step::Connected { local, server, transport: Transport::Tcp });
        let io: Pin<Box<dyn Io>> = match protocol {
            StreamProtocol::TurnTls { server_name } => {
                let wrong = |error| Failure::Tls { server_name: server_name.to_string(), error };
                let secured = tls.connect(server_name, io).await.map_err(wrong)?;
                let version = Tls::version(&secured);
                teller.tell(Step::Secured { server_name: server_name.to_string(), version });
                Box::pin(secured)
            }
            StreamProtocol::Turn | StreamProtocol::Ice => Box::pin(io),
        };
        let inlet = Inlet::new(Framing::Turn, io, local, server, DATAGRAM);
        Ok(Self { local, server, carrier: Carrier::Stream(inlet, VecDeque::new()) })
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    /// Whether what is sent arrives, or the connection ends.
    pub(super) fn is_reliable(&self) -> bool {
        matches!(self.carrier, Carrier::Stream(..))
    }

    /// Sends one message. A full buffer drops it, as the network may.
    pub(super) fn send(&self, message: &[u8]) -> Result<(), Failure> {
        let sent = match &self.carrier {
            Carrier::Udp(socket) => socket.try_send(message).map(drop),
            Carrier::Stream(inlet, _) => {
                inlet.stream().try_send(&Transmit::new(SocketId(0), self.local.ip(), self.server, message))
            }
        };
        match sent {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(self.lost(error)),
            _ => Ok(()),
        }
    }

    /// The next message. May be dropped and called again.
    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        let server = self.server;
        match &mut self.carrier {
            Carrier::Udp(socket) => {
                let mut datagram = vec![0; DATAGRAM];
                match socket.recv(&mut datagram).await {
                    Ok(len) => {
                        datagram.truncate(len);
                        Ok(datagram)
                    }
                    Err(error) => Err(Failure::Connect { server, error }),
                }
            }
            Carrier::Stream(inlet, waiting) => loop {
                if let Some(message) = waiting.pop_front() {
                    return Ok(message);
                }
                poll_fn(|cx| inlet.poll_fill(cx)).await;
                let read =
                    inlet.receive(SocketId(0), |datagram| waiting.push_back(datagram.payload.to_vec()));
                if let Err(why) = read
                    && waiting.is_empty()
                {
                    return Err(Failure::Gone { server, error: of_reason(why) });
                }
            },
        }
    }

    fn lost(&self, error: io::Error) -> Failure {
        match self.carrier {
            Carrier::Udp(_) => Failure::Connect { server: self.server, error },
            Carrier::Stream(..) => Failure::Gone { server: self.server, error },
        }
    }
}

/// The wildcard of the family of this address.
pub(in crate::net) fn any(addr: SocketAddr) -> IpAddr {
    if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

fn of_reason(why: CloseReason) -> io::Error {
    io::Error::other(why)
}
