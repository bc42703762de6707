//! Sessions whose events and signals the application carries by itself.

use std::net::SocketAddr;

use floe::agent::diagnosis::Cause;
use floe::io::ComponentId;
use floe::net::Session;
use floe::signal::What;
use floe::{Event, Role, State};

use crate::{V4, carry, deliver, loopback, within};

fn is_completed(sessions: [&Session; 2]) -> bool {
    sessions.iter().all(|session| session.state() == State::Completed)
}

/// Takes events until the first host candidate, and hands what was signalled to the peer.
async fn first_candidate(of: &Session, peer: &Session) -> SocketAddr {
    within("a candidate", async {
        loop {
            let event = of.event().await;
            let address = match &event {
                Some(Event::Signal(signal)) => match &signal.what {
                    What::Candidate(candidate) => candidate.address.socket(),
                    _ => None,
                },
                _ => None,
            };
            deliver(event, peer).await;
            if let Some(address) = address {
                return address;
            }
        }
    })
    .await
}

#[tokio::test]
async fn events_and_signals_carried_by_hand_connect_two_sessions() {
    let endpoint = loopback(V4).await;
    let a = endpoint.open(endpoint.config(Role::Controlling).trace(200));
    let b = endpoint.open(endpoint.config(Role::Controlled));
    carry(&a, &b, || is_completed([&a, &b])).await;
    let mut buf = [0; 100];
    a.send(ComponentId::FIRST, b"hello").await.unwrap();
    assert_eq!(within("data", b.recv(&mut buf)).await.unwrap(), (ComponentId::FIRST, 5));
    assert!(a.trace().await.records().len() > 5);
    let other = ComponentId { stream: 0, component: 2 };
    assert_eq!(a.try_send(other, b"x").unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_diagnosis_is_there_during_the_session_and_after_it() {
    let endpoint = loopback(V4).await;
    let a = endpoint.open(endpoint.config(Role::Controlling));
    let during = a.diagnosis().await.unwrap();
    assert_eq!(during.causes, [Cause::NoCredentials { checks_received: 0 }], "{during}");
    a.close().await;
    let after = a.diagnosis().await.unwrap();
    assert_eq!((after.state, after.causes), (State::Closed, during.causes));
}

#[tokio::test]
async fn each_component_has_its_own_socket_and_path() {
    let endpoint = loopback(V4).await;
    let a = endpoint.open(endpoint.config(Role::Controlling).components(&[2]));
    let b = endpoint.open(endpoint.config(Role::Controlled).components(&[2]));
    carry(&a, &b, || is_completed([&a, &b])).await;
    let second = ComponentId { stream: 0, component: 2 };
    let paths = [ComponentId::FIRST, second].map(|component| a.path(component).unwrap().destination());
    assert_ne!(paths[0], paths[1]);
    let mut buf = [0; 100];
    a.send(second, b"RTCP").await.unwrap();
    assert_eq!(within("data", b.recv(&mut buf)).await.unwrap(), (second, 4));
}

#[tokio::test]
async fn malformed_datagrams_are_counted_and_the_session_goes_on() {
    let endpoint = loopback(V4).await;
    let a = endpoint.open(endpoint.config(Role::Controlling));
    let b = endpoint.open(endpoint.config(Role::Controlled));
    let victim = first_candidate(&a, &b).await;
    let stranger = tokio::net::UdpSocket::bind((V4, 0)).await.unwrap();
    let mut stun = [0; 28];
    stun[..8].copy_from_slice(&[0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42]);
    stun[20..24].copy_from_slice(&[0x80, 0x22, 0xFF, 0xFF]);
    let junk: [&[u8]; 5] = [b"", b"\0", b"\0\x01\xff\xff!\x12\xa4B", &stun, &[0x80; 1400]];
    for datagram in junk {
        stranger.send_to(datagram, victim).await.unwrap();
    }
    within("the counters", async {
        loop {
            let stats = a.stats().await;
            if stats.unclaimed + stats.agent.datagrams_dropped >= junk.len() as u64 {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    carry(&a, &b, || is_completed([&a, &b])).await;
}
