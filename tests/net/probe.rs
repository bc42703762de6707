//! Tests of servers, against floe's own and against none.

use std::cell::RefCell;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use floe::net::Server;
use floe::net::probe::{Credential, Failure, Probe, Report, Step, Via, Whose};
use floe::server::{Cidr, Config, PeerRules};

use crate::{V4, within};

async fn turn_server(change: impl FnOnce(Config) -> Config) -> Server {
    let config = Server::config().user("ann", "secret").relay_address(V4);
    Server::bind(change(config), [(V4, 0).into()]).await.unwrap()
}

fn loopback_allowed(config: Config) -> Config {
    config.peers(PeerRules::default().allow(Cidr::from(V4)))
}

/// What a test of this server told, and how it ended.
async fn turn(server: SocketAddr, password: &str) -> (Vec<Step>, Result<(), Failure>) {
    let mut steps = Vec::new();
    let (uri, credential) = (format!("turn:{server}").parse().unwrap(), Credential::new("ann", password));
    let (probe, never) = (Probe::new().datagrams(3), std::future::pending());
    let tell = |report: Report| steps.push(report.step);
    let ended = within("the test", probe.turn(&uri, &credential, never, tell)).await;
    (steps, ended)
}

async fn stun(probe: Probe, uri: String) -> (Vec<Step>, Result<(), Failure>) {
    let mut steps = Vec::new();
    let uri = uri.parse().unwrap();
    let ended = within("the test", probe.stun(&uri, |report| steps.push(report.step))).await;
    (steps, ended)
}

fn is_deleted(steps: &[Step]) -> bool {
    matches!(steps.last(), Some(Step::Deleted))
}

#[tokio::test]
async fn data_comes_back_through_a_turn_server_that_works() {
    let server = turn_server(loopback_allowed).await;
    let (steps, ended) = turn(server.addrs()[0], "secret").await;
    ended.unwrap();
    let relayed: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Allocated { whose, relayed, algorithm, .. } => Some((*whose, *relayed, *algorithm)),
            _ => None,
        })
        .collect();
    assert!(matches!(relayed[..], [(Whose::Own, own, _), (Whose::Peer, peer, _)] if own != peer));
    assert_eq!(relayed[0].2, Some("SHA-256"), "the server offers it");
    for wanted in [Via::Indications, Via::Channel] {
        let came_back = |step: &Step| matches!(step, Step::Echoed { via, sent: 3, received: 3, rtt: Some(_) } if *via == wanted);
        assert!(steps.iter().any(came_back), "{wanted:?}: {steps:#?}");
    }
    assert!(steps.iter().any(|step| matches!(step, Step::Bound { peer, .. } if *peer == relayed[1].1)));
    assert!(steps.iter().any(|step| matches!(step, Step::Refreshed { lifetime: Some(_), .. })));
    assert!(is_deleted(&steps));
    let stats = server.stats().await.server;
    assert_eq!(stats.allocations, 0);
    // Three each way, from either allocation, in indications and in channels.
    assert_eq!((stats.packets_to_peers, stats.packets_to_clients), (12, 12));
}

#[tokio::test]
async fn a_wrong_password_is_a_matter_of_credentials() {
    let server = turn_server(loopback_allowed).await;
    let (steps, ended) = turn(server.addrs()[0], "wrong").await;
    let failure = ended.unwrap_err();
    assert_eq!((failure.place(), failure.code()), ("credentials", Some(401)));
    assert!(matches!(&steps.last(), Some(Step::Challenged { realm: Some(realm), .. }) if realm == "floe"));
}

#[tokio::test]
async fn what_was_allocated_is_given_back_when_a_step_fails() {
    let forbids = |config: Config| config.peers(PeerRules::default().deny(Cidr::from(V4)));
    let one_only = |config: Config| loopback_allowed(config).quota(1);
    for (server, place, code) in
        [(turn_server(forbids).await, "permission", 403), (turn_server(one_only).await, "quota", 486)]
    {
        let (steps, ended) = turn(server.addrs()[0], "secret").await;
        let failure = ended.unwrap_err();
        assert_eq!((failure.place(), failure.code()), (place, Some(code)), "{failure}");
        assert!(is_deleted(&steps), "{steps:#?}");
        assert_eq!(server.stats().await.server.allocations, 0);
    }
}

