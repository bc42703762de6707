//! A better path appears: it is taken without a gap, and a path that comes and goes does not take the session along.

use std::time::Duration;

use floe::Config;
use floe::candidate::CandidateType::Relayed;
use floe::io::ComponentId;
use floe::sim::{HostId, Interface, Link, Nat, World};

use super::{ROLES, ms, secs, seed, selections};

const EVERY: Duration = Duration::from_millis(20);

/// A link of this round-trip time together with another one of it.
fn quarter(rtt: u64) -> Link {
    Link::ideal().latency(ms(rtt) / 4)
}

/// Data each way, numbered by time.
fn talk(world: &mut World, [a, b]: [HostId; 2], duration: Duration) {
    let until = world.elapsed() + duration;
    while world.elapsed() < until {
        world.send(a, b"data");
        world.send(b, b"data");
        world.run_for(EVERY);
    }
}

/// Two public hosts that have connected directly, and have a relay.
fn beside_a_relay(world: &mut World) -> [HostId; 2] {
    let turn = world.turn_server();
    let hosts = [0, 1].map(|at: usize| {
        world.agent(Nat::none(), Config::new(ROLES[0][at], seed(at as u8 + 1)).turn_server(turn.clone()))
    });
    let [a, b] = hosts;
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    hosts
}

/// The longest time without data since `from`, at the worse of the two.
fn gap(world: &World, hosts: [HostId; 2], from: Duration) -> Duration {
    let gaps = hosts.map(|host| {
        let times: Vec<_> = world.received(host).iter().map(|it| it.at).filter(|at| *at >= from).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("data")
    });
    gaps[0].max(gaps[1])
}

/// Row R: a relay at a round trip of 80 ms first, a direct path of 20 ms later.
#[test]
fn a_direct_path_that_appears_is_taken_without_a_gap() {
    for roles in ROLES {
        let mut world = World::new(1);
        let near = || Interface::v4(Nat::none()).link(quarter(20));
        let server = world.further_server(Interface::v4(Nat::none()).link(Link::ideal().latency(ms(15))));
        let turn = world.turn_server_on(server);
        let hosts = [0, 1].map(|at: usize| {
            world.agent(near(), Config::new(roles[at], seed(at as u8 + 1)).turn_server(turn.clone()))
        });
        let [a, b] = hosts;
        world.cut(a, b);
        world.signal(a, b);
        world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
        assert!(world.selected_types(a, b).contains(&Relayed), "{world}");
        let from = world.elapsed() + ms(200);
        talk(&mut world, hosts, secs(3));
        world.set_path(a, b, Link::ideal());
        world.set_path(b, a, Link::ideal());
        talk(&mut world, hosts, secs(20));
        assert!(!world.selected_types(a, b).contains(&Relayed), "{world}");
        assert_eq!(gap(&world, hosts, from), EVERY, "{world}");
        talk(&mut world, hosts, secs(120));
        assert_eq!(hosts.map(|host| selections(&world, host)), [2, 2], "{world}");
    }
}

/// Two hosts of two addresses each; the links of the second ones have this round-trip time.
fn two_ways(roles: [floe::Role; 2], rtts: [u64; 2]) -> (World, [HostId; 2]) {
    let mut world = World::new(2);
    let hosts = [0, 1].map(|at: usize| {
        let interfaces = rtts.map(|rtt| Interface::v4(Nat::none()).link(quarter(rtt)));
        world.agent(interfaces, Config::new(roles[at], seed(at as u8 + 1)))
    });
    let [a, b] = hosts;
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    (world, hosts)
}

/// The round-trip time of the pair in use.
fn rtt(world: &World, host: HostId) -> Duration {
    let selected = world.agent_ref(host).valid_pairs(ComponentId::FIRST).find(|pair| pair.selected);
    selected.expect("a pair").quality.measured.rtt()
}

fn set_rtt(world: &mut World, hosts: [HostId; 2], way: usize, rtt: u64) {
    for host in hosts {
        let ip = world.addresses(host)[way];
        world.set_link(host, ip, quarter(rtt), quarter(rtt));
    }
}

/// Both reach the peer alike: the faster one is taken once both were measured, whatever their priorities.
#[test]
fn the_faster_of_two_direct_paths_is_taken() {
    for roles in ROLES {
        for rtts in [[20, 80], [80, 20]] {
            let (mut world, hosts) = two_ways(roles, rtts);
            let from = world.elapsed() + ms(200);
            talk(&mut world, hosts, secs(180));
            assert!(hosts.iter().all(|host| rtt(&world, *host) < ms(25)), "{rtts:?} {world}");
            // The first packet on the faster path overtakes.
            assert!(gap(&world, hosts, from) <= EVERY + ms(30), "{:?}", gap(&world, hosts, from));
            let before = hosts.map(|host| selections(&world, host));
            talk(&mut world, hosts, secs(600));
            assert_eq!(hosts.map(|host| selections(&world, host)), before, "{rtts:?} {world}");
        }
    }
}

