//! Hard ICMP errors (RFC 8489 §6.2.1, RFC 8445 §7.2.5.2.2): anybody can forge them.

use floe::agent::ServerProblem;
use floe::io::SocketId;
use floe::signal::{Signal, What};
use floe::sim::{Nat, World};
use floe::stun::Class;
use floe::stun::wire::attr;
use floe::turn::{Families, TurnServer};
use floe::{Config, Event, Input, Role, State};

use crate::bench::{Bench, HOST, PEER, SERVER, addr, message, ms, secs};

fn report(bench: &mut Bench, local: &str, destination: &str) {
    let (local, destination) = (addr(local).ip(), addr(destination));
    bench.with_agent(|agent, now| {
        let _ = agent.handle_input(now, Input::Unreachable { socket: SocketId(0), local, destination });
    });
}

fn unreachable(bench: &Bench) -> usize {
    let is_it = |event: &&Event| matches!(event, Event::Server { problem: ServerProblem::Unreachable, .. });
    bench.events.iter().filter(is_it).count()
}

fn has_ended_candidates(bench: &Bench) -> bool {
    let is_end = |event: &Event| matches!(event, Event::Signal(Signal { what: What::EndOfCandidates, .. }));
    bench.events.iter().any(is_end)
}

fn nobody_is_there(bench: &Bench) -> bool {
    bench.agent.diagnosis().to_string().contains("ICMP says that nobody is there")
}

/// STUN-6.2.1-h: of STUN and TURN servers alike, and gathering does not wait for their time.
#[test]
fn a_hard_icmp_error_ends_what_a_silent_server_is_asked_at_once() {
    let stun = Config::new(Role::Controlling, [7; 32]).stun_server(addr(SERVER));
    let turn = TurnServer::new(addr(SERVER), "user", "password").families(Families::V4);
    let turn = Config::new(Role::Controlling, [7; 32]).turn_server(turn);
    for config in [stun, turn] {
        let mut bench = Bench::of(config);
        let request = bench.next_request(SERVER);
        // What does not quote a request of ours.
        report(&mut bench, HOST, "203.0.113.1:3479");
        report(&mut bench, "192.0.2.9:5000", SERVER);
        assert_eq!((unreachable(&bench), has_ended_candidates(&bench)), (0, false));
        report(&mut bench, HOST, SERVER);
        assert_eq!((unreachable(&bench), has_ended_candidates(&bench)), (1, true));
        let sent = bench.sent.len();
        bench.wait(secs(60));
        assert_eq!((bench.sent.len(), unreachable(&bench)), (sent, 1), "nothing is sent again");
        assert!(!bench.sent.iter().any(|it| it.id() != request.id()));
    }
}

/// A server that has answered is there, whatever ICMP says: the allocation goes on.
#[test]
fn a_server_that_has_answered_is_not_given_up_for_icmp() {
    let turn = TurnServer::new(addr(SERVER), "user", "password").families(Families::V4);
    let mut bench = Bench::of(Config::new(Role::Controlling, [7; 32]).turn_server(turn));
    let first = bench.next_request(SERVER);
    let challenge = message(Class::Error, first.message().method(), first.id(), |writer| {
        writer.put_error_code(401, "").put_realm("realm").put_nonce("nonce");
    });
    let _ = bench.receive(SERVER, &challenge);
    report(&mut bench, HOST, SERVER);
    assert_eq!(unreachable(&bench), 0);
    let second = bench.next_request(SERVER);
    assert!(second.kinds().contains(&attr::USERNAME));
}

/// ICE-7.2.5.2.2-b: the pair that quotes are of, the second time, and before its check would time out.
#[test]
fn a_pair_fails_when_icmp_says_so_of_a_further_request_too() {
    let mut bench = Bench::new(Role::Controlling);
    let first = bench.next_request(PEER);
    report(&mut bench, HOST, "192.0.2.2:6001");
    report(&mut bench, "192.0.2.9:5000", PEER);
    for _ in 0..3 {
        report(&mut bench, HOST, PEER);
    }
    assert!(!nobody_is_there(&bench), "one request may have met a NAT that is not open yet");
    bench.wait(ms(600));
    assert_eq!(bench.sent.iter().filter(|it| it.id() == first.id()).count(), 2);
    report(&mut bench, "192.0.2.9:5000", PEER);
    assert!(!nobody_is_there(&bench), "quotes another address of ours");
    report(&mut bench, HOST, PEER);
    assert!(nobody_is_there(&bench));
    bench.wait(secs(30));
    assert_eq!(bench.sent.iter().filter(|it| it.to == addr(PEER)).count(), 2, "the transaction is over");
    assert_eq!(bench.agent.state(), State::Checking, "patience is not (RFC 8863 §4)");
    // The peer itself knows better (§7.3.1.4).
    let check = bench.check();
    let _ = bench.receive(PEER, &check);
    let answer = bench.next_request(PEER).success();
    let _ = bench.receive(PEER, &answer);
    assert!(bench.is_usable());
}

/// ICE-7.2.5.2.2-a, CON-5.2-b: what was authenticated is believed more than ICMP.
#[test]
fn icmp_ends_no_pair_that_the_peer_was_heard_on() {
    let mut bench = Bench::new(Role::Controlled);
    let check = bench.check();
    let _ = bench.receive(PEER, &check);
    for _ in 0..4 {
        report(&mut bench, HOST, PEER);
        bench.wait(ms(600));
    }
    assert!(!nobody_is_there(&bench));

    let mut bench = Bench::completed();
    for _ in 0..40 {
        report(&mut bench, HOST, PEER);
        bench.wait(ms(500));
        bench.answer_checks();
    }
    assert_eq!(bench.agent.state(), State::Completed);
    assert!(bench.is_usable());
}

/// Where NATs answer with ICMP until they are open, the session is connected all the same.
#[test]
fn nats_that_reject_until_they_are_open_do_not_prevent_a_session() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        let stun = world.stun_server();
        let hosts = [Role::Controlling, Role::Controlled].map(|role| {
            let config = Config::new(role, [role as u8 + 1; 32]).stun_server(stun);
            world.agent(Nat::port_restricted(), config)
        });
        let [a, b] = hosts;
        world.capture();
        world.signal_one_way(a, b, secs(2));
        world.signal_one_way(b, a, ms(50 * seed));
        let (mut seen, mut reports) = (0, 0);
        for _ in 0..500 {
            world.run_for(ms(10));
            let dropped: Vec<_> = world.captured()[seen..]
                .iter()
                .filter(|it| !matches!(it.fate, floe::sim::Fate::Sent | floe::sim::Fate::Delivered))
                .map(|it| (it.source, it.destination))
                .collect();
            seen = world.captured().len();
            reports += dropped.len();
            for (source, destination) in dropped {
                for host in hosts {
                    // The NAT translates what the error quotes; the port is that of the socket.
                    let local = std::net::SocketAddr::new(world.addresses(host)[0], source.port());
                    world.report_unreachable(host, local, destination);
                }
            }
        }
        assert!(world.completed(a) && world.completed(b), "{world}");
        assert!(reports > 2, "{reports}");
    }
}
