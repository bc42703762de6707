//! Trickling (RFC 8838), and what later descriptions ask of an agent (RFC 8839 §4.4).

use floe::agent::{Nomination, Reason, Trickle};
use floe::error::SignalError;
use floe::io::{ComponentId, Socket, SocketId};
use floe::stun::wire::{Class, Method, attr};
use floe::{Agent, Config, Event, Input, Output, Received, Role, State};

use crate::bench::{Bench, HOST, PEER, PEER_PWD, SERVER, addr, message, ms, secs};

const TRICKLES: &str = " options=ice2,trickle";
const SECOND: &str = "203.0.113.2:3478";

/// A gathering that ends with the answer of a server.
fn pending(trickle: Trickle) -> Config {
    Config::new(Role::Controlling, [7; 32]).stun_server(addr(SERVER)).trickle(trickle)
}

/// A server says what it sees.
fn mapped(bench: &mut Bench, server: &str, to: &str) {
    let query = bench.next_request(server);
    let answer = message(Class::Success, Method::BINDING, query.id(), |writer| {
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr(to)).fingerprint();
    });
    assert_eq!(bench.receive(server, &answer), Received::Consumed);
}

fn credentials(options: &str) -> String {
    format!("0 credentials ufrag=peer pwd={PEER_PWD}{options}")
}

fn candidate(host: u8) -> String {
    format!("0 candidate:{host} 1 udp {} 192.0.2.{host} 6000 typ host", 2_130_706_431 - u32::from(host))
}

/// The first words of all signals so far.
fn kinds(bench: &Bench) -> Vec<&'static str> {
    let kind = |line: &String| match line {
        line if line.contains("credentials") => "credentials",
        line if line.contains("typ host") => "host",
        line if line.contains("typ srflx") => "srflx",
        line if line.contains("end-of-candidates") => "end",
        line => panic!("{line}"),
    };
    bench.signals().iter().map(kind).collect()
}

const ALL: [&str; 4] = ["credentials", "host", "srflx", "end"];

/// TRK-18-b.
#[test]
fn an_agent_trickles_fully_or_by_half_or_not() {
    for (trickle, at_once, says) in
        [(Trickle::Full, &ALL[..2], true), (Trickle::Half, &[], true), (Trickle::Off, &[], false)]
    {
        let mut bench = Bench::of(pending(trickle));
        bench.wait(secs(1));
        assert_eq!(kinds(&bench), at_once, "{trickle:?}");
        mapped(&mut bench, SERVER, "203.0.113.9:4000");
        assert_eq!(kinds(&bench), ALL, "{trickle:?}");
        assert_eq!(bench.signals()[0].contains("trickle"), says);
    }
}

/// TRK-3-a: what was found later waits for the rest; and without its own credentials out it checks nobody.
#[test]
fn to_a_peer_that_does_not_trickle_the_rest_goes_at_once_when_it_is_complete() {
    for (options, tells_at_once) in [(TRICKLES, true), (" options=ice2", false), ("", false)] {
        let mut bench = Bench::of(pending(Trickle::Full).stun_server(addr(SECOND)));
        bench.signal(&credentials(options));
        mapped(&mut bench, SERVER, "203.0.113.9:4000");
        assert_eq!(kinds(&bench).len(), if tells_at_once { 3 } else { 2 }, "{options}");
        mapped(&mut bench, SECOND, "203.0.113.9:4001");
        assert_eq!(kinds(&bench), ["credentials", "host", "srflx", "srflx", "end"], "{options}");
    }
}

/// Drains an agent: its signals, and whether it sent something before the last one.
fn drain(agent: &mut Agent) -> Vec<String> {
    let (mut buf, mut out) = ([0; 1500], Vec::new());
    loop {
        match agent.poll_output(&mut buf) {
            Output::Event(Event::Signal(signal)) => out.push(signal.to_string()),
            Output::Transmit(transmit) => out.push(format!("to {}", transmit.destination)),
            Output::Wait(_) => return out,
            _ => {}
        }
    }
}

/// An agent that has the peer's signals before it has a socket.
fn responder(config: Config, options: &str) -> (Agent, floe::time::Instant) {
    let now = Bench::new(Role::Controlled).start;
    let mut agent = Agent::new(config, now);
    for line in [credentials(options), candidate(2)] {
        agent.handle_signal(now, line.parse().expect("a signal")).expect("a good signal");
    }
    agent.add_socket(now, SocketId(0), Socket::udp(addr(HOST))).expect("a socket");
    agent.end_of_sockets(now);
    (agent, now)
}

