//! The spare pair of two agents that know renomination (decision 18 of the conformance tests): one more pair is kept, and
//! takes over when the selected one is lost.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use floe::agent::Nomination;
use floe::candidate::CandidateType::Relayed;
use floe::io::ComponentId;
use floe::sim::{Fate, Gateway, HostId, Interface, Link, Nat, World};
use floe::stun::Message;
use floe::stun::wire::{Class, Method};
use floe::turn::Families;
use floe::{Config, Event, Role, State};

use super::{ROLES, ms, secs, seed};

const SETTLE: Duration = Duration::from_millis(500);
const WITH: Nomination = Nomination::Renominate { settle: SETTLE };
const WITHOUT: Nomination = Nomination::Best { settle: SETTLE };

/// Two public agents of `N` interfaces each, completed.
fn connected<const N: usize>(
    world: &mut World,
    roles: [Role; 2],
    nominations: [Nomination; 2],
) -> [HostId; 2] {
    let hosts = [0, 1].map(|at: usize| {
        let config = Config::new(roles[at], seed(at as u8 + 1)).nomination(nominations[at]);
        world.agent([(); N].map(|()| Interface::v4(Nat::none())), config)
    });
    complete(world, hosts);
    hosts
}

/// Two agents with a relay each, completed on the direct path.
fn relayed(world: &mut World, roles: [Role; 2], nats: [Gateway; 2], nomination: Nomination) -> [HostId; 2] {
    let turn = world.turn_server().families(Families::V4);
    let [near, far] = nats;
    let hosts = [(near, roles[0], 1), (far, roles[1], 2)].map(|(nat, role, byte)| {
        let config = Config::new(role, seed(byte)).nomination(nomination);
        world.agent(nat, config.stun_server(turn.addr).turn_server(turn.clone()))
    });
    complete(world, hosts);
    assert!(!world.selected_types(hosts[0], hosts[1]).contains(&Relayed), "{world}");
    hosts
}

fn cones() -> [Gateway; 2] {
    [Nat::port_restricted().into(), Nat::port_restricted().into()]
}

fn complete(world: &mut World, [a, b]: [HostId; 2]) {
    world.capture();
    world.signal(a, b);
    world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
}

/// What a host has sent of this kind since `from`: from where, to where, and when.
fn sent(
    world: &World,
    host: HostId,
    from: Duration,
    class: Class,
    method: Method,
) -> BTreeMap<(SocketAddr, SocketAddr), Vec<Duration>> {
    let own = world.addresses(host);
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for it in world
        .captured()
        .iter()
        .filter(|it| it.at >= from && it.fate == Fate::Sent && own.contains(&it.source.ip()))
    {
        if Message::parse(&it.payload).is_ok_and(|it| it.class() == class && it.method() == method) {
            found.entry((it.source, it.destination)).or_default().push(it.at);
        }
    }
    found
}

/// The intervals of checks on each pair but the selected one.
fn beside(world: &World, host: HostId, from: Duration) -> Vec<Vec<Duration>> {
    let (local, remote) = world.selected(host).expect("a pair");
    let selected = local.address.socket().zip(remote.address.socket());
    let checks = sent(world, host, from, Class::Request, Method::BINDING).into_iter();
    let others = checks.filter(|(pair, _)| Some(*pair) != selected);
    others.map(|(_, at)| at.windows(2).map(|pair| pair[1] - pair[0]).collect()).collect()
}

fn asks_for_restart(world: &World, host: HostId) -> bool {
    world.events(host).iter().any(|(_, event)| matches!(event, Event::RestartNeeded(_)))
}

fn carries_data(world: &mut World, hosts: [HostId; 2]) {
    for (from, to) in [(hosts[0], hosts[1]), (hosts[1], hosts[0])] {
        let before = world.received(to).len();
        world.send(from, b"data");
        world.run_for(secs(1));
        assert_eq!(
            world.received(to).len(),
            before + 1,
            "{from:?} {:?} {world}",
            world.agent_ref(from).path(ComponentId::FIRST)
        );
    }
}

