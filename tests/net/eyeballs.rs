//! Which of several addresses of a server is used (RFC 8305), between sockets of loopback.

use std::net::{SocketAddr, UdpSocket};

use floe::net::{Server, answering};
use floe::stun::uri::Uri;
use tokio::net::TcpListener;

use crate::{V4, V6, has_ipv6, within};

async fn live() -> (Server, SocketAddr) {
    let server = Server::bind(Server::config(), [(V4, 0).into()]).await.unwrap();
    let addr = server.addrs()[0];
    (server, addr)
}

/// Takes what comes and says nothing.
fn mute() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((V4, 0)).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Nobody is there.
fn closed() -> SocketAddr {
    mute().1
}

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

async fn chosen(uri_text: &str, addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    within("the race", answering(&uri(uri_text), addrs)).await
}

#[tokio::test]
async fn an_address_that_does_not_answer_over_udp_gives_way_to_the_next_one() {
    let ((_server, live), (mute, silent)) = (live().await, mute());
    for scheme in ["stun", "turn"] {
        let uri = format!("{scheme}:server.example.org");
        assert_eq!(chosen(&uri, &[silent, live]).await, [live]);
        assert_eq!(chosen(&uri, &[closed(), closed(), live]).await, [live]);
    }
    assert!(mute.recv_from(&mut [0; 100]).is_ok(), "the first one was asked");
}

/// RFC 8305 §5: the second attempt waits for the first one.
#[tokio::test]
async fn an_address_that_answers_leaves_the_others_alone() {
    let ((server, first), (other, second)) = (live().await, live().await);
    assert_eq!(chosen("stun:server.example.org", &[first, second]).await, [first]);
    assert_eq!(server.stats().await.server.answers, 1);
    assert_eq!(other.stats().await.server.answers, 0);
}

#[tokio::test]
async fn an_address_that_refuses_a_connection_gives_way_to_the_next_one() {
    let listener = TcpListener::bind((V4, 0)).await.unwrap();
    let live = listener.local_addr().unwrap();
    for uri in ["turn:server.example.org?transport=tcp", "turns:server.example.org"] {
        assert_eq!(chosen(uri, &[closed(), live]).await, [live]);
    }
}

#[tokio::test]
async fn without_any_answer_it_is_the_first_one() {
    let ((_a, first), (_b, second)) = (mute(), mute());
    assert_eq!(chosen("stun:server.example.org", &[first, second]).await, [first]);
    assert_eq!(chosen("stun:server.example.org", &[]).await, []);
}

/// An agent uses both families.
#[tokio::test]
async fn each_family_has_its_own_race() {
    if !has_ipv6() {
        return;
    }
    let (_server, v4) = live().await;
    let server = Server::bind(Server::config(), [(V6, 0).into()]).await.unwrap();
    let v6 = server.addrs()[0];
    let closed_v6 = SocketAddr::new(V6, closed().port());
    assert_eq!(chosen("stun:server.example.org", &[closed_v6, closed(), v6, v4]).await, [v6, v4]);
    // One address needs no question.
    assert_eq!(chosen("stun:server.example.org", &[closed_v6]).await, [closed_v6]);
}
