//! What checks say (RFC 8445 §7.1, §7.2).

use floe::agent::Policy;
use floe::io::ComponentId;
use floe::sim::{Fate, HostId, Interface, Nat, World};
use floe::stun::auth::Integrity;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Message, Method};
use floe::{Config, Event, Role};

use crate::bench::{Bench, HOST, PEER, PEER_PWD, addr, kinds, message, ms, secs};

/// The STUN messages of a method that a host sent.
fn sent(world: &World, host: HostId, class: Class, method: Method) -> Vec<Vec<u8>> {
    let own = world.addresses(host);
    let all = world.captured().iter().filter(|it| it.fate == Fate::Sent && own.contains(&it.source.ip()));
    let right = |raw: &[u8]| Message::parse(raw).is_ok_and(|it| it.class() == class && it.method() == method);
    all.map(|it| it.payload.clone()).filter(|raw| right(raw)).collect()
}

/// ICE-7.1.2-a, ICE-7.1.2-b, ICE-7.1.3-a, ICE-7.1.3-b: in every request of both sides, conflicts included.
#[test]
fn every_check_names_its_role_and_only_the_controlling_agent_nominates() {
    for roles in [
        [Role::Controlling, Role::Controlled],
        [Role::Controlled, Role::Controlling],
        [Role::Controlling; 2],
        [Role::Controlled; 2],
    ] {
        let mut world = World::new(11);
        let hosts = [0, 1].map(|at: usize| {
            let interfaces = [Interface::v4(Nat::none()), Interface::v4(Nat::none())];
            world.agent(interfaces, Config::new(roles[at], [at as u8 + 1; 32]))
        });
        world.capture();
        world.signal(hosts[0], hosts[1]);
        world.run_until(secs(10), |w| hosts.iter().all(|host| w.completed(*host)));
        world.run_for(secs(20));
        let mut nominations = [0; 2];
        for (at, host) in hosts.into_iter().enumerate() {
            let checks = sent(&world, host, Class::Request, Method::BINDING);
            assert!(checks.len() > 2);
            for raw in &checks {
                let kinds = kinds(raw);
                let count = |kind| kinds.iter().filter(|it| **it == kind).count();
                let (controlling, controlled) = (count(attr::ICE_CONTROLLING), count(attr::ICE_CONTROLLED));
                assert_eq!(controlling + controlled, 1, "{kinds:?}");
                let attributes = Message::parse(raw).expect("STUN");
                let attributes = attributes.plain().attributes();
                let kind = if controlling == 1 { attr::ICE_CONTROLLING } else { attr::ICE_CONTROLLED };
                assert!(attributes.u64(kind).is_some(), "8 bytes");
                assert!(controlling == 1 || count(attr::USE_CANDIDATE) == 0, "{kinds:?}");
                nominations[at] += count(attr::USE_CANDIDATE);
            }
            if roles[0] != roles[1] {
                let kind =
                    if roles[at] == Role::Controlling { attr::ICE_CONTROLLING } else { attr::ICE_CONTROLLED };
                assert!(checks.iter().all(|raw| self::kinds(raw).contains(&kind)));
            }
            let now = world.agent_ref(host).role();
            assert_eq!(nominations[at] > 0, now == Role::Controlling, "{world}");
        }
    }
}

/// ICE-7.2.2-b: the peer's ufrag, a colon, ours; the peer's password. The answer has our password and no name.
#[test]
fn a_check_has_both_ufrags_and_the_password_of_the_receiver() {
    let mut bench = Bench::new(Role::Controlling);
    let check = bench.next_request(PEER);
    assert_eq!(check.message().username(), Some(format!("peer:{}", bench.ufrag).as_bytes()));
    assert!(check.message().verify(&Key::short_term(PEER_PWD)).is_ok());
    assert!(check.message().verify(&Key::short_term(&bench.pwd)).is_err());
    let theirs = bench.check();
    let answers = bench.answers(PEER, &theirs);
    let answer = &answers[0];
    assert!(answer.is(Class::Success) && answer.message().username().is_none());
    assert!(answer.message().verify(&Key::short_term(&bench.pwd)).is_ok());
}