/// Decision 18: one pair beside the selected one, on another base, every 25 s.
#[test]
fn one_spare_pair_is_checked_every_25_s() {
    for roles in ROLES {
        let mut world = World::new(1);
        let hosts = connected::<3>(&mut world, roles, [WITH; 2]);
        // What was under way at the nomination has ended by then.
        let from = world.elapsed() + secs(50);
        world.run_for(secs(260));
        for host in hosts {
            let intervals = beside(&world, host, from);
            assert_eq!(intervals.len(), 1, "one spare pair: {intervals:?} {world}");
            assert!(intervals[0].len() >= 7, "{intervals:?}");
            assert!(intervals[0].iter().all(|it| *it >= secs(25) && *it < ms(25_100)), "{intervals:?}");
            let spare = world.agent_ref(host).valid_pairs(ComponentId::FIRST);
            let bases: std::collections::BTreeSet<IpAddr> =
                spare.filter_map(|pair| Some(pair.local.address.socket()?.ip())).collect();
            assert!(bases.len() >= 2, "on another base");
        }
    }
}

/// RFC 8445 §8.1.2, §11: without the option at either end nothing goes beside the selected pair.
#[test]
fn without_the_option_no_other_pair_is_checked_after_the_nomination() {
    for nominations in [[WITH, WITHOUT], [WITHOUT, WITH], [WITHOUT, WITHOUT]] {
        let mut world = World::new(2);
        let hosts = connected::<2>(&mut world, ROLES[0], nominations);
        let from = world.elapsed() + secs(1);
        world.run_for(secs(100));
        for host in hosts {
            assert_eq!(beside(&world, host, from), Vec::<Vec<Duration>>::new(), "{nominations:?} {world}");
        }
    }
}

/// The Refresh requests of lifetime zero that a host has sent.
fn given_back(world: &World, host: HostId) -> usize {
    let own = world.addresses(host);
    let sent = world.captured().iter().filter(|it| it.fate == Fate::Sent && own.contains(&it.source.ip()));
    let deletes = sent.filter(|it| {
        Message::parse(&it.payload).is_ok_and(|message| {
            (message.class(), message.method()) == (Class::Request, Method::REFRESH)
                && message.plain().attributes().lifetime() == Some(Duration::ZERO)
        })
    });
    deletes.map(|it| (it.source, it.destination)).collect::<std::collections::BTreeSet<_>>().len()
}

/// RFC 8445 §8.3.1 but for the relay that the spare pair needs, at either end.
#[test]
fn the_relay_of_a_spare_pair_is_kept_and_the_others_are_given_back() {
    for roles in ROLES {
        let mut world = World::new(3);
        let turn = world.turn_server().families(Families::V4);
        let interfaces = [(); 2].map(|()| Interface::v4(Nat::port_restricted()));
        let a = world.agent(interfaces, Config::new(roles[0], seed(1)).turn_server(turn));
        // It reaches the relays of the other one, and its direct address once.
        let b = world.agent(Nat::none(), Config::new(roles[1], seed(2)));
        world.capture();
        world.signal(a, b);
        world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
        world.run_for(secs(900));
        let kept = 2 - given_back(&world, a);
        assert!(kept <= 1, "two relays, one spare pair at most each way: {kept} {world}");
        assert!(world.completed(a) && world.completed(b));
    }
    let mut world = World::new(3);
    let hosts = relayed(&mut world, ROLES[0], cones(), WITH);
    world.run_for(secs(900));
    let kept: usize = hosts.iter().map(|host| 1 - given_back(&world, *host)).sum();
    assert!(kept >= 1, "the spare pair of two hosts with one address each is relayed: {world}");
    let mut world = World::new(3);
    let hosts = relayed(&mut world, ROLES[0], cones(), WITHOUT);
    world.run_for(secs(10));
    assert!(hosts.iter().all(|host| given_back(&world, *host) == 1), "{world}");
}