/// TRK-5-a: its answer lists all candidates, in whatever mode it would trickle to others.
#[test]
fn a_responder_to_regular_ice_has_all_candidates_in_its_answer() {
    for trickle in [Trickle::Full, Trickle::Half, Trickle::Off] {
        let (mut agent, now) = responder(pending(trickle), " options=ice2");
        let listed = |out: &[String]| out.iter().any(|line| line.contains("candidate"));
        assert!(!listed(&drain(&mut agent)), "{trickle:?}");
        // The server does not answer.
        let mut later = Vec::new();
        for second in 1..=11 {
            let _ = agent.handle_input(now + secs(second), Input::Timeout);
            let told = drain(&mut agent);
            if listed(&told) {
                later.push(told);
            }
        }
        let [all] = &later[..] else { panic!("{trickle:?}: {later:?}") };
        assert!(all.iter().any(|line| line.contains("typ host")), "{all:?}");
        assert!(all.iter().any(|line| line.contains("end-of-candidates")), "{all:?}");
    }
}

/// TRK-3-c: once the peer is known to trickle, half becomes full.
#[test]
fn after_support_was_found_a_restart_trickles() {
    for (options, at_once) in [(TRICKLES, &["credentials", "host"][..]), (" options=ice2", &[])] {
        let mut bench = Bench::of(pending(Trickle::Half));
        mapped(&mut bench, SERVER, "203.0.113.9:4000");
        bench.signal(&credentials(options));
        bench.with_agent(Agent::restart);
        assert_eq!(kinds(&bench)[4..], *at_once, "{options}");
    }
}

/// TRK-7-a: an empty checklist runs, also when the peer's end has come, until its time is over.
#[test]
fn an_empty_checklist_runs_and_takes_the_first_candidate() {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]));
    bench.signal(&credentials(TRICKLES));
    bench.wait(secs(39));
    assert_eq!((bench.agent.state(), bench.sent.len()), (State::Checking, 0));
    bench.signal(&candidate(2));
    bench.wait(ms(100));
    assert_eq!(bench.sent.first().map(|sent| sent.to), Some(addr(PEER)));
}

/// The only pair fails at once.
fn spent() -> Bench {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]));
    bench.signal(&credentials(TRICKLES));
    bench.signal(&candidate(2));
    let check = bench.next_request(PEER);
    let error = check.error(400);
    let _ = bench.receive(PEER, &error);
    bench
}

/// TRK-8-a.
#[test]
fn with_every_pair_failed_a_checklist_runs_while_more_may_come() {
    let mut bench = spent();
    bench.wait(secs(30));
    assert_eq!(bench.agent.state(), State::Checking);
    bench.signal(&candidate(3));
    let check = bench.next_request("192.0.2.3:6000");
    let success = check.success();
    let _ = bench.receive("192.0.2.3:6000", &success);
    assert!(bench.is_usable());
}

/// TRK-14-b: the end is remembered, and by itself it fails nothing that may still succeed, nor before the time is over.
#[test]
fn the_end_of_candidates_fails_a_spent_checklist_when_its_time_is_over() {
    let mut bench = spent();
    bench.signal("0 end-of-candidates");
    bench.wait(secs(39));
    assert_eq!(bench.agent.state(), State::Checking);
    bench.wait(secs(1));
    assert!(bench.events.contains(&Event::Failed(Reason::ChecksFailed)));
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]));
    bench.signal(&credentials(TRICKLES));
    bench.wait(secs(38));
    bench.signal(&candidate(2));
    bench.signal("0 end-of-candidates");
    bench.wait(secs(5));
    assert_eq!(bench.agent.state(), State::Checking, "a check is under way");
}

/// TRK-9-a: of two servers that see the same one tells nothing new, and so does one that sees the host's own address.
#[test]
fn a_candidate_that_was_signalled_is_not_signalled_again() {
    for (seen, kinds_told) in [
        (["203.0.113.9:4000", "203.0.113.9:4000"], &["credentials", "host", "srflx", "end"][..]),
        ([HOST, HOST], &["credentials", "host", "end"]),
    ] {
        let mut bench = Bench::of(pending(Trickle::Full).stun_server(addr(SECOND)));
        mapped(&mut bench, SERVER, seen[0]);
        mapped(&mut bench, SECOND, seen[1]);
        assert_eq!(kinds(&bench), kinds_told);
    }
}

