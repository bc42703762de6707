//! `.local` names in the place of host addresses, both ways: what a peer learns, and what comes of names that resolve,
//! or do not.

use std::net::IpAddr;

use floe::agent::{HostNames, Input, MAX_OUTSTANDING, Output, Policy, ResolveId};
use floe::candidate::{Address, Candidate, CandidateType, RemoteFilter};
use floe::error::SignalError;
use floe::io::{Socket, SocketId};
use floe::signal::{self, Signal};
use floe::sim::{Gateway, HostId, Interface, Nat, World};
use floe::trace::What;
use floe::{Agent, Config, Event, Role};

use super::{ROLES, ms, secs, seed};

const NAME: &str = "2b8e9a4e-0e1c-4a7b-9d0f-0a6f3f1c2d5e.local";

fn named(role: Role, byte: u8) -> Config {
    Config::new(role, seed(byte)).host_names(HostNames::Mdns)
}

/// Two agents behind one NAT that does no hairpinning: without names they would need a relay.
fn neighbours(world: &mut World, configs: [Config; 2]) -> [HostId; 2] {
    let nat = world.nat(Nat::port_restricted());
    configs.map(|config| world.agent(nat, config))
}

/// Polls an agent on its own until it waits.
fn drain(agent: &mut Agent) -> Vec<String> {
    let mut buf = [0; 1500];
    let mut outputs = Vec::new();
    loop {
        match agent.poll_output(&mut buf) {
            Output::Wait(_) => return outputs,
            Output::Event(Event::Signal(signal)) => outputs.push(signal.to_string()),
            Output::Publish { name, address } => outputs.push(format!("publish {name} {address}")),
            Output::Withdraw { name } => outputs.push(format!("withdraw {name}")),
            Output::Resolve(resolve) => {
                outputs.push(format!("resolve {} {}", resolve.request.0, resolve.name));
            }
            _ => {}
        }
    }
}

/// The candidates that an agent has signalled.
fn signalled(world: &World, host: HostId) -> Vec<String> {
    let lines = world.signals(host).into_iter().map(|signal| signal.to_string());
    lines.filter(|line| line.contains("candidate:")).collect()
}

fn alone(config: Config) -> (Agent, std::time::Instant) {
    let now = World::new(1).now();
    (Agent::new(config, now), now)
}

fn candidate(line: &str) -> Signal {
    Signal::new(0, signal::What::Candidate(line.parse().expect(line)))
}

fn by_name(name: &str, port: u16) -> Signal {
    candidate(&format!("candidate:1 1 udp 2130706431 {name} {port} typ host"))
}

/// Two names, one on each side, resolve on the link: the path is as direct as with addresses, and one round trip of
/// multicast DNS later.
#[test]
fn neighbours_with_names_connect_directly() {
    for roles in ROLES {
        let mut world = World::new(1);
        let [a, b] = neighbours(&mut world, [named(roles[0], 1), named(roles[1], 2)]);
        world.signal(a, b);
        let took = world.run_until(secs(2), |w| w.usable(a) && w.usable(b));
        assert!(took <= ms(50 + 2 + 4), "{took:?} {world}");
        world.run_until(secs(2), |w| w.completed(a) && w.completed(b));
        assert_eq!(world.selected_types(a, b), [CandidateType::Host; 2], "{world}");
        let (_, remote) = world.selected(a).expect("a selected pair");
        assert!(matches!(remote.address, Address::Name { .. }), "its name is what is shown: {remote}");
    }
}

#[test]
fn one_side_with_names_is_enough() {
    for at in [0, 1] {
        let mut world = World::new(2);
        let mut configs = [Config::new(Role::Controlling, seed(1)), Config::new(Role::Controlled, seed(2))];
        configs[at] = configs[at].clone().host_names(HostNames::Mdns);
        let [a, b] = neighbours(&mut world, configs);
        world.signal(a, b);
        world.run_until(secs(2), |w| w.completed(a) && w.completed(b));
        assert_eq!(world.received(a).len(), 0);
        world.send(a, b"hello");
        world.run_for(ms(10));
        assert_eq!(world.received(b)[0].payload, b"hello");
    }
}

