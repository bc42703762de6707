//! What the mapper asks of a protocol, and what becomes of it.

use std::net::SocketAddr;

use super::event::{MappingId, Problem, Protocol};
use super::pcp::Name;
use crate::time::Duration;

/// Why a gateway is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A mapping that is not there, or may be there no longer.
    Create,
    /// More time for one that is there.
    Renew,
    /// No mapping.
    Delete,
}

/// One request for one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) id: MappingId,
    pub(super) name: Name,
    pub(super) purpose: Purpose,
    /// What the mapping had before, or what the caller would like.
    pub(super) suggested: Option<SocketAddr>,
    pub(super) lifetime: Duration,
}

impl Order {
    /// In whole seconds; 0 deletes.
    pub(super) fn seconds(&self) -> u32 {
        match self.purpose {
            Purpose::Delete => 0,
            _ => self.lifetime.as_secs().try_into().unwrap_or(u32::MAX),
        }
    }
}

/// A mapping as the gateway has made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) external: SocketAddr,
    /// `None`: without an end.
    pub(super) lifetime: Option<Duration>,
    pub(super) protocol: Protocol,
}

/// What a protocol tells the mapper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Granted(MappingId, Grant),
    /// The same must not be asked again before `pause` is over.
    Refused {
        id: MappingId,
        protocol: Protocol,
        problem: Problem,
        pause: Duration,
    },
    /// Or as good as deleted.
    Deleted(MappingId),
    /// Nothing more will come of this protocol before it is asked again.
    Ended(Protocol, Problem),
    /// The gateway has lost its mappings.
    StateLost,
    /// Our NAT-PMP gateway has this address now.
    Moved(std::net::Ipv4Addr),
}
