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
/// The basic period of requests; each interval is 0.8 to 1.2 of it, drawn anew (RFC 7675 §5.1).
pub const PERIOD: Duration = Duration::from_secs(5);
/// The longest period, of an idle pair: two intervals, however they are drawn, are shorter than [`EXPIRY`].
pub const MAX_PERIOD: Duration = Duration::from_secs(12);
/// Whoever asks is heard at least so often: an interval of [`MAX_PERIOD`] at its longest, and a round trip.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
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
    /// Requests since the last answer.
    unanswered: u32,
    /// The last check or consent request of the peer on this pair.
    heard: Option<Instant>,
    revoked: bool,
    /// The period, [`PERIOD`] or that of an idle pair.
    period: Duration,
    /// When the next request had been due, if it waits for the rest of a longer period.
    put_off: Option<Instant>,
}

/// How consent was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The peer said 403 (RFC 7675 §5.2).
    Revoked,
    /// Nothing came back, and nothing of the peer either.
    Silent {
        /// Requests since the last answer.
        unanswered: u32,
    },
    /// The peer's requests went on to arrive: only the way there is broken.
    OneWay {
        /// Requests since the last answer.
        unanswered: u32,
    },
}

impl Consent {
    /// Consent begins with the answer to a check of ours at `answered`, not with a check of the peer. The first request is
    /// due an interval after that answer: of a pair that was valid long before it is used, at once.
    pub fn new(now: Instant, answered: Instant, rng: &mut Rng) -> Self {
        Self {
            next: now.max(answered + drawn(PERIOD, rng)),
            expires: answered + EXPIRY,
            open: VecDeque::new(),
            unanswered: 0,
            heard: None,
            revoked: false,
            period: PERIOD,
            put_off: None,
        }
    }

    /// The period from now on, at least [`PERIOD`] and at most [`MAX_PERIOD`]. Only after an answer the next request waits
    /// for the longer one: while one is missing they come every 5 s, so that lost packets cost an idle pair no consent that
    /// they would not cost a busy one.
    pub fn set_period(&mut self, now: Instant, period: Duration) {
        let period = period.clamp(PERIOD, MAX_PERIOD);
        if period < self.period
            && let Some(due) = self.put_off.take()
        {
            self.next = self.next.min(due.max(now));
        }
        self.period = period;
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
        if self.period > PERIOD && self.unanswered == 0 && self.put_off.is_none() {
            self.put_off = Some(self.next);
            self.next += drawn(self.period.saturating_sub(PERIOD), rng);
            if now < self.next {
                return None;
            }
        }
        self.put_off = None;
        self.next = now + drawn(PERIOD, rng);
        let id = TransactionId(rng.transaction_id());
        if self.open.len() == MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back((id, now));
        self.unanswered += 1;
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
        self.unanswered = 0;
        Some(now.saturating_duration_since(sent))
    }

    /// A check on this pair was answered, which is consent as well (RFC 7675 §5.1).
    pub fn grant(&mut self, now: Instant) {
        self.expires = self.expires.max(now + EXPIRY);
        self.unanswered = 0;
    }

    /// An authenticated 403 ends it at once (RFC 7675 §5.2).
    pub fn revoke(&mut self, now: Instant) {
        self.open.clear();
        self.expires = now;
        self.revoked = true;
    }

    /// Requests since the last answer.
    pub fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// A check or a consent request of the peer arrived on this pair: no consent, but a sign of life.
    pub fn hear(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// How it was lost, once [`Due::Expired`] was said at `now`.
    pub fn loss(&self, now: Instant) -> Loss {
        let unanswered = self.unanswered;
        let recent = |heard| now.saturating_duration_since(heard) < SIGN_OF_LIFE;
        match self.heard {
            _ if self.revoked => Loss::Revoked,
            Some(heard) if recent(heard) => Loss::OneWay { unanswered },
            _ => Loss::Silent { unanswered },
        }
    }
}

/// 0.8 to 1.2 of it.
fn drawn(period: Duration, rng: &mut Rng) -> Duration {
    let ms = period.as_millis() as u64;
    Duration::from_millis(rng.between(ms * 8 / 10, ms * 12 / 10))
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

    #[test]
    fn a_pair_that_was_valid_long_ago_is_asked_for_consent_at_once() {
        let (mut rng, start) = (Rng::new([1; 32]), crate::time::test_epoch());
        let used = start + Duration::from_secs(27);
        let mut consent = Consent::new(used, start, &mut rng);
        assert!(matches!(consent.poll_due(used, &mut rng), Some(Due::Request(_))));
        let fresh = Consent::new(start, start, &mut rng);
        assert!(fresh.deadline() >= start + Duration::from_secs(4));
    }
}
