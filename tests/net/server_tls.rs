//! The server over TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use floe::net::Server;
use floe::net::server::Identity;
use floe::server::Config;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::server_streams::{counters, relaying, relays};
use crate::{V4, within};

/// A server with a certificate of its own making, and a client that trusts it.
async fn over_tls(config: Config) -> (Server, SocketAddr, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["turn.example".to_owned()]).unwrap();
    let identity =
        Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    let server = Server::builder(config).tls((V4, 0).into(), identity).bind().await.unwrap();
    let addr = server.listening()[0].addr;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, addr, TlsConnector::from(Arc::new(client)))
}

async fn connect(connector: &TlsConnector, addr: SocketAddr) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("turn.example").unwrap();
    let tcp = TcpStream::connect(addr).await.unwrap();
    within("the handshake", connector.connect(name, tcp)).await.unwrap()
}

#[tokio::test]
async fn a_client_over_tls_gets_a_relay() {
    let (server, addr, connector) = over_tls(relaying()).await;
    relays(connect(&connector, addr).await).await;
    let stats = counters(&server, |stats| stats.server.connections == 0).await;
    assert_eq!((stats.server.packets_to_peers, stats.server.packets_to_clients), (2, 4));
}

#[tokio::test]
async fn a_handshake_that_fails_or_never_ends_holds_nobody_up() {
    let (server, addr, connector) = over_tls(relaying().idle_timeout(Duration::from_millis(200))).await;
    let mut silent = TcpStream::connect(addr).await.unwrap();
    let mut half = TcpStream::connect(addr).await.unwrap();
    half.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
    let mut plain = TcpStream::connect(addr).await.unwrap();
    plain.write_all(b"\0\x01\0\0\x21\x12\xA4\x42twelve bytes").await.unwrap();
    let working = connect(&connector, addr).await;
    for io in [&mut silent, &mut half, &mut plain] {
        let mut buf = [0; 100];
        within("the end", async { while io.read(&mut buf).await.is_ok_and(|len| len > 0) {} }).await;
    }
    drop(working);
    counters(&server, |stats| stats.server.connections == 0).await;
    relays(connect(&connector, addr).await).await;
}

/// RFC 8446 §6.1: without it a client cannot tell the end from somebody who cut the connection.
#[tokio::test]
async fn a_server_that_ends_closes_tls_in_words() {
    let (server, addr, connector) = over_tls(relaying()).await;
    let mut io = connect(&connector, addr).await;
    io.write_all(b"\0\x01\0\0\x21\x12\xA4\x42twelve bytes").await.unwrap();
    let len = within("the answer", io.read(&mut [0; 100])).await.unwrap();
    assert_eq!(len, 32);
    within("the end", server.shutdown()).await;
    assert_eq!(within("the end", io.read(&mut [0; 100])).await.unwrap(), 0);
}

#[test]
fn what_is_no_certificate_and_key_is_refused() {
    let made = rcgen::generate_simple_self_signed(["turn.example".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["turn.example".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let stranger = other.signing_key.serialize_pem();
    for (cert, key) in [("", key.as_str()), (&cert, ""), (&key, &key), (&cert, &stranger), ("junk", "junk")] {
        let error = Identity::from_pem(cert.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    Identity::from_pem(cert.as_bytes(), key.as_bytes()).unwrap();
}
