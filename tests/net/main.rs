//! Real sockets on the loopback interface. Nothing here measures time: timeouts only end what hangs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod broken_relay;
mod connection;
#[cfg(feature = "dns")]
mod dns;
mod eyeballs;
mod idle;
mod names;
#[cfg(feature = "portmap")]
mod portmap;
mod probe;
mod relay;
mod server;
mod server_streams;
#[cfg(feature = "tls")]
mod server_tls;
mod session;
mod tcp;
#[cfg(target_os = "linux")]
mod unreachable;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use floe::net::{Connection, Endpoint, Session, signaling};
use floe::{Config, Role};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Ends a test that hangs.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(Duration::from_secs(60), future).await else {
        panic!("{what}: not done after a minute");
    };
    done
}

async fn loopback(ip: IpAddr) -> Endpoint {
    Endpoint::builder().addresses([ip]).bind().await.unwrap()
}

fn has_ipv6() -> bool {
    std::net::UdpSocket::bind((V6, 0)).is_ok()
}

/// Two connected ends.
async fn connect(a: &Endpoint, b: &Endpoint) -> (Connection, Connection) {
    connect_with(a, b, |config| config).await
}

/// Two connected ends, the first of which is told more.
async fn connect_with(
    a: &Endpoint,
    b: &Endpoint,
    more: impl FnOnce(Config) -> Config,
) -> (Connection, Connection) {
    let (to_b, to_a) = signaling::pair();
    let (a, b) = within("connecting", async {
        tokio::join!(
            a.connect(more(a.config(Role::Controlling)), to_b),
            b.connect(b.config(Role::Controlled), to_a)
        )
    })
    .await;
    (a.unwrap(), b.unwrap())
}

/// Sends until the other end has received something, as whoever uses datagrams has to.
async fn exchange(from: &Connection, to: &Connection, text: &[u8]) {
    let mut buf = [0; 1500];
    within("data", async {
        loop {
            from.send(text).await.unwrap();
            let received = tokio::time::timeout(Duration::from_millis(100), to.recv(&mut buf)).await;
            if let Ok(received) = received {
                assert_eq!(&buf[..received.unwrap()], text);
                return;
            }
        }
    })
    .await;
}

/// Carries the signals of two sessions until `done`, which is asked after each.
async fn carry(a: &Session, b: &Session, done: impl Fn() -> bool) {
    within("signaling", async {
        while !done() {
            tokio::select! {
                event = a.event() => deliver(event, b).await,
                event = b.event() => deliver(event, a).await,
            }
        }
    })
    .await;
}

async fn deliver(event: Option<floe::Event>, to: &Session) {
    if let Some(floe::Event::Signal(signal)) = event {
        to.signal(signal).await.unwrap();
    }
}
