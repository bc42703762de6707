//! Who may send to a mapping (RFC 5780 §4.4): a fresh socket that has sent to the server's first address only asks for
//! answers from the other ones.
//!
//! ```text
//!  from the other address and port ─ yes ─► endpoint-independent
//!              │ no
//!  from the other port ────────────── yes ─► address-dependent            each "no" is repeated from fresh sockets
//!              │ no                                                       until loss cannot be the reason, and counts
//!              └────────────────────────────► address- and port-dependent only if the server was then seen to answer
//!                                                                         from there to whom has sent there
//! ```

use std::net::SocketAddr;

use super::ask::{Ask, AskId, Outcome};
use super::asks::Asks;
use super::report::{Filtering, Finding};
use super::why::Why;
use crate::io::SocketId;
use crate::stun::attributes::ChangeRequest;

/// Rounds before a "no", and until it is given up.
const ROUNDS: (u8, u8) = (2, 6);
/// How often the proof that the server answers from there is tried.
const PROOFS: u8 = 2;

/// From where an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From the other address and port.
    Both,
    /// From the other port.
    Port,
}

const WAYS: [Way; 2] = [Way::Both, Way::Port];

/// What is known of one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Untold,
    Yes,
    No,
    Never(Why),
}

#[derive(Debug)]
enum Phase {
    Begin,
    Round {
        ids: [Option<AskId>; 2],
        sockets: Vec<SocketId>,
    },
    /// A plain request at the end of a round: the silence was not that of the whole path.
    Control(AskId, [u32; 2]),
    Prove(Way, Proof),
}

#[derive(Debug)]
struct Proof {
    tries: u8,
    socket: SocketId,
    /// To where the answer is to come from, and to the server.
    asked: [AskId; 2],
    answer: Option<AskId>,
}

#[derive(Debug)]
pub(super) struct Test {
    server: SocketAddr,
    other: SocketAddr,
    phase: Phase,
    rounds: u8,
    entries: [Entry; 2],
    unanswered: [u32; 2],
}

impl Test {
    pub(super) fn new(server: SocketAddr, other: SocketAddr) -> Self {
        let entries = [Entry::Untold; 2];
        Self { server, other, phase: Phase::Begin, rounds: 0, entries, unanswered: [0; 2] }
    }

    fn place(&self, way: Way) -> SocketAddr {
        match way {
            Way::Both => self.other,
            Way::Port => SocketAddr::new(self.server.ip(), self.other.port()),
        }
    }

    /// Goes on; the result when it is over.
    pub(super) fn poll(&mut self, asks: &mut Asks) -> Option<Finding<Filtering>> {
        loop {
            match &mut self.phase {
                Phase::Begin => self.begin(asks),
                Phase::Round { ids, sockets } => {
                    let outcomes = ids.map(|id| id.and_then(|id| asks.outcome(id)));
                    let is_open = ids.iter().zip(&outcomes).any(|(id, it)| id.is_some() && it.is_none());
                    let passed = matches!(outcomes[0], Some(Outcome::Answer(_)));
                    if is_open && !passed {
                        return None;
                    }
                    let requests = ids.map(|id| id.map_or(0, |id| asks.requests(id)));
                    sockets.drain(..).for_each(|socket| asks.sockets.close(socket));
                    for (entry, outcome) in self.entries.iter_mut().zip(outcomes) {
                        *entry = match outcome {
                            Some(Outcome::Answer(_)) => Entry::Yes,
                            Some(Outcome::Refused(code)) => Entry::Never(Why::Refused(code)),
                            Some(Outcome::Ignored) => Entry::Never(Why::Ignored),
                            Some(Outcome::Elsewhere(_)) => Entry::Never(Why::Elsewhere),
                            Some(Outcome::NoSocket) => Entry::Never(Why::NoSocket),
                            Some(Outcome::Unreadable | Outcome::Implausible | Outcome::Garbage) => {
                                Entry::Never(Why::Unreadable)
                            }
                            Some(Outcome::Silent | Outcome::Returned(_)) | None => *entry,
                        };
                    }
                    if self.entries[0] == Entry::Yes {
                        return Some(Finding::Known(Filtering::EndpointIndependent));
                    }
                    let socket = asks.open();
                    self.phase = Phase::Control(asks.ask(Ask::new(socket, self.server)), requests);
                }
                Phase::Control(id, requests) => {
                    let outcome = asks.outcome(*id)?;
                    let requests = *requests;
                    asks.asked(*id).into_iter().for_each(|ask| asks.sockets.close(ask.socket));
                    self.rounds += 1;
                    if outcome.answer().is_some() {
                        self.count(requests, asks);
                    }
                    match self.next_proof() {
                        Ok(Some(way)) => self.phase = Phase::Prove(way, self.prove(way, 0, asks)),
                        Ok(None) if self.rounds < ROUNDS.1 => self.phase = Phase::Begin,
                        Ok(None) => return Some(Finding::Unknown(Why::Loss)),
                        Err(result) => return Some(result),
                    }
                }
                Phase::Prove(way, proof) => {
                    let way = *way;
                    let proven = proof.poll(way, self.server, asks)?;
                    let tries = proof.tries;
                    if !proven && tries < PROOFS {
                        self.phase = Phase::Prove(way, self.prove(way, tries, asks));
                        continue;
                    }
                    return Some(match (way, proven) {
                        (_, false) => Finding::Unknown(Why::SilentOtherAddress),
                        (Way::Both, true) => Finding::Known(Filtering::AddressDependent),
                        (Way::Port, true) => Finding::Known(Filtering::AddressAndPortDependent),
                    });
                }
            }
        }
    }

