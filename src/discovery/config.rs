//! What is to be measured, and from where.

use std::net::{IpAddr, SocketAddr};

use crate::time::Duration;

/// Servers that are asked, at most.
pub(super) const MAX_SERVERS: usize = 8;

/// How a [`Probe`](super::Probe) measures.
#[derive(Debug, Clone)]
#[must_use]
pub struct Config {
    pub(super) local: IpAddr,
    pub(super) servers: Vec<SocketAddr>,
    pub(super) seed: [u8; 32],
    pub(super) mtu: Option<u16>,
    pub(super) lifetime: Option<Duration>,
    pub(super) patience: Duration,
}

impl Config {
    /// From this address of the host, with these servers of its family: others are left out, and so are those beyond the
    /// eighth. The first one that speaks RFC 5780 is the one that is used; without any, two plain STUN servers with
    /// different addresses tell the mapping behaviour. Randomness comes from the seed.
    ///
    /// `local` must be the address that datagrams leave from, not the wildcard: whether there is a NAT is told by
    /// comparing it with what servers see.
    pub fn new(local: IpAddr, servers: impl IntoIterator<Item = SocketAddr>, seed: [u8; 32]) -> Self {
        let mut list: Vec<SocketAddr> = Vec::new();
        for server in servers {
            let is_usable = server.is_ipv4() == local.is_ipv4() && server.port() != 0;
            if is_usable && list.len() < MAX_SERVERS && !list.contains(&server) {
                list.push(server);
            }
        }
        let patience = Duration::from_secs(240);
        Self { local, servers: list, seed, mtu: None, lifetime: None, patience }
    }

    /// Tests whether fragments get out: with a request that is longer than this MTU of the interface, in bytes
    /// (RFC 5780 §3.5, §5). Off by default: whoever owns the sockets must let them fragment.
    pub fn fragments(mut self, mtu: u16) -> Self {
        self.mtu = Some(mtu);
        self
    }

    /// Measures how long a mapping lives, up to this long, at least 10 s, and what keeps it alive (RFC 5780 §4.6). It takes
    /// up to 4.2 times the lifetime and half a minute, more with loss. Off by default.
    pub fn lifetime(mut self, longest: Duration) -> Self {
        self.lifetime = Some(longest.max(Duration::from_secs(10)));
        self
    }

    /// How long everything but the lifetime may take; default 240 s. What is not measured by then stays unknown.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}
