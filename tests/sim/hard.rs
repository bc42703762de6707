//! A NAT that maps each destination to another port, and one with endpoint-independent mapping.

use std::collections::BTreeMap;
use std::time::Duration;

use floe::agent::{HardNat, Ports as Habit};
use floe::candidate::CandidateType::Relayed;
use floe::sim::{Fate, HostId, Nat, Ports, World};
use floe::{Config, Role};

use super::{ROLES, ms, secs};

/// Ordinary checks first, 2 s; then its own 10 s.
const LIMIT: Duration = Duration::from_secs(12);

/// An agent behind a NAT of this kind and one behind a port-restricted one; with a search or without.
fn agents(world: &mut World, roles: [Role; 2], nat: Nat, search: [Option<HardNat>; 2]) -> [HostId; 2] {
    agents_behind(world, roles, [nat, Nat::port_restricted()], search)
}

fn agents_behind(
    world: &mut World,
    roles: [Role; 2],
    nats: [Nat; 2],
    search: [Option<HardNat>; 2],
) -> [HostId; 2] {
    let turn = world.turn_server();
    let mut at = 0;
    let [a, b] = nats.map(|nat| {
        let config = Config::new(roles[at], world.seed()).turn_server(turn.clone());
        let config = search[at].into_iter().fold(config, Config::hard_nat);
        at += 1;
        world.agent(nat, config)
    });
    world.signal(a, b);
    [a, b]
}

/// A search of both, with the default budgets.
fn both(habit: Habit) -> [Option<HardNat>; 2] {
    [Some(HardNat::new(habit)), Some(HardNat::new(Habit::Stable))]
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
            && world
                .selected(*host)
                .is_some_and(|(local, remote)| ![local.kind, remote.kind].contains(&Relayed))
    })
}

/// One session: how long the direct path took, if there was one, and how many packets. Data goes both ways all the time.
fn search(seed: u64, nat: Nat, habit: Habit) -> (Option<Duration>, usize) {
    search_between(seed, [nat, Nat::port_restricted()], habit)
}

fn search_between(seed: u64, nats: [Nat; 2], habit: Habit) -> (Option<Duration>, usize) {
    let mut world = World::new(seed);
    world.capture();
    let hosts = agents_behind(&mut world, ROLES[seed as usize % 2], nats, both(habit));
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

/// `FLOE_HARD_SEEDS` takes another number of sessions.
#[test]
fn random_ports_are_found_in_95_of_100_sessions_with_1200_packets() {
    let count = std::env::var("FLOE_HARD_SEEDS").map_or(1000, |text| text.parse().expect("a number"));
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

/// Its filter needs the search as that of a NAT does, and its address is one of the host.
#[test]
fn a_public_address_behind_a_firewall_is_stable_too() {
    for seed in 0..10 {
        let nats = [Nat::symmetric().port_range(20_000..=22_047), Nat::firewall()];
        let (took, packets) = search_between(seed, nats, Habit::Random);
        assert!(took.is_some_and(|took| took < secs(5)) && packets < 700, "{seed}: {took:?}, {packets}");
    }
}

/// Carriers give each subscriber a block of ports: what is near the known one is tried first.
#[test]
fn the_ports_of_a_block_are_found_with_few_packets() {
    for seed in 0..20 {
        for (first, last) in [(20_000, 22_047), (1024, 1535), (64_512, 65_535)] {
            let nat = Nat::symmetric().port_range(first..=last);
            let (took, packets) = search(seed, nat, Habit::Random);
            assert!(took.is_some_and(|took| took < secs(5)) && packets < 700, "{seed}: {took:?}, {packets}");
        }
    }
}

/// Of a session that never finds a direct path: all that both sent, and the sockets of the first one at the end.
fn in_vain(search: [Option<HardNat>; 2]) -> (usize, [usize; 2]) {
    let mut world = World::new(1);
    world.capture();
    let hosts = agents(&mut world, ROLES[0], Nat::symmetric(), search);
    world.cut(hosts[0], hosts[1]);
    let mut most = 0;
    for _ in 0..150 {
        world.run_for(ms(100));
        most = most.max(world.open_sockets(hosts[0]));
    }
    assert!(hosts.iter().all(|host| world.completed(*host)), "{world}");
    (direct(&mut world, hosts), [most, world.open_sockets(hosts[0])])
}

/// Off is the default, and takes both.
#[test]
fn without_the_search_of_both_no_packet_more_is_sent() {
    let off = in_vain([None; 2]);
    assert_eq!(off.1, [1, 1]);
    let [hard, stable] = both(Habit::Random);
    for search in [[hard, None], [None, stable], [stable, stable], [hard, hard]] {
        assert_eq!(in_vain(search), off, "{search:?}");
    }
    assert_eq!(in_vain([hard, stable]), (off.0 + 256 + 900, [257, 1]));
}

#[test]
fn the_search_keeps_to_its_budgets_and_gives_its_sockets_back() {
    let off = in_vain([None; 2]);
    let [hard, stable] = both(Habit::Random);
    let search = [hard.map(|it| it.sockets(10)), stable.map(|it| it.probes(20))];
    assert_eq!(in_vain(search), (off.0 + 30, [11, 1]));
    // One second is 200 packets of each, or one less.
    let search = search.map(|it| it.map(|it| it.sockets(512).probes(4096).time(secs(1))));
    let (packets, sockets) = in_vain(search);
    assert!((390..=402).contains(&(packets - off.0)), "{packets} {sockets:?}");
    assert_eq!(sockets[1], 1);
}

/// Both ends of the search, once a direct path is there.
#[test]
fn the_search_ends_with_the_first_direct_path() {
    let mut world = World::new(2);
    world.capture();
    let hosts = agents(&mut world, ROLES[0], Nat::symmetric(), both(Habit::Random));
    world.run_until(LIMIT, |w| is_direct(w, hosts));
    world.run_for(ms(500));
    let before = direct(&mut world, hosts);
    world.run_for(secs(3));
    assert!(direct(&mut world, hosts) - before < 20, "{world}");
    // Its own, and the one that was hit.
    assert_eq!(world.open_sockets(hosts[0]), 2);
}

/// RFC 8445 §14.2: Ta is kept to by the search too.
#[test]
fn a_probe_leaves_every_5_ms_and_no_sooner() {
    let mut world = World::new(3);
    world.capture();
    let hosts = agents(&mut world, ROLES[0], Nat::symmetric(), both(Habit::Random));
    world.cut(hosts[0], hosts[1]);
    world.run_for(LIMIT);
    let own = world.addresses(hosts[1]);
    let sent = world.captured().iter().filter(|one| one.fate == Fate::Sent && own.contains(&one.source.ip()));
    // A retransmission of an ordinary check is no new transaction: what counts is the first packet to an address.
    let mut tried = BTreeMap::new();
    for one in sent.filter(|one| one.payload.starts_with(&[0, 1])) {
        tried.entry(one.destination).or_insert(one.at);
    }
    let mut times: Vec<_> = tried.into_values().filter(|at| *at > secs(3)).collect();
    times.sort();
    assert!(times.len() >= 900);
    assert!(times.windows(2).all(|two| two[1] - two[0] >= ms(5)), "{times:?}");
}
