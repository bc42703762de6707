//! How large a datagram may be before somebody on the way would have to fragment it.

use std::net::SocketAddr;

use crate::agent::Path;

use super::sys;

/// What every IPv6 link carries (RFC 8200 §5), and in practice every IPv4 link: assumed where nothing is known.
pub(super) const UNKNOWN: usize = 1280;

/// The length fields of IPv4 (the whole packet) and UDP (without the IPv6 header) have 16 bits.
const MAX_LENGTH: usize = 65_535;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;

/// The bytes that one datagram to `destination` may carry over a link of this MTU.
pub(super) fn payload(mtu: usize, destination: SocketAddr) -> usize {
    let packet = match destination {
        SocketAddr::V4(_) => mtu.min(MAX_LENGTH) - IPV4_HEADER.min(mtu),
        SocketAddr::V6(_) => mtu.saturating_sub(IPV6_HEADER).min(MAX_LENGTH),
    };
    packet.saturating_sub(UDP_HEADER)
}

/// The same for the application's bytes on a path: what its framing adds is taken off.
pub(super) fn path_payload(mtu: usize, path: &Path) -> usize {
    payload(mtu, path.destination()).saturating_sub(path.overhead())
}

/// The same for a connection, whose other end may make a datagram of either family of it.
pub(super) fn stream_payload(mtu: usize) -> usize {
    mtu.saturating_sub(IPV6_HEADER).min(MAX_LENGTH).saturating_sub(UDP_HEADER)
}

/// The MTU of an interface.
pub(super) fn of_interface(name: &str) -> usize {
    let text = sys::attribute(name, "mtu");
    text.and_then(|text| text.parse().ok()).filter(|mtu| *mtu > 0).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn headers_are_taken_off() {
        assert_eq!(payload(1500, addr("192.0.2.1:9")), 1472);
        assert_eq!(payload(1500, addr("[2001:db8::1]:9")), 1452);
        assert_eq!(payload(1280, addr("192.0.2.1:9")), 1252);
    }

    #[test]
    fn sixteen_bits_of_length_bound_the_loopback_interface() {
        assert_eq!(payload(65_536, addr("127.0.0.1:9")), 65_507);
        assert_eq!(payload(65_536, addr("[::1]:9")), 65_488);
        assert_eq!(payload(usize::MAX, addr("[::1]:9")), 65_527);
    }

    #[test]
    fn an_absurd_mtu_leaves_nothing() {
        assert_eq!(payload(0, addr("192.0.2.1:9")), 0);
        assert_eq!(payload(27, addr("192.0.2.1:9")), 0);
        assert_eq!(payload(47, addr("[2001:db8::1]:9")), 0);
    }
}