/// Names mean nothing across the Internet: their candidates come to nothing after 4 s, and delay no other.
#[test]
fn a_name_that_nobody_answers_for_delays_nothing() {
    for roles in ROLES {
        let took = [HostNames::Mdns, HostNames::Addresses].map(|names| {
            let mut world = World::new(3);
            let stun = world.stun_server();
            let [a, b] = [0, 1].map(|at: usize| {
                let config = Config::new(roles[at], seed(at as u8)).host_names(names).stun_server(stun);
                world.agent(Nat::port_restricted(), config)
            });
            world.signal(a, b);
            let took = world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
            world.run_for(secs(5));
            let unresolved = u64::from(names == HostNames::Mdns);
            assert_eq!([a, b].map(|host| world.agent_ref(host).stats().names_unresolved), [unresolved; 2]);
            took
        });
        assert!(took[0] <= took[1], "{took:?}");
    }
}

/// The peer's generation counts: an answer that comes after its end brings nothing back.
#[test]
fn an_answer_after_the_end_of_the_session_is_harmless() {
    let (mut agent, now) = alone(Config::new(Role::Controlled, seed(1)));
    agent.handle_signal(now, by_name(NAME, 5000)).expect("a name");
    agent.close(now);
    assert!(!drain(&mut agent).iter().any(|output| output.starts_with("resolve")));
    let address = Some("192.0.2.7".parse().expect("an address"));
    for request in [0, 77] {
        let _ = agent.handle_input(now, Input::Resolved { request: ResolveId(request), address });
    }
    assert!(drain(&mut agent).is_empty());
}

/// An answer for a candidate of a generation that a restart has ended: the candidate is gone with it.
#[test]
fn an_answer_after_a_restart_is_dropped() {
    for restarts in [0, 1] {
        let (mut agent, now) = alone(Config::new(Role::Controlled, seed(1)).trace(100));
        agent.handle_signal(now, by_name(NAME, 5000)).expect("a name");
        for _ in 0..restarts {
            agent.restart(now);
        }
        let address = Some("192.0.2.7".parse().expect("an address"));
        let _ = agent.handle_input(now, Input::Resolved { request: ResolveId(0), address });
        let known =
            agent.trace().records().filter(|record| matches!(record.what, What::Candidate { .. })).count();
        assert_eq!(known, 1 - restarts);
    }
}

#[test]
fn names_survive_a_restart() {
    let mut world = World::new(7);
    let [a, b] = neighbours(&mut world, [named(Role::Controlling, 1), named(Role::Controlled, 2)]);
    world.signal(a, b);
    world.run_until(secs(2), |w| w.completed(a) && w.completed(b));
    let before = signalled(&world, a).len();
    world.with_agent(a, Agent::restart);
    world.run_until(secs(2), |w| !w.completed(a) || !w.completed(b));
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    assert!(signalled(&world, a).len() > before);
    assert_eq!(world.names().count(), 2, "the same names again");
    assert_eq!(world.selected_types(a, b), [CandidateType::Host; 2]);
}

/// A candidate with a name is in the diagnosis, with the address that the name stands for.
#[test]
fn a_diagnosis_shows_what_names_stand_for() {
    let mut world = World::new(8);
    let [a, b] = neighbours(&mut world, [named(Role::Controlling, 1), named(Role::Controlled, 2)]);
    world.signal(a, b);
    world.run_until(secs(2), |w| w.completed(a) && w.completed(b));
    let diagnosis = world.agent_ref(a).diagnosis();
    assert_eq!(diagnosis.peer.names, 0);
    assert_eq!(diagnosis.peer.candidates[0].addr.ip(), world.addresses(b)[0]);
    assert!(!diagnosis.pairs.is_empty());
}

