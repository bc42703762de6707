//! The networks of the scenarios, what is measured in them, and nothing of who is measured: `benches/peers` puts other
//! implementations into the same.

use std::net::SocketAddr;
use std::time::Duration;

use floe::Role;
use floe::sim::{Gateway, Host, HostId, Interface, Link, Nat, World};
use floe::turn::TurnServer;

/// What came of a scenario. Times are those of the controlling and of the controlled agent since the first signal, in
/// milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) usable: [f64; 2],
    pub(crate) completed: [f64; 2],
    /// Packets of both until both are usable, and until both have completed.
    pub(crate) packets: [u32; 2],
}

/// What each scenario may take at the default Ta: when the controlling and the controlled agent are usable at the latest,
/// and packets until both are usable, or until both have completed.
pub(crate) const GOALS: [(&str, [f64; 2], Packets); 9] = [
    ("S1", [100.0, 100.0], Packets::Completed(14)),
    ("S2", [150.0, 100.0], Packets::Completed(14)),
    ("S3", [3.0, 2.0], Packets::Completed(14)),
    ("S4a", [30.0, 30.0], Packets::Usable(24)),
    ("S4b", [185.0, 185.0], Packets::Usable(80)),
    ("S5", [165.0, 165.0], Packets::Usable(40)),
    ("S6", [180.0, 180.0], Packets::Usable(90)),
    ("S7", [150.0, 200.0], Packets::Completed(14)),
    // No more packets than the fastest peer has here (docs/peers.md).
    ("S8", [175.0, 175.0], Packets::Usable(25)),
];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Packets {
    Usable(u32),
    Completed(u32),
}

/// What is lost, at which Ta, and what the 99th percentile of 1000 seeds may be for that, in milliseconds: usable, completed.
/// The first one at 10 % and 50 ms is missed.
pub(crate) const LOSSES: [(f64, u64, [f64; 2]); 4] = [
    (0.1, 5, [300.0, 450.0]),
    (0.1, 50, [300.0, 450.0]),
    (0.3, 5, [600.0, 800.0]),
    (0.3, 50, [600.0, 800.0]),
];

/// What the agent of a site can ask.
#[derive(Debug, Clone)]
pub(crate) enum Server {
    None,
    Stun(SocketAddr),
    Turn(TurnServer),
}

/// Where an agent is to be.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) host: Host,
    pub(crate) role: Role,
    pub(crate) seed: [u8; 32],
    pub(crate) server: Server,
}

