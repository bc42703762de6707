//! Which address of a server to use, when its name has several (RFC 8305).
//!
//! ```text
//!   0 ms  first ──────────────╳ refused: the next one at once
//!   …     second ─────────────────────────────
//! 250 ms  third ─────────► answers: it is the one, the others are dropped
//! ```

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::io::Transport;
use crate::stun::uri::Uri;

use super::{probe, stream};

/// Between attempts (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// When it is over: the agent will say what is wrong with the first address.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Addresses of one family that are tried.
const MAX_ATTEMPTS: usize = 6;

/// Of each family the address that answers first: a Binding request over UDP, a connection over TCP. Those after the
/// first one begin 250 ms later each, or at once when the one before has failed. This takes up to 1.5 s if none answers;
/// then, and without a question where a family has one address, it is the first one.
///
/// An agent asks each server from each base of its family, so that both families are of use to it: give it what this
/// returns for the addresses of [`Resolver::resolve`](super::Resolver::resolve).
pub async fn answering(uri: &Uri, addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    let of_family =
        |v4| addrs.iter().copied().filter(|addr| addr.is_ipv4() == v4).take(MAX_ATTEMPTS).collect();
    let (v4, v6): (Vec<_>, Vec<_>) = (of_family(true), of_family(false));
    let transport = uri.transport_or_default();
    let ask = move |addr| attempt(transport, addr);
    let (v4, v6) = tokio::join!(first_to_answer(v4, ask), first_to_answer(v6, ask));
    // The family that comes first stays first.
    let mut found: Vec<_> = [v4, v6].into_iter().flatten().collect();
    found.sort_by_key(|one| addrs.iter().position(|addr| addr.is_ipv4() == one.is_ipv4()));
    found
}

/// Attempts that are still running end with the set.
async fn first_to_answer<F>(addrs: Vec<SocketAddr>, ask: impl Fn(SocketAddr) -> F) -> Option<SocketAddr>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let first = *addrs.first()?;
    if addrs.len() == 1 {
        return Some(first);
    }
    let race = async {
        let mut waiting = addrs.into_iter();
        let mut attempts = JoinSet::new();
        loop {
            if let Some(addr) = waiting.next() {
                let asked = ask(addr);
                attempts.spawn(async move { asked.await.map(|()| addr) });
            } else if attempts.is_empty() {
                return None;
            }
            let more = waiting.len() > 0;
            let ended = tokio::select! {
                ended = attempts.join_next() => ended,
                () = tokio::time::sleep(STAGGER), if more => continue,
            };
            if let Some(Ok(Ok(addr))) = ended {
                return Some(addr);
            }
        }
    };
    tokio::time::timeout(PATIENCE, race).await.ok().flatten().or(Some(first))
}

async fn attempt(transport: Transport, addr: SocketAddr) -> io::Result<()> {
    match transport {
        Transport::Udp => probe::answers(addr).await,
        Transport::Tcp => stream::connect(SocketAddr::new(probe::any(addr), 0), addr).await.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    use tokio::time::{Instant, sleep};

    use super::*;

    fn addrs(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect()
    }

    /// Races addresses that answer after so many milliseconds, or refuse at once (0). Which one won, and when each was
    /// asked, in milliseconds.
    async fn race(answers: &'static [u64]) -> (Option<u16>, Vec<u128>) {
        let (start, asked) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let log = asked.clone();
        let ask = move |addr: SocketAddr| {
            log.lock().unwrap().push(start.elapsed().as_millis());
            let after = answers[usize::from(addr.port()) - 1];
            async move {
                match after {
                    0 => Err(io::ErrorKind::ConnectionRefused.into()),
                    after => {
                        sleep(Duration::from_millis(after)).await;
                        Ok(())
                    }
                }
            }
        };
        let won = first_to_answer(addrs(answers.len() as u16), ask).await;
        let asked = asked.lock().unwrap().clone();
        (won.map(|addr| addr.port()), asked)
    }

    /// RFC 8305 §5: 250 ms apart, sooner after a failure, none after an answer.
    #[tokio::test(start_paused = true)]
    async fn attempts_are_250_ms_apart_and_follow_a_failure_at_once() {
        assert_eq!(race(&[240, 1]).await, (Some(1), vec![0]));
        assert_eq!(race(&[400, 100, 1]).await, (Some(2), vec![0, 250]));
        assert_eq!(race(&[400, 300, 1]).await, (Some(1), vec![0, 250]), "a slow one may still win");
        assert_eq!(race(&[0, 0, 10]).await, (Some(3), vec![0, 0, 0]));
        assert_eq!(
            race(&[0, 0]).await,
            (Some(1), vec![0, 0]),
            "the first one, which the agent will complain of"
        );
        assert_eq!(race(&[9000]).await, (Some(1), vec![]), "nothing to choose from");
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_it_is_over_after_a_time() {
        let start = Instant::now();
        assert_eq!(race(&[9000, 9000, 9000]).await, (Some(1), vec![0, 250, 500]));
        assert_eq!(start.elapsed().as_millis(), PATIENCE.as_millis());
    }
}
