//! Slots for new transactions, one every Ta (RFC 8445 §14.2), and the allowance for unauthenticated answers.

use crate::time::{Duration, Instant};

/// When the next transaction may begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pacer {
    next: Instant,
}

impl Pacer {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now }
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Takes the slot if it has come.
    #[must_use]
    pub(super) fn take(&mut self, now: Instant, ta: Duration) -> bool {
        let free = now >= self.next;
        if free {
            self.next = now + ta;
        }
        free
    }

    /// A slot that was taken in vain is free again.
    pub(super) fn give_back(&mut self, now: Instant) {
        self.next = now;
    }
}

/// At most so many answers a second to requests that nobody vouches for (decision: an ICE agent on the open
/// internet must not be a reflector).
const ANSWERS_A_SECOND: u8 = 10;

/// Counts unauthenticated answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    since: Instant,
    used: u8,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, used: 0 }
    }

    #[must_use]
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        self.used = self.used.saturating_add(1);
        self.used <= ANSWERS_A_SECOND
    }
}
