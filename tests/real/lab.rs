//! The lab: network namespaces joined by one public segment, with nftables NATs before the hosts.
//!
//! ```text
//!   host 10.1.0.2 ── nat 203.0.113.21 ──┐                  ┌── 203.0.113.22 nat ── 10.2.0.2 host
//!   2001:db8:1::2       2001:db8::21    ├── bridge (pub) ──┤   2001:db8::22        2001:db8:2::2
//!                                       └── server 203.0.113.10, .11; 2001:db8::10, ::11
//! ```
//!
//! Nothing leaves the namespaces: none of them has a link to the machine's own. They are removed on drop, so also when
//! a test panics.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The two addresses of the server in each family: two, because a mapping is judged by two destinations.
pub(crate) const SERVER: [[&str; 2]; 2] =
    [["203.0.113.10", "203.0.113.11"], ["2001:db8::10", "2001:db8::11"]];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// The server's address that tests use when one is enough.
    pub(crate) fn server(self) -> IpAddr {
        SERVER[self as usize][0].parse().unwrap()
    }

    /// The address of the host on `side` (1 or 2) behind its NAT.
    pub(crate) fn host(self, side: u8) -> IpAddr {
        let text = match self {
            Self::V4 => format!("10.{side}.0.2"),
            Self::V6 => format!("2001:db8:{side}::2"),
        };
        text.parse().unwrap()
    }

    /// The address of the NAT of `side` on the public segment.
    pub(crate) fn outside(self, side: u8) -> IpAddr {
        let text = match self {
            Self::V4 => format!("203.0.113.2{side}"),
            Self::V6 => format!("2001:db8::2{side}"),
        };
        text.parse().unwrap()
    }
}

/// What stands between a host and the public segment (words of RFC 4787).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nat {
    /// A plain router: the host's address is reachable from everywhere.
    Open,
    /// No translation, but only answers come in: the usual IPv6 home router.
    Firewall,
    /// Endpoint-independent mapping, address- and port-dependent filtering.
    PortRestricted(Stray),
    /// A new random port for each destination.
    Symmetric(Stray),
    /// A new random port of a block for each destination, as carriers give one to each subscriber.
    Block,
    /// Endpoint-independent mapping and filtering: what arrives on a port goes to the host.
    FullCone,
    /// Endpoint-independent, but UDP passes only to and from this port.
    OnlyUdpPort(u16),
}

/// What the NAT does with a packet from outside that belongs to no mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stray {
    /// Drops it in its input hook, as home routers do.
    Dropped,
    /// Takes it for itself: connection tracking keeps the flow, and when the host sends to that peer, its mapping
    /// collides with the stray one and gets another port.
    Tracked,
}

impl Nat {
    fn translates(self) -> bool {
        !matches!(self, Self::Open | Self::Firewall)
    }

    /// The rules of the router, for both families.
    fn rules(self, side: u8, loss_percent: u8) -> String {
        let only_answers = "iifname \"out\" ct state new drop";
        let masquerade = match self {
            Self::Open | Self::Firewall => "",
            Self::Symmetric(_) => "oifname \"out\" masquerade random,fully-random",
            Self::Block => "oifname \"out\" meta l4proto udp masquerade to :20000-22047 random,fully-random",
            Self::PortRestricted(_) | Self::FullCone | Self::OnlyUdpPort(_) => "oifname \"out\" masquerade",
        };
        let input = match self {
            Self::PortRestricted(Stray::Tracked) | Self::Symmetric(Stray::Tracked) => "",
            _ => only_answers,
        };
        let forward = match self {
            Self::Open | Self::FullCone => String::new(),
            Self::OnlyUdpPort(port) => {
                // Three rules: nft 1.0.6 merges `dport != … sport != …` into one comparison that means "or".
                format!(
                    "{only_answers}\n    udp dport {port} accept\n    udp sport {port} accept\n    \
                     meta l4proto udp drop"
                )
            }
            _ => only_answers.to_owned(),
        };
        let (v4, v6) = (Family::V4.host(side), Family::V6.host(side));
        let inbound = match self {
            Self::FullCone => format!(
                "iifname \"out\" meta nfproto ipv4 meta l4proto udp dnat ip to {v4}\n    \
                 iifname \"out\" meta nfproto ipv6 meta l4proto udp dnat ip6 to {v6}"
            ),
            _ => String::new(),
        };
        // IPv6 lives on neighbour discovery, which connection tracking calls neither new nor established.
        format!(
            "table inet lab {{
  chain out {{
    type nat hook postrouting priority srcnat
    {masquerade}
  }}
  chain in {{
    type nat hook prerouting priority dstnat
    {inbound}
  }}
  chain stray {{
    type filter hook input priority filter
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    {input}
  }}
  chain through {{
    type filter hook forward priority filter
    meta l4proto udp numgen random mod 100 < {loss_percent} drop
    {forward}
  }}
}}
"
        )
    }
}

