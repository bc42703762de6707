//! What an agent trickles and takes (RFC 8838), through its public API.

use super::*;
use floe::error::SignalError;
use floe::io::{ComponentId, Socket, SocketId};
use floe::sdp::Fragment;
use floe::signal::What;
use floe::{Config, Role};

/// An agent with these components in each stream, two sockets a component.
fn agent(role: Role, components: &[u16]) -> Agent {
    let now = over_sdp::epoch();
    let config = Config::new(role, [7; 32]).components(components);
    let ids: Vec<_> = config.component_ids().collect();
    let mut agent = Agent::new(config, now);
    for (at, component) in ids.into_iter().enumerate() {
        for host in [1, 2] {
            let local = std::net::SocketAddr::from(([192, 0, 2, host], 5000 + at as u16));
            let id = SocketId(at as u32 * 2 + u32::from(host));
            agent.add_socket(now, id, Socket::Udp { local, component }).expect("a socket");
        }
    }
    agent.end_of_sockets(now);
    agent
}

/// RFC 8838 §13, §18.
#[test]
fn each_stream_ends_its_candidates_once_and_names_the_generation() {
    for role in [Role::Controlling, Role::Controlled] {
        let signals = drain(&mut agent(role, &[1, 2]));
        for stream in [0, 1] {
            let own: Vec<&Signal> = signals.iter().filter(|signal| signal.stream == stream).collect();
            let What::Credentials(credentials) = &own[0].what else { panic!("{:?} comes first", own[0]) };
            assert!(
                own[1..].iter().all(|signal| signal.ufrag.as_ref() == Some(&credentials.ufrag)),
                "{own:?}"
            );
            let ends = own.iter().filter(|signal| signal.what == What::EndOfCandidates).count();
            assert_eq!(ends, 1);
            assert_eq!(own.last().map(|last| &last.what), Some(&What::EndOfCandidates));
        }
    }
}

/// RFC 8838 §17.
#[test]
fn candidates_of_a_foundation_come_in_the_order_of_their_components() {
    let mut last = std::collections::BTreeMap::new();
    let mut seen = 0;
    for signal in drain(&mut agent(Role::Controlling, &[2])) {
        let What::Candidate(candidate) = signal.what else { continue };
        let before = last.insert(candidate.foundation, candidate.component).unwrap_or_default();
        assert!(before <= candidate.component, "{candidate}");
        seen += 1;
    }
    assert_eq!((seen, last.len()), (4, 2));
}

/// RFC 8838 §4.
#[test]
fn a_trickled_candidate_is_the_one_that_a_description_would_list() {
    let signals = drain(&mut agent(Role::Controlling, &[1]));
    let mut all = Description::with_mids(&["0"]);
    all.extend(&signals);
    let fragment = Fragment::of(&all, &signals);
    let listed = |candidates: &[Candidate]| -> Vec<_> {
        candidates.iter().map(|it| (it.foundation, it.priority, it.address.clone())).collect()
    };
    assert_eq!(listed(&fragment.pieces[0].candidates), listed(&all.media[0].candidates));
    assert_eq!(all.media[0].candidates.len(), 2);
}

/// RFC 8838 §14, TRK-14-c.
#[test]
fn candidates_after_the_end_are_not_taken() {
    let now = over_sdp::epoch();
    let mut agent = agent(Role::Controlled, &[1]);
    drain(&mut agent);
    for line in [
        "0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg options=ice2,trickle",
        "0 candidate:1 1 udp 2130706431 192.0.2.9 5000 typ host",
        "0 end-of-candidates",
    ] {
        assert_eq!(agent.handle_signal(now, line.parse().expect(line)), Ok(()));
    }
    let late = "0 candidate:2 1 udp 2130706430 192.0.2.10 5000 typ host".parse().expect("a candidate");
    assert_eq!(agent.handle_signal(now, late), Err(SignalError::AfterEnd));
    assert!(agent.path(ComponentId::FIRST).is_none());
}
