//! TCP connections of candidate pairs: how many there are, and when they end.

use std::net::SocketAddr;

use floe::agent::{Limits, Nomination, ValidPair, Why};
use floe::candidate::{Candidate, CandidateType, Foundation, TcpType};
use floe::credentials::Credentials;
use floe::io::{ComponentId, Transport};
use floe::signal::{Signal, What};
use floe::sim::{Fate, Gateway, HostId, Interface, Link, Nat, Protocol, Segment, Udp, World};
use floe::stun::{Class, Message};
use floe::{Agent, Config, Event, Role, State};

use crate::tcp::{candidates, complete, config, exchange, syns, tcp_pair, tcp_type, without_udp};
use crate::{ROLES, ms, secs, seed};

/// Signals a peer that has these passive candidates.
fn give_candidates(world: &mut World, host: HostId, passive: &[SocketAddr]) {
    let credentials = Credentials::new(
        "peer".parse().expect("a ufrag"),
        "passwordpasswordpassword".parse().expect("a password"),
    );
    world.with_agent(host, |agent, now| {
        agent.handle_signal(now, Signal::new(0, What::Credentials(credentials))).expect("credentials");
        for (number, addr) in (1..).zip(passive) {
            let foundation = Foundation::from_number(number);
            let candidate =
                Candidate::udp(foundation, 1, 1_500_000_000 - number, *addr, CandidateType::Host, None);
            let candidate = candidate.over_tcp(TcpType::Passive);
            agent.handle_signal(now, Signal::new(0, What::Candidate(candidate))).expect("a candidate");
        }
        agent.handle_signal(now, Signal::new(0, What::EndOfCandidates)).expect("the end");
    });
}

/// RFC 6544 §8, RFC 8445 §8.3.1.
#[test]
fn connections_that_were_not_selected_are_closed_three_seconds_after_completion() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), config(Role::Controlling, 1).nomination(Nomination::Manual));
    let b = world.agent(Nat::none(), config(Role::Controlled, 2));
    world.signal(a, b);
    world.run_for(secs(2));
    let tcp = |it: &ValidPair<'_>| it.local.transport == Transport::Tcp;
    let valid =
        |world: &World, host| world.agent_ref(host).valid_pairs(ComponentId::FIRST).filter(tcp).count();
    assert_eq!((valid(&world, a), valid(&world, b)), (2, 2));
    let best = world.agent_ref(a).valid_pairs(ComponentId::FIRST).next().map(|pair| pair.id);
    world.with_agent(a, |agent, now| agent.nominate(now, best.expect("a valid pair"))).expect("it can be");
    complete(&mut world, a, b);
    assert_eq!(world.selected(a).expect("a selected pair").0.transport, Transport::Udp);
    world.run_for(ms(2900));
    assert_eq!((world.connections(a).len(), world.connections(b).len()), (2, 2));
    world.run_for(ms(200));
    assert_eq!((world.connections(a), world.connections(b)), (vec![], vec![]));
}

/// RFC 6544 §7.1: TCP delivers a check; it is sent once.
#[test]
fn checks_over_tcp_are_not_sent_again() {
    let mut world = World::new(1);
    let a = world.agent(without_udp(), config(Role::Controlling, 1));
    let b = world.host(Nat::none());
    world.capture();
    let address = world.addresses(b)[0];
    give_candidates(&mut world, a, &[SocketAddr::new(address, 4000)]);
    world.run_for(secs(30));
    let messages = |it: &&floe::sim::Captured| {
        matches!(it.protocol, Protocol::Tcp(Segment::Data(_))) && it.origin == Some(a)
    };
    let sent = world.captured().iter().filter(messages).filter(|it| it.fate == Fate::Sent);
    assert_eq!(sent.count(), 1);
}

/// RFC 6544 §12, TCP-12-a.
#[test]
fn not_more_than_five_connections_at_a_time_are_opened_to_one_address() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), config(Role::Controlling, 1));
    let b = world.host(Interface::v4(Gateway::Public).link(Link::down()));
    world.capture();
    let address = world.addresses(b)[0];
    let many: Vec<_> = (1000..1050).map(|port| SocketAddr::new(address, port)).collect();
    give_candidates(&mut world, a, &many);
    world.run_for(secs(9));
    assert_eq!(syns(&world).len(), 5);
    // They time out after 10 s, and others take their places: all are tried at last.
    world.run_for(secs(100));
    assert_eq!(syns(&world).len(), 50);
    let at = |syn: usize| {
        let sent = world
            .captured()
            .iter()
            .filter(|it| it.protocol == Protocol::Tcp(Segment::Syn) && it.fate == Fate::Sent);
        sent.map(|it| it.at).nth(syn)
    };
    for syn in 5..50 {
        assert!(at(syn) >= at(syn - 5).map(|at| at + secs(10)), "{syn}");
    }
}

