//! Consent freshness (RFC 7675): permission to send on one 5-tuple, renewed by authenticated answers. It replaces
//! the keepalives of RFC 8445 §11 on that pair.

use std::collections::VecDeque;

use crate::rng::Rng;
use crate::stun::TransactionId;
use crate::time::{Duration, Instant};

/// Without a valid answer for this long nothing may be sent (RFC 7675 §5.1).
pub const EXPIRY: Duration = Duration::from_secs(30);
/// Tr: where there is no consent to renew, a Binding indication is sent this often (RFC 8445 §11).
pub const KEEPALIVE: Duration = Duration::from_secs(15);
/// The basic period of requests in milliseconds; each interval is 0.8 to 1.2 of it, drawn anew (RFC 7675 §5.1).
const PERIOD_MS: u64 = 5_000;
/// More requests than fit into the expiry are never open.
const MAX_OPEN: usize = 8;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send one request with this new transaction id; it is never retransmitted.
    Request(TransactionId),
    /// Consent is lost: stop sending.
    Expired,
}

/// The consent of one pair. The timers of requests and of expiry do not touch each other.
#[derive(Debug)]
pub struct Consent {
    next: Instant,
    expires: Instant,
    /// Requests without an answer; any of them counts when it comes.
    open: VecDeque<(TransactionId, Instant)>,
}

impl Consent {
    /// Consent begins with the answer to a check of ours at `answered`, not with a check of the peer.
    pub fn new(now: Instant, answered: Instant, rng: &mut Rng) -> Self {
        Self { next: now + interval(rng), expires: answered + EXPIRY, open: VecDeque::new() }
    }

    /// When [`Self::poll_due`] has something.
    pub fn deadline(&self) -> Instant {
        self.next.min(self.expires)
    }

    /// What is due now, if anything.
    pub fn poll_due(&mut self, now: Instant, rng: &mut Rng) -> Option<Due> {
        if now >= self.expires {
            self.open.clear();
            return Some(Due::Expired);
        }
        if now < self.next {
            return None;
        }
        self.next = now + interval(rng);
        let id = TransactionId(rng.transaction_id());
        if self.open.len() == MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back((id, now));
        Some(Due::Request(id))
    }

    /// Whether a request of this id is open.
    pub fn is_open(&self, id: TransactionId) -> bool {
        self.open.iter().any(|(open, _)| *open == id)
    }

    /// Takes a verified success response from the right address; returns the round-trip time.
    pub fn renew(&mut self, now: Instant, id: TransactionId) -> Option<Duration> {
        let at = self.open.iter().position(|(open, _)| *open == id)?;
        let (_, sent) = self.open.remove(at)?;
        self.expires = now + EXPIRY;
        Some(now.saturating_duration_since(sent))
    }

    /// An authenticated 403 ends it at once (RFC 7675 §5.2).
    pub fn revoke(&mut self, now: Instant) {
        self.open.clear();
        self.expires = now;
    }
}

fn interval(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.between(PERIOD_MS * 8 / 10, PERIOD_MS * 12 / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interval_is_drawn_anew_between_4_and_6_s_with_a_new_id() {
        let mut rng = Rng::new([1; 32]);
        let mut now = crate::time::test_epoch();
        let mut consent = Consent::new(now, now, &mut rng);
        let (mut intervals, mut ids) = (Vec::new(), std::collections::BTreeSet::new());
        for _ in 0..1000 {
            let next = consent.deadline();
            intervals.push((next - now).as_millis());
            now = next;
            let Some(Due::Request(id)) = consent.poll_due(now, &mut rng) else {
                panic!("no request was due")
            };
            assert!(ids.insert(id), "a transaction id was used twice");
            assert!(consent.renew(now, id).is_some());
        }
        assert!(intervals.iter().all(|interval| (4000..=6000).contains(interval)));
        assert!(intervals.iter().max() > Some(&5900) && intervals.iter().min() < Some(&4100));
    }

    #[test]
    fn expires_30_s_after_the_last_answer_and_late_answers_do_not_bring_it_back() {
        let mut rng = Rng::new([2; 32]);
        let start = crate::time::test_epoch();
        let mut consent = Consent::new(start, start, &mut rng);
        let mut asked = Vec::new();
        let end = loop {
            let at = consent.deadline();
            match consent.poll_due(at, &mut rng) {
                Some(Due::Request(id)) => asked.push(id),
                Some(Due::Expired) => break at,
                None => panic!("a deadline without anything due"),
            }
        };
        assert_eq!(end - start, EXPIRY);
        assert!(asked.iter().all(|id| consent.renew(end, *id).is_none()));
    }

    #[test]
    fn an_answer_to_an_older_request_counts() {
        let mut rng = Rng::new([3; 32]);
        let start = crate::time::test_epoch();
        let mut consent = Consent::new(start, start, &mut rng);
        let first = consent.deadline();
        let Some(Due::Request(id)) = consent.poll_due(first, &mut rng) else { panic!("no request was due") };
        let second = consent.deadline();
        assert!(matches!(consent.poll_due(second, &mut rng), Some(Due::Request(_))));
        assert_eq!(consent.renew(second, id), Some(second - first));
    }
}
