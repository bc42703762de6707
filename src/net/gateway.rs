//! The default gateway of this host. Linux tells in two files; elsewhere the caller has to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::interfaces;

/// A next hop to everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gateway {
    pub(super) ip: IpAddr,
    /// The scope id of a link-local one.
    pub(super) scope: u32,
}

/// A line of a routing table that leads everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    interface: String,
    gateway: IpAddr,
    metric: u32,
}

/// The gateway for packets from `local`: that of its interface.
pub(super) fn of(local: IpAddr) -> io::Result<Gateway> {
    let place = interfaces::place_of(local);
    let routes = routes(local.is_ipv4())?;
    let of_interface = |route: &&Route| place.as_ref().is_some_and(|(name, _)| *name == route.interface);
    let route = routes.iter().filter(of_interface).min_by_key(|route| route.metric);
    let route = route.ok_or_else(|| not_found(&format!("no default gateway on the interface of {local}")))?;
    Ok(Gateway { ip: route.gateway, scope: place.map_or(0, |(_, index)| index) })
}

/// The gateway of the best default route over IPv4.
pub(super) fn default_v4() -> io::Result<Gateway> {
    let routes = routes(true)?;
    let route = routes.iter().min_by_key(|route| route.metric);
    let route = route.ok_or_else(|| not_found("no default gateway over IPv4"))?;
    Ok(Gateway { ip: route.gateway, scope: 0 })
}

/// The address that packets to a gateway leave from (RFC 6887 §16.4). Connecting a UDP socket asks for the route and
/// sends nothing.
pub(super) fn source_to(gateway: IpAddr) -> io::Result<IpAddr> {
    let any = if gateway.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(SocketAddr::new(gateway, crate::portmap::CONTROL_PORT))?;
    Ok(socket.local_addr()?.ip())
}

fn not_found(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, problem)
}

fn routes(is_ipv4: bool) -> io::Result<Vec<Route>> {
    if !cfg!(target_os = "linux") {
        let problem = "the default gateway is not known on this platform: name it";
        return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
    }
    if is_ipv4 {
        Ok(parse_v4(&std::fs::read_to_string("/proc/net/route")?))
    } else {
        // Without IPv6 there is no such file.
        Ok(parse_v6(&std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default()))
    }
}

/// The route is up, and has a gateway (`RTF_UP`, `RTF_GATEWAY`).
const USABLE: u32 = 0x1 | 0x2;

/// Interface, destination, gateway, flags, two counters, metric, mask. Addresses are in the byte order of the host.
fn parse_v4(text: &str) -> Vec<Route> {
    let line = |line: &str| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let [interface, destination, gateway, flags, _, _, metric, mask, ..] = words[..] else { return None };
        let hex = |word| u32::from_str_radix(word, 16).ok();
        let is_usable = hex(flags)? & USABLE == USABLE;
        if !is_usable || hex(destination)? != 0 || hex(mask)? != 0 {
            return None;
        }
        let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes()).into();
        Some(Route { interface: interface.to_owned(), gateway, metric: metric.parse().ok()? })
    };
    text.lines().filter_map(line).collect()
}

/// Destination and length of its prefix, source and length of its prefix, next hop, metric, two counters, flags,
/// interface; all but the last in hex.
fn parse_v6(text: &str) -> Vec<Route> {
    let line = |line: &str| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let [destination, prefix, _, _, hop, metric, _, _, flags, interface, ..] = words[..] else {
            return None;
        };
        let is_default = u128::from_str_radix(destination, 16).ok()? == 0 && prefix == "00";
        let is_usable = u32::from_str_radix(flags, 16).ok()? & USABLE == USABLE;
        if !is_default || !is_usable {
            return None;
        }
        let gateway = Ipv6Addr::from(u128::from_str_radix(hop, 16).ok()?).into();
        let metric = u32::from_str_radix(metric, 16).ok()?;
        Some(Route { interface: interface.to_owned(), gateway, metric })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(interface: &str, gateway: &str, metric: u32) -> Route {
        Route { interface: interface.to_owned(), gateway: gateway.parse().unwrap(), metric }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_the_default_routes_of_linux_over_ipv4() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
            wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n\
            nonsense\n";
        let expected = [route("eth0", "192.168.1.1", 100), route("wlan0", "192.168.2.1", 600)];
        assert_eq!(parse_v4(text), expected);
    }

    #[test]
    fn reads_the_default_routes_of_linux_over_ipv6() {
        let (zero, hop) = ("0".repeat(32), "fe80000000000000000000000000abcd");
        let text = format!(
            "{zero} 00 {zero} 00 {hop} 00000400 00000001 00000000 00000003     eth0\n\
             20010db8000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        );
        assert_eq!(parse_v6(&text), [route("eth0", "fe80::abcd", 0x400)]);
    }
}
