//! How often consent is asked for where the lifetime of the NAT's mappings is known: the driver knows whether data flows.

use std::time::Duration;

use floe::State;
use floe::net::Connection;
use floe::trace::{Class, Content, What};

use crate::{V4, connect_with, exchange, loopback};

/// Binding requests that it has sent.
async fn requests(of: &Connection) -> usize {
    let is_request = |what: &What| match what {
        What::Sent { content: Content::Stun(message), .. } => message.class == Class::Request,
        _ => false,
    };
    of.trace().await.records().filter(|record| is_request(&record.what)).count()
}

/// An end that knows that mappings live for 30 s, and its peer: connected, and silent for so long that both are idle.
async fn idle() -> [Connection; 2] {
    let (a, b) = (loopback(V4).await, loopback(V4).await);
    let lifetime = Duration::from_secs(30);
    let (a, b) = connect_with(&a, &b, |config| config.mapping_lifetime(lifetime).trace(4096)).await;
    // The clock is virtual: it runs when nothing else does.
    while [&a, &b].iter().any(|end| end.state() != State::Completed) {
        exchange(&a, &b, b"hello").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    [a, b]
}

/// Two minutes are 24 periods of 5 s, and 10 of 12 s, each longer or shorter by a fifth at most. Nothing is received but
/// answers and the peer's own requests, so that nothing but what is sent tells the two apart.
#[tokio::test(start_paused = true)]
async fn who_only_sends_asks_for_consent_as_often_as_who_receives() {
    let [a, b] = idle().await;
    let before = requests(&a).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let idle = requests(&a).await;
    assert!((8..=13).contains(&(idle - before)), "{}", idle - before);
    for _ in 0..120 {
        a.send(b"data").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let sending = requests(&a).await;
    assert!((19..=31).contains(&(sending - idle)), "{}", sending - idle);
    // And once the last datagram is 10 s old, it is idle again.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let before = requests(&a).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let idle = requests(&a).await;
    assert!((8..=13).contains(&(idle - before)), "{}", idle - before);
    drop(b);
}
