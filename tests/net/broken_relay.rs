//! Relays over TCP whose connection is full, cut or speaks something else, behind a proxy that does so.

use std::net::SocketAddr;
use std::sync::Arc;

use floe::agent::{Policy, ServerProblem};
use floe::io::CloseReason;
use floe::net::{Connection, Endpoint, Server, signaling};
use floe::turn::{Mobility, ServerTransport, TurnServer};
use floe::{Event, Role, State};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::server_streams::relaying;
use crate::{V4, exchange, loopback, within};

/// What the proxy does with its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Forward,
    /// Nothing of the client is read.
    Stall,
    /// The client gets the first bytes of a message, and then the end.
    Cut,
    /// The client gets what is no message.
    Junk,
}

/// Between a client and its server.
struct Proxy {
    addr: SocketAddr,
    does: Arc<watch::Sender<Does>>,
}

impl Proxy {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((V4, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let does = Arc::new(watch::channel(Does::Forward).0);
        let shared = does.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let there = TcpStream::connect(server).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = there.into_split();
                // What was done to another connection is not done to this one.
                shared.send_if_modified(|does| std::mem::replace(does, Does::Forward) != Does::Forward);
                tokio::spawn(up(from_client, to_server, shared.subscribe()));
                tokio::spawn(down(from_server, to_client, shared.subscribe()));
            }
        });
        Self { addr, does }
    }

    fn set(&self, does: Does) {
        self.does.send_replace(does);
    }
}

async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut does: watch::Receiver<Does>) {
    let mut buf = [0; 4096];
    while does.wait_for(|does| *does != Does::Stall).await.is_ok() {
        tokio::select! {
            read = from.read(&mut buf) => match read {
                Ok(len) if len > 0 && to.write_all(&buf[..len]).await.is_ok() => {}
                _ => return,
            },
            _ = does.changed() => {}
        }
    }
}

async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut does: watch::Receiver<Does>) {
    let mut buf = [0; 4096];
    loop {
        let now = *does.borrow_and_update();
        match now {
            Does::Forward | Does::Stall => {}
            // A ChannelData message of 100 bytes, of which three arrive.
            Does::Cut => return drop(to.write_all(&[0x40, 0, 0, 100, 1, 2, 3]).await),
            Does::Junk => drop(to.write_all(&[0xFF; 64]).await),
        }
        tokio::select! {
            read = from.read(&mut buf) => match read {
                Ok(len) if len > 0 && to.write_all(&buf[..len]).await.is_ok() => {}
                _ => return,
            },
            _ = does.changed() => {}
        }
    }
}

/// An end that reaches the other one through the proxy only, and the other one.
async fn behind(proxy: &Proxy, endpoint: &Endpoint, mobility: Mobility) -> (Connection, Connection) {
    let turn = TurnServer::new(proxy.addr, "ann", "secret").over(ServerTransport::Tcp).mobility(mobility);
    let config = endpoint.config(Role::Controlling).turn_server(turn).policy(Policy::Relay);
    let (to_b, to_a) = signaling::pair();
    let (a, b) = within("connecting", async {
        tokio::join!(
            endpoint.connect(config, to_b),
            endpoint.connect(endpoint.config(Role::Controlled), to_a)
        )
    })
    .await;
    let (a, b) = (a.unwrap(), b.unwrap());
    within("the channel", async {
        while a.path().is_none_or(|path| path.overhead() != 4) {
            exchange(&a, &b, b"until there is a channel").await;
        }
    })
    .await;
    (a, b)
}

async fn server() -> (Server, Proxy) {
    let server = Server::builder(relaying()).tcp((V4, 0).into()).bind().await.unwrap();
    let proxy = Proxy::before(server.listening()[0].addr).await;
    (server, proxy)
}

/// Whoever sends is told that the pipe is full; what the agent has to send is counted. The server sees whole frames, or it
/// would close the connection.
#[tokio::test]
async fn a_full_connection_drops_whole_datagrams_and_counts_them() {
    let ((server, proxy), endpoint) = (server().await, loopback(V4).await);
    let (a, b) = behind(&proxy, &endpoint, Mobility::Never).await;
    proxy.set(Does::Stall);
    let datagram = [7; 1200];
    within("the pipe", async {
        loop {
            match a.try_send(&datagram) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    // The kernel may still take some.
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    if a.try_send(&datagram).is_err() && a.try_send(&[1]).is_err() {
                        break;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    assert_eq!(a.stats().await.packets_discarded_on_send, 0);
    // The checks of a restart go the same way.
    a.restart().await;
    within("a loss", async {
        while a.stats().await.packets_discarded_on_send == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let connections = server.stats().await.server.connections;
    proxy.set(Does::Forward);
    let mut buf = [0; 1500];
    within("what was in the pipe, and more", async {
        loop {
            let _ = a.try_send(b"after");
            let received = tokio::time::timeout(std::time::Duration::from_millis(50), b.recv(&mut buf)).await;
            let Ok(received) = received else { continue };
            match &buf[..received.unwrap()] {
                b"after" => return,
                all => assert!(all == datagram || all == [1], "half a datagram: {} bytes", all.len()),
            }
        }
    })
    .await;
    assert_eq!(server.stats().await.server.connections, connections, "the server had no reason to close it");
}

/// RFC 8016: the relay goes on over another connection.
#[tokio::test]
async fn a_connection_that_is_cut_inside_a_frame_or_speaks_junk_is_replaced() {
    let ((_server, proxy), endpoint) = (server().await, loopback(V4).await);
    for does in [Does::Cut, Does::Junk] {
        let (a, b) = behind(&proxy, &endpoint, Mobility::Ask).await;
        let before = a.path().unwrap();
        proxy.set(does);
        within("another connection", async {
            while a.path().is_none_or(|path| path.socket() == before.socket()) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        exchange(&a, &b, b"over another one").await;
        exchange(&b, &a, b"and back").await;
        assert_eq!(a.state(), State::Completed, "{does:?}");
    }
}

#[tokio::test]
async fn a_relay_that_is_lost_with_its_connection_says_why() {
    let ((_server, proxy), endpoint) = (server().await, loopback(V4).await);
    for (does, why) in [(Does::Cut, CloseReason::Ended), (Does::Junk, CloseReason::Malformed)] {
        let turn = TurnServer::new(proxy.addr, "ann", "secret").over(ServerTransport::Tcp);
        let config = endpoint.config(Role::Controlling).turn_server(turn.mobility(Mobility::Never));
        let session = endpoint.open(config.policy(Policy::Relay));
        let mut told = Vec::new();
        within("the problems", async {
            while told.len() < 2 {
                match session.event().await.unwrap() {
                    Event::Signal(signal) if matches!(signal.what, floe::signal::What::Candidate(_)) => {
                        proxy.set(does);
                    }
                    Event::Server { problem, .. } => told.push(problem),
                    _ => {}
                }
            }
        })
        .await;
        assert_eq!(told, [ServerProblem::Connection(why), ServerProblem::AllocationLost]);
    }
}