/// The direct path dies: both ends notice by their consent, and meet on the spare pair without a restart.
#[test]
fn the_loss_of_consent_moves_the_session_to_the_spare_pair() {
    for roles in ROLES {
        for nats in [[Nat::none(), Nat::none()], cones(), [Nat::symmetric().into(), Nat::none()]] {
            let mut world = World::new(4);
            let hosts = relayed(&mut world, roles, nats, WITH);
            let [a, b] = hosts;
            // Long after the others have been freed, and at any phase of its checks.
            world.run_for(secs(300));
            world.cut(a, b);
            let on_relay =
                |w: &World| w.selected_types(a, b).contains(&Relayed) && w.completed(a) && w.completed(b);
            let took = world.run_until(secs(40), on_relay);
            assert!(took < secs(38), "{took:?}");
            // The end that the nomination comes from follows half a round trip later.
            world.run_for(ms(500));
            assert!(!hosts.iter().any(|host| asks_for_restart(&world, *host)), "{world}");
            carries_data(&mut world, hosts);
            world.run_for(secs(300));
            assert!(world.completed(a) && world.completed(b), "{world}");
        }
    }
}

/// The socket of the selected pair goes: the controlling agent nominates the spare pair at once, a controlled one sends on
/// its own.
#[test]
fn the_loss_of_the_selected_socket_moves_data_to_the_spare_pair_at_once() {
    for roles in ROLES {
        let mut world = World::new(5);
        let hosts = connected::<2>(&mut world, roles, [WITH; 2]);
        let [a, b] = hosts;
        // Half a minute after the last ordinary check no other pair has consent.
        world.run_for(secs(100));
        let lost = world.selected(a).expect("a pair").0.address.socket().expect("an address").ip();
        world.remove_interface(a, lost);
        assert!(world.usable(a), "{world}");
        let before = world.received(b).len();
        world.send(a, b"data");
        world.run_for(ms(500));
        assert_eq!(world.received(b).len(), before + 1, "{world}");
        if roles[0] == Role::Controlling {
            assert!(world.completed(a) && world.completed(b) && !asks_for_restart(&world, a), "{world}");
        }
        // A controlling peer that is not told notices when consent expires.
        world.run_for(secs(60));
        assert!(world.completed(a) && world.completed(b), "{world}");
        carries_data(&mut world, hosts);
    }
}

/// It fails after the time of a check; the next one was given up for it before.
#[test]
fn a_spare_pair_that_dies_is_replaced() {
    let mut world = World::new(6);
    let turn = world.turn_server().families(Families::V4);
    let config = |at: usize| Config::new(ROLES[0][at], seed(at as u8 + 1));
    let a = world.agent(Nat::none(), config(0).turn_server(turn));
    let b = world.agent([Interface::v4(Nat::none()), Interface::v4(Nat::none())], config(1));
    complete(&mut world, [a, b]);
    world.run_for(secs(100));
    let spare = |w: &World| {
        let pairs = beside(w, a, w.elapsed().saturating_sub(secs(26)));
        pairs.len()
    };
    assert_eq!(spare(&world), 1, "{world}");
    // The controlling agent has the relay as its spare base.
    let server = world.server();
    world.set_path(a, server, Link::down());
    let from = world.elapsed();
    world.run_for(secs(150));
    let checks = sent(&world, a, from, Class::Request, Method::BINDING);
    let selected = world.selected(a).and_then(|(_, remote)| remote.address.socket()).expect("a pair");
    let other = world.addresses(b).into_iter().find(|ip| *ip != selected.ip()).expect("another one");
    let to_other: usize = checks.iter().filter(|((_, to), _)| to.ip() == other).map(|(_, at)| at.len()).sum();
    assert!(to_other >= 3, "{checks:?} {world}");
    assert_eq!(world.state(a), State::Completed);
    world.remove_interface(b, selected.ip());
    world.run_until(secs(45), |w| {
        w.completed(a)
            && w.completed(b)
            && w.selected(a).is_some_and(|(_, it)| it.address.socket().is_some_and(|it| it.ip() == other))
    });
}