/// RFC 6544 §7.1: what is refused or does not come about fails its pair, and nothing else.
#[test]
fn a_refused_connection_fails_its_pair_at_once() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), config(Role::Controlling, 1));
    let b = world.agent(Nat::none(), Config::new(Role::Controlled, seed(2)));
    let address = world.addresses(b)[0];
    world.run_for(secs(1));
    give_candidates(&mut world, a, &[SocketAddr::new(address, 4000)]);
    world.run_for(secs(1));
    let text = world.agent_ref(a).diagnosis().to_string();
    assert!(text.contains("refused"), "{text}");
}

/// RFC 6544 §7.1: whoever answers with something else than STUN is not the peer.
#[test]
fn a_listener_that_does_not_speak_stun_loses_the_connection_and_its_pairs() {
    let mut world = World::new(1);
    let a = world.agent(without_udp(), config(Role::Controlling, 1));
    let b = world.host(Nat::none());
    let address = SocketAddr::new(world.addresses(b)[0], 80);
    give_candidates(&mut world, a, &[address]);
    world.run_until(secs(5), |w| !w.received(b).is_empty());
    let (local, remote) = world.connections(b)[0];
    world.write(b, local, remote, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    world.run_for(ms(100));
    assert_eq!((world.connections(a), world.connections(b)), (vec![], vec![]));
    let text = world.agent_ref(a).diagnosis().to_string();
    assert!(text.contains("does not speak the protocol"), "{text}");
}

/// RFC 6544 §7.2, TCP-7.2-d.
#[test]
fn accepted_connections_without_an_authenticated_check_are_few_and_do_not_last() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), config(Role::Controlled, 1));
    let b = world.host(Nat::none());
    let passive = candidates(&world, a).into_iter().find(|it| it.tcp_type == Some(TcpType::Passive));
    let listener = passive.and_then(|it| it.address.socket()).expect("a passive candidate");
    let from = world.addresses(b)[0];
    for port in 1000..1100 {
        world.connect(b, SocketAddr::new(from, port), listener);
    }
    world.run_for(ms(200));
    assert_eq!(world.connections(a).len(), 16);
    // The latest ones are kept: whoever came early and said nothing gives way.
    assert!(world.connections(a).iter().all(|(_, remote)| remote.port() >= 1084));
    world.run_for(secs(10));
    assert_eq!((world.connections(a), world.connections(b)), (vec![], vec![]));
}

/// RFC 4571 §2, RFC 6544 §7.2: bytes that are not STUN end a connection that nobody has authenticated.
#[test]
fn garbage_on_an_accepted_connection_closes_it() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), config(Role::Controlled, 1));
    let b = world.host(Nat::none());
    let passive = candidates(&world, a).into_iter().find(|it| it.tcp_type == Some(TcpType::Passive));
    let listener = passive.and_then(|it| it.address.socket()).expect("a passive candidate");
    let own = SocketAddr::new(world.addresses(b)[0], 1000);
    world.connect(b, own, listener);
    world.run_for(ms(100));
    world.write(b, own, listener, b"");
    world.run_for(ms(100));
    assert_eq!(world.connections(a).len(), 1);
    world.write(b, own, listener, b"GET / HTTP/1.1");
    world.run_for(ms(100));
    assert_eq!(world.connections(a).len(), 0);
}

