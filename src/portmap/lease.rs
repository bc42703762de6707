//! How long a mapping lasts, and when it is renewed (RFC 6886 §3.3, RFC 6887 §11.2.1).

use super::event::Protocol;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// Longer lifetimes are absurd, and taken for this one (RFC 6887 §15).
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Two requests for one mapping are never nearer (RFC 6887 §11.2.1).
pub(super) const LEAST_GAP: Duration = Duration::from_secs(4);
/// A mapping without an end is gone after the gateway has restarted, which UPnP does not tell.
const REFRESH: Duration = Duration::from_secs(30 * 60);

/// One lifetime of a mapping, from the answer that granted it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    granted: Instant,
    lifetime: Option<Duration>,
    protocol: Protocol,
    /// Renewals that were tried in vain, or are being tried.
    tried: u32,
    /// The next one.
    pub(super) renewal: Option<Instant>,
}

impl Lease {
    /// `lifetime` is capped; `None` is without an end.
    pub(super) fn new(now: Instant, lifetime: Option<Duration>, protocol: Protocol, rng: &mut Rng) -> Self {
        let lifetime = lifetime.map(|lifetime| lifetime.min(LONGEST));
        let mut lease = Self { granted: now, lifetime, protocol, tried: 0, renewal: None };
        lease.renewal = lease.next(now, rng);
        lease
    }

    /// When it is over.
    pub(super) fn end(&self) -> Option<Instant> {
        self.lifetime.map(|lifetime| self.granted + lifetime)
    }

    /// A renewal begins.
    pub(super) fn begin_renewal(&mut self, now: Instant, rng: &mut Rng) {
        self.tried += 1;
        self.renewal = self.next(now, rng);
    }

    /// No renewal before this instant.
    pub(super) fn pause(&mut self, until: Instant) {
        self.renewal = Some(self.renewal.map_or(until, |at| at.max(until)));
    }

    /// RFC 6887 §11.2.1: from 1/2 to 5/8 of the lifetime, then 3/4 to 3/4 + 1/16, 7/8 to 7/8 + 1/32 and so on; NAT-PMP
    /// at its half (RFC 6886 §3.3), and then at the same fractions without chance. None so close to the end that the
    /// gap would be too small.
    fn next(&self, now: Instant, rng: &mut Rng) -> Option<Instant> {
        let Some(lifetime) = self.lifetime else { return Some(now + REFRESH) };
        if self.tried > 16 {
            return None;
        }
        let left = lifetime / (2 << self.tried);
        let chance = match self.protocol {
            Protocol::NatPmp => Duration::ZERO,
            Protocol::Pcp | Protocol::Upnp => {
                let most = (left / 4).as_millis() as u64;
                Duration::from_millis(rng.between(0, most))
            }
        };
        let wanted = self.granted + lifetime.saturating_sub(left) + chance;
        let at = wanted.max(now + LEAST_GAP);
        (at < self.granted + lifetime).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::test_epoch;

    fn lease(seconds: u64, protocol: Protocol, seed: u8) -> (Lease, Instant, Rng) {
        let (start, mut rng) = (test_epoch(), Rng::new([seed; 32]));
        (Lease::new(start, Some(Duration::from_secs(seconds)), protocol, &mut rng), start, rng)
    }

    /// Seconds after the grant of all renewals that nobody answers.
    fn schedule(seconds: u64, protocol: Protocol, seed: u8) -> Vec<f64> {
        let (mut lease, start, mut rng) = lease(seconds, protocol, seed);
        let mut times = Vec::new();
        while let Some(at) = lease.renewal {
            times.push(at.saturating_duration_since(start).as_secs_f64());
            lease.begin_renewal(at, &mut rng);
        }
        times
    }

    /// RFC 6887 §11.2.1.
    #[test]
    fn pcp_renewals_are_uniform_in_the_intervals_of_rfc_6887_section_11_2_1() {
        let mut means = [0.0; 3];
        for run in 0..10_000_u32 {
            let (start, mut rng) = (test_epoch(), Rng::new(seed(run)));
            let mut lease = Lease::new(start, Some(Duration::from_secs(3200)), Protocol::Pcp, &mut rng);
            let bounds = [(1600.0, 2000.0), (2400.0, 2600.0), (2800.0, 2900.0)];
            for (mean, (low, high)) in means.iter_mut().zip(bounds) {
                let at = lease.renewal.expect("a renewal");
                let seconds = (at - start).as_secs_f64();
                assert!((low..=high).contains(&seconds), "{seconds}");
                *mean += seconds / 10_000.0;
                lease.begin_renewal(at, &mut rng);
            }
        }
        for (mean, middle) in means.into_iter().zip([1800.0, 2500.0, 2850.0]) {
            assert!((mean - middle).abs() < 10.0, "{mean} is not about {middle}");
        }
    }

    fn seed(run: u32) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&run.to_be_bytes());
        seed
    }

    #[test]
    fn renewals_are_at_least_4_seconds_apart_and_before_the_end() {
        for protocol in [Protocol::Pcp, Protocol::NatPmp, Protocol::Upnp] {
            for (run, seconds) in [10_u32, 1, 60, 120, 7200].into_iter().enumerate() {
                let times = schedule(seconds.into(), protocol, run as u8);
                assert!(times.iter().all(|at| *at < f64::from(seconds)), "{protocol} {seconds}: {times:?}");
                let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
                assert!(gaps.chain(times.first().copied()).all(|gap| gap >= 4.0), "{seconds}: {times:?}");
            }
        }
        assert!(schedule(1, Protocol::Pcp, 0).is_empty(), "it ends before a renewal is allowed");
        assert_eq!(schedule(10, Protocol::NatPmp, 0), [5.0, 9.0]);
    }

    #[test]
    fn nat_pmp_renews_halfway_to_the_end() {
        assert_eq!(schedule(7200, Protocol::NatPmp, 1)[..3], [3600.0, 5400.0, 6300.0]);
        assert_eq!(schedule(600, Protocol::NatPmp, 1)[..1], [300.0]);
    }

    #[test]
    fn an_absurd_lifetime_is_taken_for_24_hours() {
        let times = schedule(u64::from(u32::MAX), Protocol::Pcp, 3);
        assert!((12.0 * 3600.0..=15.0 * 3600.0).contains(&times[0]), "{times:?}");
        let (lease, start, _) = lease(u64::from(u32::MAX), Protocol::Pcp, 3);
        assert_eq!(lease.end(), Some(start + LONGEST));
    }

    #[test]
    fn a_mapping_without_an_end_is_refreshed() {
        let (start, mut rng) = (test_epoch(), Rng::new([1; 32]));
        let mut lease = Lease::new(start, None, Protocol::Upnp, &mut rng);
        assert_eq!((lease.end(), lease.renewal), (None, Some(start + REFRESH)));
        lease.begin_renewal(start + REFRESH, &mut rng);
        assert_eq!(lease.renewal, Some(start + 2 * REFRESH));
    }
}
