//! Mobility (RFC 8016): the session outlives the socket that its relay was reached from.

use floe::agent::{ServerProblem, Why};
use floe::io::{CloseReason, SocketId};
use floe::stun::Method;
use floe::turn::{Mobility, ServerTransport, TurnServer};
use floe::{Event, State};

use crate::bench::{Bench, Does, addr, ms, secs};

const A: &str = "203.0.113.1:3478";
const RELAYED: &[&str] = &["203.0.113.9:50000"];
const NEXT: &str = "198.51.100.77:50000";

fn server() -> TurnServer {
    TurnServer::new(addr(A), "user", "pass")
}

/// Connected through a server that knows mobility.
fn connected(server: TurnServer) -> Bench {
    let mut bench = Bench::new(&[server]);
    bench.server(A, Does::Allocate(RELAYED)).mobile = true;
    bench.agent.end_of_sockets(bench.now);
    bench.connect();
    assert!(bench.send(b"before"));
    bench
}

fn tickets(bench: &Bench) -> Vec<String> {
    let refreshes = bench.asked_for(A, Method::REFRESH);
    let tickets = refreshes.iter().filter_map(|asked| asked.ticket.clone());
    tickets.map(|ticket| String::from_utf8(ticket).unwrap()).collect()
}

fn needs_restart(bench: &Bench) -> bool {
    bench.events.iter().any(|event| matches!(event, Event::RestartNeeded(_)))
}

#[test]
fn a_relay_moves_to_a_socket_that_is_added_soon_and_the_session_goes_on() {
    let mut bench = connected(server());
    let before = bench.last_path().unwrap();
    for (round, local) in [(1, NEXT), (2, "198.51.100.78:50000")] {
        bench.remove_socket(round - 1);
        bench.drain();
        assert_eq!(bench.last_path(), None, "there is no way to the server");
        bench.run(secs(2));
        bench.add_socket(round, local);
        bench.run(ms(200));
        let path = bench.last_path().expect("a path");
        assert_eq!((path.socket(), path.destination()), (SocketId(round), before.destination()));
        assert_eq!(path.overhead(), before.overhead(), "the channel is the same");
        assert!(bench.send(b"after"));
    }
    assert_eq!(bench.heard, [&b"before"[..], b"after", b"after"]);
    assert_eq!(tickets(&bench), ["ticket 1", "ticket 2"], "the newest, each time");
    // Consent, permissions and the allocation go on.
    bench.run(secs(700));
    assert_eq!(bench.agent.state(), State::Completed);
    assert!(bench.send(b"later") && !needs_restart(&bench));
    assert_eq!(bench.asked_for(A, Method::ALLOCATE).len(), 2, "and nothing was allocated anew");
}

#[test]
fn a_relay_moves_at_once_to_another_socket_whose_own_relay_was_given_back() {
    let mut bench = Bench::new(&[server()]);
    bench.server(A, Does::Allocate(RELAYED)).mobile = true;
    bench.agent.end_of_sockets(bench.now);
    bench.connect();
    // It is too late for a candidate of its own; and its relay goes back, since nothing needs it.
    bench.servers.get_mut(&addr(A)).unwrap().does = Does::Refuse(486);
    bench.add_socket(1, NEXT);
    bench.run(secs(2));
    bench.servers.get_mut(&addr(A)).unwrap().does = Does::Allocate(RELAYED);
    bench.remove_socket(0);
    bench.run(ms(200));
    assert_eq!(bench.last_path().expect("a path").socket(), SocketId(1));
    assert!(bench.send(b"moved") && !needs_restart(&bench));
    assert_eq!(bench.heard, [b"moved"]);
}

/// RFC 8016 §3.2.2.
#[test]
fn no_data_leaves_from_the_new_place_before_the_server_knows_it() {
    let mut bench = connected(server());
    bench.remove_socket(0);
    bench.servers.get_mut(&addr(A)).unwrap().does = Does::Nothing;
    bench.add_socket(1, NEXT);
    bench.run(secs(3));
    assert!(!bench.send(b"too early"));
    bench.servers.get_mut(&addr(A)).unwrap().does = Does::Allocate(RELAYED);
    bench.run(secs(5));
    assert!(bench.send(b"now"));
    assert_eq!(bench.heard, [&b"before"[..], b"now"]);
}

