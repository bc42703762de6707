//! What a server counts.

/// A snapshot of a server's counters. Packets and bytes are those of application data, without framing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Stats {
    /// Allocations that exist now.
    pub allocations: usize,
    /// Permissions that exist now, over all allocations.
    pub permissions: usize,
    /// Channels that are bound now, over all allocations.
    pub channels: usize,
    /// Moves of clients to another address (RFC 8016).
    pub moves: u64,
    /// Allocations ever made.
    pub allocations_made: u64,
    /// Connections (TCP and TLS) that are open now.
    pub connections: usize,
    /// Connections that were taken.
    pub connections_made: u64,
    /// Connections that were closed at once, since there were too many.
    pub connections_refused: u64,
    /// Connections that were closed because nobody used them.
    pub connections_idle: u64,
    /// Answers written, errors included.
    pub answers: u64,
    /// Datagrams relayed from clients to peers.
    pub packets_to_peers: u64,
    /// Bytes relayed from clients to peers.
    pub bytes_to_peers: u64,
    /// Datagrams relayed from peers to clients.
    pub packets_to_clients: u64,
    /// Bytes relayed from peers to clients.
    pub bytes_to_clients: u64,
    /// What was dropped, by reason.
    pub drops: Drops,
}

/// Datagrams that were dropped without an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Drops {
    /// Not a message, or not one that a server takes.
    pub malformed: u64,
    /// Unauthenticated requests above the rate of their source.
    pub rate: u64,
    /// Answers that found the queue full: the driver did not drain.
    pub queue: u64,
    /// Data for a client whose connection is gone.
    pub no_client: u64,
    /// Data of a client without an allocation.
    pub no_allocation: u64,
    /// Data from or to a peer without a permission.
    pub no_permission: u64,
    /// ChannelData on a channel that is not bound.
    pub no_channel: u64,
    /// Data to a peer that the rules forbid.
    pub forbidden_peer: u64,
    /// Data too long to be wrapped.
    pub too_long: u64,
}
