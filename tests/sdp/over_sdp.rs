//! Two agents whose signaling is text of SDP alone.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use floe::agent::{Announced, Race};
use floe::io::{Datagram, Socket, SocketId};
use floe::sdp::Fragment;
use floe::signal::What;
use floe::{Agent, Config, Event, Input, Output, Role, State};

struct Side {
    agent: Agent,
    addr: SocketAddr,
    /// The own description, as far as it was emitted.
    local: Description,
    /// What was emitted and not yet carried over.
    fresh: Vec<Signal>,
    inbox: VecDeque<(SocketAddr, Vec<u8>)>,
    wake: Option<Instant>,
}

#[expect(clippy::disallowed_methods, reason = "a virtual clock has to start somewhere")]
pub(super) fn epoch() -> Instant {
    Instant::now()
}

impl Side {
    fn new(role: Role, host: u8, now: Instant) -> Self {
        let addr = SocketAddr::from(([192, 0, 2, host], 5000));
        let mut agent = Agent::new(Config::new(role, [host; 32]), now);
        agent.add_socket(now, SocketId(0), Socket::udp(addr)).expect("a socket");
        agent.end_of_sockets(now);
        let local = Description::with_mids(&["data"]);
        Self { agent, addr, local, fresh: Vec::new(), inbox: VecDeque::new(), wake: None }
    }