/// No address of the host in anything that is signalled: not as an address, not as a related one. The name is
/// published before it is signalled, once for all components.
#[test]
fn an_address_with_a_name_is_not_signalled() {
    let mut world = World::new(4);
    let (stun, turn) = (world.stun_server(), world.turn_server());
    let config = named(Role::Controlling, 1).stun_server(stun).turn_server(turn).components(&[2]);
    let a = world.agent(Nat::port_restricted(), config);
    world.run_for(secs(1));
    let own = world.addresses(a)[0];
    assert_eq!(world.names().map(|(_, ip)| ip).collect::<Vec<_>>(), [own]);
    let locals = signalled(&world, a);
    assert_eq!(locals.iter().filter(|line| line.contains(".local")).count(), 2, "{locals:?}");
    assert!(locals.iter().any(|line| line.contains("srflx raddr 0.0.0.0 rport 9")), "{locals:?}");
    assert!(locals.iter().any(|line| line.contains("typ relay raddr 0.0.0.0 rport 9")), "{locals:?}");
    assert!(!locals.iter().any(|line| line.contains(&own.to_string())), "{locals:?}");
    world.with_agent(a, Agent::close);
    assert_eq!(world.names().count(), 0, "withdrawn at the end");
}

#[test]
fn a_name_is_published_before_it_is_signalled_and_withdrawn_with_its_socket() {
    let (mut agent, now) = alone(named(Role::Controlling, 1));
    agent
        .add_socket(now, SocketId(0), Socket::udp("192.0.2.1:5000".parse().expect("an address")))
        .expect("added");
    let outputs = drain(&mut agent);
    let at = |word: &str| outputs.iter().position(|output| output.contains(word)).expect(word);
    assert!(at("publish") < at("candidate:"), "{outputs:?}");
    let name = outputs[at("publish")].split(' ').nth(1).expect("a name");
    assert!(outputs[at("candidate:")].contains(name));
    agent.remove_socket(now, SocketId(0));
    assert_eq!(drain(&mut agent), [format!("withdraw {name}")]);
}

/// A STUN server inside the private network tells the address that the name hides; one outside without a NAT tells an
/// address that the peer needs.
#[test]
fn a_server_on_the_same_network_does_not_give_a_name_away() {
    for (local, told) in [("10.0.0.7", 0), ("198.51.100.7", 1)] {
        let base = format!("{local}:5000").parse().expect("an address");
        let config = named(Role::Controlling, 1)
            .external_address(std::net::SocketAddr::ip(&base), local.parse().expect("an address"));
        let (mut agent, now) = alone(config);
        agent.add_socket(now, SocketId(0), Socket::udp(base)).expect("added");
        let outputs = drain(&mut agent);
        assert_eq!(outputs.iter().filter(|output| output.contains("srflx")).count(), told, "{outputs:?}");
    }
}

/// RFC 8839 §5.1: other names are ignored. An agent that uses relays only asks nobody on its link.
#[test]
fn names_that_are_not_resolved_are_refused_and_counted() {
    let (mut agent, now) = alone(Config::new(Role::Controlled, seed(1)));
    for name in ["host.example.org", "a.b.local", "local"] {
        assert!(
            matches!(agent.handle_signal(now, by_name(name, 5000)), Err(SignalError::Unsupported(_))),
            "{name}"
        );
    }
    assert_eq!(agent.stats().signals_refused, 3);
    let (mut relayed, _) = alone(Config::new(Role::Controlled, seed(1)).policy(Policy::Relay));
    assert!(matches!(relayed.handle_signal(now, by_name(NAME, 5000)), Err(SignalError::Unsupported(_))));
    assert!(
        !drain(&mut relayed).iter().chain(&drain(&mut agent)).any(|output| output.starts_with("resolve"))
    );
}

#[test]
fn names_that_wait_for_an_answer_are_limited() {
    let (mut agent, now) = alone(Config::new(Role::Controlled, seed(1)));
    for n in 0..MAX_OUTSTANDING {
        agent.handle_signal(now, by_name(&format!("n{n}.local"), 5000)).expect("below the limit");
    }
    let refused = agent.handle_signal(now, by_name("more.local", 5000));
    assert_eq!(refused, Err(SignalError::TooMany(MAX_OUTSTANDING)));
    let _ = agent.handle_input(now, Input::Resolved { request: ResolveId(0), address: None });
    agent.handle_signal(now, by_name("more.local", 5000)).expect("one has ended");
}

