//! What `Agent::diagnosis` says of sessions that fail, that stay on a relay, and that are well.

use std::net::SocketAddr;

use floe::agent::diagnosis::{Cause, Certainty, Ends, Standing};
use floe::agent::{Diagnosis, Policy, ServerProblem};
use floe::candidate::CandidateType;
use floe::checks::Failure;
use floe::consent::Loss;
use floe::io::ComponentId;
use floe::signal::Signal;
use floe::sim::{Filtering, Host, HostId, Interface, Link, Mapping, Nat, Udp, World};
use floe::stun::auth::{Integrity, Key, PasswordAlgorithm};
use floe::stun::wire::{Class, Kind, Method, attr, classify};
use floe::stun::{Family, Message, Writer, code};
use floe::turn::TurnServer;
use floe::{Config, Role, State};

use super::{ms, secs, seed};

const ROLES: [Role; 2] = [Role::Controlling, Role::Controlled];

/// Two agents of these configurations; the first one is asked.
fn agents(world: &mut World, hosts: [Host; 2], configure: impl Fn(usize, Config) -> Config) -> [HostId; 2] {
    let mut at = 0;
    hosts.map(|host| {
        let config = configure(at, Config::new(ROLES[at], seed(at as u8 + 1)));
        at += 1;
        world.agent(host, config)
    })
}

fn diagnosis(world: &World, host: HostId) -> Diagnosis {
    world.agent_ref(host).diagnosis()
}

fn first(world: &World, host: HostId) -> Cause {
    let diagnosis = diagnosis(world, host);
    diagnosis.causes.first().unwrap_or_else(|| panic!("no cause\n{diagnosis}\n{world}")).clone()
}

fn until_failed(world: &mut World, host: HostId) {
    world.run_until(secs(130), |w| w.state(host) == State::Failed);
}

/// Runs two agents to the failure of the first one and returns what it says.
fn failing(
    hosts: [Host; 2],
    configure: impl Fn(&mut World) -> Box<dyn Fn(usize, Config) -> Config>,
) -> (World, HostId, Cause) {
    let mut world = World::new(1);
    let configure = configure(&mut world);
    let [a, b] = agents(&mut world, hosts, configure);
    world.signal(a, b);
    until_failed(&mut world, a);
    let cause = first(&world, a);
    (world, a, cause)
}

fn plain(_: &mut World) -> Box<dyn Fn(usize, Config) -> Config> {
    Box::new(|_, config| config)
}

fn with_stun(world: &mut World) -> Box<dyn Fn(usize, Config) -> Config> {
    let server = world.stun_server();
    Box::new(move |_, config| config.stun_server(server))
}

fn blocked() -> Host {
    Interface::v4(Nat::port_restricted()).link(Link::lan().udp(Udp::Only(vec![]))).into()
}

/// Where nobody is.
fn nowhere() -> SocketAddr {
    "192.0.2.99:3478".parse().expect("an address")
}

#[test]
fn blocked_udp() {
    let (_, _, cause) = failing([blocked(), Nat::none().into()], with_stun);
    assert!(matches!(cause, Cause::UdpBlocked { servers: 1, requests: 7.. }), "{cause:?}");
    assert_eq!(cause.certainty(), Certainty::Likely);
}

#[test]
fn a_wrong_turn_password_between_symmetric_nats() {
    let (world, a, cause) = failing([Nat::symmetric().into(), Nat::symmetric().into()], |world| {
        let good = world.turn_server();
        Box::new(move |_, config| config.turn_server(TurnServer::new(good.addr, "sim", "wrong")))
    });
    assert!(matches!(cause, Cause::TurnCredentials { .. }), "{cause:?}");
    let server = &diagnosis(&world, a).servers[0];
    assert!(server.requests >= 2 && server.answers >= 2, "{server:?}");
}

#[test]
fn no_relay_between_symmetric_nats() {
    let (_, _, cause) = failing([Nat::symmetric().into(), Nat::symmetric().into()], with_stun);
    assert_eq!(cause, Cause::RelayNeeded { mapping: None });
}

