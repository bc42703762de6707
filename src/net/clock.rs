//! The one place of floe that reads a clock: tokio's, so that a paused runtime pauses floe too; and the time of day for
//! what ends by it.

use std::pin::Pin;

use tokio::time::Sleep;

use crate::time::{Duration, Instant};

/// The present.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of day, as Unix time. It may jump when somebody sets the clock.
pub(super) fn unix() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// One timer of a task. It is set anew only when its instant changes, which for most datagrams it does not.
#[derive(Debug)]
pub(super) struct Alarm {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: now, sleep: Box::pin(tokio::time::sleep_until(now.into())) }
    }

    /// Waits until `at`; forever if there is nothing to wait for. May be dropped and called again.
    pub(super) async fn ring(&mut self, at: Option<Instant>) {
        let Some(at) = at else { return std::future::pending().await };
        if at != self.at || self.sleep.is_elapsed() {
            self.at = at;
            self.sleep.as_mut().reset(at.into());
        }
        self.sleep.as_mut().await;
    }
}