/// TRK-9-b: what signaling repeats makes no second pair, check, or end.
#[test]
fn a_signal_that_comes_twice_does_no_harm() {
    let [once, twice] = [1, 2].map(|times| {
        let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]));
        for line in [credentials(TRICKLES), candidate(2), candidate(3), "0 end-of-candidates".to_owned()] {
            for _ in 0..times {
                bench.signal(&line);
            }
        }
        bench.wait(secs(3));
        let sent: Vec<_> = bench.sent.iter().map(|sent| (sent.at, sent.to, sent.raw.clone())).collect();
        (sent, bench.agent.diagnosis().pairs.len(), bench.signals())
    });
    assert_eq!(once, twice);
    assert_eq!(once.1, 2);
}

/// TRK-9-c: whether the signal or the candidate itself names the generation.
#[test]
fn after_a_restart_candidates_of_the_generation_before_are_refused() {
    let mut bench = Bench::completed();
    bench.signal(&format!("0 credentials ufrag=peer2 pwd=anotherPasswordOf24Letters{TRICKLES}"));
    for line in [format!("{} ufrag peer", candidate(9)), format!("0 ufrag=peer {}", &candidate(9)[2..])] {
        let Ok(signal) = line.parse() else { continue };
        let result = bench.with_agent(|agent, now| agent.handle_signal(now, signal));
        assert_eq!(result, Err(SignalError::OldGeneration("peer".into())), "{line}");
    }
    assert_eq!(bench.agent.diagnosis().pairs.len(), 0);
    bench.signal(&format!("{} ufrag peer2", candidate(9)));
    assert_eq!(bench.agent.diagnosis().pairs.len(), 1);
}

/// TRK-10-a: whatever the peer has said before, no check goes before the candidate that it comes from.
#[test]
fn no_check_leaves_before_its_candidate_is_handed_over() {
    for (trickle, options) in [(Trickle::Full, TRICKLES), (Trickle::Half, TRICKLES), (Trickle::Off, "")] {
        let (mut agent, now) = responder(Config::new(Role::Controlled, [7; 32]).trickle(trickle), options);
        let mut out = Vec::new();
        for _ in 0..3 {
            let _ = agent.handle_input(now, Input::Timeout);
            out.extend(drain(&mut agent));
        }
        let first = |what: &str| out.iter().position(|line| line.contains(what)).expect(what);
        assert!(first("typ host") < first("to 192.0.2.2"), "{trickle:?} {out:?}");
    }
    let (mut agent, now) = responder(pending(Trickle::Off), "");
    for second in 0..9 {
        let _ = agent.handle_input(now + secs(second), Input::Timeout);
        let out = drain(&mut agent);
        assert!(out.iter().all(|line| line.contains(SERVER)), "nothing is told yet: {out:?}");
    }
}

/// TRK-13-c: the pair is there before the server has answered, and the end is told though.
#[test]
fn a_controlling_agent_may_complete_before_its_gathering_ends() {
    let config = pending(Trickle::Full).nomination(Nomination::First);
    let mut bench = Bench::of(config);
    bench.signal(&credentials(TRICKLES));
    bench.signal(&candidate(2));
    for _ in 0..20 {
        bench.wait(ms(50));
        bench.answer_checks();
    }
    assert_eq!((bench.agent.state(), kinds(&bench)), (State::Completed, vec!["credentials", "host"]));
    bench.wait(secs(12));
    assert_eq!(kinds(&bench), ["credentials", "host", "end"]);
}

/// TRK-13-d: a server that does not answer is not waited for without end.
#[test]
fn the_end_of_candidates_is_told_after_10_s_at_the_latest() {
    let mut bench = Bench::of(pending(Trickle::Full));
    bench.wait(ms(9_900));
    assert_eq!(kinds(&bench), ["credentials", "host"]);
    bench.wait(ms(200));
    assert_eq!(kinds(&bench), ["credentials", "host", "end"]);
}

fn add_second_socket(bench: &mut Bench) {
    let socket = Socket::udp(addr("192.0.2.77:5000"));
    bench.with_agent(|agent, now| agent.add_socket(now, SocketId(1), socket)).expect("a socket");
    bench.wait(secs(1));
}

/// TRK-13-e: an address that comes later is for the next session.
#[test]
fn after_the_end_no_candidate_is_told_before_a_restart() {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]));
    let before = bench.signals();
    assert!(before.iter().any(|line| line.contains("end-of-candidates")));
    add_second_socket(&mut bench);
    assert_eq!(bench.signals(), before);
    bench.with_agent(Agent::restart);
    assert!(bench.signals()[before.len()..].iter().any(|line| line.contains("192.0.2.77")));
}