/// ICE-7.2.4-a: neither an answer without the magic cookie nor one with MAPPED-ADDRESS only.
#[test]
fn an_answer_as_of_rfc_3489_validates_nothing() {
    let mut bench = Bench::new(Role::Controlling);
    let check = bench.next_request(PEER);
    let mut old = check.success();
    old[4] ^= 0xff;
    let _ = bench.receive(PEER, &old);
    assert!(!bench.is_usable());
    let mapped = message(Class::Success, Method::BINDING, check.id(), |writer| {
        let mut value = vec![0, 1];
        let from = addr(HOST);
        value.extend(from.port().to_be_bytes());
        value.extend([192, 0, 2, 1]);
        writer.put(attr::MAPPED_ADDRESS, &value);
        writer.integrity(&Key::short_term(PEER_PWD), Integrity::Sha1).fingerprint();
    });
    let _ = bench.receive(PEER, &mapped);
    assert!(!bench.is_usable());
}

/// A relay-only agent, and one that it reaches through its relay.
fn through_a_relay(world: &mut World) -> [HostId; 2] {
    let turn = world.turn_server();
    let config = Config::new(Role::Controlling, [1; 32]).turn_server(turn.clone()).policy(Policy::Relay);
    let a = world.agent(Nat::none(), config);
    let b = Config::new(Role::Controlled, [2; 32]).stun_server(turn.addr);
    let b = world.agent(Nat::symmetric(), b);
    world.capture();
    [a, b]
}

/// ICE-7.2.1-b: for the address without its port, so one permission is enough for all candidates there.
#[test]
fn candidates_at_one_address_share_one_permission() {
    let mut world = World::new(12);
    let [a, _] = through_a_relay(&mut world);
    world.run_for(secs(2));
    for line in [
        format!("0 credentials ufrag=peer pwd={PEER_PWD}"),
        "0 candidate:1 1 udp 2130706431 198.18.9.9 6000 typ host".to_owned(),
        "0 candidate:2 1 udp 2130706430 198.18.9.9 6001 typ host".to_owned(),
        "0 candidate:3 1 udp 2130706429 198.18.9.8 6000 typ host".to_owned(),
    ] {
        let signal = line.parse().expect("a signal");
        world.with_agent(a, |agent, now| agent.handle_signal(now, signal)).expect("taken");
    }
    world.run_for(secs(10));
    let asked = sent(&world, a, Class::Request, Method::CREATE_PERMISSION);
    let mut peers: Vec<_> = asked
        .iter()
        .map(|raw| Message::parse(raw).expect("STUN"))
        .filter_map(|it| it.plain().attributes().xor_address(attr::XOR_PEER_ADDRESS))
        .map(|peer| peer.ip().to_string())
        .collect();
    peers.sort();
    assert!(!peers.is_empty() && peers.contains(&"198.18.9.9".to_owned()), "{peers:?}");
    assert_eq!(peers.iter().filter(|ip| *ip == "198.18.9.9").count(), 1, "{peers:?}");
}

/// ICE-7.2.1-c: the channel comes with the selected pair.
#[test]
fn no_channel_is_bound_before_a_pair_is_selected() {
    let mut world = World::new(13);
    let [a, b] = through_a_relay(&mut world);
    world.signal(a, b);
    let selected = |w: &World| w.events(a).iter().any(|(_, it)| matches!(it, Event::Selected { .. }));
    while !selected(&world) {
        assert_eq!(sent(&world, a, Class::Request, Method::CHANNEL_BIND).len(), 0, "{world}");
        world.run_for(ms(1));
        assert!(world.elapsed() < secs(10), "{world}");
    }
    world.run_for(secs(2));
    assert!(!sent(&world, a, Class::Request, Method::CHANNEL_BIND).is_empty(), "{world}");
}

/// ICE-7.3.1.2-a: the mapped address of a check that came through a relay is what the relay saw, not the relay.
#[test]
fn a_check_through_a_relay_is_answered_with_the_address_that_the_relay_saw() {
    let mut world = World::new(14);
    let [a, b] = through_a_relay(&mut world);
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
    let nat = world.gateway(b, world.addresses(b)[0]).expect("behind a NAT");
    let (local, _) = world.selected(b).expect("a pair");
    let seen = local.address.socket().expect("an address");
    assert_eq!(seen.ip(), world.external(nat), "{world}");
    let (_, remote) = world.selected(a).expect("a pair");
    assert_eq!(remote.address.socket(), Some(seen));
    assert!(world.agent_ref(b).path(ComponentId::FIRST).is_some());
}
