//! The one place of floe that reads a clock: tokio's, so that a paused runtime pauses floe too.

use std::pin::Pin;

use tokio::time::Sleep;

use crate::time::Instant;

/// The present.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
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
