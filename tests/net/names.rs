//! `.local` names by real multicast on the loopback interface, and the addresses that each mode binds and tells.

use std::net::{IpAddr, SocketAddr};

use floe::agent::{HostNames, Policy};
use floe::candidate::{Address, Candidate};
use floe::net::{Endpoint, InterfaceFilter, Session};
use floe::signal::What;
use floe::{Event, Role, State};

use crate::{V4, carry, loopback, within};

/// All candidates of a session without servers.
async fn candidates(session: &Session) -> Vec<Candidate> {
    within("the end of gathering", async {
        let mut candidates = Vec::new();
        loop {
            if let Some(Event::Signal(signal)) = session.event().await {
                match signal.what {
                    What::Candidate(candidate) => candidates.push(candidate),
                    What::EndOfCandidates => return candidates,
                    _ => {}
                }
            }
        }
    })
    .await
}

/// Two endpoints, each with its own machine and sockets: what one publishes the other one resolves over the wire.
#[tokio::test]
async fn two_endpoints_with_names_connect() {
    let endpoints = [loopback(V4).await, loopback(V4).await];
    let session = |at: usize, role| {
        let endpoint: &Endpoint = &endpoints[at];
        endpoint.open(endpoint.config(role).host_names(HostNames::Mdns))
    };
    let (a, b) = (session(0, Role::Controlling), session(1, Role::Controlled));
    carry(&a, &b, || a.state() == State::Completed && b.state() == State::Completed).await;
    for session in [&a, &b] {
        assert_eq!(session.stats().await.agent.names_unresolved, 0);
    }
}

#[tokio::test]
async fn a_host_candidate_has_a_name_instead_of_its_address() {
    let endpoint = loopback(V4).await;
    let session = endpoint.open(endpoint.config(Role::Controlling).host_names(HostNames::Mdns));
    let candidates = candidates(&session).await;
    assert_eq!(candidates.len(), 1);
    assert!(matches!(&candidates[0].address, Address::Name { host, .. } if host.ends_with(".local")));
}

/// RFC 8828 §6.2: what the kernel would send from, asked of it here in the same way, and nothing else; the wildcard
/// address (§6.1) is none.
#[tokio::test]
async fn the_default_route_is_the_only_one_with_host_candidates_in_mode_2() {
    let routed = |any: &str, somewhere: &str| -> Option<IpAddr> {
        let socket = std::net::UdpSocket::bind(any).ok()?;
        socket.connect(somewhere).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
    };
    let mut expected: Vec<_> = [routed("0.0.0.0:0", "198.51.100.1:9"), routed("[::]:0", "[2001:db8::77]:9")]
        .into_iter()
        .flatten()
        .collect();
    let Ok(endpoint) = Endpoint::bind().await else { return };
    let session = endpoint.open(endpoint.config(Role::Controlling).policy(Policy::DefaultRoute));
    let signalled = candidates(&session).await;
    let mut ips: Vec<_> =
        signalled.iter().filter_map(|it| it.address.socket()).map(|addr| addr.ip()).collect();
    ips.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ips, expected);
}

/// RFC 8828 §6.1: bound to the wildcard address, so that the kernel routes: another address of this host receives too.
#[tokio::test]
async fn in_mode_2_the_kernel_routes() {
    for (policy, reaches) in [(Policy::DefaultRoute, true), (Policy::All, false)] {
        let endpoint = loopback(V4).await;
        let session = endpoint.open(endpoint.config(Role::Controlling).policy(policy));
        let signalled = candidates(&session).await;
        let base = signalled[0].address.socket().unwrap();
        assert!(!base.ip().is_unspecified());
        // The whole of 127.0.0.0/8 is this host; who is bound to 127.0.0.1 does not get what is sent to 127.0.0.2.
        let taken = std::net::UdpSocket::bind(SocketAddr::new("127.0.0.2".parse().unwrap(), base.port()));
        assert_eq!(taken.is_err(), reaches, "{policy:?}");
    }
}

#[tokio::test]
async fn an_endpoint_without_interfaces_cannot_be() {
    let nothing = InterfaceFilter::new().only("no-such-interface");
    let error = Endpoint::builder().interfaces(nothing).bind().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
}
