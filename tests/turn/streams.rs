//! Relays over TCP whose connection ends (RFC 8489 §6.2.2, RFC 8656 §3.1).

use floe::Event;
use floe::agent::{ServerProblem, Why};
use floe::io::CloseReason;
use floe::stun::Method;
use floe::turn::{ServerTransport, TurnServer};

use crate::bench::{Bench, Does, addr, ms, secs};

const A: &str = "203.0.113.1:3478";
const RELAYED: &[&str] = &["203.0.113.9:50000"];

fn server() -> TurnServer {
    TurnServer::new(addr(A), "user", "pass").over(ServerTransport::Tcp)
}

fn bench() -> Bench {
    let mut bench = Bench::new(&[server()]);
    bench.server(A, Does::Allocate(RELAYED));
    bench
}

/// RFC 8489 §6.2.2: as long as the relayed address is in use.
#[test]
fn the_connection_stays_open_as_long_as_the_relay_is_needed() {
    let mut bench = bench();
    bench.agent.end_of_sockets(bench.now);
    bench.connect();
    bench.run(secs(1000));
    assert_eq!((bench.connects.len(), bench.open.len(), bench.closed.len()), (1, 1, 0));
    bench.agent.close(bench.now);
    bench.run(secs(1));
    assert_eq!((bench.open.len(), bench.closed.len()), (0, 1), "the client closes it");
}

#[test]
fn a_connection_that_ends_takes_the_allocation_along_and_says_why() {
    for why in [CloseReason::Reset, CloseReason::Ended, CloseReason::Malformed] {
        let mut bench = bench();
        bench.agent.end_of_sockets(bench.now);
        bench.connect();
        bench.cut(why);
        assert_eq!(bench.problems(), [&ServerProblem::Connection(why), &ServerProblem::AllocationLost]);
        assert!(bench.events.contains(&Event::RestartNeeded(Why::PathGone)));
        assert_eq!(bench.last_path(), None);
        // A restart allocates anew.
        bench.agent.restart(bench.now);
        bench.peer.restart(bench.now);
        bench.connect();
        assert!(bench.send(b"again"));
        assert_eq!(bench.connects.len(), 2);
    }
}

#[test]
fn while_gathering_goes_on_a_lost_relay_is_allocated_anew_by_itself_three_times() {
    let mut bench = bench();
    bench.hears = false;
    bench.run(secs(1));
    assert_eq!(bench.relayed().len(), 1);
    for pause in [1, 2, 4] {
        let before = bench.connects.len();
        bench.cut(CloseReason::Reset);
        bench.run(ms(pause * 1000 - 100));
        assert_eq!(bench.connects.len(), before);
        bench.run(secs(1));
        assert_eq!(bench.connects.len(), before + 1);
        assert_eq!(bench.open.len(), 1);
    }
    bench.cut(CloseReason::Reset);
    bench.run(secs(60));
    assert_eq!((bench.connects.len(), bench.open.len()), (4, 0));
}

/// RFC 8489 §6.2.2: a request without an answer on an idle connection, which is closed; the next one serves.
#[test]
fn a_dead_connection_is_closed_and_replaced() {
    let mut bench = bench();
    bench.hears = false;
    bench.run(secs(1));
    bench.servers.get_mut(&addr(A)).unwrap().does = Does::Nothing;
    bench.run(secs(540));
    assert_eq!(bench.asked_for(A, Method::REFRESH).len(), 1, "it is sent once");
    assert_eq!(bench.closed.len(), 0);
    bench.servers.get_mut(&addr(A)).unwrap().does = Does::Allocate(RELAYED);
    bench.run(secs(42));
    assert_eq!((bench.closed.len(), bench.connects.len(), bench.open.len()), (1, 2, 1));
    assert_eq!(bench.problems()[0], &ServerProblem::Connection(CloseReason::TimedOut));
}

#[test]
fn a_connection_that_is_refused_is_told() {
    let mut bench = bench();
    bench.servers.get_mut(&addr(A)).unwrap().listens = false;
    bench.agent.end_of_sockets(bench.now);
    bench.run(secs(1));
    assert_eq!(bench.problems(), [&ServerProblem::Connection(CloseReason::Refused)]);
    assert!(bench.asked.is_empty());
}
