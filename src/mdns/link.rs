//! A link of this host: a network where multicast reaches everybody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::candidate::address::{Scope, scope};
use crate::io::SocketId;

/// The port of multicast DNS (RFC 6762 §3).
pub const PORT: u16 = 5353;
/// The group of IPv4 (RFC 6762 §3).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// The group of IPv6 (RFC 6762 §3).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 0xFB);

/// A socket of the driver on one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The socket.
    pub socket: SocketId,
    /// The address that it sends from.
    pub local: SocketAddr,
    /// The length of the prefix of that address in bits: what is on the link.
    pub prefix: u8,
    /// What it can do.
    pub reach: Reach,
}

/// What a socket can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It has port 5353 and receives what is sent to the group.
    Full,
    /// It has some other port: it asks, and is answered by unicast (RFC 6762 §5.1, §6.7).
    AskOnly,
}

impl Link {
    pub(super) fn group(&self) -> SocketAddr {
        match self.local {
            SocketAddr::V4(_) => (GROUP_V4, PORT).into(),
            SocketAddr::V6(local) => SocketAddrV6::new(GROUP_V6, PORT, 0, local.scope_id()).into(),
        }
    }

    /// RFC 6762 §11.
    pub(super) fn has(&self, source: IpAddr) -> bool {
        match (self.local.ip(), source) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                scope(source) == Scope::LinkLocal
                    || (own.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix.min(32))
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                scope(source) == Scope::LinkLocal
                    || (own.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix.min(128))
            }
            _ => false,
        }
    }
}
