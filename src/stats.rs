//! Counters and snapshots, with the names of W3C webrtc-stats where it has one.

/// A snapshot of an agent's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams that were dropped as malformed, unauthenticated or unexpected.
    pub datagrams_dropped: u64,
    /// Signals that were not taken.
    pub signals_refused: u64,
    /// Names of the peer's candidates that could not be resolved.
    pub names_unresolved: u64,
    /// Datagrams of the peer's data.
    pub packets_received: u64,
    /// Bytes of the peer's data.
    pub bytes_received: u64,
}
