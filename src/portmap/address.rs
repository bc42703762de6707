//! Which addresses the Internet can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one that hosts outside can have a route to: neither private (RFC 1918, RFC 4193) nor shared
/// behind a carrier's NAT (RFC 6598), nor of this host or link only. A mapping at any other address is behind a
/// further NAT.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
    // "This network", and what is reserved from 240.0.0.0 on.
    let is_reserved = matches!(ip.octets(), [0 | 240..=255, ..]);
    !(is_shared
        || is_reserved
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast())
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // RFC 4291 §2.4: what is handed out as global unicast.
    matches!(ip.segments(), [0x2000..=0x3FFF, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_shared_and_local_addresses_are_behind_a_nat() {
        let of = |ip: &str| is_public(ip.parse().unwrap());
        for ip in ["10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "100.127.255.255"] {
            assert!(!of(ip), "{ip}");
        }
        for ip in ["127.0.0.1", "169.254.1.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255"] {
            assert!(!of(ip), "{ip}");
        }
        for ip in ["fd00::1", "fe80::1", "::1", "::", "ff02::1"] {
            assert!(!of(ip), "{ip}");
        }
        for ip in ["11.22.33.44", "100.63.0.1", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(of(ip), "{ip}");
        }
    }
}
