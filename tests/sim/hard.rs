//! A NAT that maps each destination to another port, and one with endpoint-independent mapping.

use std::time::Duration;

use floe::agent::{HardNat, Ports as Habit};
use floe::candidate::CandidateType::Relayed;
use floe::sim::{Fate, HostId, Nat, Ports, World};
use floe::{Config, Role};

use super::{ROLES, ms, secs};

/// Ordinary checks first, 2 s; then its own 10 s.
const LIMIT: Duration = Duration::from_secs(12);

/// An agent behind a NAT of this kind and one behind a port-restricted one; with a search or without.
fn agents(world: &mut World, roles: [Role; 2], nat: Nat, habit: Option<Habit>) -> [HostId; 2] {
    let turn = world.turn_server();
    let habits = [habit, habit.map(|_| Habit::Stable)];
    let nats = [nat, Nat::port_restricted()];
    let mut at = 0;
    let [a, b] = nats.map(|nat| {
        let config = Config::new(roles[at], world.seed()).turn_server(turn.clone());
        let config = habits[at].map(HardNat::new).into_iter().fold(config, Config::hard_nat);
        at += 1;
        world.agent(nat, config)
    });
    world.signal(a, b);
    [a, b]
}

/// Checks and answers that either host has sent to the other one, and not to the server.
fn direct(world: &mut World, hosts: [HostId; 2]) -> usize {
    let server = world.server();
    let server = world.addresses(server);
    let own: Vec<_> = hosts.iter().flat_map(|host| world.addresses(*host)).collect();
    let sent = world.captured().iter().filter(|one| one.fate == Fate::Sent && own.contains(&one.source.ip()));
    sent.filter(|one| !server.contains(&one.destination.ip()) && one.payload[0] < 4).count()
}

/// Whether the selected pairs have no relay.
fn is_direct(world: &World, hosts: [HostId; 2]) -> bool {
    hosts.iter().all(|host| {
        world.completed(*host)
            && world.selected(*host).is_some_and(|(local, remote)| ![local.kind, remote.kind].contains(&Relayed))
    })
}

/// One session: how long the direct path took, if there was one, and how many packets. Data goes both ways all the time.
fn search(seed: u64, nat: Nat, habit: Habit) -> (Option<Duration>, usize) {
    let mut world = World::new(seed);
    world.capture();
    let hosts = agents(&mut world, ROLES[seed as usize % 2], nat, Some(habit));
    let [a, b] = hosts;
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    let mut found = None;
    while world.elapsed() < LIMIT {
        for (from, to) in [(a, b), (b, a)] {
            let before = world.received(to).len();
            world.send(from, b"\xffdata");
            world.run_for(ms(250));
            assert_eq!(world.received(to).len(), before + 1, "{world}");
        }
        if is_direct(&world, hosts) {
            found = Some(world.elapsed());
            break;
        }
    }
    (found, direct(&mut world, hosts))
}

/// `FLOE_HARD_SEEDS` says how many sessions; the promise is that of 1,000.
#[test]
fn random_ports_are_found_in_95_of_100_sessions_with_1200_packets() {
    let count = std::env::var("FLOE_HARD_SEEDS").map_or(200, |text| text.parse().expect("a number"));
    let results: Vec<_> = (0..count).map(|seed| search(seed, Nat::symmetric(), Habit::Random)).collect();
    let found = results.iter().filter(|(took, _)| took.is_some()).count() as u64;
    let most = results.iter().map(|(_, packets)| *packets).max().expect("sessions");
    let mut times: Vec<_> = results.iter().filter_map(|(took, _)| *took).collect();
    times.sort();
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{found} of {count} direct, {most} packets at most, median {median:?}, last {last:?}");
    assert!(found * 100 >= count * 95, "{found} of {count}");
    assert!(most <= 1200, "{most}");
}

/// What the next ports are is known: those packets suffice that the other side's sockets are.
#[test]
fn sequential_ports_are_predicted() {
    for seed in 0..20 {
        let nat = Nat::symmetric().ports(Ports::Sequential);
        let (took, packets) = search(seed, nat, Habit::Sequential(1));
        assert!(took.is_some_and(|took| took < secs(6)) && packets < 500, "{seed}: {took:?}, {packets}");
    }
}
