//! Which addresses make candidates, and in which order (RFC 8445 §5.1.1.1, RFC 8421, RFC 6724).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How far an address reaches, as far as ICE cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Never the address of a candidate: unspecified, multicast, broadcast, and the IPv6 forms that RFC 8445
    /// §5.1.1.1 excludes (IPv4-mapped, IPv4-compatible, site-local).
    Unusable,
    /// 127.0.0.0/8, `::1`: this host only.
    Loopback,
    /// 169.254.0.0/16, `fe80::/10`: one link only.
    LinkLocal,
    /// Everything else, private networks included.
    Wide,
}

/// The scope of an address.
pub fn scope(ip: IpAddr) -> Scope {
    match ip {
        IpAddr::V4(ip) => scope_v4(ip),
        IpAddr::V6(ip) => scope_v6(ip),
    }
}

fn scope_v4(ip: Ipv4Addr) -> Scope {
    match ip.octets() {
        // "This network" (RFC 1122 §3.2.1.3): a source at boot, never a destination.
        [0, ..] | [255, 255, 255, 255] => Scope::Unusable,
        _ if ip.is_multicast() => Scope::Unusable,
        [127, ..] => Scope::Loopback,
        [169, 254, ..] => Scope::LinkLocal,
        _ => Scope::Wide,
    }
}

fn scope_v6(ip: Ipv6Addr) -> Scope {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Scope::Loopback,
        // ::/96 (unspecified and IPv4-compatible) and ::ffff:0:0/96 (IPv4-mapped).
        [0, 0, 0, 0, 0, 0 | 0xFFFF, _, _] => Scope::Unusable,
        [first, ..] => match first {
            0xFE80..=0xFEBF => Scope::LinkLocal,
            0xFEC0..=0xFEFF | 0xFF00.. => Scope::Unusable,
            _ => Scope::Wide,
        },
    }
}

/// Whether an address names one host, so that a socket on it can be the base of a candidate. Loopback can: who
/// names it wants it.
pub fn is_unicast(ip: IpAddr) -> bool {
    scope(ip) != Scope::Unusable
}

/// Whether an address that was found by enumerating interfaces makes a host candidate (RFC 8445 §5.1.1.1):
/// loopback never does.
pub fn is_gatherable(ip: IpAddr) -> bool {
    matches!(scope(ip), Scope::LinkLocal | Scope::Wide)
}

/// Whether checks may be sent to the address of a remote candidate. Loopback only by an agent that has a
/// loopback base: a peer must not have any other send to services of its own host.
pub fn is_checkable_remote(addr: SocketAddr, has_loopback_base: bool) -> bool {
    addr.port() != 0
        && match scope(addr.ip()) {
            Scope::Unusable => false,
            Scope::Loopback => has_loopback_base,
            Scope::LinkLocal | Scope::Wide => true,
        }
}

/// Whether a check can get from `local` to `remote`: same family (RFC 8445 §6.1.2.2), loopback with loopback,
/// link-local with link-local. A remote scope id of 0 is unknown, not another link: nobody signals it.
pub fn can_pair(local: SocketAddr, remote: SocketAddr) -> bool {
    let scopes = (scope(local.ip()), scope(remote.ip()));
    let reaches = scopes.0 == scopes.1 && scopes.0 != Scope::Unusable;
    match (local, remote) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => reaches,
        (SocketAddr::V6(local), SocketAddr::V6(remote)) => {
            let links = (local.scope_id(), remote.scope_id());
            let same_link = links.0 == links.1 || links.0 == 0 || links.1 == 0;
            reaches && (scopes.0 != Scope::LinkLocal || same_link)
        }
        _ => false,
    }
}

/// The address to send to from `base`: a link-local one is reached over the link of the base, whose scope id a
/// signalled candidate does not have (RFC 4007 §6).
pub fn on_link_of(base: SocketAddr, remote: SocketAddr) -> SocketAddr {
    match (base, remote) {
        (SocketAddr::V6(base), SocketAddr::V6(mut remote))
            if scope((*remote.ip()).into()) == Scope::LinkLocal =>
        {
            remote.set_scope_id(base.scope_id());
            remote.into()
        }
        _ => remote,
    }
}

/// The address as it would be signalled: the scope id is this host's name for a link, and no other host's.
pub fn without_link(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(mut addr) => {
            addr.set_scope_id(0);
            addr.into()
        }
        SocketAddr::V4(_) => addr,
    }
}

