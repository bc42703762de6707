//! Changes come in bursts: an interface goes up, gets its addresses one by one, and a route.

use crate::time::{Duration, Instant};

/// A burst is over when nothing has changed for so long.
const QUIET: Duration = Duration::from_millis(75);
/// A burst without an end is told of after so long.
const AT_MOST: Duration = Duration::from_secs(1);

/// Tells of a value that has changed and stays.
#[derive(Debug)]
pub(super) struct Debounce<T> {
    told: T,
    seen: T,
    /// When `seen` was first seen.
    at: Instant,
    /// When it was first another one than `told`.
    since: Option<Instant>,
}

impl<T: Clone + PartialEq> Debounce<T> {
    pub(super) fn new(now: Instant, value: T) -> Self {
        Self { told: value.clone(), seen: value, at: now, since: None }
    }

    /// The value at present. Returns it when it is time to tell.
    pub(super) fn observe(&mut self, now: Instant, value: T) -> Option<T> {
        if value != self.seen {
            (self.seen, self.at) = (value, now);
        }
        if self.seen == self.told {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if now < self.at + QUIET && now < since + AT_MOST {
            return None;
        }
        self.since = None;
        self.told = self.seen.clone();
        Some(self.seen.clone())
    }

    /// Whether something has changed that was not told yet.
    pub(super) fn is_restless(&self) -> bool {
        self.since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;

    /// What is told of values that are observed every 25 ms, and when.
    fn told(values: &[u8]) -> Vec<(u64, u8)> {
        let start = clock::now();
        let mut debounce = Debounce::new(start, 0);
        let mut told = Vec::new();
        for (at, value) in (1..).map(|step| step * 25).zip(values) {
            let now = start + Duration::from_millis(at);
            told.extend(debounce.observe(now, *value).map(|value| (at, value)));
        }
        told
    }

    #[test]
    fn a_burst_is_told_once_when_it_is_quiet() {
        assert_eq!(told(&[1, 2, 3, 3, 3, 3, 3, 3]), [(150, 3)]);
    }

    #[test]
    fn what_is_as_before_is_not_told() {
        assert_eq!(told(&[0, 0, 1, 0, 0, 0, 0]), []);
    }

    #[test]
    fn a_burst_without_an_end_is_told_after_a_second() {
        let values: Vec<u8> = (1..=60).collect();
        assert_eq!(told(&values), [(1025, 41)]);
    }
}
