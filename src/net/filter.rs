//! Which interfaces and addresses of this host are used (RFC 8445 §19.1).

use std::convert::Infallible;
use std::net::IpAddr;
use std::str::FromStr;

use crate::server::Cidr;

/// Interfaces and addresses to use or to leave out.
///
/// Without rules every interface is used. With [`only`](Self::only) an address has to match one of those rules; what
/// matches one of [`without`](Self::without) is left out in any case.
///
/// ```
/// use floe::net::InterfaceFilter;
///
/// let filter = InterfaceFilter::new().only("eth*").only("fd00::/8").without("10.8.0.0/16");
/// # let _ = filter;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct InterfaceFilter {
    only: Vec<Rule>,
    without: Vec<Rule>,
}

/// What an address has to match: the name of its interface, where a last `*` stands for any rest, or a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The whole name of an interface, as `eth0`.
    Name(String),
    /// How the name begins: `docker` of `docker*`.
    Beginning(String),
    /// A range of addresses.
    Range(Cidr),
}

impl Rule {
    fn matches(&self, name: &str, ip: IpAddr) -> bool {
        match self {
            Self::Name(whole) => name == whole,
            Self::Beginning(beginning) => name.starts_with(beginning),
            Self::Range(range) => range.contains(ip),
        }
    }
}

/// An address or a range is one; everything else is a name.
impl From<&str> for Rule {
    fn from(text: &str) -> Self {
        match (text.parse(), text.strip_suffix('*')) {
            (Ok(range), _) => Self::Range(range),
            (_, Some(beginning)) => Self::Beginning(beginning.to_owned()),
            _ => Self::Name(text.to_owned()),
        }
    }
}

impl FromStr for Rule {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl InterfaceFilter {
    /// Every interface.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses what matches this rule, or another one that was given so, and nothing else.
    pub fn only(mut self, rule: impl Into<Rule>) -> Self {
        self.only.push(rule.into());
        self
    }

    /// Leaves out what matches this rule.
    pub fn without(mut self, rule: impl Into<Rule>) -> Self {
        self.without.push(rule.into());
        self
    }

    pub(super) fn admits(&self, name: &str, ip: IpAddr) -> bool {
        let matches = |rule: &Rule| rule.matches(name, ip);
        (self.only.is_empty() || self.only.iter().any(matches)) && !self.without.iter().any(matches)
    }
}

/// Bridges and pairs that container engines and hypervisors make: seldom the way to a peer, so their addresses come
/// after all others. They are kept, because a container on this host may be the peer.
pub(super) fn is_virtual(name: &str) -> bool {
    ["docker", "br-", "veth", "virbr", "vnet", "lxc", "cni", "podman"]
        .iter()
        .any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_and_addresses_are_chosen_by_rule_rfc_8445_section_19_1() {
        let all = InterfaceFilter::new();
        let wired = all.clone().only("eth*").only("wlan0");
        let no_docker = all.clone().without("docker*");
        let no_range = all.clone().without("10.0.0.0/8").without("fd00::/8");
        let some_wired = wired.clone().without("192.0.2.0/24");
        for (filter, name, ip, admitted) in [
            (&all, "eth0", "192.0.2.1", true),
            (&wired, "eth7", "192.0.2.1", true),
            (&wired, "wlan0", "192.0.2.1", true),
            (&wired, "wlan01", "192.0.2.1", false),
            (&no_docker, "docker0", "172.17.0.1", false),
            (&no_docker, "eth0", "172.17.0.1", true),
            (&no_range, "eth0", "10.255.0.1", false),
            (&no_range, "eth0", "11.0.0.1", true),
            (&no_range, "eth0", "fd00::1", false),
            (&no_range, "eth0", "fe80::1", true),
            (&some_wired, "eth0", "192.0.2.1", false),
            (&some_wired, "eth0", "192.0.3.1", true),
            (&some_wired, "tun0", "192.0.3.1", false),
        ] {
            assert_eq!(filter.admits(name, ip.parse().unwrap()), admitted, "{filter:?} {name} {ip}");
        }
    }

    #[test]
    fn bridges_of_containers_are_known_by_name() {
        assert!(["docker0", "br-0123456789ab", "veth12ab", "virbr0"].into_iter().all(is_virtual));
        assert!(!["eth0", "enp3s0", "wlan0", "br0", "tun0", "vmbr0"].into_iter().any(is_virtual));
    }
}