    /// Empties the agent; returns what it sends.
    fn drain(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let (mut buf, mut sent) = ([0; 1500], Vec::new());
        loop {
            match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => sent.push((transmit.destination, transmit.payload.to_vec())),
                Output::Event(Event::Signal(signal)) => self.fresh.push(signal),
                Output::Wait(wake) => {
                    self.wake = wake.map(|wake| wake.at);
                    return sent;
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, now: Instant, signals: Vec<Signal>) {
        for signal in signals {
            self.agent.handle_signal(now, signal).expect("a signal that the agent takes");
        }
    }
}

/// Both run until they have nothing to do before `end`.
fn run(sides: &mut [Side; 2], now: &mut Instant, end: Instant) {
    loop {
        let [one, other] = sides;
        let there = one.drain().into_iter().filter(|(addr, _)| *addr == other.addr);
        other.inbox.extend(there.map(|(_, bytes)| (one.addr, bytes)));
        let back = other.drain().into_iter().filter(|(addr, _)| *addr == one.addr);
        one.inbox.extend(back.map(|(_, bytes)| (other.addr, bytes)));
        let mut quiet = true;
        for side in sides.iter_mut() {
            while let Some((source, payload)) = side.inbox.pop_front() {
                quiet = false;
                let (socket, local) = (SocketId(0), side.addr.ip());
                let datagram = Datagram { socket, local, source, ecn: None, payload: &payload };
                let _ = side.agent.handle_input(*now, Input::Datagram(datagram));
            }
        }
        if quiet {
            let Some(wake) = sides.iter().filter_map(|side| side.wake).min().filter(|wake| *wake < end)
            else {
                *now = end;
                return;
            };
            *now = wake.max(*now);
            for side in sides.iter_mut().filter(|side| side.wake.is_some_and(|wake| wake <= *now)) {
                let _ = side.agent.handle_input(*now, Input::Timeout);
            }
        }
    }
}

/// The description of a side with what it emitted so far, as text. `Candidates::Withheld` keeps candidates for later.
fn describe(side: &mut Side, mut answer: Description, candidates: Candidates) -> String {
    let emitted = std::mem::take(&mut side.fresh);
    for signal in emitted {
        match (&signal.what, candidates) {
            (What::Credentials(_), _) | (_, Candidates::Listed) => answer.add(&signal),
            (_, Candidates::Withheld) => side.fresh.push(signal),
        }
    }
    side.local = answer;
    side.local.to_string()
}

#[derive(Clone, Copy)]
enum Candidates {
    Listed,
    Withheld,
}

/// The whole exchange; whether both agents completed.
fn exchange(first: Candidates, second: Candidates) -> [State; 2] {
    exchange_as(first, second, |answer| answer)
}

/// The same, the answer changed on its way.
fn exchange_as(first: Candidates, second: Candidates, change: fn(String) -> String) -> [State; 2] {
    let mut now = epoch();
    let mut sides = [Side::new(Role::Controlling, 1, now), Side::new(Role::Controlled, 2, now)];
    for side in &mut sides {
        assert_eq!(side.drain(), []);
    }
    let [offerer, answerer] = &mut sides;

    let blank = offerer.local.clone();
    let offer = read(&describe(offerer, blank, first));
    answerer.take(now, offer.signals());
    let answer = Description::answer_to(&offer);
    let answer = read(&change(describe(answerer, answer, second)));
    assert_eq!(answer.streams_after_answer(), [0]);
    offerer.take(now, answer.signals());

    for at in [0, 1] {
        let fresh = std::mem::take(&mut sides[at].fresh);
        let fragment = Fragment::of(&sides[at].local, &fresh).to_string();
        let fragment: Fragment = fragment.parse().expect("a fragment");
        let remote = [&offer, &answer][at];
        sides[1 - at].take(now, fragment.signals(remote).expect("signals"));
    }
    let end = now + Duration::from_secs(10);
    run(&mut sides, &mut now, end);
    [sides[0].agent.state(), sides[1].agent.state()]
}

/// RFC 8838 §4, TRK-4-a.
#[test]
fn an_offer_without_candidates_leads_to_a_connection() {
    assert_eq!(exchange(Candidates::Withheld, Candidates::Listed), [State::Completed; 2]);
}

/// RFC 8838 §5.
#[test]
fn an_answer_without_candidates_leads_to_a_connection() {
    assert_eq!(exchange(Candidates::Listed, Candidates::Withheld), [State::Completed; 2]);
    assert_eq!(exchange(Candidates::Withheld, Candidates::Withheld), [State::Completed; 2]);
}

/// RFC 8838 §16: half trickle is a complete offer; the answerer trickles, or is one of regular ICE.
#[test]
fn a_complete_offer_leads_to_a_connection_with_any_answerer() {
    assert_eq!(exchange(Candidates::Listed, Candidates::Listed), [State::Completed; 2]);
    let regular = |answer: String| answer.replace(" trickle", "").replace("a=end-of-candidates\r\n", "");
    assert_eq!(exchange_as(Candidates::Listed, Candidates::Listed, regular), [State::Completed; 2]);
}

/// RFC 8838 §13: the nominated pairs conclude ICE, whether or not the peer ever ends its candidates.
#[test]
fn a_peer_that_never_ends_its_candidates_is_connected_too() {
    let endless = |answer: String| answer.replace("a=end-of-candidates\r\n", "");
    assert_eq!(exchange_as(Candidates::Listed, Candidates::Listed, endless), [State::Completed; 2]);
}

/// RFC 8839 §4.2.4: the check is sent to a candidate that the offer named, and the answer is still on its way.
#[test]
fn a_check_that_overtakes_the_answer_is_answered() {
    let now = epoch();
    let mut offerer = Side::new(Role::Controlling, 1, now);
    let mut answerer = Side::new(Role::Controlled, 2, now);
    assert_eq!((offerer.drain(), answerer.drain()), (vec![], vec![]));
    let blank = offerer.local.clone();
    let offer = read(&describe(&mut offerer, blank, Candidates::Listed));
    answerer.take(now, offer.signals());
    assert_eq!(answerer.drain(), []);
    let at = answerer.wake.expect("the first check has its time");
    let _ = answerer.agent.handle_input(at, Input::Timeout);
    let (destination, check) = answerer.drain().remove(0);
    assert_eq!(destination, offerer.addr);
    let (local, source) = (offerer.addr.ip(), answerer.addr);
    let datagram = Datagram { socket: SocketId(0), local, source, ecn: None, payload: &check };
    let _ = offerer.agent.handle_input(at, Input::Datagram(datagram));
    let mut sent = offerer.drain();
    let answer = read(&describe(&mut answerer, Description::answer_to(&offer), Candidates::Listed));
    offerer.take(at, answer.signals());
    sent.extend(offerer.drain());
    // A success response with the transaction id of the check (RFC 8489 §5).
    let answers = |bytes: &[u8]| bytes[..2] == [1, 1] && bytes[8..20] == check[8..20];
    assert!(sent.iter().any(|(to, bytes)| *to == source && answers(bytes)), "{sent:?}");
}

/// RFC 8445 §8.2 over RFC 8839 §4.4.2: two lite agents with two pairs. The offer that follows has the selected one alone,
/// and its answer completes the session.
#[test]
fn two_lite_agents_agree_by_an_updated_offer_and_its_answer() {
    let now = epoch();
    let mut sides = [(Role::Controlling, 1), (Role::Controlled, 2)].map(|(role, host)| {
        let mut agent = Agent::new(Config::new(role, [host; 32]).lite(), now);
        for (socket, port) in [(0, 5000), (1, 5001)] {
            let addr = SocketAddr::from(([192, 0, 2, host], port));
            agent.add_socket(now, SocketId(socket), Socket::udp(addr)).expect("a socket");
        }
        agent.end_of_sockets(now);
        Side { agent, ..Side::new(role, host, now) }
    });
    let [offerer, answerer] = &mut sides;
    assert_eq!((offerer.drain(), answerer.drain()), (vec![], vec![]));
    let blank = offerer.local.clone();
    let offer = read(&describe(offerer, blank, Candidates::Listed));
    answerer.take(now, offer.signals());
    assert_eq!(answerer.drain(), []);
    let answer = read(&describe(answerer, Description::answer_to(&offer), Candidates::Listed));
    offerer.take(now, answer.signals());
    assert_eq!(offerer.drain(), []);
    assert_eq!([offerer.agent.state(), answerer.agent.state()], [State::Checking; 2]);

    let local = offerer.local.clone();
    let text = describe(offerer, local, Candidates::Listed);
    assert_eq!(
        (count(&text, "a=candidate:"), count(&text, "a=remote-candidates:1 192.0.2.2 ")),
        (1, 1),
        "{text}"
    );
    let offer = read(&text);
    let announced: Vec<Announced> = offer.announced(0).into_iter().map(Announced::from).collect();
    assert_eq!(answerer.agent.handle_remote_candidates(now, 0, &announced), Race::Won);
    assert_eq!(answerer.drain(), []);
    assert_eq!([offerer.agent.state(), answerer.agent.state()], [State::Checking, State::Completed]);
    let local = answerer.local.clone();
    let text = describe(answerer, local, Candidates::Listed);
    assert_eq!((count(&text, "a=candidate:"), count(&text, "a=remote-candidates")), (1, 0), "{text}");
    // An answer that lists another candidate confirms nothing.
    let other = text.replace(" 5000 ", " 5009 ").replace(" 5001 ", " 5000 ").replace(" 5009 ", " 5001 ");
    assert_eq!(read(&other).confirmations(&offer), []);
    let answer = read(&text);
    offerer.take(now, answer.confirmations(&offer));
    assert_eq!(offerer.agent.state(), State::Completed);
}
