//! The addresses of this host that make host candidates (RFC 8445 §5.1.1.1), in the order of their preference.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use getifaddrs::InterfaceFlags;

use crate::candidate::address::{Interface, Scope, is_gatherable, local_preferences, scope};

use super::filter::{InterfaceFilter, is_virtual};
use super::mtu;
use super::sys::{self, Carrier};

/// An address and what is known of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Local {
    /// With port 0.
    pub(super) addr: SocketAddr,
    /// The MTU of the interface, in bytes.
    pub(super) mtu: usize,
    pub(super) interface: Interface,
}

/// Where an address is: the link that multicast reaches from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) ip: IpAddr,
    /// The number of the interface; 0 where it is not known.
    pub(super) index: u32,
    /// The length of the prefix in bits.
    pub(super) prefix: u8,
}

impl Place {
    /// The address with the scope id of its link.
    pub(super) fn sender(&self) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => (ip, 0).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, self.index).into(),
        }
    }
}

/// The places of these addresses, one for each interface and family.
pub(super) fn places(ips: impl Iterator<Item = IpAddr>) -> Vec<Place> {
    let listed = list().unwrap_or_default();
    let mut places: Vec<Place> = Vec::new();
    for ip in ips {
        let Some(one) = listed.iter().find(|one| one.ip == ip) else { continue };
        let is_known = |place: &Place| (place.index, place.ip.is_ipv4()) == (one.index, ip.is_ipv4());
        if !places.iter().any(is_known) {
            places.push(Place { ip, index: one.index, prefix: one.prefix });
        }
    }
    places
}

/// One address as the system lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    ip: IpAddr,
    index: u32,
    name: String,
    /// The length of the prefix in bits.
    prefix: u8,
    interface: Interface,
    tracking: Tracking,
}

/// What an IPv6 address gives away about its host (RFC 7721).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tracking {
    /// A temporary address (RFC 8981): not for long.
    Temporary,
    /// Made from the MAC address: wherever the host goes.
    Mac,
    /// Not known, or IPv4.
    Unknown,
}

/// All addresses that may be gathered and that the filter admits, best first.
pub(super) fn gather(filter: &InterfaceFilter) -> io::Result<Vec<Local>> {
    let mut listed = list()?;
    listed.retain(|one| is_gatherable(one.ip) && filter.admits(&one.name, one.ip));
    let listed = without_tracking(listed);
    let pairs: Vec<_> = listed.iter().map(|one| (one.ip, one.interface)).collect();
    let mut ranked: Vec<_> = local_preferences(&pairs).into_iter().zip(listed).collect();
    ranked.sort_by_key(|(preference, _)| std::cmp::Reverse(*preference));
    Ok(ranked.into_iter().map(|(_, one)| local(&one)).collect())
}

