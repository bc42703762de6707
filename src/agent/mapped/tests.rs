use super::*;
use crate::agent::{Config, Event, Output, Role};
use crate::candidate::priority::local_preference;
use crate::candidate::{Candidate, TcpRank};
use crate::io::{ComponentId, Socket, SocketId};
use crate::signal::What;
use crate::time::test_epoch;

const HOST: &str = "192.168.1.7:5000";
const OUTSIDE: &str = "198.51.100.9:60001";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn config() -> Config {
    Config::new(Role::Controlling, [1; 32])
}

fn agent(config: Config, addrs: &[&str]) -> (Agent, Instant) {
    let now = test_epoch();
    let mut agent = Agent::new(config, now);
    for (id, text) in (0..).zip(addrs) {
        agent.add_socket(now, SocketId(id), Socket::udp(addr(text))).unwrap();
    }
    (agent, now)
}

fn signalled(agent: &mut Agent) -> Vec<Candidate> {
    let mut buf = [0; 1500];
    let mut candidates = Vec::new();
    loop {
        match agent.poll_output(&mut buf) {
            Output::Event(Event::Signal(signal)) => {
                if let What::Candidate(candidate) = signal.what {
                    candidates.push(candidate);
                }
            }
            Output::Wait(_) => return candidates,
            _ => {}
        }
    }
}

/// RFC 6544 §4.2
#[test]
fn a_mapped_port_is_a_reflexive_candidate_with_type_preference_105() {
    let (mut agent, now) = agent(config(), &[HOST]);
    assert_eq!(agent.add_mapped(now, Transport::Udp, addr(HOST), addr(OUTSIDE)), Mapped::Signalled);
    let candidates = signalled(&mut agent);
    let mapped = &candidates[1];
    assert_eq!(mapped.address.socket(), Some(addr(OUTSIDE)));
    assert_eq!((mapped.kind, mapped.related), (CandidateType::ServerReflexive, Some(addr(HOST))));
    assert_eq!((mapped.priority >> 24, local_preference(mapped.priority)), (105, 65_535));
}

#[test]
fn a_mapped_tcp_port_is_a_passive_candidate() {
    let (mut agent, now) = agent(config().tcp(TcpRank::AfterUdp), &[]);
    let listener = Socket::TcpListener { local: addr(HOST), component: ComponentId::FIRST };
    agent.add_socket(now, SocketId(0), listener).unwrap();
    assert_eq!(agent.sockets(), [(Transport::Tcp, addr(HOST))]);
    assert_eq!(agent.add_mapped(now, Transport::Udp, addr(HOST), addr(OUTSIDE)), Mapped::Redundant);
    assert_eq!(agent.add_mapped(now, Transport::Tcp, addr(HOST), addr(OUTSIDE)), Mapped::Signalled);
    let mapped = signalled(&mut agent).pop().unwrap();
    assert_eq!((mapped.tcp_type, mapped.priority >> 24), (Some(TcpType::Passive), 75));
}

/// RFC 8838 §13
#[test]
fn after_the_end_of_candidates_a_mapping_is_not_signalled() {
    let (mut agent, now) = agent(config(), &[HOST]);
    agent.end_of_sockets(now);
    signalled(&mut agent);
    assert_eq!(agent.add_mapped(now, Transport::Udp, addr(HOST), addr(OUTSIDE)), Mapped::Late);
    assert!(signalled(&mut agent).is_empty());
}

#[test]
fn a_mapping_that_says_nothing_new_or_must_not_be_shown_is_no_candidate() {
    let (mut agent, now) = self::agent(config(), &[HOST]);
    let mut add = |external: &str| agent.add_mapped(now, Transport::Udp, addr(HOST), addr(external));
    assert_eq!(add(HOST), Mapped::Redundant, "a firewall was opened");
    assert_eq!(add(OUTSIDE), Mapped::Signalled);
    assert_eq!(add(OUTSIDE), Mapped::Redundant);
    assert_eq!(add("198.51.100.9:60002"), Mapped::Signalled, "it has changed");
    for config in [config().policy(Policy::Relay), config().lite()] {
        let (mut agent, now) = self::agent(config, &[HOST]);
        assert_eq!(agent.add_mapped(now, Transport::Udp, addr(HOST), addr(OUTSIDE)), Mapped::Redundant);
        assert!(agent.sockets().is_empty());
    }
    let (mut agent, now) = self::agent(config(), &[HOST]);
    let strange = addr("192.168.1.8:5000");
    assert_eq!(agent.add_mapped(now, Transport::Udp, strange, addr(OUTSIDE)), Mapped::Redundant);
}

/// RFC 8445 §9
#[test]
fn a_restart_signals_the_mapping_again_unless_it_is_gone() {
    for is_gone in [false, true] {
        let (mut agent, now) = agent(config(), &[HOST]);
        let _ = agent.add_mapped(now, Transport::Udp, addr(HOST), addr(OUTSIDE));
        agent.end_of_sockets(now);
        signalled(&mut agent);
        if is_gone {
            agent.remove_mapped(Transport::Udp, addr(HOST));
        }
        agent.restart(now);
        let again = signalled(&mut agent);
        let is_mapped = again.iter().any(|it| it.address.socket() == Some(addr(OUTSIDE)));
        assert_eq!(is_mapped, !is_gone, "{again:?}");
    }
}

/// RFC 6886 §4.2
#[test]
fn an_ipv6_host_candidate_comes_before_a_mapped_one_and_both_are_signalled() {
    let (mut agent, now) = agent(config(), &["[2001:db8::7]:5000", HOST]);
    let _ = agent.add_mapped(now, Transport::Udp, addr(HOST), addr(OUTSIDE));
    let candidates = signalled(&mut agent);
    let priority =
        |text| candidates.iter().find(|it| it.address.socket() == Some(addr(text))).unwrap().priority;
    assert!(priority("[2001:db8::7]:5000") > priority(OUTSIDE));
}
