//! Counters and snapshots, with the names of W3C webrtc-stats where it has one.

/// A snapshot of an agent's counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams that were dropped as malformed, unauthenticated or unexpected.
    pub datagrams_dropped: u64,
}