/// RFC 4787 §4.1: two servers that see one base at two addresses.
#[test]
fn no_relay_and_a_mapping_that_was_seen_to_depend_on_the_destination() {
    let mut world = World::new(1);
    let stun = world.stun_server();
    let other = Answering::new(&mut world);
    let addr = other.addr;
    let hosts = [Nat::symmetric().into(), Nat::symmetric().into()];
    let [a, b] = agents(&mut world, hosts, |_, config| config.stun_server(stun).stun_server(addr));
    world.signal(a, b);
    other.run(&mut world, secs(130), |request, source, buf| {
        let mut answer = Writer::new(buf, Class::Success, Method::BINDING, request.transaction_id());
        answer.put_xor_address(attr::XOR_MAPPED_ADDRESS, source).fingerprint();
        answer.finish().expect("room").len()
    });
    assert_eq!(first(&world, a), Cause::RelayNeeded { mapping: Some(Ends::Ours) });
}

#[test]
fn a_peer_without_candidates() {
    let (_, _, cause) = failing([Nat::none().into(), Nat::none().into()], |_| {
        Box::new(|at, config| if at == 1 { config.policy(Policy::Relay) } else { config })
    });
    assert_eq!(cause, Cause::NoCandidates { has_ended: true });
}

/// RFC 8445 §6.1.2.2: what the peer does not have is not missed.
#[test]
fn a_component_that_the_peer_does_not_have() {
    let mut world = World::new(1);
    let hosts = [Nat::none().into(), Nat::none().into()];
    let [a, b] = agents(&mut world, hosts, |at, config| config.components(&[2 - at as u16]));
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    assert_eq!(diagnosis(&world, a).causes, []);
    assert_eq!(diagnosis(&world, a).pairs.len(), 1);
}

#[test]
fn a_relay_policy_without_a_relay() {
    let (_, _, cause) = failing([Nat::none().into(), Nat::none().into()], |_| {
        Box::new(|at, config| if at == 0 { config.policy(Policy::Relay) } else { config })
    });
    assert_eq!(cause, Cause::RelayPolicy { servers: 0 });
}

/// Another server answers, so it is not UDP that is blocked.
#[test]
fn a_dead_relay_beside_a_living_server() {
    let (_, _, cause) = failing([Nat::symmetric().into(), Nat::symmetric().into()], |world| {
        let stun = world.stun_server();
        let dead = TurnServer::new(nowhere(), "sim", "secret");
        Box::new(move |_, config| config.stun_server(stun).turn_server(dead.clone()))
    });
    assert!(
        matches!(cause, Cause::ServerUnreachable { addr, requests: 2.., .. } if addr == nowhere()),
        "{cause:?}"
    );
}

#[test]
fn a_family_mismatch() {
    let v6: Host = Interface::v6(Nat::none()).into();
    let (_, _, cause) = failing([Nat::none().into(), v6], plain);
    assert_eq!(cause, Cause::FamilyMismatch { ours: Family::V4, theirs: Family::V6 });
}

#[test]
fn a_peer_with_private_addresses_only() {
    let (_, _, cause) = failing([Nat::symmetric().into(), Nat::symmetric().into()], plain);
    assert_eq!(cause, Cause::PrivateOnly { candidates: 1 });
}

/// Eight re-checks, and the seven requests of the last check.
#[test]
fn a_peer_that_is_gone_after_it_signalled() {
    let mut world = World::new(1);
    let [a, b] = agents(&mut world, [Nat::none().into(), Nat::none().into()], |_, config| config);
    world.signal_one_way(b, a, ms(50));
    world.cut(a, b);
    until_failed(&mut world, a);
    assert!(matches!(first(&world, a), Cause::PeerSilent { pairs: 1, requests: 15 }));
    let pair = &diagnosis(&world, a).pairs[0];
    assert_eq!(pair.standing, Standing::Failed(Failure::Unanswered));
    assert!(diagnosis(&world, a).to_string().contains("no answer to 15 requests"));
}

