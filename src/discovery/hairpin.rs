//! Whether inside reaches inside by external endpoints (RFC 5780 §3.4): two sockets send to each other's external
//! endpoint, so that each opens its filter for the other one, as the checks of ICE do.

use std::net::SocketAddr;

use super::ask::{Ask, AskId, Outcome};
use super::asks::Asks;
use super::ports::Pooling;
use super::report::{Filtering, Finding, Hairpinning, Mapping, Report, Translation};
use super::why::Why;
use crate::io::SocketId;

/// Rounds before a "no", and until it is given up.
const ROUNDS: (u8, u8) = (2, 4);

#[derive(Debug)]
pub(super) struct Test {
    server: SocketAddr,
    sockets: Option<[SocketId; 2]>,
    mapped: Option<[AskId; 2]>,
    asked: Option<[AskId; 2]>,
    /// What the server sees of them when a round is over.
    again: Option<[AskId; 2]>,
    rounds: u8,
    unanswered: u32,
}

impl Test {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self { server, sockets: None, mapped: None, asked: None, again: None, rounds: 0, unanswered: 0 }
    }

    /// Goes on; the result when it is over.
    pub(super) fn poll(&mut self, asks: &mut Asks, report: &Report) -> Option<Finding<Hairpinning>> {
        match report.translation {
            Finding::Known(Translation::Translated) => {}
            Finding::Known(Translation::None) => return Some(Finding::Unknown(Why::NoNat)),
            Finding::Unknown(why) => return Some(Finding::Unknown(why)),
        }
        loop {
            let sockets = *self.sockets.get_or_insert_with(|| [asks.open(), asks.open()]);
            let server = self.server;
            let mapped =
                *self.mapped.get_or_insert_with(|| sockets.map(|socket| asks.ask(Ask::new(socket, server))));
            let [one, two] = mapped.map(|id| asks.outcome(id));
            let (Some(one), Some(two)) = (one?.answer(), two?.answer()) else {
                return Some(self.end(asks, Finding::Unknown(Why::NoAnswer)));
            };
            let ends = [one.mapped, two.mapped];
            if ends[0] == ends[1] {
                return Some(self.end(asks, Finding::Unknown(Why::Implausible)));
            }
            if ends[0].is_ipv4() != asks.sockets.local().is_ipv4() {
                return Some(self.end(asks, Finding::Unknown(Why::OtherFamily)));
            }
            let asked = *self.asked.get_or_insert_with(|| {
                [(0, 1), (1, 0)].map(|(from, to)| asks.ask(Ask::own(sockets[from], ends[to], sockets[to])))
            });
            let outcomes = asked.map(|id| asks.outcome(id));
            let returned = outcomes.iter().flatten().find_map(|outcome| match outcome {
                Outcome::Returned(source) => Some(*source),
                _ => None,
            });
            if let Some(source) = returned {
                let ip = source.ip();
                let is_external = |mapped: &SocketAddr| mapped.ip() == ip;
                let kind = if ip == asks.sockets.local() {
                    Finding::Known(Hairpinning::InternalSource)
                } else if ends.iter().chain(asks.samples.iter().map(|it| &it.mapped)).any(is_external) {
                    Finding::Known(Hairpinning::ExternalSource)
                } else if report.pooling == Finding::Known(Pooling::Paired) {
                    Finding::Known(Hairpinning::OtherSource)
                } else {
                    // It may be one of the NAT's that no server has seen.
                    Finding::Unknown(Why::SeveralAddresses)
                };
                return Some(self.end(asks, kind));
            }
            if outcomes.iter().any(Option::is_none) {
                return None;
            }
            // Mappings that are over by now have no endpoint that could be reached.
            let again =
                *self.again.get_or_insert_with(|| sockets.map(|socket| asks.ask(Ask::new(socket, server))));
            let [one, two] = again.map(|id| asks.outcome(id));
            let seen = [one?, two?].map(|outcome| outcome.answer().map(|answer| answer.mapped));
            self.rounds += 1;
            if seen == ends.map(Some) {
                // The first one of each came perhaps before the other filter was open.
                self.unanswered += asked.iter().map(|id| asks.requests(*id).saturating_sub(1)).sum::<u32>();
            } else {
                self.mapped = Some(again);
            }
            self.again = None;
            self.asked = None;
            if self.rounds >= ROUNDS.0 && asks.loss.proves_filter(self.unanswered) {
                let is_open = report.mapping == Finding::Known(Mapping::EndpointIndependent)
                    || report.filtering == Finding::Known(Filtering::EndpointIndependent);
                let result =
                    if is_open { Finding::Known(Hairpinning::None) } else { Finding::Unknown(Why::Filtered) };
                return Some(self.end(asks, result));
            }
            if self.rounds >= ROUNDS.1 {
                return Some(self.end(asks, Finding::Unknown(Why::Loss)));
            }
        }
    }

    fn end(&self, asks: &mut Asks, result: Finding<Hairpinning>) -> Finding<Hairpinning> {
        self.sockets.into_iter().flatten().for_each(|socket| asks.sockets.close(socket));
        result
    }
}