/// RFC 6544 §11.1: the active side opens the connection of the selected pair once more, and no data goes before its check
/// is answered.
#[test]
fn a_lost_connection_of_the_selected_pair_is_opened_again() {
    for roles in ROLES {
        for broken in [0, 1] {
            let (mut world, a, b) = tcp_pair(roles);
            complete(&mut world, a, b);
            world.run_for(secs(5));
            let before = syns(&world).len();
            world.reset([a, b][broken]);
            assert!(!world.usable([a, b][broken]));
            world.run_for(ms(50));
            assert!(!world.usable(a) && !world.usable(b));
            let took = world.run_until(secs(2), |w| w.usable(a) && w.usable(b));
            assert!(took < ms(500), "{took:?}");
            assert_eq!(syns(&world).len(), before + 1);
            exchange(&mut world, a, b);
            // Consent goes on, on the new connection.
            world.run_for(secs(60));
            exchange(&mut world, a, b);
            for host in [a, b] {
                let restarts =
                    world.events(host).iter().filter(|(_, it)| matches!(it, Event::RestartNeeded(_)));
                assert_eq!(restarts.count(), 0);
            }
        }
    }
}

/// RFC 6544 §11.1: also without renomination, and towards a lite agent, several times.
#[test]
fn a_lost_connection_is_opened_again_whatever_the_peer_knows() {
    let best = Nomination::Best { settle: ms(100) };
    for (roles, lite) in [(ROLES[0], false), (ROLES[1], false), (ROLES[0], true)] {
        let mut world = World::new(1);
        let a = world.agent(without_udp(), config(roles[0], 1).nomination(best));
        let b = config(roles[1], 2).nomination(best);
        let b = world.agent(Nat::none(), if lite { b.lite() } else { b });
        world.signal(a, b);
        complete(&mut world, a, b);
        for broken in [a, b, a, b] {
            world.run_for(secs(4));
            assert_eq!((world.connections(a).len(), world.connections(b).len()), (1, 1));
            world.reset(broken);
            world.run_until(secs(2), |w| w.usable(a) && w.usable(b));
            exchange(&mut world, a, b);
        }
        world.run_for(secs(60));
        exchange(&mut world, a, b);
    }
}

/// RFC 6544 §11.1: where the connection cannot be opened again, only a restart helps.
#[test]
fn a_connection_that_cannot_be_opened_again_needs_a_restart() {
    for roles in ROLES {
        let (mut world, a, b) = tcp_pair(roles);
        complete(&mut world, a, b);
        world.run_for(secs(5));
        let active = if tcp_type(&world, a) == Some(TcpType::Active) { a } else { b };
        let passive = if active == a { b } else { a };
        world.stop_listening(passive);
        world.reset(passive);
        world.run_for(secs(1));
        let needed = |it: &Event| matches!(it, Event::RestartNeeded(Why::PathGone));
        assert!(world.events(active).iter().any(|(_, it)| needed(it)), "{world}");
        assert!(matches!(world.state(active), State::Checking | State::Disconnected));
        assert!(!world.usable(active));
        // The side that waits learns it when consent ends.
        world.run_for(secs(31));
        assert!(world.events(passive).iter().any(|(_, it)| matches!(it, Event::RestartNeeded(_))));
    }
}

/// RFC 6544 §9.2: data flows on the old connection during the restart, which opens its own; then the old one is closed.
#[test]
fn a_restart_keeps_the_connection_in_use_until_the_next_session_has_selected_its_own() {
    for roles in ROLES {
        let (mut world, a, b) = tcp_pair(roles);
        complete(&mut world, a, b);
        world.run_for(secs(5));
        let old = world.connections(a);
        assert_eq!(old.len(), 1);
        world.with_agent(a, Agent::restart);
        for _ in 0..20 {
            exchange(&mut world, a, b);
        }
        complete(&mut world, a, b);
        world.run_for(secs(5));
        let new = world.connections(a);
        assert_eq!(new.len(), 1, "{new:?}");
        assert_ne!(old, new);
        exchange(&mut world, a, b);
    }
}

/// RFC 6544 §11.1: the end of the session is the end of its connections.
#[test]
fn a_closed_agent_closes_its_connections() {
    let (mut world, a, b) = tcp_pair(ROLES[0]);
    complete(&mut world, a, b);
    world.with_agent(a, Agent::close);
    world.run_for(ms(100));
    assert_eq!((world.connections(a), world.connections(b)), (vec![], vec![]));
}