#[test]
fn a_way_to_the_peer_that_is_blocked_and_one_back_that_is_not() {
    let mut world = World::new(1);
    let [a, b] = agents(&mut world, [Nat::none().into(), Nat::none().into()], |_, config| config);
    world.set_path(a, b, Link::down());
    world.signal(a, b);
    until_failed(&mut world, a);
    assert!(matches!(first(&world, a), Cause::OneWay { received: 1.., sent: 7.. }), "{:?}", first(&world, a));
    until_failed(&mut world, b);
    assert!(matches!(first(&world, b), Cause::PeerSilent { .. }), "{:?}", first(&world, b));
}

#[test]
fn a_black_hole_after_the_connection() {
    let mut world = World::new(1);
    let [a, b] = agents(&mut world, [Nat::none().into(), Nat::none().into()], |_, config| config);
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    world.cut(a, b);
    world.run_until(secs(31), |w| w.state(a) == State::Disconnected);
    let lost = first(&world, a);
    assert!(
        matches!(&lost, Cause::ConsentLost { component: ComponentId::FIRST, at, loss: Loss::Silent { unanswered: 5..=8 } }
            if *at > secs(24)),
        "{lost:?}"
    );
    until_failed(&mut world, a);
    assert_eq!(first(&world, a), lost, "it is remembered");
}

/// The end whose packets arrive nowhere still hears the peer's consent requests.
#[test]
fn a_hole_in_one_direction_after_the_connection() {
    let mut world = World::new(1);
    let [a, b] = agents(&mut world, [Nat::none().into(), Nat::none().into()], |_, config| config);
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    world.set_path(a, b, Link::down());
    world.run_until(secs(31), |w| w.state(a) == State::Disconnected && w.state(b) == State::Disconnected);
    let loss = |host| match first(&world, host) {
        Cause::ConsentLost { loss, .. } => loss,
        cause => panic!("{cause:?}"),
    };
    assert!(matches!(loss(a), Loss::OneWay { .. }), "{:?}", loss(a));
    assert!(matches!(loss(b), Loss::Silent { .. }), "{:?}", loss(b));
}

#[test]
fn no_signals_of_the_peer_and_signals_that_go_one_way() {
    let mut world = World::new(1);
    let [a, b] = agents(&mut world, [Nat::none().into(), Nat::none().into()], |_, config| config);
    assert_eq!(first(&world, a), Cause::NoCredentials { checks_received: 0 });
    world.signal_one_way(a, b, ms(50));
    world.run_for(secs(5));
    assert!(
        matches!(first(&world, a), Cause::NoCredentials { checks_received: 1.. }),
        "{:?}",
        first(&world, a)
    );
}

#[test]
fn no_interface() {
    let mut world = World::new(1);
    let [a, _] = agents(&mut world, [Host::from([]), Nat::none().into()], |_, config| config);
    assert_eq!(first(&world, a), Cause::NoSocket);
}

/// The signals of `from` as the text of another session would have them.
fn deliver(world: &mut World, to: HostId, signals: Vec<Signal>) {
    for signal in signals {
        world.with_agent(to, |agent, now| drop(agent.handle_signal(now, signal)));
    }
}

fn signals(lines: &[&str]) -> Vec<Signal> {
    lines.iter().map(|line| line.parse().expect("a signal")).collect()
}

#[test]
fn candidates_that_are_names_and_candidates_that_are_nowhere() {
    let name = "0 candidate:1 1 udp 2130706431 6a0b.local 5000 typ host";
    let unspecified = "0 candidate:1 1 udp 2130706431 0.0.0.0 5000 typ host";
    let credentials = "0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg";
    for (candidate, expected) in
        [(name, Cause::OnlyNames { names: 1 }), (unspecified, Cause::OnlyUnusable { candidates: 1 })]
    {
        let mut world = World::new(1);
        let [a, _] = agents(&mut world, [Nat::none().into(), Nat::none().into()], |_, config| config);
        deliver(&mut world, a, signals(&[credentials, candidate, "0 end-of-candidates"]));
        assert_eq!(first(&world, a), expected);
        until_failed(&mut world, a);
        assert_eq!(first(&world, a), expected);
    }
}

