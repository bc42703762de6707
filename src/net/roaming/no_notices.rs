//! On systems where nothing is subscribed to: interfaces are asked for.

/// No subscription.
#[derive(Debug)]
pub(super) struct Notices;

impl Notices {
    pub(super) fn subscribe() -> Self {
        Self
    }

    /// Waits forever.
    #[expect(clippy::unused_self, reason = "where there is a subscription it counts")]
    pub(super) async fn next(&mut self) {
        std::future::pending().await
    }
}