/// What a name stands for is judged as a signalled address is: whoever answers on the link may say anything.
#[test]
fn a_name_that_stands_for_a_forbidden_address_is_refused() {
    let filters = [
        RemoteFilter::new(),
        RemoteFilter::new().unprivileged_ports(),
        RemoteFilter::new().public_addresses(),
    ];
    for (address, port, admitted) in [
        ("192.0.2.7", 5000, [true; 3]),
        ("127.0.0.1", 5000, [false; 3]),
        ("224.0.0.1", 5000, [false; 3]),
        ("0.0.0.0", 5000, [false; 3]),
        ("192.0.2.7", 22, [true, false, true]),
        ("10.0.0.7", 5000, [true, true, false]),
    ] {
        for (filter, admitted) in filters.into_iter().zip(admitted) {
            let (mut agent, now) = alone(Config::new(Role::Controlled, seed(1)).remote_filter(filter));
            agent.handle_signal(now, by_name(NAME, port)).expect("a name");
            let address = Some(address.parse().expect("an address"));
            let _ = agent.handle_input(now, Input::Resolved { request: ResolveId(0), address });
            let refused = u64::from(!admitted);
            assert_eq!(agent.stats().signals_refused, refused, "{address:?} {port} {filter:?}");
        }
    }
}

/// The same filter for what is signalled, with the address in the error.
#[test]
fn a_forbidden_remote_address_is_refused_by_name() {
    for (line, filter) in [
        ("candidate:1 1 udp 5 127.0.0.1 5000 typ host", RemoteFilter::new()),
        ("candidate:1 1 udp 5 192.0.2.1 25 typ host", RemoteFilter::new().unprivileged_ports()),
        ("candidate:1 1 udp 5 192.168.0.1 5000 typ host", RemoteFilter::new().public_addresses()),
    ] {
        let (mut agent, now) = alone(Config::new(Role::Controlled, seed(1)).remote_filter(filter));
        let addr = line.parse::<Candidate>().expect(line).address.socket().expect("an address");
        assert_eq!(agent.handle_signal(now, candidate(line)), Err(SignalError::Address(addr)));
        assert_eq!(agent.stats().signals_refused, 1);
    }
}

/// A NAT one to one, with its address known beforehand: no server is needed.
#[test]
fn an_external_address_takes_the_place_of_a_server() {
    for roles in ROLES {
        let mut world = World::new(5);
        let nat = world.nat(Nat::full_cone());
        let inside = "10.0.1.1".parse().expect("an address");
        let external = world.external(nat);
        let config = Config::new(roles[0], seed(1)).external_address(inside, external);
        let a = world.agent(nat, config);
        assert_eq!(world.addresses(a), [inside]);
        let b = world.agent(Nat::port_restricted(), Config::new(roles[1], seed(2)));
        world.signal(a, b);
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        let lines = signalled(&world, a);
        let expected = format!("{external} 50000 typ srflx raddr {inside} rport 50000");
        assert!(lines.iter().any(|line| line.contains(&expected)), "{lines:?}");
    }
}

/// An agent with three interfaces, each behind a NAT of its own, and a STUN server.
struct Moded {
    /// Its addresses; the default route leaves from the first one.
    own: Vec<IpAddr>,
    /// Those of them that anything was sent from.
    used: Vec<IpAddr>,
    signalled: Vec<String>,
}

impl Moded {
    fn new(policy: Policy, nat: impl Fn() -> Gateway) -> Self {
        let mut world = World::new(6);
        let stun = world.stun_server();
        let config = Config::new(Role::Controlling, seed(1)).policy(policy).stun_server(stun);
        world.capture();
        let gateways: [Gateway; 3] = std::array::from_fn(|_| nat());
        let a = world.agent(gateways.map(Interface::v4), config);
        world.run_for(secs(1));
        let own = world.addresses(a);
        let sent = |ip: &IpAddr| world.captured().iter().any(|packet| packet.source.ip() == *ip);
        Self { used: own.iter().copied().filter(sent).collect(), own, signalled: signalled(&world, a) }
    }

