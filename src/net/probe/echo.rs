//! Datagrams from one allocation to the other and back: how many come back, and when.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::net::clock;
use crate::time::Instant;

use super::failure::Failure;
use super::relay::{Pair, Test};
use super::step::{Rtt, Step, Teller, Telling, Via};

/// Between datagrams, as of speech.
const PACE: Duration = Duration::from_millis(20);
/// How long the last one may take.
const LAST: Duration = Duration::from_secs(2);
/// The length of a datagram: as one of speech.
const LEN: usize = 160;
/// What a datagram begins with; the number follows.
const MARK: &[u8; 4] = b"floe";

impl Test<'_> {
    /// Sends the datagrams through the relay. Losses are told; it fails if none comes back.
    pub(super) async fn exchange<T: Telling>(
        &self,
        pair: &mut Pair,
        via: Via,
        own: SocketAddr,
        peer: SocketAddr,
        teller: &mut Teller<T>,
    ) -> Result<(), Failure> {
        let mut open: BTreeMap<u32, Instant> = BTreeMap::new();
        let mut rtts = Vec::new();
        let mut sent = 0;
        let mut next = clock::now();
        while sent < self.datagrams || !open.is_empty() {
            let now = clock::now();
            if sent < self.datagrams && now >= next {
                pair.own.send(peer, &payload(sent))?;
                open.insert(sent, now);
                sent += 1;
                next = if sent < self.datagrams { now + PACE } else { now + LAST };
            } else if now >= next {
                break;
            }
            tokio::select! {
                happened = pair.happen() => happened?,
                () = tokio::time::sleep_until(next.into()) => {}
            }
            pair.check("the data")?;
            pair.mirror(own)?;
            let now = clock::now();
            while let Some((source, data)) = pair.own.data.pop_front() {
                let number = number(&data).filter(|_| source == peer);
                if let Some(at) = number.and_then(|number| open.remove(&number)) {
                    rtts.push(now.saturating_duration_since(at));
                }
            }
        }
        let received = rtts.len() as u32;
        teller.tell(Step::Echoed { via, sent, received, rtt: Rtt::of(&rtts) });
        if received == 0 { Err(Failure::NoData { sent }) } else { Ok(()) }
    }
}

impl Pair {
    /// The peer sends back what has come from our relayed address.
    fn mirror(&mut self, own: SocketAddr) -> Result<(), Failure> {
        let Some(side) = &mut self.peer else { return Ok(()) };
        while let Some((source, data)) = side.data.pop_front() {
            if source == own {
                side.send(own, &data)?;
            }
        }
        Ok(())
    }
}

fn payload(number: u32) -> [u8; LEN] {
    let mut payload = [0; LEN];
    payload[..4].copy_from_slice(MARK);
    payload[4..8].copy_from_slice(&number.to_be_bytes());
    payload
}

fn number(payload: &[u8]) -> Option<u32> {
    let rest = payload.strip_prefix(MARK)?;
    rest.first_chunk().filter(|_| payload.len() == LEN).map(|number| u32::from_be_bytes(*number))
}