/// Signals of another session: the password is not the peer's.
#[test]
fn credentials_that_do_not_belong_to_the_peer() {
    let mut world = World::new(1);
    let [a, b] = agents(&mut world, [Nat::none().into(), Nat::none().into()], |_, config| config);
    let addr = SocketAddr::new(world.addresses(b)[0], 50_000);
    world.signal_one_way(a, b, ms(50));
    let candidate = format!("0 candidate:1 1 udp 2130706431 {} {} typ host", addr.ip(), addr.port());
    let credentials = "0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg";
    deliver(&mut world, a, signals(&[credentials, &candidate, "0 end-of-candidates"]));
    world.run_for(secs(1));
    assert!(
        matches!(first(&world, a), Cause::CredentialsDiffer { answers: 1.., .. }),
        "{:?}",
        first(&world, a)
    );
}

/// A server that answers as the test says.
struct Answering {
    host: HostId,
    addr: SocketAddr,
}

impl Answering {
    fn new(world: &mut World) -> Self {
        let host = world.host(Nat::none());
        Self { host, addr: SocketAddr::new(world.addresses(host)[0], 3478) }
    }

    fn run(
        &self,
        world: &mut World,
        time: std::time::Duration,
        answer: impl Fn(Message<'_>, SocketAddr, &mut [u8]) -> usize,
    ) {
        let end = world.elapsed() + time;
        let mut seen = 0;
        while world.elapsed() < end {
            world.run_for(ms(10));
            let arrivals = world.received(self.host)[seen..].to_vec();
            seen += arrivals.len();
            for arrival in arrivals.iter().filter(|it| classify(&it.payload) == Kind::Stun) {
                let mut buf = [0; 500];
                let request = Message::parse(&arrival.payload).expect("a request");
                if request.class() == Class::Request {
                    let len = answer(request, arrival.source, &mut buf);
                    world.transmit(self.host, self.addr, arrival.source, &buf[..len]);
                }
            }
        }
    }
}

#[test]
fn a_relay_without_room() {
    for refusal in [code::ALLOCATION_QUOTA_REACHED, code::INSUFFICIENT_CAPACITY, code::FORBIDDEN] {
        let mut world = World::new(1);
        let server = Answering::new(&mut world);
        let turn = TurnServer::new(server.addr, "sim", "secret");
        let hosts = [Nat::symmetric().into(), Nat::symmetric().into()];
        let [a, b] = agents(&mut world, hosts, |_, config| config.turn_server(turn.clone()));
        world.signal(a, b);
        server.run(&mut world, secs(130), |request, _, buf| {
            let (method, id) = (request.method(), request.transaction_id());
            if !request.has_integrity() {
                let mut answer = Writer::error(buf, method, id, code::UNAUTHENTICATED);
                answer.put(attr::REALM, b"here").put(attr::NONCE, b"nonce").fingerprint();
                return answer.finish().expect("room").len();
            }
            let key = Key::long_term(PasswordAlgorithm::Md5, "sim", "here", "secret");
            let mut answer = Writer::error(buf, method, id, refusal);
            answer.integrity(&key, Integrity::Sha1).fingerprint();
            answer.finish().expect("room").len()
        });
        let cause = first(&world, a);
        assert!(
            matches!(&cause, Cause::ServerProblem { problem: ServerProblem::Error { code, .. }, .. } if *code == refusal),
            "{cause:?}"
        );
    }
}

#[test]
fn a_relay_because_of_the_policy() {
    for [ours, theirs] in [[Policy::Relay, Policy::All], [Policy::All, Policy::Relay]] {
        let mut world = World::new(1);
        let turn = world.turn_server();
        let hosts = [Nat::none().into(), Nat::none().into()];
        let [a, b] = agents(&mut world, hosts, |at, config| {
            config.turn_server(turn.clone()).policy([ours, theirs][at])
        });
        world.signal(a, b);
        world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
        let expected = [Cause::RelayPolicy { servers: 1 }, Cause::PeerRelayOnly];
        assert_eq!(first(&world, a), expected[usize::from(ours == Policy::All)]);
        assert_eq!(first(&world, b), expected[usize::from(theirs == Policy::All)]);
    }
}

#[test]
fn a_relay_because_of_the_nats() {
    let mut world = World::new(1);
    let turn = world.turn_server();
    let hosts = [Nat::symmetric().into(), Nat::port_restricted().into()];
    let [a, b] = agents(&mut world, hosts, |_, config| config.turn_server(turn.clone()));
    world.signal(a, b);
    world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
    for host in [a, b] {
        let cause = first(&world, host);
        let fits = matches!(
            cause,
            Cause::DirectBlocked { pairs: 1.., requests: 1.. } | Cause::DependentMapping { .. }
        );
        assert!(fits, "{cause:?} {}", diagnosis(&world, host));
        assert_eq!(diagnosis(&world, host).causes.len(), 1);
    }
}

/// Nothing alarming: not while it connects, not when it is connected, not with a dead server beside it, not afterwards.
#[test]
fn a_healthy_direct_session_has_no_cause() {
    let dead = nowhere();
    for nat in [
        None,
        Some(Nat::port_restricted()),
        Some(Nat::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent)),
    ] {
        let mut world = World::new(1);
        let stun = world.stun_server();
        let hosts =
            [nat.clone().map_or(Nat::none().into(), Host::from), nat.map_or(Nat::none().into(), Host::from)];
        let [a, b] = agents(&mut world, hosts, |_, config| config.stun_server(stun).stun_server(dead));
        world.signal(a, b);
        world.run_until(secs(5), |w| w.state(a) == State::Checking);
        while !(world.completed(a) && world.completed(b)) {
            let causes = diagnosis(&world, a).causes;
            // Candidates travel one by one.
            let waits = |cause: &Cause| matches!(cause, Cause::NoCandidates { .. });
            assert!(causes.iter().all(waits), "{causes:?}");
            world.run_for(ms(5));
        }
        for after in [0, 3, 60] {
            world.run_for(secs(after));
            for host in [a, b] {
                let diagnosis = diagnosis(&world, host);
                assert_eq!(diagnosis.causes, [], "{diagnosis}");
                assert!(diagnosis.pairs.iter().any(|pair| pair.standing == Standing::Selected));
            }
        }
        world.with_agent(a, floe::Agent::close);
        let closed = diagnosis(&world, a);
        assert_eq!(closed.causes, [], "{closed}");
    }
}

/// The report names every interface, server and pair.
#[test]
fn the_text_names_what_the_data_has() {
    let (world, a, _) = failing([Nat::symmetric().into(), Nat::symmetric().into()], with_stun);
    let diagnosis = diagnosis(&world, a);
    let text = diagnosis.to_string();
    for base in &diagnosis.bases {
        assert!(text.contains(&base.addr.to_string()), "{text}");
    }
    for server in &diagnosis.servers {
        assert!(
            text.contains(&format!("stun {} from {}: 1 request, 1 answer", server.addr, server.base)),
            "{text}"
        );
    }
    assert_eq!(diagnosis.pairs.len(), 2);
    for pair in &diagnosis.pairs {
        assert!(text.contains(&format!("{} -> {}", pair.local, pair.remote)), "{text}");
        assert_eq!(pair.local.kind, CandidateType::Host);
    }
    for cause in &diagnosis.causes {
        assert!(text.contains(&format!("{}: {cause}", cause.certainty())), "{text}");
    }
}