/// TRK-13-h.
#[test]
fn after_the_nomination_no_candidate_is_told() {
    let mut bench = Bench::of(pending(Trickle::Full).nomination(Nomination::First));
    bench.signal(&credentials(TRICKLES));
    bench.signal(&candidate(2));
    for _ in 0..20 {
        bench.wait(ms(50));
        bench.answer_checks();
    }
    assert_eq!(bench.agent.state(), State::Completed);
    let before = kinds(&bench);
    mapped(&mut bench, SERVER, "203.0.113.9:4000");
    assert_eq!(kinds(&bench), [&before[..], &["end"]].concat());
}

fn nominations(bench: &Bench) -> usize {
    bench.sent.iter().filter(|sent| sent.kinds().contains(&attr::USE_CANDIDATE)).count()
}

/// SDP-4.3.4-d, SDP-4.4.3.1-e: a later description of the same generation keeps a session Completed, without checks.
#[test]
fn a_completed_session_is_not_checked_or_nominated_again_by_a_later_description() {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]).nomination(Nomination::First));
    bench.signal(&credentials(TRICKLES));
    bench.signal(&candidate(2));
    for _ in 0..20 {
        bench.wait(ms(50));
        bench.answer_checks();
    }
    assert_eq!((bench.agent.state(), nominations(&bench)), (State::Completed, 1));
    let (sent, events) = (bench.sent.len(), bench.events.len());
    for line in [credentials(TRICKLES), candidate(2), candidate(3)] {
        bench.signal(&line);
    }
    bench.wait(secs(2));
    bench.answer_checks();
    assert!(bench.sent[sent..].iter().all(|it| it.to == addr(PEER)), "nothing but consent");
    assert_eq!((bench.events.len(), nominations(&bench)), (events, 1));
}

/// SDP-4.4.3.1-b: its valid list and its transactions go.
#[test]
fn answers_that_come_late_for_a_removed_stream_are_ignored() {
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]).components(&[1, 1]));
    bench.signal(&credentials(TRICKLES));
    bench.signal(&candidate(2));
    let check = bench.next_request(PEER);
    bench.with_agent(|agent, now| agent.remove_stream(now, 0));
    let success = check.success();
    assert_eq!(bench.receive(PEER, &success), Received::Unclaimed);
    assert_eq!(bench.agent.valid_pairs(ComponentId::FIRST).count(), 0);
    let again =
        bench.with_agent(|agent, now| agent.handle_signal(now, candidate(3).parse().expect("a signal")));
    assert_eq!(again, Err(SignalError::UnknownStream(0)));
    let sent = bench.sent.len();
    bench.wait(secs(60));
    assert_eq!(bench.sent.len(), sent, "nothing more is sent for it");
}

/// A lite agent that the peer has nominated.
fn lite() -> Bench {
    let mut bench = Bench::of(Config::new(Role::Controlled, [7; 32]).lite());
    bench.signal(&credentials(TRICKLES));
    bench.signal(&candidate(2));
    bench
}

/// SDP-4.4.1.3-a: while it runs a lite agent says the same again and nothing more.
#[test]
fn a_lite_agent_that_runs_adds_no_candidate_without_a_restart() {
    let mut bench = lite();
    let before = bench.signals();
    add_second_socket(&mut bench);
    assert_eq!(bench.signals(), before);
    bench.with_agent(Agent::restart);
    let after = bench.signals()[before.len()..].to_vec();
    assert!(after[0].contains("credentials") && after[0] != before[0]);
    assert!(after.iter().any(|line| line.contains("192.0.2.77")), "{after:?}");
}

/// SDP-4.4.3.2-a.
#[test]
fn a_lite_agent_begins_a_restart_with_an_empty_valid_list_and_the_previous_pair() {
    let mut bench = lite();
    let check = bench.check_with(|check| {
        check.put(attr::USE_CANDIDATE, &[]);
    });
    let _ = bench.receive(PEER, &check);
    let path = bench.agent.path(ComponentId::FIRST);
    assert!(path.is_some() && bench.agent.state() == State::Completed);
    bench.signal(&format!("0 credentials ufrag=peer2 pwd=anotherPasswordOf24Letters{TRICKLES}"));
    assert_eq!(bench.agent.state(), State::Connected, "not Completed any more");
    assert_eq!(bench.agent.valid_pairs(ComponentId::FIRST).count(), 0);
    assert_eq!(bench.agent.path(ComponentId::FIRST), path);
}
