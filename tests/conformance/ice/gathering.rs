//! Gathering (RFC 8445 §5.1.1), in whole networks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use floe::agent::Policy;
use floe::candidate::{Candidate, CandidateType};
use floe::io::{ComponentId, Socket, SocketId};
use floe::signal::What;
use floe::sim::{Captured, Fate, HostId, Interface, Nat, World};
use floe::stun::{Class, Message, Method, TransactionId};
use floe::turn::Families;
use floe::{Config, Role, State};

use crate::bench::{Bench, SERVER, addr, ms, secs};

pub(crate) fn config(role: Role) -> Config {
    Config::new(role, [role as u8 + 1; 32])
}

/// The candidates that an agent has signalled, in order.
pub(crate) fn candidates(world: &World, host: HostId) -> Vec<Candidate> {
    let candidate = |what| if let What::Candidate(candidate) = what { Some(candidate) } else { None };
    world.signals(host).into_iter().filter_map(|signal| candidate(signal.what)).collect()
}

fn kinds(world: &World, host: HostId) -> BTreeSet<CandidateType> {
    candidates(world, host).iter().map(|candidate| candidate.kind).collect()
}

fn ip(candidate: &Candidate) -> IpAddr {
    candidate.address.socket().expect("an address").ip()
}

/// The requests that a host has sent to a server.
fn requests(world: &World, host: HostId, server: SocketAddr) -> Vec<(&Captured, Message<'_>)> {
    let own = world.addresses(host);
    let sent = world.captured().iter().filter(|one| one.fate == Fate::Sent && own.contains(&one.source.ip()));
    let messages = sent.filter(|one| one.destination == server);
    let messages = messages.map(|one| (one, Message::parse(&one.payload).expect("STUN")));
    messages.filter(|(_, message)| message.class() == Class::Request).collect()
}

/// ICE-5.1.1-a: whoever answers an offer has begun before anybody is asked anything else.
#[test]
fn gathering_begins_with_the_first_socket() {
    let mut bench = Bench::of(config(Role::Controlled).stun_server(addr(SERVER)));
    bench.wait(Duration::ZERO);
    assert_eq!((bench.sent[0].at, bench.sent[0].to), (Duration::ZERO, addr(SERVER)));
    assert_eq!(bench.agent.state(), State::Gathering);
}

/// ICE-5.1.1.1-a, ICE-5.1.1.1-b, ICE-5.1.1.1-d: every address, for every component, numbered from 1.
#[test]
fn each_component_has_a_host_candidate_on_each_address() {
    let mut world = World::new(1);
    let (v4, v6) = (|| Interface::v4(Nat::none()), || Interface::v6(Nat::none()));
    let host = world.agent([v4(), v4(), v6(), v6()], config(Role::Controlling).components(&[2]));
    let found: BTreeSet<_> = candidates(&world, host).iter().map(|it| (it.component, ip(it))).collect();
    let addresses = world.addresses(host);
    let expected = [1, 2].into_iter().flat_map(|number| addresses.iter().map(move |ip| (number, *ip)));
    assert_eq!(found, expected.collect());
    assert_eq!(found.len(), 8);
    for number in [0, 3] {
        let component = ComponentId { stream: 0, component: number };
        let socket = Socket::Udp { local: addr("192.0.2.77:5000"), component };
        world.with_agent(host, |agent, now| {
            assert!(agent.add_socket(now, SocketId(77), socket).is_err(), "component {number}");
        });
    }
}

/// ICE-5.1.1.2-a, ICE-5.1.1.2-b: nothing but the configuration decides.
#[test]
fn the_configuration_alone_decides_which_types_are_gathered() {
    use CandidateType::{Host, Relayed, ServerReflexive};
    for (servers, policy, expected) in [
        (true, Policy::All, &[Host, ServerReflexive, Relayed][..]),
        (true, Policy::DefaultRouteOnly, &[ServerReflexive, Relayed]),
        (true, Policy::Relay, &[Relayed]),
        (false, Policy::All, &[Host]),
    ] {
        let mut world = World::new(2);
        let turn = world.turn_server();
        let mut config = config(Role::Controlling).policy(policy);
        if servers {
            config = config.stun_server(turn.addr).turn_server(turn);
        }
        let host = world.agent(Nat::port_restricted(), config);
        world.run_for(secs(2));
        assert_eq!(kinds(&world, host), expected.iter().copied().collect(), "{policy:?}");
    }
}

/// ICE-5.1.1.2-d: one that does not answer is in nobody's way.
#[test]
fn a_dead_server_does_not_keep_the_others_from_being_used() {
    let mut world = World::new(3);
    let turn = world.turn_server();
    let mut dead = turn.clone();
    dead.addr = addr("192.0.2.200:3478");
    let config = config(Role::Controlling).stun_server(dead.addr).stun_server(turn.addr);
    let host = world.agent(Nat::port_restricted(), config.turn_server(dead).turn_server(turn));
    world.run_for(secs(3));
    assert_eq!(kinds(&world, host).len(), 3, "{world}");
}

