//! What a server keeps for a time only, and the client renews: the allocation, permissions, channels.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::{Duration, Instant};

/// A renewal starts this long before the end: more than a transaction takes to fail, 39.5 s (RFC 8656 §8 says
/// "about one minute").
const MARGIN: Duration = Duration::from_secs(60);
/// A renewal that failed is tried again after this pause, as long as the lease lasts.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// When to renew, and when it is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    /// `None` while a renewal is under way.
    pub(super) renewal: Option<Instant>,
    pub(super) end: Instant,
}

impl Lease {
    /// The server counts from a moment after `since`, when the request left. A short lease is renewed at its half.
    pub(super) fn new(since: Instant, lifetime: Duration) -> Self {
        let renewal = since + lifetime.saturating_sub(MARGIN).max(lifetime / 2);
        Self { renewal: Some(renewal), end: since + lifetime }
    }
}

/// All leases of a kind. Work for each call is logarithmic.
#[derive(Debug)]
pub(super) struct Leases<K> {
    held: BTreeMap<K, Lease>,
    renewals: BTreeSet<(Instant, K)>,
    ends: BTreeSet<(Instant, K)>,
}

impl<K> Default for Leases<K> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), renewals: BTreeSet::new(), ends: BTreeSet::new() }
    }
}

impl<K: Ord + Copy> Leases<K> {
    /// Begins a lease, or renews it.
    pub(super) fn grant(&mut self, key: K, since: Instant, lifetime: Duration) {
        self.end(key);
        let lease = Lease::new(since, lifetime);
        self.renewals.extend(lease.renewal.map(|at| (at, key)));
        self.ends.insert((lease.end, key));
        self.held.insert(key, lease);
    }

    /// Whether the lease lasts.
    pub(super) fn is_held(&self, key: K, now: Instant) -> bool {
        self.held.get(&key).is_some_and(|lease| now < lease.end)
    }

    /// Ends it before its time.
    pub(super) fn end(&mut self, key: K) {
        if let Some(lease) = self.held.remove(&key) {
            if let Some(at) = lease.renewal {
                self.renewals.remove(&(at, key));
            }
            self.ends.remove(&(lease.end, key));
        }
    }

    /// The next lease that is to be renewed by `by`, each once.
    pub(super) fn poll_renewal(&mut self, by: Instant) -> Option<K> {
        let (_, key) = self.renewals.first().copied().filter(|(at, _)| *at <= by)?;
        self.renewals.pop_first();
        if let Some(lease) = self.held.get_mut(&key) {
            lease.renewal = None;
        }
        Some(key)
    }

    /// Wants a renewal at `at`: the one under way failed, or has to begin anew.
    pub(super) fn renew_at(&mut self, key: K, at: Instant) {
        if let Some(lease) = self.held.get_mut(&key)
            && lease.renewal.is_none()
        {
            lease.renewal = Some(at);
            self.renewals.insert((at, key));
        }
    }

    /// The next lease that is over. It is forgotten.
    pub(super) fn poll_end(&mut self, now: Instant) -> Option<K> {
        let (_, key) = self.ends.first().copied().filter(|(at, _)| *at <= now)?;
        self.end(key);
        Some(key)
    }

    pub(super) fn next_renewal(&self) -> Option<Instant> {
        self.renewals.first().map(|(at, _)| *at)
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn is_renewed_a_minute_before_its_end_or_at_its_half_if_it_is_short() {
        let start = crate::time::test_epoch();
        for (lifetime, renewal) in [(600, 540), (300, 240), (120, 60), (60, 30), (10, 5)] {
            let lease = Lease::new(start, secs(lifetime));
            assert_eq!(lease.renewal, Some(start + secs(renewal)));
            assert_eq!(lease.end, start + secs(lifetime));
        }
    }

    #[test]
    fn a_renewal_is_asked_for_once_and_again_after_it_failed() {
        let start = crate::time::test_epoch();
        let mut leases = Leases::default();
        leases.grant(1, start, secs(300));
        assert_eq!(leases.poll_renewal(start + secs(239)), None);
        assert_eq!(leases.poll_renewal(start + secs(240)), Some(1));
        assert_eq!(leases.poll_renewal(start + secs(300)), None);
        leases.renew_at(1, start + secs(280));
        assert_eq!(leases.poll_renewal(start + secs(280)), Some(1));
        leases.grant(1, start + secs(281), secs(300));
        assert_eq!(leases.poll_end(start + secs(300)), None, "it was renewed");
        assert!(leases.is_held(1, start + secs(580)) && !leases.is_held(1, start + secs(581)));
        assert_eq!(leases.poll_end(start + secs(581)), Some(1));
        assert_eq!((leases.next_renewal(), leases.next_end()), (None, None));
    }
}
