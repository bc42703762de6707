//! Sessions of `floe::net` through coturn, over UDP, TCP and TLS, IPv4 and IPv6.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use floe::agent::{Policy, ServerProblem};
use floe::io::CloseReason;
use floe::net::{Connection, Endpoint, Trust, signaling};
use floe::turn::{ServerTransport, TurnServer};
use floe::{Config, Event, Role};

use crate::coturn::Coturn;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(Duration::from_secs(20), future).await else {
        panic!("{what}: not done in 20 s");
    };
    done
}

/// A certificate of `turn.example` in files for coturn, and as PEM to be trusted.
struct Certificate {
    dir: std::path::PathBuf,
    pem: String,
}

impl Certificate {
    fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["turn.example".to_owned()]).expect("a certificate");
        let dir = std::env::temp_dir().join(format!("floe-coturn-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let pem = made.cert.pem();
        std::fs::write(dir.join("cert.pem"), &pem).expect("a file");
        std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).expect("a file");
        Self { dir, pem }
    }

    fn path(&self, file: &str) -> String {
        self.dir.join(file).to_str().expect("a path").to_owned()
    }

    fn coturn(&self, ip: &str) -> Coturn {
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        Coturn::start(ip, &["--cert", &cert, "--pkey", &key, "--mobility"])
    }

    fn trust(&self) -> Trust {
        Trust::Pem(self.pem.clone().into_bytes())
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn tls(name: &str) -> ServerTransport {
    ServerTransport::Tls { server_name: name.into() }
}

async fn endpoint(ip: IpAddr, trust: Trust) -> Endpoint {
    Endpoint::builder().addresses([ip]).trust(trust).bind().await.expect("loopback")
}

fn relay_only(endpoint: &Endpoint, role: Role, server: &TurnServer) -> Config {
    endpoint.config(role).turn_server(server.clone()).policy(Policy::Relay)
}

async fn connect(endpoint: &Endpoint, server: &TurnServer) -> (Connection, Connection) {
    let (to_b, to_a) = signaling::pair();
    let (a, b) = within("connecting", async {
        tokio::join!(
            endpoint.connect(relay_only(endpoint, Role::Controlling, server), to_b),
            endpoint.connect(relay_only(endpoint, Role::Controlled, server), to_a)
        )
    })
    .await;
    (a.expect("a path"), b.expect("a path"))
}

async fn exchange(from: &Connection, to: &Connection, text: &[u8]) {
    let mut buf = [0; 1500];
    within("data", async {
        loop {
            let _ = from.send(text).await;
            let received = tokio::time::timeout(Duration::from_millis(100), to.recv(&mut buf)).await;
            if let Ok(received) = received {
                assert_eq!(&buf[..received.expect("data")], text);
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs coturn"]
async fn endpoints_meet_through_coturn_over_every_transport_and_family() {
    let certificate = Certificate::new("all");
    for ip in [V4, V6] {
        let coturn = certificate.coturn(&ip.to_string());
        let endpoint = endpoint(ip, certificate.trust()).await;
        for transport in [ServerTransport::Udp, ServerTransport::Tcp, tls("turn.example")] {
            let server = TurnServer::new(coturn.addr, "ann", "correct horse").over(transport.clone());
            let (a, b) = connect(&endpoint, &server).await;
            within("a channel", async {
                while a.path().is_none_or(|path| path.overhead() != 4) {
                    exchange(&a, &b, b"until there is a channel").await;
                }
            })
            .await;
            for len in 1..6 {
                // Padded on streams.
                exchange(&a, &b, &[7; 5][..len]).await;
            }
            exchange(&b, &a, &[8; 1200]).await;
            within("closing", async { tokio::join!(a.close(), b.close()) }).await;
        }
    }
}

async fn first_problem(endpoint: &Endpoint, server: &TurnServer) -> ServerProblem {
    let session = endpoint.open(relay_only(endpoint, Role::Controlling, server));
    within("the problem", async {
        loop {
            if let Event::Server { problem, .. } = session.event().await.expect("an event") {
                return problem;
            }
        }
    })
    .await
}

#[tokio::test]
#[ignore = "needs coturn"]
async fn a_wrong_password_and_a_certificate_of_another_name_are_told() {
    let certificate = Certificate::new("wrong");
    let coturn = certificate.coturn("127.0.0.1");
    let endpoint = endpoint(V4, certificate.trust()).await;
    for transport in [ServerTransport::Udp, ServerTransport::Tcp, tls("turn.example")] {
        let server = TurnServer::new(coturn.addr, "ann", "wrong").over(transport);
        assert_eq!(first_problem(&endpoint, &server).await, ServerProblem::Unauthorized);
    }
    let server = TurnServer::new(coturn.addr, "ann", "correct horse").over(tls("other.example"));
    assert_eq!(first_problem(&endpoint, &server).await, ServerProblem::Connection(CloseReason::Tls));
}

/// The server is gone in the middle: over TCP it is told at once, and a restart brings the session back.
#[tokio::test]
#[ignore = "needs coturn"]
async fn a_server_that_was_killed_and_started_again_serves_the_session_after_a_restart() {
    let mut coturn = Coturn::start("127.0.0.1", &["--mobility"]);
    let endpoint = endpoint(V4, Trust::System).await;
    let server = TurnServer::new(coturn.addr, "ann", "correct horse").over(ServerTransport::Tcp);
    let (a, b) = connect(&endpoint, &server).await;
    exchange(&a, &b, b"before").await;
    coturn.restart();
    within("the loss", async {
        while a.path().is_some() || b.path().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    a.restart().await;
    exchange(&a, &b, b"after").await;
    exchange(&b, &a, b"and back").await;
}
