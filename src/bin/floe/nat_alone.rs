//! `floe nat` without a server: what this host and its gateway tell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};

use floe::io::Transport;
use floe::net::PortMapping;
use floe::net::discovery::Plan;
use floe::portmap::{Event, Problem, Wish, is_public};

use crate::exit::Exit;
use crate::lines;

/// How long a gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The shortest time that is asked for: the mapping is taken back at once.
const LIFETIME: Duration = Duration::from_secs(120);
/// What has to be said where it ends.
const NEEDED: &str = "How NATs map and filter is not known: servers outside have to tell. Name one that speaks RFC 5780, or \
    two others: floe nat stun:stun.example.org";

/// What kind of address a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// One of the Internet.
    Public,
    /// RFC 1918, or RFC 4193.
    Private,
    /// RFC 6598.
    Shared,
    /// Loopback, link-local, reserved.
    Local,
}

impl Reach {
    fn of(ip: IpAddr) -> Self {
        match ip {
            _ if is_public(ip) => Self::Public,
            IpAddr::V4(ip) if ip.is_private() => Self::Private,
            IpAddr::V4(ip) if matches!(ip.octets(), [100, 64..=127, ..]) => Self::Shared,
            IpAddr::V6(ip) if ip.is_unique_local() => Self::Private,
            _ => Self::Local,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Local => "local",
        }
    }

    fn text(self, ip: IpAddr) -> &'static str {
        match (self, ip) {
            (Self::Public, _) => "public",
            (Self::Private, IpAddr::V4(_)) => "private (RFC 1918)",
            (Self::Private, IpAddr::V6(_)) => "private (RFC 4193)",
            (Self::Shared, _) => "shared (RFC 6598): of a provider's NAT, or of a VPN",
            (Self::Local, _) => "of this host or link only",
        }
    }
}

/// What a gateway says.
#[derive(Debug, Default)]
struct Told {
    gateway: Option<IpAddr>,
    external: Option<IpAddr>,
    protocol: Option<String>,
    /// Why it has no address outside that would help.
    problem: Option<String>,
    /// It has no public address, or packets reach it from another one than the host's.
    has_further: bool,
}

/// How many NATs there are, as far as that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nats {
    /// Nothing says that there is one.
    None,
    /// One at least.
    Some,
    /// Two at least.
    Several,
    /// This network may not reach the Internet at all.
    Unknown,
}

impl Nats {
    fn of(reach: Reach, told: &Told) -> Self {
        match reach {
            Reach::Local => Self::Unknown,
            _ if told.has_further => Self::Several,
            Reach::Public => Self::None,
            Reach::Private | Reach::Shared => Self::Some,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none-seen",
            Self::Some => "one-or-more",
            Self::Several => "two-or-more",
            Self::Unknown => "unknown",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::None => "none is seen: the address is public; a firewall may still filter",
            Self::Some => "one at least, if this network reaches the Internet: the address is not public",
            Self::Several => "two at least: the gateway is itself behind one",
            Self::Unknown => "unknown: there is no address that leads anywhere",
        }
    }
}

/// Says what is known of both families, or of that of `bind`. Nothing is measured from outside.
pub(crate) async fn run(bind: Option<IpAddr>, json: bool) -> Result<(), Exit> {
    let mut has_some = false;
    for v4 in [true, false].into_iter().filter(|v4| bind.is_none_or(|ip| ip.is_ipv4() == *v4)) {
        let family = if v4 { "IPv4" } else { "IPv6" };
        // Addresses for documentation: nothing is sent there.
        let anywhere: IpAddr = if v4 {
            Ipv4Addr::new(192, 0, 2, 1).into()
        } else {
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()
        };
        let local = match bind {
            Some(local) => Ok(local),
            None => Plan::toward([SocketAddr::new(anywhere, 9)]).map(|plan| plan.local()),
        };
        let local = match local {
            Ok(local) => local,
            Err(error) => {
                show(json, &json!({ "type": "local", "family": family, "error": error.to_string() }), || {
                    vec![format!("{family}: no way out: {error}")]
                });
                continue;
            }
        };
        let socket = match tokio::net::UdpSocket::bind(SocketAddr::new(local, 0)).await {
            Ok(socket) => socket,
            Err(error) => return Err(Exit::failure(format!("{family}: {local}: {error}"))),
        };
        let port = socket.local_addr().map_err(Exit::failure)?.port();
        if !json {
            eprintln!("floe: asking the gateway …");
        }
        let told = ask(local, port, bind.is_some()).await;
        let reach = Reach::of(local);
        let nats = Nats::of(reach, &told);
        has_some |= nats != Nats::Unknown;
        let value = json!({
            "type": "local",
            "family": family,
            "local": local,
            "address": reach.name(),
            "gateway": told.gateway,
            "external": told.external,
            "external_address": told.external.map(|ip| Reach::of(ip).name()),
            "protocol": told.protocol,
            "problem": told.problem,
            "nats": nats.name(),
            "mapping": unknown(),
            "filtering": unknown(),
        });
        show(json, &value, || rows(family, local, reach, &told, nats));
    }
    if json {
        lines::print(&json!({ "type": "note", "message": NEEDED }));
    } else {
        lines::print(&NEEDED);
    }
    if has_some { Ok(()) } else { Err(Exit::Told) }
}

