//! Nobody is there, and ICMP says so: what is asked ends at once, and not when it has been asked for long enough.

use std::net::SocketAddr;
use std::time::Duration;

use floe::agent::ServerProblem;
use floe::agent::diagnosis::Standing;
use floe::checks::pair::Failure;
use floe::net::Session;
use floe::signal::Signal;
use floe::{Event, Role};

use crate::{V4, loopback, within};

/// Without ICMP a query takes 10 s until it is over, a check much longer. The clock is virtual.
const SOON: Duration = Duration::from_secs(3);

/// An address of this host that nobody receives at.
fn closed() -> SocketAddr {
    std::net::UdpSocket::bind((V4, 0)).unwrap().local_addr().unwrap()
}

async fn signal(session: &Session, text: &str) {
    session.signal(text.parse::<Signal>().unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stun_server_that_is_not_there_is_given_up_at_once_rfc_8489_section_6_2_1() {
    let endpoint = loopback(V4).await;
    let start = tokio::time::Instant::now();
    let session = endpoint.open(endpoint.config(Role::Controlling).stun_server(closed()));
    let problem = within("a problem", async {
        loop {
            if let Some(Event::Server { problem, .. }) = session.event().await {
                return problem;
            }
        }
    })
    .await;
    assert!(matches!(problem, ServerProblem::Unreachable), "{problem:?}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_not_there_fails_a_pair_at_once_rfc_8445_section_7_2_5_2_2() {
    let endpoint = loopback(V4).await;
    let session = endpoint.open(endpoint.config(Role::Controlling));
    let start = tokio::time::Instant::now();
    signal(&session, "0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg").await;
    let closed = closed();
    let candidate = format!("candidate:1 1 udp 2130706431 {} {} typ host", closed.ip(), closed.port());
    signal(&session, &format!("0 {candidate}")).await;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let diagnosis = session.diagnosis().await.unwrap();
        if diagnosis.pairs.iter().any(|pair| pair.standing == Standing::Failed(Failure::Unreachable)) {
            return;
        }
        assert!(start.elapsed() < SOON, "{diagnosis}");
    }
}