/// What is known about the interface of an address (RFC 8421 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// As good as any; what is assumed without knowledge.
    Reliable,
    /// A tunnel, a metered or a flaky link: its addresses come after all others.
    Unreliable,
}

/// The local preference of each address (RFC 8445 §5.1.2.1), in the order of `addresses`: distinct, from 65535
/// downwards without gaps. IPv6 goes first, and after each `(N4 + N6) / N4` IPv6 addresses comes an IPv4 one
/// (RFC 8421 §4); addresses of unreliable interfaces follow, not interleaved (§5). In a family the better
/// reach goes first (RFC 6724 §2.1), equals keep their order. Beyond 65536 addresses all have 0.
pub fn local_preferences(addresses: &[(IpAddr, Interface)]) -> Vec<u16> {
    let select = |interface: Interface, is_family: fn(&IpAddr) -> bool| {
        let mut chosen: Vec<usize> = (0..addresses.len())
            .filter(|index| addresses[*index].1 == interface && is_family(&addresses[*index].0))
            .collect();
        chosen.sort_by_key(|index| distance(addresses[*index].0));
        chosen
    };
    let (v6, v4) =
        (select(Interface::Reliable, IpAddr::is_ipv6), select(Interface::Reliable, IpAddr::is_ipv4));
    let head_start = (v4.len() + v6.len()).checked_div(v4.len()).unwrap_or(v6.len());

    let mut order = Vec::with_capacity(addresses.len());
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    while v6.len() + v4.len() > 0 {
        order.extend(v6.by_ref().take(head_start));
        order.extend(v4.next());
    }
    order.extend(select(Interface::Unreliable, IpAddr::is_ipv6));
    order.extend(select(Interface::Unreliable, IpAddr::is_ipv4));

    let mut preferences = vec![0; addresses.len()];
    for (preference, index) in (0..=u16::MAX).rev().zip(order) {
        preferences[index] = preference;
    }
    preferences
}

/// The place of an address among those of its family, near 0 first, after the precedences of RFC 6724 §2.1.
fn distance(ip: IpAddr) -> u8 {
    match (scope(ip), ip) {
        (Scope::Wide, IpAddr::V4(_)) => 0,
        (Scope::Wide, IpAddr::V6(ip)) => match ip.segments() {
            [0x2002, ..] => 1,          // 6to4
            [0x2001, 0, ..] => 2,       // Teredo
            [0xFC00..=0xFDFF, ..] => 3, // unique local
            _ => 0,
        },
        (Scope::LinkLocal, _) => 4,
        (Scope::Loopback, _) => 5,
        (Scope::Unusable, _) => 6,
    }
}

/// The precedence of an address (RFC 6724 §2.1).
pub fn precedence(ip: IpAddr) -> u16 {
    match ip {
        IpAddr::V4(_) => 35,
        IpAddr::V6(ip) => match ip.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => 50,
            [0, 0, 0, 0, 0, 0xFFFF, ..] => 35,
            [0x2002, ..] => 30,
            [0x2001, 0, ..] => 5,
            [0xFC00..=0xFDFF, ..] => 3,
            [0, 0, 0, 0, 0, 0, ..] | [0xFEC0..=0xFEFF | 0x3FFE, ..] => 1,
            _ => 40,
        },
    }
}

/// Local preferences for bases that come one by one: each is signalled at once, so none may change later.
///
/// The family of the first base gets 65535, 65533, …, the other one 65534, 65532, …: the first base has 65535,
/// as a single-homed host should (RFC 8445 §5.1.2.1), and however many bases of one family come before, the
/// next one of the other family stands beside its own number (RFC 8421 §4). Whoever knows all addresses adds
/// them in the order of [`local_preferences`], and IPv6 leads.
#[derive(Debug, Clone, Default)]
pub struct LocalPreference {
    lead: Option<Family>,
    taken: [u16; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl LocalPreference {
    /// None was given out yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The preference of the next base. It repeats none of the earlier ones, up to 32768 bases of a family;
    /// from there on it is the lowest of that family.
    pub fn next(&mut self, addr: IpAddr) -> u16 {
        let family = if addr.is_ipv6() { Family::V6 } else { Family::V4 };
        let follows = u16::from(*self.lead.get_or_insert(family) != family);
        let taken = &mut self.taken[usize::from(follows)];
        let preference = u16::MAX - follows - 2 * *taken;
        *taken = (*taken + 1).min(u16::MAX / 2);
        preference
    }
}

#[cfg(test)]
mod tests;
