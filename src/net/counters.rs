//! What the driver counts, beside what the agent counts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::stats;

/// A snapshot of a session's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What the agent counted.
    pub agent: stats::Stats,
    /// Datagrams of data that were handed to the kernel.
    pub packets_sent: u64,
    /// Bytes of data in them, without what a relay's framing adds.
    pub bytes_sent: u64,
    /// Datagrams of the agent that were lost because a send buffer was full; it sends them again by itself.
    pub packets_discarded_on_send: u64,
    /// Datagrams that the kernel would not send: no route, a refusing firewall.
    pub send_errors: u64,
    /// Datagrams of the peer's data that were lost because the application did not receive them fast enough.
    pub packets_discarded_on_receive: u64,
    /// Datagrams that are neither STUN for this agent nor data from a checked source.
    pub unclaimed: u64,
    /// Errors when receiving, such as reports of unreachable ports.
    pub receive_errors: u64,
    /// Events that were lost because nobody took them.
    pub events_lost: u64,
}

/// Counters that the driver and every sender add to.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) packets_sent: Counter,
    pub(super) bytes_sent: Counter,
    pub(super) packets_discarded_on_send: Counter,
    pub(super) send_errors: Counter,
    pub(super) packets_discarded_on_receive: Counter,
    pub(super) unclaimed: Counter,
    pub(super) receive_errors: Counter,
    pub(super) events_lost: Counter,
}

impl Counters {
    pub(super) fn snapshot(&self, agent: stats::Stats) -> Stats {
        Stats {
            agent,
            packets_sent: self.packets_sent.value(),
            bytes_sent: self.bytes_sent.value(),
            packets_discarded_on_send: self.packets_discarded_on_send.value(),
            send_errors: self.send_errors.value(),
            packets_discarded_on_receive: self.packets_discarded_on_receive.value(),
            unclaimed: self.unclaimed.value(),
            receive_errors: self.receive_errors.value(),
            events_lost: self.events_lost.value(),
        }
    }
}

/// One counter. Nothing is ordered by it.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
