//! How much a session may hold. A peer that means harm reaches these numbers and nothing beyond.

/// The limits of one agent. Each has a default that no honest session reaches, and a range that is kept to: what is
/// outside is clamped.
///
/// | limit | default | range | at the limit |
/// |---|---|---|---|
/// | [`bases`](Self::bases) | 128 | 1..=1024 | sockets are refused, relays are not used |
/// | [`local_candidates`](Self::local_candidates) | 256 | 1..=4096 | further ones are left out |
/// | [`remote_candidates`](Self::remote_candidates) | 128 | 1..=4096 | their signals are refused |
/// | [`peer_reflexive`](Self::peer_reflexive) | 32 | 1..=1024 | remote: the oldest one goes; local: none is added |
/// | [`pairs`](Self::pairs) | 100 | 1..=1000 | a failed one goes, or the worst that was not checked |
/// | [`triggered_checks`](Self::triggered_checks) | 100 | 1..=1000 | the pair waits for its ordinary turn |
/// | [`early_checks`](Self::early_checks) | 32 | 1..=1000 | the pair waits for its ordinary turn |
/// | [`transactions`](Self::transactions) | 512 | pairs..=8192 | the oldest that was replaced is forgotten |
/// | [`queries`](Self::queries) | 256 | 1..=4096 | further servers are not asked |
/// | [`connections`](Self::connections) | 64 | 1..=1024 | accepted ones are closed, others are opened later |
/// | [`strangers`](Self::strangers) | 16 | 1..=1024 | the oldest one is closed |
///
/// Two more are fixed: 5 connections at a time are being opened to one IP address of the peer (RFC 6544 §12), and an
/// accepted connection has 10 s to bring an authenticated check (RFC 6544 §7.2).
///
/// With the defaults one agent holds less than 1 MiB, its TURN clients apart: a signalled candidate is at most as long
/// as a [line](crate::signal::MAX_LINE) of 2 KiB, everything else takes less than 512 bytes each. A TURN client holds up
/// to [256 peers](crate::turn::MAX_PEERS), 64 KiB. Answers that wait to be sent are 32 at most, other packets 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub(crate) bases: u16,
    pub(crate) local_candidates: u16,
    pub(crate) remote_candidates: u16,
    pub(crate) peer_reflexive: u16,
    pub(crate) pairs: u16,
    pub(crate) triggered_checks: u16,
    pub(crate) early_checks: u16,
    transactions: u16,
    pub(crate) queries: u16,
    pub(crate) connections: u16,
    pub(crate) strangers: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bases: 128,
            local_candidates: 256,
            remote_candidates: 128,
            peer_reflexive: 32,
            pairs: 100,
            triggered_checks: 100,
            early_checks: 32,
            transactions: 512,
            queries: 256,
            connections: 64,
            strangers: 16,
        }
    }
}

impl Limits {
    /// Sockets and relays. More gain nothing, since pairs are limited.
    #[must_use]
    pub fn bases(mut self, count: usize) -> Self {
        self.bases = clamped(count, 1024);
        self
    }

    /// Candidates of this agent: host, server-reflexive, peer-reflexive and relayed.
    #[must_use]
    pub fn local_candidates(mut self, count: usize) -> Self {
        self.local_candidates = clamped(count, 4096);
        self
    }

    /// Candidates of the peer, peer-reflexive ones included.
    #[must_use]
    pub fn remote_candidates(mut self, count: usize) -> Self {
        self.remote_candidates = clamped(count, 4096);
        self
    }

    /// Peer-reflexive candidates of each side. Each NAT between two agents makes one; more are NATs that map anew for
    /// each destination, or a peer that invents addresses.
    #[must_use]
    pub fn peer_reflexive(mut self, count: usize) -> Self {
        self.peer_reflexive = clamped(count, 1024);
        self
    }

    /// Pairs over the whole checklist set (RFC 8445 §6.1.2.5).
    #[must_use]
    pub fn pairs(mut self, count: usize) -> Self {
        self.pairs = clamped(count, 1000);
        self
    }

    /// Triggered checks that wait, of one stream (RFC 8445 §6.1.4.1). Nominations are not counted: each component has
    /// one at most.
    #[must_use]
    pub fn triggered_checks(mut self, count: usize) -> Self {
        self.triggered_checks = clamped(count, 1000);
        self
    }

    /// Checks that arrive before the peer's credentials and are answered by one of our own as soon as these come (RFC
    /// 8445 §7.3), of one stream.
    #[must_use]
    pub fn early_checks(mut self, count: usize) -> Self {
        self.early_checks = clamped(count, 1000);
        self
    }

    /// Checks of this agent whose answers are waited for, those that a triggered check has replaced included (RFC 8445
    /// §7.3.1.4). Each pair has one that is not replaced, so there is room for one a pair in any case.
    #[must_use]
    pub fn transactions(mut self, count: usize) -> Self {
        self.transactions = clamped(count, 8192);
        self
    }

    /// Queries to STUN servers: one for each server and base.
    #[must_use]
    pub fn queries(mut self, count: usize) -> Self {
        self.queries = clamped(count, 4096);
        self
    }

    /// TCP connections of candidate pairs, opened, accepted and being opened (RFC 6544). Those to servers are not
    /// counted: each relay has one.
    #[must_use]
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = clamped(count, 1024);
        self
    }

    /// Accepted TCP connections on which no authenticated check has come yet (RFC 6544 §7.2).
    #[must_use]
    pub fn strangers(mut self, count: usize) -> Self {
        self.strangers = clamped(count, 1024);
        self
    }

    pub(crate) fn open_transactions(&self) -> usize {
        self.transactions.max(self.pairs).into()
    }
}

/// At least 1. Limits are held in 16 bits: an agent has two copies of them.
fn clamped(count: usize, most: u16) -> u16 {
    u16::try_from(count).map_or(most, |count| count.clamp(1, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::pair::Pair;
    use crate::checks::request::Check;
    use crate::checks::set::{Local, Remote};
    use crate::stun::transaction::Transaction;

    /// The documentation says 1 MiB: 2 KiB for the text of each remote candidate, 512 bytes for each thing.
    #[test]
    fn everything_at_its_limit_takes_less_than_1_mib() {
        for size in
            [size_of::<Pair>(), size_of::<Local>(), size_of::<Remote>(), size_of::<Transaction<Check>>()]
        {
            assert!(size <= 512, "{size}");
        }
        let all = Limits::default();
        let things = all.bases + all.local_candidates + all.remote_candidates + all.pairs + all.queries;
        let things = usize::from(things + all.connections + all.strangers);
        let bytes = (things + all.open_transactions()) * 512 + usize::from(all.remote_candidates) * 2048;
        assert!(bytes < 1 << 20, "{bytes}");
    }

    #[test]
    fn limits_are_clamped_and_transactions_have_room_for_all_pairs() {
        let least = Limits::default().pairs(0).remote_candidates(0).transactions(0);
        assert_eq!((least.pairs, least.remote_candidates, least.open_transactions()), (1, 1, 1));
        let most = Limits::default().pairs(usize::MAX).early_checks(usize::MAX).transactions(1);
        assert_eq!((most.pairs, most.early_checks, most.open_transactions()), (1000, 1000, 1000));
    }
}
