//! A bounded record of what happened on the wire and in the state machine. Off by default: then nothing is
//! allocated, formatted or kept. A record is a plain `Copy` value; text is made by the printers only.
//!
//! What belongs to higher layers (STUN messages, states of pairs and agents) comes as plain values.

mod json;
mod ladder;

pub use json::JsonLines;
pub use ladder::Ladder;

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::candidate::CandidateType;
use crate::io::ComponentId;
use crate::time::Instant;

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A datagram went out.
    Sent {
        /// The local transport address.
        base: SocketAddr,
        /// Where to.
        remote: SocketAddr,
        /// What it was.
        content: Content,
    },
    /// A datagram came in and was used.
    Received {
        /// The local transport address.
        base: SocketAddr,
        /// Where from.
        remote: SocketAddr,
        /// What it was.
        content: Content,
    },
    /// A datagram came in and was dropped.
    Dropped {
        /// The local transport address.
        base: SocketAddr,
        /// Where from.
        remote: SocketAddr,
        /// Why, in a few words.
        why: &'static str,
    },
    /// A candidate became known.
    Candidate {
        /// Whose it is.
        side: Side,
        /// Its type.
        kind: CandidateType,
        /// Its transport address.
        address: SocketAddr,
        /// Its priority.
        priority: u32,
    },
    /// The name of a remote candidate could not be resolved: the candidate is not used.
    Unresolved {
        /// Its type.
        kind: CandidateType,
        /// Its priority.
        priority: u32,
        /// Its port.
        port: u16,
    },
    /// A candidate pair changed its state (RFC 8445 §6.1.2.6).
    Pair {
        /// The local candidate's transport address.
        local: SocketAddr,
        /// The remote candidate's transport address.
        remote: SocketAddr,
        /// The name of the new state.
        state: &'static str,
    },
    /// A candidate pair was nominated (RFC 8445 §8.1).
    Nominated {
        /// The local candidate's transport address.
        local: SocketAddr,
        /// The remote candidate's transport address.
        remote: SocketAddr,
    },
    /// The agent's state changed: the name of the new one.
    State(&'static str),
    /// Where to send data changed.
    Path {
        /// The component.
        component: ComponentId,
        /// The peer or its TURN server; `None`: nothing may be sent.
        destination: Option<SocketAddr>,
    },
}

/// Whose a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The agent's own.
    Local,
    /// The peer's.
    Remote,
}

/// What a datagram holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// A STUN message.
    Stun(MessageSummary),
    /// Anything else: its length in bytes.
    Data(usize),
}

/// The class of a STUN message (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A request.
    Request,
    /// An indication.
    Indication,
    /// A success response.
    Success,
    /// An error response with its code, 300 to 699 (RFC 8489 §14.8); 0 where it has none.
    Error(u16),
}

/// As much of a STUN message as one line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageSummary {
    /// The class.
    pub class: Class,
    /// The method, 12 bits.
    pub method: u16,
    /// The transaction id.
    pub transaction_id: [u8; 12],
    /// USE-CANDIDATE is in it (RFC 8445 §7.1.2).
    pub nominates: bool,
}

impl MessageSummary {
    /// The registry's name of the method (RFC 8489 §18.2, RFC 8656 §17), `None` if it has none.
    pub fn method_name(&self) -> Option<&'static str> {
        Some(match self.method {
            0x001 => "Binding",
            0x003 => "Allocate",
            0x004 => "Refresh",
            0x006 => "Send",
            0x007 => "Data",
            0x008 => "CreatePermission",
            0x009 => "ChannelBind",
            _ => return None,
        })
    }
}

/// A ring of the last records.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    records: VecDeque<Record>,
    capacity: usize,
    lost: u64,
}

impl Trace {
    /// More records than this are not kept, whatever is asked for: about 10 MB.
    pub const MAX_RECORDS: usize = 65_536;

    /// Keeps the last `capacity` records; 0 is off. Memory is taken as records come.
    pub fn new(capacity: usize) -> Self {
        Self { records: VecDeque::new(), capacity: capacity.min(Self::MAX_RECORDS), lost: 0 }
    }

    /// Whether records are kept: where a value for [`Trace::push`] costs something to make, ask first.
    pub fn is_on(&self) -> bool {
        self.capacity > 0
    }

    /// Notes what happened at `now`; the oldest record makes room.
    pub fn push(&mut self, now: Instant, what: What) {
        if self.capacity == 0 {
            return;
        }
        if self.records.len() == self.capacity {
            self.records.pop_front();
            self.lost += 1;
        }
        self.records.push_back(Record { at: now, what });
    }

    /// The records, oldest first.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.records.iter()
    }

    /// How many records made room for later ones.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// Milliseconds from `epoch` to `at`; 0 for what came before.
fn millis(epoch: Instant, at: Instant) -> f64 {
    at.saturating_duration_since(epoch).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::test_epoch;

    #[test]
    fn takes_no_memory_while_it_is_off() {
        let mut trace = Trace::new(0);
        trace.push(test_epoch(), What::State("checking"));
        assert!(!trace.is_on());
        assert_eq!((trace.records().len(), trace.records.capacity(), trace.lost()), (0, 0, 0));
    }

    #[test]
    fn keeps_the_last_records_and_counts_the_others() {
        let mut trace = Trace::new(2);
        for state in ["gathering", "checking", "connected"] {
            trace.push(test_epoch(), What::State(state));
        }
        let kept: Vec<What> = trace.records().map(|record| record.what).collect();
        assert_eq!(kept, [What::State("checking"), What::State("connected")]);
        assert_eq!(trace.lost(), 1);
    }
}