/// Round-trip times that cross each other by little are no reason to change, and by much only rarely.
#[test]
fn round_trip_times_that_alternate_do_not_make_the_session_flap() {
    for (high, most) in [(24, 1), (100, 8)] {
        let (mut world, hosts) = two_ways(ROLES[0], [20, 20]);
        talk(&mut world, hosts, secs(60));
        let before = selections(&world, hosts[0]);
        for turn in 0..40 {
            set_rtt(&mut world, hosts, turn % 2, high);
            set_rtt(&mut world, hosts, 1 - turn % 2, 20);
            talk(&mut world, hosts, secs(60));
        }
        let changes = selections(&world, hosts[0]) - before;
        assert!(changes <= most, "{changes} in 40 minutes, {high}: {world}");
        assert_eq!(selections(&world, hosts[0]), selections(&world, hosts[1]), "{world}");
    }
}

/// A direct path that dies again and again beside a relay that lives: it is held off longer each time.
#[test]
fn a_path_that_comes_and_goes_is_taken_back_more_and_more_slowly() {
    let mut world = World::new(3);
    let hosts = beside_a_relay(&mut world);
    let [a, b] = hosts;
    talk(&mut world, hosts, secs(3));
    let mut back = Vec::new();
    for _ in 0..4 {
        assert!(!world.selected_types(a, b).contains(&Relayed), "{world}");
        world.cut(a, b);
        talk(&mut world, hosts, secs(2));
        assert!(world.selected_types(a, b).contains(&Relayed), "{world}");
        world.set_path(a, b, Link::ideal());
        world.set_path(b, a, Link::ideal());
        let mended = world.elapsed();
        while world.selected_types(a, b).contains(&Relayed) {
            talk(&mut world, hosts, ms(100));
            assert!(world.elapsed() - mended < secs(120), "{back:?} {world}");
        }
        back.push(world.elapsed() - mended);
        talk(&mut world, hosts, secs(3));
    }
    for (took, hold) in back.iter().zip([5, 10, 20, 40]) {
        assert!((secs(hold)..secs(hold + 10)).contains(took), "{back:?}");
    }
}

/// A direct path that is gone for minutes, longer than a check lasts: it is looked for, and taken back.
#[test]
fn a_path_that_returns_after_minutes_is_taken_back() {
    for roles in ROLES {
        for away in [60, 200] {
            let mut world = World::new(4);
            let turn = world.turn_server();
            let hosts = [0, 1].map(|at: usize| {
                let config = Config::new(roles[at], seed(at as u8 + 1)).turn_server(turn.clone());
                world.agent(Nat::port_restricted(), config.stun_server(turn.addr))
            });
            let [a, b] = hosts;
            world.signal(a, b);
            world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
            talk(&mut world, hosts, secs(3));
            world.cut(a, b);
            talk(&mut world, hosts, secs(away));
            assert!(world.selected_types(a, b).contains(&Relayed), "{world}");
            world.set_path(a, b, Link::ideal());
            world.set_path(b, a, Link::ideal());
            let mended = world.elapsed();
            while world.selected_types(a, b).contains(&Relayed) {
                talk(&mut world, hosts, secs(1));
                assert!(world.elapsed() - mended < secs(away + 120), "{away} {world}");
            }
            talk(&mut world, hosts, secs(120));
            assert!(!world.selected_types(a, b).contains(&Relayed), "{world}");
        }
    }
}

/// Half of what goes the direct way is lost, both ways: the relayed path is taken, and not left as long as that is so.
#[test]
fn a_direct_path_that_loses_half_gives_way_to_a_relay() {
    let mut world = World::new(5);
    let hosts = beside_a_relay(&mut world);
    let [a, b] = hosts;
    world.run_for(secs(100));
    assert!(!world.selected_types(a, b).contains(&Relayed), "{world}");
    world.set_path(a, b, Link::ideal().loss(0.5));
    world.set_path(b, a, Link::ideal().loss(0.5));
    talk(&mut world, hosts, secs(240));
    assert!(world.selected_types(a, b).contains(&Relayed), "{world}");
    let before = selections(&world, a);
    talk(&mut world, hosts, secs(240));
    assert!(selections(&world, a) - before <= 2, "{world}");
}
