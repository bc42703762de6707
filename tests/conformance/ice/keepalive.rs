//! Keepalives (RFC 8445 §11).

use std::time::Duration;

use floe::io::ComponentId;
use floe::sim::{Fate, HostId, Interface, Nat, World};
use floe::stun::wire::attr;
use floe::stun::{Class, Method};
use floe::{Config, Received, Role, State};

use crate::bench::{Bench, PEER, PEER_PWD, Sent, addr, ms, secs};

/// A lite agent, which asks for no consent, whose peer has nominated.
fn lite(config: Config) -> Bench {
    let mut bench = Bench::of(config.lite());
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD} options=ice2,trickle"));
    bench.signal("0 candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host");
    let check = bench.check_with(|check| {
        check.put(attr::USE_CANDIDATE, &[]);
    });
    let _ = bench.receive(PEER, &check);
    assert!(bench.is_usable());
    bench
}

fn config() -> Config {
    Config::new(Role::Controlled, [7; 32])
}

fn indications(bench: &Bench) -> Vec<&Sent> {
    bench.sent.iter().filter(|sent| sent.is(Class::Indication)).collect()
}

/// When keepalives left, in five minutes.
fn times(config: Config) -> Vec<Duration> {
    let mut bench = lite(config);
    bench.wait(secs(300));
    indications(&bench).iter().map(|sent| sent.at).collect()
}

/// ICE-11-a, ICE-11-d.
#[test]
fn a_pair_without_consent_checks_has_a_keepalive_every_15_s() {
    let expected: Vec<_> = (1..=20).map(|count| secs(15) * count).collect();
    assert_eq!(times(config()), expected);
}

/// ICE-11-e.
#[test]
fn keepalives_are_never_less_than_15_s_apart() {
    for interval in [secs(1), secs(5), ms(14_999), secs(15)] {
        let times = times(config().keepalive(interval));
        assert_eq!(times.len(), 20, "{interval:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= secs(15)), "{times:?}");
    }
}

/// ICE-11-f.
#[test]
fn a_longer_interval_of_keepalives_is_kept() {
    let expected: Vec<_> = (1..=12).map(|count| secs(25) * count).collect();
    assert_eq!(times(config().keepalive(secs(25))), expected);
}

/// ICE-11-h.
#[test]
fn a_keepalive_is_a_header_and_a_fingerprint() {
    let mut bench = lite(config());
    bench.wait(secs(16));
    let [keepalive] = indications(&bench)[..] else { panic!("{:?}", bench.sent) };
    assert_eq!((keepalive.raw.len(), keepalive.kinds()), (28, vec![attr::FINGERPRINT]));
    assert!(keepalive.message().has_fingerprint(), "and a right one");
}

/// ICE-11-b, ICE-11-c: STUN is what every peer of ICE knows; a full agent of floe takes it and says nothing.
#[test]
fn a_keepalive_is_a_binding_indication_that_the_peer_takes_in_silence() {
    let mut bench = lite(config());
    bench.wait(secs(16));
    let keepalive = indications(&bench)[0].clone();
    assert_eq!((keepalive.to, keepalive.message().method()), (addr(PEER), Method::BINDING));
    let mut full = Bench::completed();
    let before = (full.sent.len(), full.events.len());
    assert_eq!(full.receive(PEER, &keepalive.raw), Received::Consumed);
    assert_eq!((full.sent.len(), full.events.len()), before);
}

/// ICE-11-i: the peer may go on to check; it is answered, nominations included, and nothing changes.
#[test]
fn checks_after_completion_are_answered_and_change_nothing() {
    let mut bench = Bench::completed();
    let path = bench.agent.path(ComponentId::FIRST);
    let before = bench.events.len();
    for _ in 0..5 {
        let check = bench.check();
        let answers = bench.answers(PEER, &check);
        assert!(matches!(&answers[..], [answer] if answer.is(Class::Success) && answer.to == addr(PEER)));
        bench.wait(ms(100));
    }
    assert_eq!((bench.agent.state(), bench.events.len()), (State::Completed, before), "{:?}", bench.events);
    assert_eq!(bench.agent.path(ComponentId::FIRST), path);
}

/// A full agent and a lite one with two streams and two addresses.
fn two_streams(world: &mut World) -> [HostId; 2] {
    let components = [1, 1];
    let full = world.agent(Nat::none(), Config::new(Role::Controlling, [1; 32]).components(&components));
    let interfaces = [Interface::v4(Nat::none()), Interface::v4(Nat::none())];
    let lite = Config::new(Role::Controlled, [2; 32]).components(&components).lite();
    let lite = world.agent(interfaces, lite);
    world.capture();
    world.signal(full, lite);
    world.run_until(secs(10), |w| w.completed(full) && w.completed(lite));
    [full, lite]
}

/// The five-tuples on which a host sent Binding indications since then, one for each.
fn kept_alive(world: &World, host: HostId, since: Duration) -> Vec<String> {
    let captured = world.captured().iter();
    let own = captured.filter(|one| one.origin == Some(host) && one.fate == Fate::Sent && one.at >= since);
    let indications = own.filter(|one| one.payload.starts_with(&[0, 0x11]));
    indications.map(|one| format!("{} {}", one.source, one.destination)).collect()
}

/// ICE-11-k: of the pairs that the peer has checked, those that are selected.
#[test]
fn keepalives_go_on_selected_pairs_only() {
    let mut world = World::new(1);
    let [full, lite] = two_streams(&mut world);
    let addresses = world.addresses(lite);
    let heard =
        |ip| world.captured().iter().any(|one| one.origin == Some(full) && one.destination.ip() == ip);
    assert!(addresses.iter().copied().all(heard), "both addresses are checked: {world}");
    world.run_for(secs(62));
    let mut kept = kept_alive(&world, lite, Duration::ZERO);
    assert_eq!(kept.len(), 8, "{kept:?}");
    kept.sort_unstable();
    kept.dedup();
    assert_eq!(kept.len(), 2, "one pair of each stream: {kept:?}");
}

/// ICE-11-g.
#[test]
fn keepalives_end_with_their_stream_and_with_the_session() {
    let mut world = World::new(2);
    let [full, lite] = two_streams(&mut world);
    for host in [full, lite] {
        world.with_agent(host, |agent, now| agent.remove_stream(now, 1));
    }
    let removed = world.elapsed();
    world.run_for(secs(62));
    let kept = kept_alive(&world, lite, removed);
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert!(kept.iter().all(|tuple| *tuple == kept[0]) && world.completed(full) && world.completed(lite));
    world.with_agent(lite, floe::Agent::close);
    let closed = world.elapsed();
    world.run_for(secs(62));
    assert!(kept_alive(&world, lite, closed).is_empty());
}