/// The addresses that the kernel would send from to the Internet, one of each family that has a route there (RFC 8828
/// §6.2), if the filter admits them. Connecting a UDP socket asks for the route and sends nothing.
pub(super) fn routed(filter: &InterfaceFilter) -> Vec<Local> {
    let everywhere: [(SocketAddr, SocketAddr); 2] = [
        ((Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into()),
        ((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into()),
    ];
    let source = |(any, somewhere): (SocketAddr, SocketAddr)| -> io::Result<IpAddr> {
        let socket = std::net::UdpSocket::bind(any)?;
        socket.connect(somewhere)?;
        Ok(socket.local_addr()?.ip())
    };
    // A family without a route is none to send over.
    let mut ips: Vec<_> = everywhere.into_iter().filter_map(|one| source(one).ok()).collect();
    let listed = list().unwrap_or_default();
    ips.retain(|ip| listed.iter().any(|one| one.ip == *ip && filter.admits(&one.name, *ip)));
    named(&ips).into_iter().filter(|local| is_gatherable(local.addr.ip())).collect()
}

/// The addresses that the caller names, in the caller's order. An address that no interface has is kept: binding
/// tells what is wrong with it.
pub(super) fn named(ips: &[IpAddr]) -> Vec<Local> {
    let listed = list().unwrap_or_default();
    let known = |ip: &IpAddr| listed.iter().find(|one| one.ip == *ip);
    ips.iter().map(|ip| known(ip).map_or(unlisted(*ip), local)).collect()
}

/// Those of them that an interface has.
pub(super) fn present(ips: &[IpAddr]) -> Vec<Local> {
    let listed = list().unwrap_or_default();
    ips.iter().filter_map(|ip| listed.iter().find(|one| one.ip == *ip)).map(local).collect()
}

/// Without a carrier an interface is up, has its addresses and carries nothing.
fn is_working(interface: &getifaddrs::Interface) -> bool {
    interface.flags.contains(InterfaceFlags::UP) && sys::carrier(&interface.name) != Carrier::Lost
}

/// The addresses of all interfaces that work, also those that nothing new may use.
pub(super) fn assigned() -> Vec<IpAddr> {
    let up = getifaddrs::getifaddrs().into_iter().flatten();
    let up = up.filter(is_working);
    up.filter_map(|interface| interface.address.ip_addr()).collect()
}

/// The MTU of the interface that has this address, in bytes.
pub(super) fn mtu(ip: IpAddr) -> usize {
    let listed = list().unwrap_or_default();
    listed.iter().find(|one| one.ip == ip).map_or(mtu::UNKNOWN, |one| mtu::of_interface(&one.name))
}

/// The name and the number of the interface that has this address.
#[cfg(feature = "portmap")]
pub(super) fn place_of(ip: IpAddr) -> Option<(String, u32)> {
    let one = list().ok()?.into_iter().find(|one| one.ip == ip)?;
    Some((one.name, one.index))
}

fn unlisted(ip: IpAddr) -> Local {
    Local { addr: SocketAddr::new(ip, 0), mtu: mtu::UNKNOWN, interface: Interface::Reliable }
}

fn local(one: &Listed) -> Local {
    let addr = match one.ip {
        IpAddr::V6(ip) if scope(one.ip) == Scope::LinkLocal => SocketAddrV6::new(ip, 0, 0, one.index).into(),
        ip => SocketAddr::new(ip, 0),
    };
    Local { addr, mtu: mtu::of_interface(&one.name), interface: one.interface }
}

/// The addresses of all interfaces that work, without those that must not be used yet or any more.
fn list() -> io::Result<Vec<Listed>> {
    let flags = Ipv6Flags::read();
    let mut listed = Vec::new();
    for interface in getifaddrs::getifaddrs()? {
        let Some(ip) = interface.address.ip_addr() else { continue };
        if !is_working(&interface) {
            continue;
        }
        let tunnel = interface.flags.contains(InterfaceFlags::POINTTOPOINT) || is_virtual(&interface.name);
        let tracking = match ip {
            IpAddr::V4(_) => Tracking::Unknown,
            IpAddr::V6(ip) => match flags.of(ip) {
                flags if flags & UNUSABLE != 0 => continue,
                flags if flags & TEMPORARY != 0 => Tracking::Temporary,
                _ if is_made_from_mac(ip) => Tracking::Mac,
                _ => Tracking::Unknown,
            },
        };
        let prefix = match interface.address.netmask() {
            Some(IpAddr::V4(mask)) => mask.to_bits().leading_ones(),
            Some(IpAddr::V6(mask)) => mask.to_bits().leading_ones(),
            // Nothing else is known to be on its link.
            None => 128,
        };
        let one = Listed {
            ip,
            prefix: prefix as u8,
            index: interface.index.unwrap_or(0),
            name: interface.name,
            interface: if tunnel { Interface::Unreliable } else { Interface::Reliable },
            tracking,
        };
        if !listed.contains(&one) {
            listed.push(one);
        }
    }
    Ok(listed)
}

/// RFC 8445 §5.1.1.1: where an address prevents tracking, those of the same prefix and interface that allow it are
/// not gathered, and neither are IPv6 link-local ones.
fn without_tracking(listed: Vec<Listed>) -> Vec<Listed> {
    let temporary: Vec<_> = listed
        .iter()
        .filter(|one| one.tracking == Tracking::Temporary)
        .filter_map(|one| Some((one.index, prefix(one.ip)?)))
        .collect();
    let stays = |one: &Listed| match one.ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(_) if scope(one.ip) == Scope::LinkLocal => temporary.is_empty(),
        IpAddr::V6(_) => match (one.tracking, prefix(one.ip)) {
            (Tracking::Mac, Some(prefix)) => !temporary.contains(&(one.index, prefix)),
            _ => true,
        },
    };
    listed.into_iter().filter(|one| stays(one)).collect()
}

/// The /64 that autoconfiguration works in (RFC 4862 §5.5.3).
fn prefix(ip: IpAddr) -> Option<u64> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => Some((u128::from(ip) >> 64) as u64),
    }
}

/// An interface identifier in modified EUI-64 format has FF FE in its middle (RFC 4291, appendix A).
fn is_made_from_mac(ip: Ipv6Addr) -> bool {
    matches!(ip.octets(), [.., 0xFF, 0xFE, _, _, _])
}

