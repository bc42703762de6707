//! How many answers a source gets without authentication. A source address can be forged: without a limit the
//! server would be a reflector.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::time::{Duration, Instant};

/// Sources that are remembered in each of two generations.
const MAX_SOURCES: usize = 4096;

/// A token bucket that holds a second's worth, kept as the time when it will be full again.
type FullAt = Instant;

/// One bucket a source. Memory is bounded by two generations: when the young one is full it becomes the old one,
/// and what was old is forgotten, that is, full again.
#[derive(Debug)]
pub(super) struct Limiter {
    /// What one answer costs.
    cost: Duration,
    young: BTreeMap<IpAddr, FullAt>,
    old: BTreeMap<IpAddr, FullAt>,
}

impl Limiter {
    /// No answers at all with a rate of 0.
    pub(super) fn new(answers_per_second: u32) -> Self {
        let cost = Duration::from_secs(1).checked_div(answers_per_second).unwrap_or(Duration::MAX);
        Self { cost, young: BTreeMap::new(), old: BTreeMap::new() }
    }

    /// Whether this source gets one more answer now.
    pub(super) fn take(&mut self, now: Instant, source: IpAddr) -> bool {
        let source = network(source);
        let known = self.young.get(&source).or_else(|| self.old.get(&source));
        let missing = known.map_or(Duration::ZERO, |full_at| full_at.saturating_duration_since(now));
        let missing = missing.saturating_add(self.cost);
        if missing > Duration::from_secs(1) {
            return false;
        }
        if self.young.len() >= MAX_SOURCES && !self.young.contains_key(&source) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(source, now + missing);
        true
    }

    /// Sources that are remembered.
    #[cfg(test)]
    pub(super) fn sources(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

/// A host has at least a /64 of IPv6: more addresses there are not more sources.
pub(super) fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() >> 64 << 64).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::test_epoch;

    fn ip(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_source_gets_a_second_s_worth_at_once_and_then_its_rate() {
        let (mut limiter, start) = (Limiter::new(10), test_epoch());
        let mut taken = |now| (0..100).filter(|_| limiter.take(now, ip(1))).count();
        assert_eq!(taken(start), 10);
        assert_eq!(taken(start + Duration::from_millis(99)), 0);
        assert_eq!(taken(start + Duration::from_millis(300)), 3);
        assert_eq!(taken(start + Duration::from_secs(60)), 10);
    }

    #[test]
    fn sources_do_not_share_but_those_of_one_ipv6_network_do() {
        let (mut limiter, now) = (Limiter::new(1), test_epoch());
        assert!(limiter.take(now, ip(1)) && limiter.take(now, ip(2)) && !limiter.take(now, ip(1)));
        let mut take = |text: &str| limiter.take(now, text.parse().unwrap());
        assert!(take("2001:db8:0:1::1") && !take("2001:db8:0:1:ffff::2") && take("2001:db8:0:2::1"));
    }

    #[test]
    fn a_rate_of_zero_answers_nobody() {
        assert!(!Limiter::new(0).take(test_epoch(), ip(1)));
    }

    #[test]
    fn memory_is_bounded_however_many_sources_there_are() {
        let (mut limiter, now) = (Limiter::new(1), test_epoch());
        for source in 0..50_000 {
            assert!(limiter.take(now, ip(source)));
            assert!(limiter.sources() <= 2 * MAX_SOURCES);
        }
    }

    #[test]
    fn a_source_that_goes_on_asking_is_not_forgotten_with_the_old_ones() {
        let (mut limiter, start) = (Limiter::new(2), test_epoch());
        let mut answers = 0;
        for source in 0..20_000 {
            limiter.take(start, ip(source));
            answers += u32::from(limiter.take(start, ip(u32::MAX)));
        }
        assert!(answers < 20, "{answers}");
    }
}
