//! Sessions through floe's own TURN server.

use floe::agent::Policy;
use floe::candidate::CandidateType;
use floe::net::{Connection, Endpoint, Server, signaling};
use floe::server::{Cidr, PeerRules};
use floe::turn::TurnServer;
use floe::{Config, Role};

use crate::{V4, exchange, loopback, within};

/// A server that relays on the loopback interface, which it would not do by itself.
async fn turn_server() -> Server {
    let config = Server::config()
        .user("alice", "secret")
        .relay_address(V4)
        .peers(PeerRules::default().allow(Cidr::from(V4)));
    Server::bind(config, [(V4, 0).into()]).await.unwrap()
}

fn relayed_only(endpoint: &Endpoint, role: Role, server: &Server) -> Config {
    let turn = TurnServer::new(server.addrs()[0], "alice", "secret");
    endpoint.config(role).turn_server(turn).policy(Policy::Relay)
}

async fn connect_relayed(endpoint: &Endpoint, server: &Server) -> (Connection, Connection) {
    let (to_b, to_a) = signaling::pair();
    let (a, b) = within("connecting", async {
        tokio::join!(
            endpoint.connect(relayed_only(endpoint, Role::Controlling, server), to_b),
            endpoint.connect(relayed_only(endpoint, Role::Controlled, server), to_a)
        )
    })
    .await;
    (a.unwrap(), b.unwrap())
}

#[tokio::test]
async fn two_endpoints_that_use_relays_only_exchange_data_through_the_server() {
    let (server, endpoint) = (turn_server().await, loopback(V4).await);
    let (a, b) = connect_relayed(&endpoint, &server).await;
    exchange(&a, &b, b"through two relays").await;
    exchange(&b, &a, b"and back").await;
    assert_eq!(a.path().unwrap().destination(), server.addrs()[0]);
    let stats = server.stats().await.server;
    assert_eq!(stats.allocations, 2);
    assert!(stats.packets_to_peers >= 2 && stats.packets_to_clients >= 2, "{stats:?}");

    within("closing", async { tokio::join!(a.close(), b.close()) }).await;
    let stats = within("the end", server.shutdown()).await.server;
    assert_eq!(stats.allocations, 0, "closing gives the relays back");
}

#[tokio::test]
async fn what_the_framing_adds_is_taken_off_the_largest_payload() {
    let (server, endpoint) = (turn_server().await, loopback(V4).await);
    let (a, b) = connect_relayed(&endpoint, &server).await;
    within("a channel", async {
        while a.path().unwrap().overhead() != 4 {
            exchange(&a, &b, b"until the channel is bound").await;
        }
    })
    .await;
    assert_eq!(a.max_payload(), Some(65_507 - 4));
    exchange(&a, &b, &[7; 1400]).await;
}

#[tokio::test]
async fn wrong_credentials_are_told() {
    let (server, endpoint) = (turn_server().await, loopback(V4).await);
    let turn = TurnServer::new(server.addrs()[0], "alice", "wrong");
    let session = endpoint.open(endpoint.config(Role::Controlling).turn_server(turn));
    let problem = within("the problem", async {
        loop {
            match session.event().await.unwrap() {
                floe::Event::Server { problem, .. } => return problem,
                floe::Event::Signal(signal) => assert_ne!(kind(&signal), Some(CandidateType::Relayed)),
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(problem, floe::agent::ServerProblem::Unauthorized);
}

fn kind(signal: &floe::signal::Signal) -> Option<CandidateType> {
    match &signal.what {
        floe::signal::What::Candidate(candidate) => Some(candidate.kind),
        _ => None,
    }
}