/// Linux's flags of addresses (`IFA_F_*`): made for privacy.
const TEMPORARY: u8 = 0x01;
/// Duplicate address detection failed (0x08) or still runs (0x40), or the address is deprecated (0x20): no new
/// communication may use it (RFC 4862 §5.4, §5.5.4).
const UNUSABLE: u8 = 0x08 | 0x20 | 0x40;

/// What Linux says of its IPv6 addresses; elsewhere nothing is known.
#[derive(Debug, Default)]
struct Ipv6Flags(Vec<(Ipv6Addr, u8)>);

impl Ipv6Flags {
    fn read() -> Self {
        if cfg!(target_os = "linux") {
            std::fs::read_to_string("/proc/net/if_inet6").map(|text| Self::parse(&text)).unwrap_or_default()
        } else {
            Self::default()
        }
    }

    /// Lines of address, interface index, prefix length, scope, flags (all in hex) and the interface's name.
    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let ip = u128::from_str_radix(words.next()?, 16).ok()?;
            let flags = u8::from_str_radix(words.nth(3)?, 16).ok()?;
            Some((Ipv6Addr::from(ip), flags))
        };
        Self(text.lines().filter_map(line).collect())
    }

    fn of(&self, ip: Ipv6Addr) -> u8 {
        self.0.iter().find(|(known, _)| *known == ip).map_or(0, |(_, flags)| *flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(ip: &str, index: u32, tracking: Tracking) -> Listed {
        let ip = ip.parse().unwrap();
        Listed {
            ip,
            index,
            name: format!("eth{index}"),
            prefix: 64,
            interface: Interface::Reliable,
            tracking,
        }
    }

    fn left(list: &[Listed]) -> Vec<String> {
        without_tracking(list.to_vec()).iter().map(|one| one.ip.to_string()).collect()
    }

    #[test]
    fn a_temporary_address_hides_the_one_of_the_mac_rfc_8445_section_5_1_1_1() {
        let list = [
            listed("192.0.2.1", 1, Tracking::Unknown),
            listed("2001:db8::1234", 1, Tracking::Temporary),
            listed("2001:db8::200:5eff:fe00:5301", 1, Tracking::Mac),
            listed("2001:db8:1::200:5eff:fe00:5301", 1, Tracking::Mac),
            listed("2001:db8::200:5eff:fe00:5302", 2, Tracking::Mac),
            listed("fe80::200:5eff:fe00:5301", 1, Tracking::Mac),
        ];
        let expected = [
            "192.0.2.1",
            "2001:db8::1234",
            "2001:db8:1:0:200:5eff:fe00:5301",
            "2001:db8::200:5eff:fe00:5302",
        ];
        assert_eq!(left(&list), expected);
        assert_eq!(left(&list[2..]).len(), 4, "without a temporary address all stay");
    }

    #[test]
    fn a_temporary_address_hides_link_local_ones_rfc_8445_section_5_1_1_1() {
        let list = [
            listed("fe80::1", 1, Tracking::Unknown),
            listed("fe80::2", 2, Tracking::Mac),
            listed("169.254.1.1", 1, Tracking::Unknown),
            listed("2001:db8::1234", 1, Tracking::Temporary),
        ];
        assert_eq!(left(&list), ["169.254.1.1", "2001:db8::1234"]);
        assert_eq!(left(&list[..3]).len(), 3, "without a temporary address all stay");
    }

    #[test]
    fn reads_the_flags_of_linux() {
        let flags = Ipv6Flags::parse(
            "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n\
             20010db8000000000000000000001234 04 40 00 01     eth0\n\
             20010db8000000000000000000005678 04 40 00 60     eth0\n\
             nonsense\n",
        );
        let of = |ip: &str| flags.of(ip.parse().unwrap());
        assert_eq!(of("fe80::fc:ff:fe00:1"), 0x80);
        assert_eq!(of("2001:db8::1234") & TEMPORARY, TEMPORARY);
        assert_ne!(of("2001:db8::5678") & UNUSABLE, 0);
        assert_eq!(of("2001:db8::9"), 0);
    }

    #[test]
    fn a_mac_shows_in_its_address() {
        assert!(is_made_from_mac("fe80::200:5eff:fe00:5301".parse().unwrap()));
        assert!(!is_made_from_mac("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn loopback_is_never_gathered_but_can_be_named() {
        assert!(gather(&InterfaceFilter::new()).unwrap().iter().all(|local| !local.addr.ip().is_loopback()));
        let named = named(&["127.0.0.1".parse().unwrap()]);
        assert_eq!(named[0].addr, "127.0.0.1:0".parse().unwrap());
    }
}