    fn of_type(&self, kind: &str) -> Vec<&String> {
        self.signalled.iter().filter(|line| line.contains(&format!("typ {kind}"))).collect()
    }

    /// How many lines name this address, in whatever place.
    fn naming(&self, ip: IpAddr) -> usize {
        self.signalled.iter().filter(|line| line.contains(&format!(" {ip} "))).count()
    }
}

fn cone() -> Gateway {
    Nat::port_restricted().into()
}

/// IPH-5.2-a.
#[test]
fn mode_1_uses_every_interface_rfc_8828_section_5_2() {
    let all = Moded::new(Policy::All, cone);
    assert_eq!(all.used, all.own);
    assert_eq!([all.of_type("host").len(), all.of_type("srflx").len()], [3, 3], "{:?}", all.signalled);
}

/// IPH-5.2-b.
#[test]
fn mode_2_sends_from_the_default_route_only_rfc_8828_section_5_2() {
    let default = Moded::new(Policy::DefaultRoute, cone);
    assert_eq!(default.used, default.own[..1]);
}

/// IPH-5.2-d.
#[test]
fn mode_2_signals_the_host_candidates_of_the_default_route_rfc_8828_section_5_2() {
    let default = Moded::new(Policy::DefaultRoute, cone);
    let hosts = default.of_type("host");
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    assert!(hosts[0].contains(&default.own[0].to_string()));
    assert_eq!(default.own[1..].iter().map(|ip| default.naming(*ip)).sum::<usize>(), 0);
    assert_eq!(default.of_type("srflx").len(), 1);
}

/// IPH-5.2-e: also not as a related address. Without a NAT the address that the server saw is told all the same.
#[test]
fn mode_3_signals_no_address_of_the_host_rfc_8828_section_5_2() {
    let hidden = Moded::new(Policy::DefaultRouteOnly, cone);
    assert_eq!(hidden.own.iter().map(|ip| hidden.naming(*ip)).sum::<usize>(), 0, "{:?}", hidden.signalled);
    let reflexive = hidden.of_type("srflx");
    assert_eq!((reflexive.len(), hidden.signalled.len()), (1, 1));
    assert!(reflexive[0].contains("raddr 0.0.0.0 rport 9"), "{reflexive:?}");

    let public = Moded::new(Policy::DefaultRouteOnly, Nat::none);
    assert_eq!((public.of_type("host").len(), public.of_type("srflx").len()), (0, 1));
    assert_eq!(public.naming(public.own[0]), 1);
}

/// IPH-5.2-i: relays only, and none is there: nothing is signalled, no STUN server is asked.
#[test]
fn mode_4_sends_to_relays_only_rfc_8828_section_5_2() {
    let relayed = Moded::new(Policy::Relay, cone);
    assert!(relayed.used.is_empty() && relayed.signalled.is_empty(), "{:?}", relayed.signalled);
}

/// IPH-7-b: whoever misses host candidates sees the mode, and the types that there are.
#[test]
fn a_diagnosis_tells_the_mode_and_the_types_rfc_8828_section_7() {
    for (policy, kinds) in [
        (Policy::DefaultRoute, &[CandidateType::Host, CandidateType::ServerReflexive][..]),
        (Policy::Relay, &[]),
    ] {
        let mut world = World::new(9);
        let stun = world.stun_server();
        let a = world.agent(cone(), Config::new(Role::Controlling, seed(1)).policy(policy).stun_server(stun));
        world.run_for(secs(1));
        let diagnosis = world.agent_ref(a).diagnosis();
        let candidates = diagnosis.bases.iter().flat_map(|base| &base.candidates);
        assert_eq!(candidates.map(|end| end.kind).collect::<Vec<_>>(), kinds);
        assert_eq!(diagnosis.policy, policy);
    }
}
