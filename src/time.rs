//! Time as a value: the core never reads a clock.

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub use std::time::Instant;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub use web_time::Instant;

pub use std::time::Duration;

/// A deadline that may be set or not. Every owner of state owns its timers too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timer(Option<Instant>);

impl Timer {
    /// A timer that is not running.
    pub const STOPPED: Self = Self(None);

    /// A timer that is due at `at`.
    pub fn at(at: Instant) -> Self {
        Self(Some(at))
    }

    /// Starts it, or moves it, to `at`.
    pub fn set(&mut self, at: Instant) {
        self.0 = Some(at);
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.0 = None;
    }

    /// When it is due; `None` if it is not running.
    pub fn deadline(&self) -> Option<Instant> {
        self.0
    }

    /// Whether it is running and due. It stays due until it is stopped or set anew.
    pub fn is_due(&self, now: Instant) -> bool {
        self.0.is_some_and(|at| at <= now)
    }

    /// Stops it if it is due, and says whether it was.
    #[must_use]
    pub fn take_due(&mut self, now: Instant) -> bool {
        let due = self.is_due(now);
        if due {
            self.stop();
        }
        due
    }
}

impl From<Option<Instant>> for Timer {
    fn from(at: Option<Instant>) -> Self {
        Self(at)
    }
}

/// The earlier of two optional deadlines.
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Some instant for unit tests, which use differences only.
#[cfg(test)]
pub(crate) fn test_epoch() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant has no other constructor; only differences are used"
    )]
    Instant::now()
}
