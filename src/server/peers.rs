//! Which peers clients may reach through the relay (RFC 8656 §21.2): a relay stands inside somebody's network and
//! must not open what a firewall closes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::error::ParseError;

/// A range of addresses, such as `10.0.0.0/8` or `fd00::/8`. An address alone is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    ip: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Whether the range has this address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                (own.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                (own.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

impl From<IpAddr> for Cidr {
    fn from(ip: IpAddr) -> Self {
        Self { ip, prefix: if ip.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Cidr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip: IpAddr =
            ip.parse().map_err(|_| ParseError::new("address", format!("{ip:?} is not an IP address")))?;
        let whole = Self::from(ip);
        let prefix = match prefix {
            None => whole.prefix,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= whole.prefix && digits.bytes().all(|c| c.is_ascii_digit()))
                .ok_or_else(|| {
                    ParseError::new("prefix", format!("{digits:?} is not a number up to {}", whole.prefix))
                })?,
        };
        Ok(Self { ip, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

/// What clients may not reach by default: loopback, link-local, multicast, broadcast, unspecified and reserved
/// addresses, IPv4 in IPv6 clothes, and the tunnels of RFC 8656 §21.4.
const NEVER: &[Cidr] = &[
    v4([0, 0, 0, 0], 8),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([224, 0, 0, 0], 3),
    v6(0, 80),
    v6(0xfe80_0000, 10),
    v6(0xfec0_0000, 10),
    // NAT64 (RFC 6052 §2.1, RFC 8215): whatever IPv4 its translator reaches.
    v6(0x0064_ff9b, 47),
    v6(0xff00_0000, 8),
    TUNNELS[0],
    TUNNELS[1],
];
/// Teredo and 6to4: packets of these may loop between servers (RFC 8656 §21.4).
const TUNNELS: [Cidr; 2] = [v6(0x2001_0000, 32), v6(0x2002_0000, 16)];
/// Private and shared address space (RFC 1918, RFC 6598, RFC 4193).
const PRIVATE: &[Cidr] = &[
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([100, 64, 0, 0], 10),
    v6(0xfc00_0000, 7),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Cidr {
    Cidr { ip: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

/// `first` are the first 32 bits; zeros follow.
const fn v6(first: u32, prefix: u8) -> Cidr {
    Cidr { ip: IpAddr::V6(Ipv6Addr::from_bits((first as u128) << 96)), prefix }
}

/// Whether the address belongs to a tunnel that must neither allocate nor be a peer (RFC 8656 §21.4).
pub(super) fn is_tunnel(ip: IpAddr) -> bool {
    TUNNELS.iter().any(|tunnel| tunnel.contains(ip))
}

/// Rules about the peers of a relay.
///
/// By default every unicast address is allowed but for loopback, link-local, unspecified and reserved addresses,
/// Teredo and 6to4, and the server's own addresses; of these last only the relayed transport addresses of
/// living allocations can be reached, so that two clients of one server can meet. [`PeerRules::allow`] and
/// [`PeerRules::deny`] come before that; of both the longer prefix counts, and `deny` at a tie.
#[derive(Debug, Clone, Default)]
pub struct PeerRules {
    allow: Vec<Cidr>,
    deny: Vec<Cidr>,
    public: bool,
}

impl PeerRules {
    /// Allows a range, also one that is forbidden by default.
    #[must_use]
    pub fn allow(mut self, range: Cidr) -> Self {
        self.allow.push(range);
        self
    }

    /// Forbids a range.
    #[must_use]
    pub fn deny(mut self, range: Cidr) -> Self {
        self.deny.push(range);
        self
    }

    /// Forbids private address space too (RFC 1918, RFC 6598, RFC 4193): for a relay of the public internet.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Whether clients may reach this address.
    pub fn allows(&self, ip: IpAddr) -> bool {
        self.ruled(ip).unwrap_or_else(|| !(contains(NEVER, ip) || self.public && contains(PRIVATE, ip)))
    }

    /// What the explicit rules say; `None` if none of them matches.
    pub(super) fn ruled(&self, ip: IpAddr) -> Option<bool> {
        let longest = |ranges: &[Cidr]| {
            ranges.iter().filter(|range| range.contains(ip)).map(|range| range.prefix).max()
        };
        match (longest(&self.allow), longest(&self.deny)) {
            (None, None) => None,
            (allow, deny) => Some(allow > deny),
        }
    }
}

fn contains(ranges: &[Cidr], ip: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_has_what_its_prefix_says() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
        ] {
            assert!(cidr(range).contains(ip(inside)) && !cidr(range).contains(ip(outside)), "{range}");
        }
    }

    #[test]
    fn what_is_no_range_does_not_parse() {
        for text in
            ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "a/8"]
        {
            assert!(text.parse::<Cidr>().is_err(), "{text:?}");
        }
        assert_eq!(cidr("2001:db8::/32").to_string(), "2001:db8::/32");
    }

    /// RFC 8656 §21.2, §21.4.
    #[test]
    fn special_addresses_are_forbidden_by_default() {
        let rules = PeerRules::default();
        for forbidden in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "224.0.0.251",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:192.0.2.1",
            "fe80::1",
            "fec0::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "ff02::fb",
            "2001:0:1::1",
            "2002:c000:201::1",
        ] {
            assert!(!rules.allows(ip(forbidden)), "{forbidden}");
        }
        for allowed in ["192.0.2.1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "2001:db8::1", "fd00::1"] {
            assert!(rules.allows(ip(allowed)), "{allowed}");
        }
    }

    #[test]
    fn a_public_relay_forbids_private_addresses() {
        let rules = PeerRules::default().public();
        for forbidden in ["10.0.0.1", "172.31.0.1", "192.168.1.1", "100.127.0.1", "fd00::1"] {
            assert!(!rules.allows(ip(forbidden)), "{forbidden}");
        }
        assert!(rules.allows(ip("172.32.0.1")) && rules.allows(ip("2001:db8::1")));
    }

    #[test]
    fn the_longer_prefix_counts_and_deny_at_a_tie() {
        let rules = PeerRules::default()
            .allow(cidr("127.0.0.1"))
            .deny(cidr("10.0.0.0/8"))
            .allow(cidr("10.1.0.0/16"))
            .deny(cidr("192.0.2.0/24"))
            .allow(cidr("192.0.2.0/24"));
        for (text, allowed) in [
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("10.1.2.3", true),
            ("10.2.0.1", false),
            ("192.0.2.1", false),
            ("198.51.100.1", true),
        ] {
            assert_eq!(rules.allows(ip(text)), allowed, "{text}");
        }
    }
}
