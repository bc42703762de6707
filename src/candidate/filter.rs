//! Which of the peer's addresses checks are sent to. A peer chooses them, so without a filter it could let this host
//! knock at any door (RFC 8445 §19.5.1).

use std::net::{IpAddr, SocketAddr};

use super::address::{Scope, is_checkable_remote, scope};

/// The least port that no well-known service has (RFC 6335 §6).
const FIRST_UNPRIVILEGED: u16 = 1024;
/// Ports below that of which relays are known to be.
const OF_RELAYS: [u16; 2] = [80, 443];

/// A filter for the addresses of remote candidates.
///
/// By default an address must name one host: no port 0, nothing unspecified, multicast, broadcast, IPv4-mapped or
/// IPv4-compatible, and loopback only for an agent that has a loopback base itself. The setters make it stricter.
///
/// It judges what is signalled, and what a `.local` name stands for. A peer-reflexive candidate is not signalled: its
/// address has sent an authenticated check, and gets nothing but answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteFilter {
    ports: Ports,
    addresses: Addresses,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ports {
    #[default]
    All,
    Unprivileged,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Addresses {
    #[default]
    All,
    Public,
}

impl RemoteFilter {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses ports below 1024 too, save 80 and 443, where relays may be.
    #[must_use]
    pub fn unprivileged_ports(mut self) -> Self {
        self.ports = Ports::Unprivileged;
        self
    }

    /// Refuses addresses too that are no address of the public Internet: private, unique local, link-local, of a
    /// provider's NAT. For agents that have nothing to find on the networks of their host.
    #[must_use]
    pub fn public_addresses(mut self) -> Self {
        self.addresses = Addresses::Public;
        self
    }

    /// Whether checks may be sent there.
    pub fn admits(self, addr: SocketAddr, has_loopback_base: bool) -> bool {
        let port = addr.port();
        is_checkable_remote(addr, has_loopback_base)
            && (self.ports == Ports::All || port >= FIRST_UNPRIVILEGED || OF_RELAYS.contains(&port))
            && (self.addresses == Addresses::All || !is_private(addr.ip()))
    }
}

/// Whether an address means something on some network only: private (RFC 1918), shared (RFC 6598), unique local (RFC
/// 4193), link-local, loopback.
pub fn is_private(ip: IpAddr) -> bool {
    match (scope(ip), ip) {
        (Scope::Loopback | Scope::LinkLocal, _) => true,
        (_, IpAddr::V4(ip)) => ip.is_private() || matches!(ip.octets(), [100, 64..=127, ..]),
        (_, IpAddr::V6(ip)) => matches!(ip.segments(), [0xFC00..=0xFDFF, ..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    #[test]
    fn what_names_no_single_host_is_refused_rfc_8445_section_19_5_1() {
        for text in [
            "192.0.2.1:0",
            "0.0.0.0:5000",
            "0.1.2.3:5000",
            "224.0.0.251:5353",
            "255.255.255.255:5000",
            "127.0.0.1:5000",
            "[::]:5000",
            "[::1]:5000",
            "[ff02::1]:5000",
            "[::ffff:192.0.2.1]:5000",
            "[::192.0.2.1]:5000",
            "[fec0::1]:5000",
        ] {
            assert!(!RemoteFilter::new().admits(addr(text), false), "{text}");
        }
        for text in ["192.0.2.1:1", "10.0.0.1:53", "[2001:db8::1]:5000", "169.254.1.1:5000", "[fe80::1]:5000"]
        {
            assert!(RemoteFilter::new().admits(addr(text), false), "{text}");
        }
        assert!(RemoteFilter::new().admits(addr("127.0.0.1:5000"), true));
        assert!(!RemoteFilter::new().admits(addr("0.0.0.0:5000"), true));
    }

    #[test]
    fn ports_of_services_are_refused_where_asked_but_those_of_relays() {
        let strict = RemoteFilter::new().unprivileged_ports();
        for (port, admitted) in
            [(1, false), (22, false), (53, false), (80, true), (443, true), (1023, false), (1024, true)]
        {
            assert_eq!(
                strict.admits(SocketAddr::new(addr("192.0.2.1:1").ip(), port), false),
                admitted,
                "{port}"
            );
        }
    }

    #[test]
    fn private_networks_are_refused_where_asked() {
        let strict = RemoteFilter::new().public_addresses();
        for text in [
            "10.0.0.1:5000",
            "172.16.0.1:5000",
            "172.31.255.255:5000",
            "192.168.0.1:5000",
            "100.64.0.1:5000",
            "100.127.0.1:5000",
            "169.254.0.1:5000",
            "[fd00::1]:5000",
            "[fc00::1]:5000",
            "[fe80::1]:5000",
        ] {
            assert!(!strict.admits(addr(text), false), "{text}");
            assert!(RemoteFilter::new().admits(addr(text), false), "{text}");
        }
        for text in
            ["172.15.0.1:5000", "172.32.0.1:5000", "100.63.0.1:5000", "100.128.0.1:5000", "[2001:db8::1]:1"]
        {
            assert!(strict.admits(addr(text), false), "{text}");
        }
        assert!(!strict.admits(addr("127.0.0.1:5000"), true));
    }
}
