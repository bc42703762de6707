//! Who can see the wire, or write on it, and what that is good for.

use std::net::SocketAddr;

use floe::sim::{Fate, HostId, Nat, World};
use floe::{Config, Event, State};

use super::{ROLES, ms, secs, seed};

fn pair(world: &mut World) -> ([HostId; 2], [SocketAddr; 2]) {
    let hosts = [0, 1].map(|at| world.agent(Nat::none(), Config::new(ROLES[0][at], seed(at as u8))));
    world.signal(hosts[0], hosts[1]);
    (hosts, hosts.map(|host| SocketAddr::new(world.addresses(host)[0], 50_000)))
}

/// Junk, cut and bent messages from the peer's address, between all that is real.
#[test]
fn damaged_copies_of_the_peers_packets_change_nothing() {
    let mut world = World::new(1);
    let ([a, b], _) = pair(&mut world);
    world.capture();
    let mut seen = 0;
    for round in 0..200_usize {
        world.run_for(ms(10));
        let sent: Vec<_> =
            world.captured()[seen..].iter().filter(|it| it.fate == Fate::Sent).cloned().collect();
        seen = world.captured().len();
        for packet in sent.iter().filter(|it| it.origin.is_some()) {
            for at in [0, 1, 5, round % packet.payload.len(), packet.payload.len() - 1] {
                let mut bent = packet.payload.clone();
                bent[at] ^= 1 << (round % 8);
                world.inject(packet.source, packet.destination, &bent);
                world.inject(packet.source, packet.destination, &packet.payload[..at]);
            }
        }
    }
    assert!(world.completed(a) && world.completed(b), "{world}");
    let stats = world.agent_ref(a).stats();
    // From the peer's address what is no STUN is data (RFC 7983 §7).
    assert!(stats.datagrams_dropped + stats.packets_received > 20, "they did arrive");
    for host in [a, b] {
        let failures = world.events(host).iter().filter(|(_, it)| matches!(it, Event::Failed(_)));
        assert_eq!(failures.count(), 0);
    }
}

/// Checks carry a valid MESSAGE-INTEGRITY wherever they come from, so a copy from elsewhere is a candidate (RFC 8445
/// §7.3.1.3) – that never answers, so that nothing flows to it.
#[test]
fn a_session_replayed_from_elsewhere_takes_no_path() {
    let mut world = World::new(2);
    let (hosts, _) = pair(&mut world);
    let attacker = world.host(Nat::none());
    let from = SocketAddr::new(world.addresses(attacker)[0], 666);
    world.capture();
    world.run_until(secs(5), |w| hosts.iter().all(|host| w.completed(*host)));
    world.send(hosts[0], b"secret");
    world.run_for(secs(1));
    let paths = hosts.map(|host| world.agent_ref(host).path(floe::io::ComponentId::FIRST));
    let recorded = world.captured().to_vec();
    for _ in 0..3 {
        for packet in recorded.iter().filter(|it| it.fate == Fate::Sent) {
            world.transmit(attacker, from, packet.destination, &packet.payload);
            world.run_for(ms(20));
        }
    }
    world.run_for(secs(60));
    for (host, path) in hosts.into_iter().zip(paths) {
        assert_eq!(world.agent_ref(host).path(floe::io::ComponentId::FIRST), path, "{world}");
        assert_eq!(world.state(host), State::Completed);
    }
    world.send(hosts[0], b"secret again");
    world.run_for(secs(1));
    let leaked = |it: &&floe::sim::Arrival| it.payload.windows(6).any(|bytes| bytes == b"secret");
    assert_eq!(world.received(attacker).iter().filter(leaked).count(), 0);
}

/// Decision: 400 and 401 to strangers, at most ten a second, and never more bytes than were sent.
#[test]
fn strangers_get_few_answers_and_short_ones() {
    let mut world = World::new(3);
    let (hosts, addrs) = pair(&mut world);
    let stranger = world.host(Nat::none());
    let from = SocketAddr::new(world.addresses(stranger)[0], 666);
    world.capture();
    world.run_until(secs(5), |w| hosts.iter().all(|host| w.completed(*host)));
    let check = world.captured().iter().find(|it| it.fate == Fate::Sent).expect("a check").clone();
    let mut bent = check.payload;
    let user = bent.windows(4).position(|bytes| bytes[..2] == [0, 6]).expect("a USERNAME") + 4;
    bent[user] ^= 1;
    let fingerprint = bent.len() - 4;
    let crc = crc32fast::hash(&bent[..fingerprint - 4]) ^ 0x5354_554e;
    bent[fingerprint..].copy_from_slice(&crc.to_be_bytes());
    for _ in 0..1000 {
        world.transmit(stranger, from, addrs[0], &bent);
        world.transmit(stranger, from, addrs[1], &bent);
        world.run_for(ms(1));
    }
    world.run_for(ms(200));
    let answers = world.received(stranger);
    assert!((2..=44).contains(&answers.len()), "{} answers in 1.2 s from two sockets", answers.len());
    assert!(answers.iter().all(|answer| answer.payload.len() <= bent.len()));
}