/// A stream that is removed takes its connections with it (RFC 6544 §11.1).
#[test]
fn a_removed_stream_closes_its_connections_and_leaves_the_others() {
    let mut world = World::new(1);
    let a = world.agent(without_udp(), config(Role::Controlling, 1).components(&[1, 1]));
    let b = world.agent(Nat::none(), config(Role::Controlled, 2).components(&[1, 1]));
    world.signal(a, b);
    complete(&mut world, a, b);
    world.run_for(secs(4));
    assert_eq!(world.connections(a).len(), 2);
    for host in [a, b] {
        world.with_agent(host, |agent, now| agent.remove_stream(now, 1));
    }
    world.run_for(ms(100));
    assert_eq!((world.connections(a).len(), world.connections(b).len()), (1, 1));
    exchange(&mut world, a, b);
}

/// RFC 7675 §5.1 holds on TCP too: a connection that carries nothing any more, and does not say so, loses consent.
#[test]
fn a_silent_connection_loses_consent_and_a_restart_opens_another_one() {
    let (mut world, a, b) = tcp_pair(ROLES[0]);
    complete(&mut world, a, b);
    world.run_for(secs(5));
    world.cut(a, b);
    world.run_until(secs(40), |w| !w.usable(a) && !w.usable(b));
    world.set_path(a, b, Link::ideal());
    world.set_path(b, a, Link::ideal());
    world.with_agent(a, Agent::restart);
    complete(&mut world, a, b);
    exchange(&mut world, a, b);
}

/// The limit on all connections of pairs.
#[test]
fn an_agent_has_no_more_connections_than_its_limit() {
    let mut world = World::new(1);
    let limits = Limits::default().connections(3);
    let a = world.agent(without_udp(), config(Role::Controlling, 1).limits(limits));
    let b = world.host([(); 4].map(|()| Interface::v4(Gateway::Public)));
    world.capture();
    let many: Vec<_> = world.addresses(b).iter().map(|ip| SocketAddr::new(*ip, 4000)).collect();
    give_candidates(&mut world, a, &many);
    world.run_for(secs(5));
    assert_eq!((world.connections(a).len(), syns(&world).len()), (3, 3));
}

/// RFC 7675 §5.1: consent is asked for on a TCP pair as on any other, and data stops 30 s after the last answer.
#[test]
fn a_pair_over_tcp_has_consent_that_expires_like_any_other() {
    let (mut world, a, b) = tcp_pair(ROLES[0]);
    complete(&mut world, a, b);
    world.run_for(secs(4));
    let from = world.captured().len();
    world.run_for(secs(60));
    for host in [a, b] {
        let sent = world.captured()[from..]
            .iter()
            .filter(|it| it.origin == Some(host) && it.fate == Fate::Sent && it.protocol != Protocol::Udp);
        let asked =
            sent.filter(|it| Message::parse(&it.payload).is_ok_and(|it| it.class() == Class::Request));
        let at: Vec<_> = asked.map(|it| it.at).collect();
        assert!((9..=15).contains(&at.len()), "{at:?}");
        assert!(at.windows(2).all(|two| (ms(4000)..=ms(6000)).contains(&(two[1] - two[0]))), "{at:?}");
    }
    world.set_path(b, a, Link::down());
    let cut = world.elapsed();
    world.run_until(secs(31), |w| !w.usable(a));
    let stopped = world.elapsed() - cut;
    assert!(stopped > secs(23) && stopped <= secs(30), "{stopped:?}");
}

/// A pair over UDP that becomes valid after completion is nominated anew, and the connections go.
#[test]
fn renomination_leaves_tcp_for_udp_and_closes_the_connections() {
    let mut world = World::new(1);
    let a = world.agent(Nat::none(), config(Role::Controlling, 1));
    let b = world.agent(Nat::none(), config(Role::Controlled, 2));
    for (from, to) in [(a, b), (b, a)] {
        world.set_path(from, to, Link::ideal().udp(Udp::Blocked));
    }
    world.signal(a, b);
    complete(&mut world, a, b);
    assert_eq!(world.selected(a).expect("a selected pair").0.transport, Transport::Tcp);
    world.run_for(secs(5));
    assert_eq!(world.connections(a).len(), 1);
    for (from, to) in [(a, b), (b, a)] {
        world.set_path(from, to, Link::ideal());
    }
    world.run_until(secs(35), |w| w.selected(a).expect("a selected pair").0.transport == Transport::Udp);
    world.run_for(secs(5));
    assert_eq!((world.connections(a), world.connections(b)), (vec![], vec![]));
    exchange(&mut world, a, b);
}