#[test]
fn without_a_socket_in_time_the_allocation_is_lost_and_the_application_is_told() {
    let mut bench = connected(server());
    bench.remove_socket(0);
    bench.run(secs(9));
    assert!(!needs_restart(&bench));
    bench.run(secs(2));
    assert!(bench.events.contains(&Event::RestartNeeded(Why::PathGone)));
}

#[test]
fn without_a_ticket_the_allocation_goes_with_its_socket() {
    for (mobility, mobile) in [(Mobility::Never, true), (Mobility::Ask, false)] {
        let mut bench = Bench::new(&[server().mobility(mobility)]);
        bench.server(A, Does::Allocate(RELAYED)).mobile = mobile;
        bench.agent.end_of_sockets(bench.now);
        bench.connect();
        bench.remove_socket(0);
        bench.drain();
        assert!(bench.events.contains(&Event::RestartNeeded(Why::PathGone)));
    }
}

#[test]
fn a_relay_whose_connection_breaks_moves_to_another_connection() {
    let mut bench = connected(server().over(ServerTransport::Tcp));
    for why in [CloseReason::Reset, CloseReason::Malformed] {
        bench.run(secs(6));
        let heard = bench.heard.len();
        bench.cut(why);
        bench.run(ms(200));
        assert_eq!(bench.open.len(), 1);
        assert!(bench.send(b"on another one"), "{why:?}");
        assert_eq!(bench.heard.len(), heard + 1);
    }
    assert_eq!((bench.connects.len(), needs_restart(&bench)), (3, false));
    let connection = |why| ServerProblem::Connection(why);
    assert_eq!(
        bench.problems(),
        [&connection(CloseReason::Reset), &connection(CloseReason::Malformed)],
        "and it is told"
    );
}

/// A server that takes connections and drops them is not asked for ever.
#[test]
fn a_connection_that_breaks_right_after_a_move_is_the_end_of_the_allocation() {
    let mut bench = connected(server().over(ServerTransport::Tcp));
    bench.cut(CloseReason::Reset);
    bench.run(ms(200));
    bench.cut(CloseReason::Reset);
    bench.run(secs(1));
    assert_eq!(bench.connects.len(), 2);
    assert_eq!(bench.problems().last(), Some(&&ServerProblem::AllocationLost));
    assert!(bench.events.contains(&Event::RestartNeeded(Why::PathGone)));
}

/// An application that restarts at once when the path is gone: gathering waits for what becomes of the relay, and the session
/// goes on with the one that there is, or with another one.
#[test]
fn a_restart_while_a_relay_moves_waits_for_it_or_gets_another_one() {
    // The request on the new connection gets no answer, as if the server had forgotten everything.
    let mut bench = connected(server().over(ServerTransport::Tcp));
    bench.run(secs(6));
    bench.servers.get_mut(&addr(A)).unwrap().does = Does::Nothing;
    bench.cut(CloseReason::Reset);
    bench.run(ms(100));
    bench.agent.restart(bench.now);
    bench.peer.restart(bench.now);
    bench.run(ms(100));
    bench.servers.get_mut(&addr(A)).unwrap().does = Does::Allocate(RELAYED);
    let heard = bench.heard.len();
    bench.run(secs(9));
    bench.connect();
    assert!(bench.send(b"after the restart"));
    assert_eq!(bench.heard.len(), heard + 1);
    assert_eq!(bench.asked_for(A, Method::ALLOCATE).len(), 3, "the challenge is known");
    let mut bench = connected(server());
    bench.remove_socket(0);
    bench.add_socket(1, NEXT);
    bench.agent.restart(bench.now);
    bench.peer.restart(bench.now);
    bench.run(ms(200));
    assert!(bench.send(b"on the old pair"), "the relay moved");
    bench.connect();
    assert_eq!(bench.asked_for(A, Method::ALLOCATE).len(), 2, "and serves the next session too");
}