    fn begin(&mut self, asks: &mut Asks) {
        let mut sockets = Vec::new();
        let mut ids = [None; 2];
        for (at, way) in WAYS.into_iter().enumerate() {
            if self.entries[at] != Entry::Untold {
                continue;
            }
            let socket = asks.open();
            sockets.push(socket);
            let ask = Ask::new(socket, self.server).change(change(way), self.place(way)).attempts(1);
            ids[at] = Some(asks.ask(ask));
        }
        self.phase = Phase::Round { ids, sockets };
    }

    fn count(&mut self, requests: [u32; 2], asks: &Asks) {
        for (at, requests) in requests.into_iter().enumerate() {
            self.unanswered[at] += requests;
            if self.entries[at] == Entry::Untold
                && self.rounds >= ROUNDS.0
                && asks.loss.proves_filter(self.unanswered[at])
            {
                self.entries[at] = Entry::No;
            }
        }
    }

    /// What has to be proven now, if the silence is long enough; or what is known without.
    fn next_proof(&self) -> Result<Option<Way>, Finding<Filtering>> {
        match self.entries {
            [Entry::Never(why), _] | [_, Entry::Never(why)] => Err(Finding::Unknown(why)),
            [Entry::No, Entry::Yes] => Ok(Some(Way::Both)),
            [Entry::No, Entry::No] => Ok(Some(Way::Port)),
            _ => Ok(None),
        }
    }

    /// From a fresh socket that opens its filter for the place where the answer is to come from.
    fn prove(&self, way: Way, tries: u8, asks: &mut Asks) -> Proof {
        let socket = asks.open();
        let asked = [self.place(way), self.server].map(|to| asks.ask(Ask::new(socket, to)));
        Proof { tries: tries + 1, socket, asked, answer: None }
    }
}

impl Proof {
    /// Whether the answer came; `None` while it is waited for.
    fn poll(&mut self, way: Way, server: SocketAddr, asks: &mut Asks) -> Option<bool> {
        if let Some(id) = self.answer {
            let outcome = asks.outcome(id)?;
            asks.sockets.close(self.socket);
            return Some(outcome.answer().is_some());
        }
        let [there, here] = self.asked.map(|id| asks.outcome(id));
        let (Some(there), Some(here)) = (there?.answer(), here?.answer()) else {
            asks.sockets.close(self.socket);
            return Some(false);
        };
        let from = asks.asked(self.asked[0])?.to;
        let ask = Ask::new(self.socket, server).change(change(way), from).attempts(2);
        // Where the mapping depends on the destination, the way is open at another port than that of the request.
        let ask =
            if there.mapped == here.mapped { ask } else { ask.respond_to(there.mapped.port(), self.socket) };
        self.answer = Some(asks.ask(ask));
        None
    }
}

fn change(way: Way) -> ChangeRequest {
    ChangeRequest { ip: way == Way::Both, port: true }
}