/// ICE-5.1.1.2-e: from each base to each server, without credentials.
#[test]
fn each_base_asks_each_stun_server_without_credentials() {
    let mut world = World::new(4);
    world.capture();
    let (first, second) = (world.stun_server(), addr("192.0.2.200:3478"));
    let home = world.nat(Nat::port_restricted());
    let config = config(Role::Controlling).stun_server(first).stun_server(second);
    let host = world.agent([Interface::v4(home), Interface::v4(home)], config);
    world.run_for(secs(2));
    for server in [first, second] {
        let requests = requests(&world, host, server);
        let sources: BTreeSet<IpAddr> = requests.iter().map(|(one, _)| one.source.ip()).collect();
        assert_eq!(sources, world.addresses(host).into_iter().collect());
        for (one, message) in requests {
            assert_eq!(message.method(), Method::BINDING);
            assert_eq!(one.payload.len(), 20 + 8, "a header and FINGERPRINT");
        }
    }
}

/// ICE-5.1.1.2-h: a repetition with credentials is a new transaction too.
#[test]
fn transactions_of_gathering_begin_no_more_often_than_once_a_ta() {
    for ta in [20, 50, 120] {
        let mut world = World::new(5);
        world.capture();
        let turn = world.turn_server();
        let home = world.nat(Nat::port_restricted());
        let config = config(Role::Controlling).pacing(ms(ta)).stun_server(turn.addr);
        let interfaces = [(); 3].map(|()| Interface::v4(home));
        let host = world.agent(interfaces, config.turn_server(turn.clone()));
        world.run_for(secs(5));
        let mut begun = BTreeMap::<TransactionId, (Duration, Method)>::new();
        for (one, message) in requests(&world, host, turn.addr) {
            begun.entry(message.transaction_id()).or_insert((one.at, message.method()));
        }
        let of = |method| begun.values().filter(|it| it.1 == method).count();
        assert_eq!((of(Method::BINDING), of(Method::ALLOCATE)), (3, 6), "with a 401 each");
        let mut times: Vec<_> = begun.values().map(|it| it.0).collect();
        times.sort();
        assert!(times.windows(2).all(|two| two[1] - two[0] >= ms(ta)), "{times:?}");
    }
}

/// ICE-5.1.1.2-i, ICE-4-a, ICE-4-b: two candidates of one transaction, whose related addresses tell where they come from:
/// the base of the reflexive one, the mapped address of the relayed one.
#[test]
fn an_allocation_gives_a_reflexive_and_a_relayed_candidate() {
    let mut world = World::new(6);
    let turn = world.turn_server().families(Families::V4);
    let home = world.nat(Nat::port_restricted());
    let host = world.agent(Interface::v4(home), config(Role::Controlling).turn_server(turn.clone()));
    world.run_for(secs(2));
    let [host, reflexive, relayed] = candidates(&world, host).try_into().expect("three");
    assert_eq!((host.kind, host.related), (CandidateType::Host, None));
    assert_eq!(reflexive.kind, CandidateType::ServerReflexive);
    assert_eq!((ip(&reflexive), reflexive.related), (world.external(home), host.address.socket()));
    assert_eq!(relayed.kind, CandidateType::Relayed);
    assert_eq!((ip(&relayed), relayed.related), (turn.addr.ip(), reflexive.address.socket()));
}

/// ICE-5.1.1.3-b: over streams and components alike.
#[test]
fn candidates_of_one_address_share_a_foundation_over_all_streams_and_components() {
    let mut world = World::new(7);
    let host = world.agent(Nat::none(), config(Role::Controlling).components(&[2, 2]));
    let found = candidates(&world, host);
    let foundations: BTreeSet<_> = found.iter().map(|it| it.foundation).collect();
    assert_eq!((found.len(), foundations.len()), (4, 1));
}

/// ICE-5.1.1.4-a: however long the peer takes, the mapping that it was told of is still there.
#[test]
fn reflexive_candidates_are_kept_alive_until_the_peer_comes() {
    let mut world = World::new(8);
    let server = world.stun_server();
    let [a, b] = [Role::Controlling, Role::Controlled].map(|role| {
        let nat = Nat::port_restricted().ports(floe::sim::Ports::Random).lifetime(secs(30));
        world.agent(nat, config(role).stun_server(server))
    });
    world.run_for(secs(120));
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    assert_eq!(world.selected_types(a, b), [CandidateType::ServerReflexive; 2], "{world}");
}