/// Two agents that have gathered and wait for the signals of each other.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    skew: Duration,
    hosts: fn() -> [Host; 2],
    servers: Servers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Servers {
    None,
    /// One STUN server.
    Stun,
    /// A relay each, where its NAT is: all of the way lies between the two sites.
    Relays {
        rtt: Duration,
    },
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn public(link: Link) -> Interface {
    Interface::v4(Nat::none()).link(link)
}

/// Half of a way that takes `rtt` there and back.
fn half(rtt: Duration) -> Link {
    Link::ideal().latency(rtt / 4)
}

fn one_each(rtt: Duration) -> [Host; 2] {
    [(); 2].map(|()| public(half(rtt)).into())
}

/// Six addresses each, of which only the last ones reach each other.
fn six(subnet: impl Fn(usize, usize) -> String) -> [Host; 2] {
    [0, 1].map(|side| {
        let interfaces: Vec<_> = (0..6)
            .map(|k| {
                let link = if k == 5 { half(ms(2)) } else { Link::down() };
                public(link).address(subnet(side, k).parse().expect("an address"))
            })
            .collect();
        interfaces.into()
    })
}

/// Five addresses that nobody reaches, and one behind a NAT.
fn one_of_six(side: usize) -> Host {
    let dead = (0..5).map(|k| {
        let ip = format!("198.18.{}.1", 100 + 10 * k + side).parse();
        public(Link::down()).address(ip.expect("an address"))
    });
    let interfaces: Vec<_> = dead.chain([behind(Nat::port_restricted())]).collect();
    interfaces.into()
}

fn behind(nat: Nat) -> Interface {
    Interface::v4(nat.link(half(ms(100)))).link(Link::ideal())
}

/// As far from the others as the paths between them say.
fn somewhere(gateway: impl Into<Gateway>) -> Interface {
    Interface::v4(gateway).link(Link::ideal())
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let plain = |name, skew, hosts| Scenario { name, skew: ms(skew), hosts, servers: Servers::None };
    let stun = |name, skew, hosts| Scenario { servers: Servers::Stun, ..plain(name, skew, hosts) };
    vec![
        plain("S1", 0, || one_each(ms(100))),
        plain("S2", 50, || one_each(ms(100))),
        plain("S3", 1, || one_each(ms(2))),
        plain("S4a", 1, || six(|side, k| format!("198.18.{}.{}", 100 + k, 1 + side))),
        plain("S4b", 1, || six(|side, k| format!("198.18.{}.1", 100 + 10 * k + side))),
        stun("S5", 60, || [(); 2].map(|()| behind(Nat::port_restricted()).into())),
        stun("S6", 60, || [0, 1].map(one_of_six)),
        stun("S7", 50, || [behind(Nat::symmetric()).into(), public(half(ms(100))).into()]),
        Scenario {
            servers: Servers::Relays { rtt: ms(100) },
            ..plain("S8", 60, || [(); 2].map(|()| somewhere(Nat::symmetric().link(Link::ideal())).into()))
        },
    ]
}

/// Tells whether the agent of a host is usable, or has completed.
pub(crate) type Ask<'a> = &'a dyn Fn(&World, HostId) -> bool;

impl Scenario {
    /// `place` puts an agent there, and `ask` says whether it is usable, and whether it has completed.
    pub(crate) fn run(
        &self,
        place: &mut dyn FnMut(&mut World, Site) -> HostId,
        ask: [Ask<'_>; 2],
    ) -> Outcome {
        let mut world = World::new(1);
        let relays = match self.servers {
            Servers::Relays { .. } => [(); 2].map(|()| Some(world.further_server(somewhere(Nat::none())))),
            Servers::None | Servers::Stun => [None; 2],
        };
        let servers = match self.servers {
            Servers::None => [(); 2].map(|()| Server::None),
            Servers::Stun => {
                let server = world.stun_server();
                [(); 2].map(|()| Server::Stun(server))
            }
            Servers::Relays { .. } => {
                relays.map(|relay| Server::Turn(world.turn_server_on(relay.expect("a relay a side"))))
            }
        };
        let sites = (self.hosts)().into_iter().zip(servers).zip([Role::Controlling, Role::Controlled]);
        let placed: Vec<_> = sites
            .zip(1..)
            .map(|(((host, server), role), byte)| {
                place(&mut world, Site { host, role, seed: [byte; 32], server })
            })
            .collect();
        let [a, b] = [placed[0], placed[1]];
        if let (Servers::Relays { rtt }, [Some(first), Some(second)]) = (self.servers, relays) {
            for (from, to) in [(a, b), (a, second), (first, b), (first, second)] {
                world.set_path(from, to, Link::ideal().latency(rtt / 2));
                world.set_path(to, from, Link::ideal().latency(rtt / 2));
            }
        }
        world.run_for(Duration::from_secs(12));
        measure(&mut world, [a, b], self.skew, ask)
    }
}

/// S2 with so much loss each way, in the world of this seed.
pub(crate) fn lossy(
    loss: f64,
    number: u64,
    place: &mut dyn FnMut(&mut World, Site) -> HostId,
    ask: [Ask<'_>; 2],
) -> Outcome {
    let mut world = World::new(number);
    let [a, b] = [(Role::Controlling, loss), (Role::Controlled, 0.0)].map(|(role, loss)| {
        let seed = world.seed();
        let host = public(half(ms(100)).loss(loss)).into();
        place(&mut world, Site { host, role, seed, server: Server::None })
    });
    measure(&mut world, [a, b], ms(50), ask)
}

/// From the first signal on, which reaches the controlled agent at once and the controlling one after `skew`.
fn measure(
    world: &mut World,
    [a, b]: [HostId; 2],
    skew: Duration,
    [usable, completed]: [Ask<'_>; 2],
) -> Outcome {
    let start = world.elapsed();
    let sent_by = |world: &World| world.packets_of(a).sent + world.packets_of(b).sent;
    let sent = sent_by(world);
    world.signal_one_way(a, b, Duration::ZERO);
    world.signal_one_way(b, a, skew);
    let until = |world: &mut World, done: Ask<'_>| {
        let mut at = [None; 2];
        loop {
            for (at, host) in at.iter_mut().zip([a, b]) {
                if at.is_none() && done(world, host) {
                    *at = Some((world.elapsed() - start).as_secs_f64() * 1000.0);
                }
            }
            if !at.contains(&None) || world.elapsed() >= start + Duration::from_secs(60) {
                break;
            }
            world.run_for(Duration::from_micros(500));
        }
        (at.map(|at| at.unwrap_or(f64::INFINITY)), (sent_by(world) - sent) as u32)
    };
    let (usable, first) = until(world, usable);
    let (completed, all) = until(world, completed);
    Outcome { usable, completed, packets: [first, all] }
}

/// Over many seeds: the 99th percentile of when the later one is usable and has completed, and how many never are; the
/// mean of packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) p99: [f64; 2],
    pub(crate) never: [usize; 2],
    pub(crate) packets: [f64; 2],
}

impl Distribution {
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let late = |times: [f64; 2]| times[0].max(times[1]);
        let sorted = |of: fn(&Outcome) -> [f64; 2]| {
            let mut all: Vec<f64> = outcomes.iter().map(|it| late(of(it))).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let both = [sorted(|it| it.usable), sorted(|it| it.completed)];
        let mean = |which: usize| {
            outcomes.iter().map(|it| f64::from(it.packets[which])).sum::<f64>()
                / f64::from(outcomes.len() as u32)
        };
        Self {
            p99: [0, 1].map(|which| both[which][outcomes.len() * 99 / 100]),
            never: [0, 1].map(|which| both[which].iter().filter(|at| at.is_infinite()).count()),
            packets: [mean(0), mean(1)],
        }
    }
}