fn unknown() -> Value {
    json!({ "is": "unknown", "why": "no-server", "text": "no server was named" })
}

fn show(json: bool, value: &Value, rows: impl FnOnce() -> Vec<String>) {
    if json {
        lines::print(value);
    } else {
        for line in rows() {
            lines::print(&line);
        }
    }
}

fn rows(family: &str, local: IpAddr, reach: Reach, told: &Told, nats: Nats) -> Vec<String> {
    let row = |name: &str, text: &str| format!("  {name:<14} {text}");
    let gateway = told.gateway.map_or("unknown".to_owned(), |ip| ip.to_string());
    let outside = match (told.external, &told.protocol) {
        (Some(ip), Some(protocol)) => {
            format!("{ip}, {}, says the gateway by {protocol}", Reach::of(ip).text(ip))
        }
        _ => match &told.problem {
            Some(problem) => format!("unknown: {problem}"),
            None => "unknown: no gateway tells, by PCP, NAT-PMP or UPnP".to_owned(),
        },
    };
    vec![
        format!("{family} from {local}"),
        row("address", reach.text(local)),
        row("gateway", &gateway),
        row("outside", &outside),
        row("NATs", nats.text()),
    ]
}

/// Has the gateway map the port of a socket that is open, which tells its address outside, and gives the port back.
async fn ask(local: IpAddr, port: u16, is_bound: bool) -> Told {
    let mut told = Told::default();
    let mut settings = PortMapping::new().lifetime(LIFETIME).patience(PATIENCE);
    if is_bound || local.is_ipv6() {
        settings = settings.local(local);
    }
    // Without a gateway there is nobody to ask.
    let Ok(mapper) = settings.open() else { return told };
    told.gateway = Some(mapper.gateway());
    if mapper.map(Wish::new(Transport::Udp, port)).await.is_err() {
        return told;
    }
    let answered = async {
        while let Some(event) = mapper.event().await {
            match event {
                Event::Mapped { mapping, .. } => {
                    told.external = Some(mapping.external.ip());
                    told.protocol = Some(mapping.protocol.to_string());
                    told.has_further |= !mapping.is_public();
                    return;
                }
                Event::Problem { problem, protocol, .. } => match problem {
                    Problem::GatewayBehindNat(ip) => {
                        told.external = Some(ip);
                        told.protocol = Some(protocol.to_string());
                        told.has_further = true;
                    }
                    Problem::NatBetween => {
                        told.problem = Some(problem.to_string());
                        told.has_further = true;
                    }
                    Problem::NoExternalAddress => told.problem = Some(problem.to_string()),
                    _ => {}
                },
                Event::Unavailable { .. } => return,
                _ => {}
            }
        }
    };
    // The mapper's own patience comes first.
    let _ = tokio::time::timeout(PATIENCE * 2, answered).await;
    mapper.close().await;
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says_of_nats() {
        let further = Told { has_further: true, ..Told::default() };
        for (ip, alone, behind) in [
            ("192.168.1.7", Nats::Some, Nats::Several),
            ("100.64.0.7", Nats::Some, Nats::Several),
            ("198.41.0.4", Nats::None, Nats::Several),
            ("fd00::7", Nats::Some, Nats::Several),
            ("2600::7", Nats::None, Nats::Several),
            ("169.254.3.3", Nats::Unknown, Nats::Unknown),
        ] {
            let reach = Reach::of(ip.parse().unwrap());
            assert_eq!(Nats::of(reach, &Told::default()), alone, "{ip}");
            assert_eq!(Nats::of(reach, &further), behind, "{ip}");
        }
    }
}
