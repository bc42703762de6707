//! The server on real sockets.

use std::net::SocketAddr;

use floe::candidate::CandidateType;
use floe::net::Server;
use floe::signal::{Signal, What};
use floe::stun::Message;
use floe::stun::wire::attr;
use floe::{Event, Role};

use crate::{V4, V6, has_ipv6, loopback, within};

/// A Binding request (RFC 8489 §5).
const BINDING: [u8; 20] = *b"\0\x01\0\0\x21\x12\xA4\x42twelve bytes";

async fn stun_server() -> Server {
    let mut addrs = vec![SocketAddr::new(V4, 0)];
    addrs.extend(has_ipv6().then_some(SocketAddr::new(V6, 0)));
    Server::bind(Server::config(), addrs).await.unwrap()
}

#[tokio::test]
async fn tells_each_client_its_address_on_each_listening_socket() {
    let server = stun_server().await;
    for addr in server.addrs() {
        let client = tokio::net::UdpSocket::bind((addr.ip(), 0)).await.unwrap();
        client.send_to(&BINDING, addr).await.unwrap();
        let mut buf = [0; 1500];
        let (len, source) = within("the answer", client.recv_from(&mut buf)).await.unwrap();
        assert_eq!(source, *addr);
        let answer = Message::parse(&buf[..len]).unwrap();
        assert_eq!(answer.transaction_id().0, *b"twelve bytes");
        let plain = answer.plain();
        assert_eq!(
            plain.attributes().xor_address(attr::XOR_MAPPED_ADDRESS),
            Some(client.local_addr().unwrap())
        );
    }
    assert_eq!(server.stats().await.server.answers, server.addrs().len() as u64);
}

#[tokio::test]
async fn shutting_down_closes_its_sockets_and_returns_the_last_counters() {
    let server = stun_server().await;
    let addr = server.addrs()[0];
    let client = tokio::net::UdpSocket::bind((V4, 0)).await.unwrap();
    client.send_to(&BINDING, addr).await.unwrap();
    let stats = within("the end", server.shutdown()).await;
    assert_eq!(stats.server.answers, 1, "what came before the end is answered");
    let again = Server::bind(Server::config(), [addr]).await.unwrap();
    assert_eq!(again.addrs(), [addr]);
}

#[tokio::test]
async fn junk_does_not_end_it() {
    let server = stun_server().await;
    let addr = server.addrs()[0];
    let client = tokio::net::UdpSocket::bind((V4, 0)).await.unwrap();
    for junk in [&b""[..], b"\0", b"\0\x01\xff\xff", &[0x40, 0, 0xff, 0xff], &[0xff; 1400]] {
        client.send_to(junk, addr).await.unwrap();
    }
    client.send_to(&BINDING, addr).await.unwrap();
    let len = within("the answer", client.recv(&mut [0; 1500])).await.unwrap();
    assert!(len > 20);
}

#[tokio::test]
async fn a_session_that_asks_it_from_loopback_has_its_host_candidate_only() {
    let server = stun_server().await;
    let endpoint = loopback(V4).await;
    let session = endpoint.open(endpoint.config(Role::Controlling).stun_server(server.addrs()[0]));
    let mut kinds = Vec::new();
    within("gathering", async {
        loop {
            match session.event().await.unwrap() {
                Event::Signal(Signal { what: What::Candidate(candidate), .. }) => kinds.push(candidate.kind),
                Event::Signal(Signal { what: What::EndOfCandidates, .. }) => return,
                Event::Server { problem, .. } => panic!("{problem}"),
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(kinds, [CandidateType::Host], "its address is the same for the server");
    assert_eq!(server.stats().await.server.answers, 1);
}

#[tokio::test]
async fn an_unspecified_address_is_refused() {
    let bound = Server::bind(Server::config(), ["0.0.0.0:0".parse().unwrap()]).await;
    assert_eq!(bound.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