/// The namespaces of one test. Two tests never share one.
pub(crate) struct Lab {
    prefix: String,
    namespaces: Vec<String>,
    /// The networks whose addresses are known outside.
    open: Vec<u8>,
}

impl Lab {
    /// A lab with two hosts, each behind its NAT, and a server.
    pub(crate) fn new(nats: [Nat; 2]) -> Self {
        Self::with_loss(nats, 0)
    }

    /// As `new`, and each NAT loses that many percent (0 to 99) of the UDP packets it forwards, each way.
    pub(crate) fn with_loss(nats: [Nat; 2], loss_percent: u8) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("floe-{}-{number}", std::process::id());
        let mut lab = Self { prefix, namespaces: Vec::new(), open: Vec::new() };
        lab.namespace("pub");
        lab.ip("pub", "link add segment type bridge");
        lab.ip("pub", "link set segment up");
        lab.namespace("server");
        lab.plug("server", &SERVER.concat());
        lab.give_default_route("server");
        for (side, nat) in (1..).zip(nats) {
            lab.side(side, nat, loss_percent);
        }
        lab.route_open_sides(nats);
        lab
    }

    /// The full name of one of `server`, `host1`, `host2`, `nat1`, `nat2`.
    pub(crate) fn name(&self, short: &str) -> String {
        format!("{}-{short}", self.prefix)
    }

    /// A command that will run inside a namespace.
    pub(crate) fn command(&self, short: &str, program: &str) -> Command {
        inside(&self.name(short), program)
    }

    fn namespace(&mut self, short: &str) {
        let name = self.name(short);
        run(Command::new("ip").args(["netns", "add", &name]));
        self.namespaces.push(name);
        self.ip(short, "link set lo up");
        // Duplicate address detection would keep addresses tentative for a second.
        self.write(short, "ipv6/conf/default/accept_dad", "0");
        self.write(short, "ipv6/conf/all/accept_dad", "0");
    }

    /// Joins a namespace to the public segment with the interface `out`.
    fn plug(&self, short: &str, addrs: &[&str]) {
        let (peer, segment) = (format!("p-{short}"), self.name("pub"));
        self.ip(short, &format!("link add out type veth peer name {peer} netns {segment}"));
        self.ip("pub", &format!("link set {peer} master segment up"));
        for addr in addrs {
            let (bits, flags) = if addr.contains(':') { (64, "nodad") } else { (24, "") };
            self.ip(short, &format!("addr add {addr}/{bits} dev out {flags}"));
        }
        self.ip(short, "link set out up");
    }

    /// As on the Internet, packets to an address that nobody has leave and are never seen again. Without a route coturn
    /// gives up a whole allocation at the first packet to a private address.
    fn give_default_route(&self, short: &str) {
        self.ip(short, "link add void type bridge");
        self.ip(short, "link set void arp off up");
        self.ip(short, "route add default dev void");
        self.ip(short, "-6 route add default dev void");
    }

    fn side(&mut self, side: u8, nat: Nat, loss_percent: u8) {
        let host = format!("host{side}");
        self.namespace(&host);
        self.router(side, nat, loss_percent, &host, "eth0");
        self.arrive(&host, "eth0", side);
    }

    /// The router of a network, with a link into it for a host.
    fn router(&mut self, number: u8, nat: Nat, loss_percent: u8, host: &str, link: &str) {
        let router = format!("nat{number}");
        self.namespace(&router);
        let outside = [Family::V4, Family::V6].map(|family| family.outside(number).to_string());
        self.plug(&router, &[&outside[0], &outside[1]]);
        self.write(&router, "ipv4/ip_forward", "1");
        self.write(&router, "ipv6/conf/all/forwarding", "1");
        let inner = self.name(host);
        self.ip(&router, &format!("link add in type veth peer name {link} netns {inner}"));
        self.ip(&router, &format!("addr add 10.{number}.0.1/24 dev in"));
        self.ip(&router, &format!("addr add 2001:db8:{number}::1/64 dev in nodad"));
        self.ip(&router, "link set in up");
        feed(self.command(&router, "nft").args(["-f", "-"]), &nat.rules(number, loss_percent));
    }

    /// Gives a host its addresses in a network, and the default routes through it.
    pub(crate) fn arrive(&self, host: &str, link: &str, network: u8) {
        self.ip(host, &format!("addr add {}/24 dev {link}", Family::V4.host(network)));
        self.ip(host, &format!("addr add {}/64 dev {link} nodad", Family::V6.host(network)));
        self.ip(host, &format!("link set {link} up"));
        self.ip(host, &format!("route add default via 10.{network}.0.1"));
        self.ip(host, &format!("-6 route add default via 2001:db8:{network}::1"));
    }

    /// A further network (3 to 9) that a host can go to: its link `eth1` is down and has no address.
    pub(crate) fn further_network(&mut self, number: u8, nat: Nat, host: &str) {
        self.router(number, nat, 0, host, "eth1");
        self.route_open_side(number, nat);
        // The new router knows the ways that the others were told of.
        for open in self.open.iter().filter(|open| **open != number) {
            self.route_to(&format!("nat{number}"), *open);
        }
    }

    fn route_open_sides(&mut self, nats: [Nat; 2]) {
        for (side, nat) in (1..).zip(nats) {
            self.route_open_side(side, nat);
        }
    }

    /// Where nothing is translated, the public segment must know the way to the host.
    fn route_open_side(&mut self, number: u8, nat: Nat) {
        if nat.translates() {
            return;
        }
        let prefix = format!("{}-", self.prefix);
        let nodes: Vec<String> =
            self.namespaces.iter().filter_map(|name| Some(name.strip_prefix(&prefix)?.to_owned())).collect();
        let is_router = |node: &String| node == "server" || node.starts_with("nat");
        for node in nodes.iter().filter(|node| is_router(node) && **node != format!("nat{number}")) {
            self.route_to(node, number);
        }
        self.open.push(number);
    }

    fn route_to(&self, node: &str, number: u8) {
        self.ip(node, &format!("route add 10.{number}.0.0/24 via {}", Family::V4.outside(number)));
        self.ip(node, &format!("-6 route add 2001:db8:{number}::/64 via {}", Family::V6.outside(number)));
    }

    /// `ip ARGS` in a namespace.
    pub(crate) fn ip(&self, short: &str, args: &str) {
        ip_in(&self.name(short), args);
    }

    pub(crate) fn write(&self, short: &str, key: &str, value: &str) {
        run(self.command(short, "sh").args(["-c", &format!("echo {value} > /proc/sys/net/{key}")]));
    }

    /// Rules and connections of the NATs, for the report of a failure.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for router in ["nat1", "nat2"] {
            let output = self.command(router, "cat").arg("/proc/net/nf_conntrack").output().unwrap();
            let _ = writeln!(text, "{router} connections:\n{}", String::from_utf8_lossy(&output.stdout));
        }
        text
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.namespaces {
            // A failure here must not hide the one that the test is about.
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// A command that will run inside a namespace.
pub(crate) fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

/// Runs `ip` about a namespace.
pub(crate) fn ip_in(namespace: &str, args: &str) {
    run(Command::new("ip").args(["-n", namespace]).args(args.split_whitespace()));
}

pub(crate) fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn feed(command: &mut Command, input: &str) {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
}
