//! How fast two agents have a path, and for how many packets, in virtual time: exact, from the first signal on.
//!
//! At one instant timers and signals come before arrivals. The controlling agent is the one that starts later.
//! `cargo test --features sim --test sim scenarios -- --nocapture` prints the table.

use std::time::Duration;

use floe::sim::{Host, HostId, Interface, Link, Nat, World};
use floe::{Config, Role};

use super::{ms, secs, seed};

/// What came of a scenario. Times are those of the controlling and of the controlled agent, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Outcome {
    usable: [f64; 2],
    completed: [f64; 2],
    /// Packets until both are usable, and until both have completed.
    packets: [u64; 2],
}

/// Two agents that have gathered and wait for the signals of each other.
struct Scenario {
    name: &'static str,
    skew: Duration,
    hosts: fn(&mut World) -> [Host; 2],
    stun: bool,
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
                public(link).address(subnet(side, k).parse().unwrap())
            })
            .collect();
        interfaces.into()
    })
}

fn behind(nat: Nat) -> Interface {
    Interface::v4(nat.link(half(ms(100)))).link(Link::ideal())
}

fn scenarios() -> Vec<Scenario> {
    let plain = |name, skew, hosts| Scenario { name, skew: ms(skew), hosts, stun: false };
    vec![
        plain("S1", 0, |_| one_each(ms(100))),
        plain("S2", 50, |_| one_each(ms(100))),
        plain("S3", 1, |_| one_each(ms(2))),
        plain("S4a", 1, |_| six(|side, k| format!("198.18.{}.{}", 100 + k, 1 + side))),
        plain("S4b", 1, |_| six(|side, k| format!("198.18.{}.1", 100 + 10 * k + side))),
        Scenario {
            stun: true,
            ..plain("S5", 60, |_| [(); 2].map(|()| behind(Nat::port_restricted()).into()))
        },
        Scenario {
            stun: true,
            ..plain("S6", 60, |_| {
                [0, 1].map(|side| {
                    let dead = (0..5).map(|k| {
                        let ip = format!("198.18.{}.1", 100 + 10 * k + side).parse().unwrap();
                        public(Link::down()).address(ip)
                    });
                    let interfaces: Vec<_> = dead.chain([behind(Nat::port_restricted())]).collect();
                    interfaces.into()
                })
            })
        },
        Scenario {
            stun: true,
            ..plain("S7", 50, |_| [behind(Nat::symmetric()).into(), public(half(ms(100))).into()])
        },
    ]
}

impl Scenario {
    fn run(&self, pacing: Duration, world_seed: u64) -> Outcome {
        let mut world = World::new(world_seed);
        let server = self.stun.then(|| world.stun_server());
        let hosts = (self.hosts)(&mut world);
        let mut roles = [(Role::Controlling, 1), (Role::Controlled, 2)].into_iter();
        let [a, b] = hosts.map(|host| {
            let (role, byte) = roles.next().unwrap();
            let config = Config::new(role, seed(byte)).pacing(pacing);
            let config = server.iter().fold(config, |config, server| config.stun_server(*server));
            world.agent(host, config)
        });
        world.run_for(secs(12));
        measure(&mut world, [a, b], self.skew)
    }
}

/// From the first signal on, which reaches the controlled agent at once and the controlling one after `skew`.
fn measure(world: &mut World, [a, b]: [HostId; 2], skew: Duration) -> Outcome {
    let start = world.elapsed();
    let sent = world.packets().sent;
    world.signal_one_way(a, b, Duration::ZERO);
    world.signal_one_way(b, a, skew);
    let until = |world: &mut World, done: &dyn Fn(&World, HostId) -> bool| {
        let mut at = [None; 2];
        while at.contains(&None) && world.elapsed() < start + secs(60) {
            world.run_for(Duration::from_micros(500));
            for (at, host) in at.iter_mut().zip([a, b]) {
                if at.is_none() && done(world, host) {
                    *at = Some((world.elapsed() - start).as_secs_f64() * 1000.0);
                }
            }
        }
        (at.map(|at| at.unwrap_or(f64::INFINITY)), world.packets().sent - sent)
    };
    let (usable, first) = until(world, &|world, host| world.usable(host));
    if std::env::var("LADDER").is_ok() {
        println!("{world}");
    }
    let (completed, all) = until(world, &|world, host| world.completed(host));
    if std::env::var("LADDER").is_ok() {
        println!("{world}");
    }
    Outcome { usable, completed, packets: [first, all] }
}

#[test]
fn scenarios_table() {
    for scenario in scenarios() {
        for pacing in [5, 50] {
            let it = scenario.run(ms(pacing), 1);
            println!("{:4} Ta {pacing:2}: {it:?}", scenario.name);
        }
    }
}

/// S2 with so much loss each way, over many seeds.
fn lossy(loss: f64, pacing: Duration, seeds: u64) -> Vec<Outcome> {
    let run = |number| {
        let mut world = World::new(number);
        let [a, b] = [(Role::Controlling, loss), (Role::Controlled, 0.0)].map(|(role, loss)| {
            let config = Config::new(role, world.seed()).pacing(pacing);
            world.agent(public(half(ms(100)).loss(loss)), config)
        });
        measure(&mut world, [a, b], ms(50))
    };
    (0..seeds).map(run).collect()
}

#[test]
fn loss_table() {
    for loss in [0.1, 0.3] {
        for pacing in [5, 50] {
            let outcomes = lossy(loss, ms(pacing), 1000);
            let row = |of: &dyn Fn(&Outcome) -> f64| {
                let mut all: Vec<f64> = outcomes.iter().map(of).collect();
                all.sort_by(f64::total_cmp);
                let mean = all.iter().sum::<f64>() / all.len() as f64;
                (all[all.len() / 2], all[all.len() * 9 / 10], all[all.len() * 99 / 100], mean)
            };
            if std::env::var("LADDER").is_ok() {
                let worst = outcomes.iter().enumerate().max_by(|a, b| {
                    a.1.completed[0].max(a.1.completed[1]).total_cmp(&b.1.completed[0].max(b.1.completed[1]))
                });
                println!("worst {loss} {pacing} {worst:?}");
            }
            let usable = row(&|it| it.usable[0].max(it.usable[1]));
            let completed = row(&|it| it.completed[0].max(it.completed[1]));
            println!(
                "L{loss} Ta {pacing}: usable {usable:?} completed {completed:?} packets {:?} {:?}",
                row(&|it| it.packets[0] as f64),
                row(&|it| it.packets[1] as f64)
            );
        }
    }
}
