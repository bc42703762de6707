//! What a server refuses, and what the agent remembers of that (RFC 8656 §7.4).

use floe::agent::ServerProblem;
use floe::stun::Method;
use floe::stun::wire::attr;
use floe::turn::{ServerTransport, TurnServer};

use crate::bench::{Bench, Does, addr, ms, secs};

const A: &str = "203.0.113.1:3478";
const RELAYED: &[&str] = &["203.0.113.9:50000"];

fn server() -> TurnServer {
    TurnServer::new(addr(A), "user", "pass")
}

fn allocates(bench: &Bench) -> usize {
    bench.asked_for(A, Method::ALLOCATE).len()
}

/// RFC 8656 §7.4: also after a restart of the session, and other sockets count as well.
#[test]
fn a_server_without_capacity_is_left_alone_for_a_minute() {
    for code in [486, 508] {
        let mut bench = Bench::new(&[server()]);
        bench.hears = false;
        bench.server(A, Does::Refuse(code));
        bench.agent.end_of_sockets(bench.now);
        bench.run(secs(1));
        assert_eq!(allocates(&bench), 2);
        let refused_at = bench.asked[1].at;
        bench.servers.get_mut(&addr(A)).unwrap().does = Does::Allocate(RELAYED);
        bench.add_socket(1, "198.51.100.1:50001");
        bench.agent.restart(bench.now);
        bench.run_to(refused_at + ms(59_980));
        assert_eq!(allocates(&bench), 2, "{code}");
        let said = bench.problems().len();
        assert!(said >= 3, "and the application is told why there is no relay: {said}");
        bench.run(ms(100));
        bench.agent.restart(bench.now);
        bench.run(secs(1));
        let relayed = bench.relayed();
        assert!(relayed.contains(&addr(RELAYED[0])), "{code}: {relayed:?}");
    }
}

/// While gathering goes on nobody has to restart.
#[test]
fn the_pause_over_the_server_is_asked_again_by_itself_while_gathering_goes_on() {
    for (code, pause) in [(486, 60), (437, 120)] {
        let mut bench = Bench::new(&[server()]);
        bench.server(A, Does::Refuse(code));
        bench.run(secs(1));
        bench.servers.get_mut(&addr(A)).unwrap().does = Does::Allocate(RELAYED);
        bench.run(secs(pause - 2));
        assert_eq!((allocates(&bench), bench.relayed()), (2, vec![]), "{code}");
        bench.run(secs(3));
        assert_eq!((allocates(&bench), bench.relayed()), (3, vec![addr(RELAYED[0])]), "{code}");
    }
}

/// RFC 8656 §7.4.
#[test]
fn what_a_repetition_cannot_mend_is_not_repeated() {
    for code in [400, 403, 441, 442] {
        let mut bench = Bench::new(&[server()]);
        bench.hears = false;
        bench.server(A, Does::Refuse(code));
        bench.agent.end_of_sockets(bench.now);
        bench.run(secs(1));
        for _ in 0..3 {
            bench.run(secs(400));
            bench.agent.restart(bench.now);
            bench.run(secs(1));
        }
        assert_eq!(allocates(&bench), 2, "{code}");
        let said = bench.problems();
        assert_eq!(said.len(), 4, "each session is told");
        assert!(said.iter().all(|it| matches!(it, ServerProblem::Error { code: c, .. } if *c == code)));
    }
}

/// RFC 8656 §7.4: a new connection has a new local port.
#[test]
fn a_437_is_answered_from_three_ports_in_total_over_tcp() {
    let mut bench = Bench::new(&[server().over(ServerTransport::Tcp)]);
    bench.hears = false;
    bench.server(A, Does::Refuse(437));
    bench.agent.end_of_sockets(bench.now);
    bench.run(secs(5));
    assert_eq!((bench.connects.len(), bench.open.len()), (3, 0));
    assert_eq!(allocates(&bench), 4, "one challenge serves all three");
    assert!(matches!(bench.problems()[..], [ServerProblem::Error { code: 437, .. }]));
    bench.run(secs(110));
    bench.agent.restart(bench.now);
    bench.run(secs(2));
    assert_eq!(bench.connects.len(), 3, "two minutes are not over");
    bench.run(secs(10));
    bench.agent.restart(bench.now);
    bench.run(secs(2));
    assert!(bench.connects.len() > 3);
}

/// The second allocation at a server costs one round trip: from another socket, and after a restart.
#[test]
fn a_nonce_is_kept_for_the_server_and_never_told_to_another_one() {
    const B: &str = "203.0.113.2:3478";
    let other = TurnServer::new(addr(B), "user", "pass");
    let mut bench = Bench::new(&[server(), other]);
    bench.server(A, Does::Allocate(RELAYED));
    bench.server(B, Does::Nothing);
    bench.run(secs(1));
    let signed = |bench: &Bench, at: &str| -> Vec<bool> {
        let asked = bench.asked_for(at, Method::ALLOCATE);
        asked.iter().map(|asked| asked.kinds.contains(&attr::NONCE)).collect()
    };
    assert_eq!(signed(&bench, A), [false, true]);
    bench.add_socket(1, "198.51.100.1:50001");
    bench.run(secs(1));
    assert_eq!(signed(&bench, A), [false, true, true]);
    let at_b = signed(&bench, B);
    assert!(at_b.len() >= 2 && at_b.iter().all(|signed| !signed), "{at_b:?}");
}

/// One slow server delays nobody: neither the relay of another one, nor the session.
#[test]
fn a_server_that_does_not_answer_does_not_hold_up_the_relay_of_another() {
    const DEAD: &str = "203.0.113.66:3478";
    let dead = TurnServer::new(addr(DEAD), "user", "pass");
    for dead in [dead.clone(), dead.over(ServerTransport::Tcp)] {
        let mut bench = Bench::new(&[dead, server()]);
        bench.server(DEAD, Does::Nothing);
        bench.server(A, Does::Allocate(RELAYED));
        bench.agent.end_of_sockets(bench.now);
        bench.run(secs(1));
        assert_eq!(bench.relayed(), [addr(RELAYED[0])]);
        bench.connect();
    }
}
