//! QUIC over floe: two endpoints on the loopback interface find a path with ICE, then quinn makes a connection of it
//! and echoes one stream. `cargo run --example quinn`

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use floe::Role;
use floe::net::{Connection, Endpoint, signaling};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, ClientConfig, EndpointConfig, ServerConfig, TokioRuntime, UdpPoller};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// quinn has one peer, wherever ICE finds it: the address it knows never changes, the path below may.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

/// A floe connection as the socket that quinn wants.
#[derive(Debug, Clone)]
struct IceSocket(Arc<Connection>);

impl AsyncUdpSocket for IceSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable { socket: (*self).clone(), waiting: None })
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        match self.0.try_send(transmit.contents) {
            // A path that is being replaced, or a packet that probes for a larger MTU: lost, as on any network.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::InvalidInput) =>
            {
                Ok(())
            }
            sent => sent,
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let len = ready!(self.0.poll_recv(cx, &mut bufs[0]))?;
        meta[0] = RecvMeta { addr: PEER, len, stride: len, ecn: None, dst_ip: None };
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(PEER)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Waits for room in the send buffer of the present path.
struct Writable {
    socket: IceSocket,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = self.socket.0.clone();
        let waiting =
            self.waiting.get_or_insert_with(|| Box::pin(async move { connection.writable().await }));
        let ready = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(ready)
    }
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writable").finish_non_exhaustive()
    }
}

/// A certificate for both sides: the one that serves has it, the other one trusts it. In real life its fingerprint
/// travels with the signals.
fn configs() -> Result<(ServerConfig, ClientConfig)> {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["floe".to_owned()])?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der())?;
    let server = ServerConfig::with_single_cert(vec![cert.der().clone()], key)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert.der().clone())?;
    Ok((server, ClientConfig::with_root_certificates(Arc::new(roots))?))
}

fn quic(over: Arc<Connection>, server: Option<ServerConfig>) -> Result<quinn::Endpoint> {
    let socket = Arc::new(IceSocket(over));
    let runtime = Arc::new(TokioRuntime);
    Ok(quinn::Endpoint::new_with_abstract_socket(EndpointConfig::default(), server, socket, runtime)?)
}

async fn echo(endpoint: quinn::Endpoint) -> Result<()> {
    let connection = endpoint.accept().await.ok_or("nobody came")?.await?;
    let (mut to_peer, mut from_peer) = connection.accept_bi().await?;
    let text = from_peer.read_to_end(1000).await?;
    to_peer.write_all(&text).await?;
    to_peer.finish()?;
    connection.closed().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let loopback = Endpoint::builder().addresses([Ipv4Addr::LOCALHOST.into()]);
    let (a, b) = (loopback.clone().bind().await?, loopback.bind().await?);
    let (to_b, to_a) = signaling::pair();
    let (a, b) = tokio::try_join!(
        a.connect(a.config(Role::Controlling), to_b),
        b.connect(b.config(Role::Controlled), to_a)
    )?;
    let (a, b) = (Arc::new(a), Arc::new(b));
    println!("ICE: {:?}, up to {:?} bytes a datagram", a.path(), a.max_payload());

    let (server, client) = configs()?;
    let answering = tokio::spawn(echo(quic(b.clone(), Some(server))?));
    let endpoint = quic(a.clone(), None)?;
    let connection = endpoint.connect_with(client, PEER, "floe")?.await?;
    println!("QUIC: connected, round trip {:?}", connection.rtt());
    let (mut to_peer, mut from_peer) = connection.open_bi().await?;
    to_peer.write_all(b"hello over QUIC over ICE").await?;
    to_peer.finish()?;
    let echoed = from_peer.read_to_end(1000).await?;
    println!("QUIC: the echo says {:?}", String::from_utf8_lossy(&echoed));

    connection.close(0u32.into(), b"done");
    endpoint.wait_idle().await;
    answering.await??;
    println!("ICE: {:?}", a.stats().await);
    tokio::join!(a.close(), b.close());
    Ok(())
}