#[tokio::test]
async fn what_was_allocated_is_given_back_when_it_is_stopped() {
    let server = turn_server(loopback_allowed).await;
    let uri = format!("turn:{}", server.addrs()[0]).parse().unwrap();
    let credential = Credential::new("ann", "secret");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (stop, steps) = (RefCell::new(Some(stop)), RefCell::new(Vec::new()));
    let tell = |report: Report| {
        if matches!(report.step, Step::Permitted { .. }) {
            drop(stop.take());
        }
        steps.borrow_mut().push(report.step);
    };
    let probe = Probe::new().datagrams(1_000_000);
    let ended = within("the test", probe.turn(&uri, &credential, async { drop(stopped.await) }, tell)).await;
    assert_eq!(ended.unwrap_err().place(), "stopped");
    assert!(is_deleted(&steps.borrow()));
    assert_eq!(server.stats().await.server.allocations, 0);
}

#[tokio::test]
async fn a_stun_server_tells_the_address_of_the_socket_that_asks() {
    let server = Server::bind(Server::config(), [(V4, 0).into()]).await.unwrap();
    let (steps, ended) = stun(Probe::new().bind(V4), format!("stun:{}", server.addrs()[0])).await;
    ended.unwrap();
    let [Step::Resolved(_), Step::Connected { local, .. }, Step::Mapped { mapped, .. }] = &steps[..] else {
        panic!("{steps:#?}")
    };
    assert_eq!(mapped, local);
    assert_eq!(server.stats().await.server.answers, 1, "asked once");
}

/// Nobody listens, nobody answers, nobody speaks TLS: three faults at three places.
#[tokio::test]
async fn a_failure_says_where_the_fault_lies() {
    let free = |socket: UdpSocket| socket.local_addr().unwrap().port();
    let port = free(UdpSocket::bind((V4, 0)).unwrap());
    let (_, ended) = stun(Probe::new(), format!("stun:127.0.0.1:{port}")).await;
    assert_eq!(ended.unwrap_err().place(), "connection");

    let mute = UdpSocket::bind((V4, 0)).unwrap();
    let hasty = Probe::new().patience(Duration::from_millis(50));
    let (_, ended) = stun(hasty, format!("stun:{}", mute.local_addr().unwrap())).await;
    assert!(matches!(ended, Err(Failure::Silent { .. })), "{ended:?}");
    // The request left at once, and not only with the first retransmission.
    mute.set_nonblocking(true).unwrap();
    assert!(mute.recv(&mut [0; 100]).is_ok());

    let (_, ended) = stun(Probe::new(), "stun:no-such-name.invalid:3478".to_owned()).await;
    assert_eq!(ended.unwrap_err().place(), "name");

    let other_family = Probe::new().bind("::1".parse().unwrap());
    let (_, ended) = stun(other_family, format!("stun:127.0.0.1:{port}")).await;
    assert_eq!(ended.unwrap_err().place(), "bind");

    for uri in ["turn:127.0.0.1", "turns:localhost?transport=udp"] {
        let (_, ended) = stun(Probe::new(), uri.to_owned()).await;
        assert_eq!(ended.unwrap_err().place(), "uri");
    }
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_that_is_not_spoken_or_not_believed_is_a_matter_of_tls() {
    use tokio::io::AsyncWriteExt as _;
    let listener = tokio::net::TcpListener::bind((V4, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let speaks_another = async {
        let (mut io, _) = listener.accept().await.unwrap();
        io.write_all(b"220 mail.example.org ready\r\n").await.unwrap();
        io
    };
    let asking = stun(Probe::new(), format!("stuns:localhost:{port}"));
    let ((steps, ended), _io) = tokio::join!(asking, speaks_another);
    assert!(steps.iter().any(|step| matches!(step, Step::Connected { .. })), "{steps:#?}");
    assert_eq!(ended.unwrap_err().place(), "tls");
}
