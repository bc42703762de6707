//! Endpoints that connect and exchange data.

use std::io;
use std::sync::Arc;

use floe::agent::Reason;
use floe::net::{ConnectError, Endpoint, TooLarge, signaling};
use floe::{Role, State};

use crate::{V4, V6, connect, exchange, has_ipv6, loopback, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_endpoints_exchange_data_over_ipv4() {
    let (a, b) = (loopback(V4).await, loopback(V4).await);
    let (a, b) = connect(&a, &b).await;
    exchange(&a, &b, b"from a").await;
    exchange(&b, &a, b"from b").await;
    exchange(&a, &b, b"").await;
    assert!(a.path().unwrap().destination().ip().is_loopback());
    let (sent, received) = (a.stats().await, b.stats().await);
    assert!(sent.packets_sent >= 2);
    assert!(received.agent.packets_received >= 2);
}

#[tokio::test]
async fn two_endpoints_exchange_data_over_ipv6() {
    if !has_ipv6() {
        return;
    }
    let (a, b) = (loopback(V6).await, loopback(V6).await);
    let (a, b) = connect(&a, &b).await;
    exchange(&a, &b, b"from a").await;
    exchange(&b, &a, b"from b").await;
    assert!(a.path().unwrap().destination().is_ipv6());
}

#[tokio::test]
async fn a_datagram_that_is_too_large_says_how_large_it_may_be() {
    let (a, b) = (loopback(V4).await, loopback(V4).await);
    let (a, b) = connect(&a, &b).await;
    let limit = a.max_payload().unwrap();
    let error = a.send(&vec![0; limit + 1]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<TooLarge>()).unwrap();
    assert_eq!((inside.len, inside.limit), (limit + 1, limit));
    // And the limit itself passes.
    let largest = vec![7; limit];
    let mut buf = vec![0; limit];
    a.send(&largest).await.unwrap();
    let received = within("the largest datagram", b.recv(&mut buf)).await.unwrap();
    assert_eq!(buf[..received], largest);
}

#[tokio::test]
async fn closing_one_side_ends_it_at_once_and_cleanly() {
    let (a, b) = (loopback(V4).await, loopback(V4).await);
    let (a, b) = connect(&a, &b).await;
    exchange(&a, &b, b"hello").await;
    a.close().await;
    assert_eq!(a.state(), State::Closed);
    assert_eq!(within("closed", a.closed()).await, None);
    assert_eq!(a.path(), None);
    assert_eq!(a.send(b"late").await.unwrap_err().kind(), io::ErrorKind::NotConnected);
    assert_eq!(a.recv(&mut [0; 9]).await.unwrap_err().kind(), io::ErrorKind::NotConnected);
    a.close().await;
    // What was counted outlives the session.
    assert!(a.stats().await.packets_sent >= 1);
    assert_ne!(b.state(), State::Closed, "the other side learns it by consent");
}

#[tokio::test]
async fn a_receiver_that_waits_is_woken_by_the_end() {
    let (a, b) = (loopback(V4).await, loopback(V4).await);
    let (a, _b) = connect(&a, &b).await;
    let a = Arc::new(a);
    let waiting = tokio::spawn({
        let a = a.clone();
        async move { a.recv(&mut [0; 9]).await }
    });
    tokio::task::yield_now().await;
    a.close().await;
    let received = within("the receiver", waiting).await.unwrap();
    assert_eq!(received.unwrap_err().kind(), io::ErrorKind::NotConnected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_sessions_of_one_endpoint_all_connect() {
    let endpoint = Arc::new(loopback(V4).await);
    let pairs: Vec<_> = (0..20)
        .map(|number: u8| {
            let endpoint = endpoint.clone();
            tokio::spawn(async move {
                let (a, b) = connect(&endpoint, &endpoint).await;
                exchange(&a, &b, &[number; 20]).await;
                exchange(&b, &a, &[number; 30]).await;
            })
        })
        .collect();
    for pair in pairs {
        within("a pair", pair).await.unwrap();
    }
}

#[tokio::test]
async fn dropping_the_handles_ends_every_task() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let endpoint = loopback(V4).await;
    let pair = connect(&endpoint, &endpoint).await;
    exchange(&pair.0, &pair.1, b"hello").await;
    assert!(tasks() > before);
    drop(pair);
    // A session that nobody connects, too.
    drop(endpoint.open(endpoint.config(Role::Controlled)));
    within("the end of the tasks", async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn signaling_that_breaks_before_a_path_is_an_error() {
    let endpoint = loopback(V4).await;
    let (here, there) = signaling::pair();
    drop(there);
    let connected = endpoint.connect(endpoint.config(Role::Controlling), here);
    assert!(matches!(within("the error", connected).await, Err(ConnectError::Signaling(_))));
}

#[tokio::test]
async fn an_address_of_another_host_cannot_be_bound() {
    // 192.0.2.0/24 is for documentation (RFC 5737).
    let bound = Endpoint::builder().addresses(["192.0.2.1".parse().unwrap()]).bind().await;
    assert_eq!(bound.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
}

#[tokio::test]
async fn a_port_that_is_reported_unreachable_does_not_end_the_loop() {
    let (a, b) = (loopback(V4).await, loopback(V4).await);
    let (a, b) = connect(&a, &b).await;
    let (at_a, at_b) = (b.path().unwrap().destination(), a.path().unwrap().destination());
    b.close().await;
    for _ in 0..10 {
        // ICMP answers these; a kernel may report that on the next call.
        let _ = a.send(b"to a closed port").await;
    }
    // Somebody sits down at the port of b, whose address a has checked: its data shows that a still receives.
    let b = tokio::net::UdpSocket::bind(at_b).await.unwrap();
    let mut buf = [0; 100];
    b.send_to(b"still there", at_a).await.unwrap();
    let len = within("data", a.recv(&mut buf)).await.unwrap();
    assert_eq!(&buf[..len], b"still there");
}

#[tokio::test]
async fn data_that_nobody_receives_is_counted_and_bounded() {
    let (a, b) = (loopback(V4).await, loopback(V4).await);
    let (a, b) = connect(&a, &b).await;
    for number in 0..3000_u32 {
        a.send(&number.to_be_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    within("the counters", async {
        while b.stats().await.packets_discarded_on_receive == 0 {
            a.send(b"more").await.unwrap();
        }
    })
    .await;
    // The oldest ones are there, in order.
    let mut buf = [0; 100];
    let len = within("data", b.recv(&mut buf)).await.unwrap();
    assert_eq!(&buf[..len], 0_u32.to_be_bytes());
}

#[tokio::test(start_paused = true)]
async fn without_consent_nothing_is_sent_rfc_7675_section_5_1() {
    let (a, b) = (loopback(V4).await, loopback(V4).await);
    let (a, b) = connect(&a, &b).await;
    // The clock is virtual: it runs when nothing else does.
    while [&a, &b].iter().any(|end| end.state() != State::Completed) {
        exchange(&a, &b, b"hello").await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    b.close().await;
    // Nobody answers any more.
    while a.path().is_some() {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(a.send(b"late").await.unwrap_err().kind(), io::ErrorKind::NotConnected);
    assert_eq!(a.max_payload(), None);
    assert_eq!(a.closed().await, Some(Reason::ConsentExpired));
    let error = a.recv(&mut [0; 9]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<Reason>());
    assert_eq!(inside, Some(&Reason::ConsentExpired));
}
