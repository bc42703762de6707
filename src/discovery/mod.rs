//! How the NATs between this host and the Internet behave (RFC 5780, in the words of RFC 4787).
//!
//! A [`Probe`] asks STUN servers and compares their answers. It is a machine like [`Agent`](crate::Agent): no sockets, no
//! clock, the same two verbs. Whoever owns the sockets opens those that it asks for.
//!
//! ```text
//!  connectivity ─► filtering ─► mapping ─► ports ─► hairpinning ─► fragments ─► lifetime
//!       │                                                          (both only if asked for)
//!       └─ no answer over UDP: TCP, and that is all
//! ```
//!
//! Filtering comes before anything is sent to the server's other address, which may open the way for answers from there.
//! A fact is [`Finding::Known`] only if no loss and no fault of a server explains it as well; otherwise it is unknown, with
//! the reason. What is found holds now and for these ports: NATs may become more restrictive at any time (RFC 5780 §4).
//!
//! No more than ten transactions a second begin, with at most 1024 of them and 512 sockets in all. Without loss all but the
//! lifetime takes 10 to 40 s and at most 80 packets, with a fifth of the datagrams lost up to 100 s and 200 packets; it is
//! over after [`Config::patience`] in any case. A lifetime takes up to 4.2 times as long as what is found and half a minute
//! more, or if it is longer than the longest that was asked for, that.
//!
//! What cannot be known is not told: whether fragments are dropped, since a server need not answer them; how plain servers
//! would be let in; and with servers that all have one port a mapping that depends on the port alone, which is none of
//! RFC 4787, from one that depends on nothing.

mod ask;
mod asks;
mod behavior;
pub mod config;
pub mod event;
mod filtering;
mod hairpin;
mod lifetime;
mod loss;
mod mapping;
pub mod ports;
mod reach;
pub mod report;
mod sockets;
#[cfg(test)]
mod tests;
pub mod verdict;
pub mod why;

use std::collections::VecDeque;
use std::net::SocketAddr;

pub use config::Config;
pub use event::{Event, Input, Output, Test};
pub use ports::{Parity, Pooling, PortAllocation};
pub use report::{
    Connectivity, Filtering, Finding, Hairpinning, Lifetime, Mapping, Payload, Refresh, Report, Sample,
    Translation,
};
pub use verdict::Verdict;
pub use why::Why;

use ask::{Ask, AskId, Outcome};
use asks::Asks;
use reach::Reach;
use sockets::Sockets;

use crate::io::{SocketId, Transmit, Wake};
use crate::rng::Rng;
use crate::time::{Instant, earliest};

/// A measurement of one address of this host.
#[derive(Debug)]
pub struct Probe {
    config: Config,
    asks: Asks,
    stage: Stage,
    report: Report,
    events: VecDeque<Event>,
    /// When everything but the lifetime is over.
    end: Instant,
    /// The connections that the driver opens, as it was asked to.
    connecting: Vec<SocketAddr>,
    connected: Vec<SocketId>,
}

#[derive(Debug)]
enum Stage {
    Reach(Reach),
    Filtering(filtering::Test),
    Mapping(mapping::Test),
    Ports(ports::Test),
    Hairpinning(hairpin::Test),
    Fragments(AskId),
    Lifetime(lifetime::Test),
    Over,
}

impl Stage {
    fn test(&self) -> Option<Test> {
        Some(match self {
            Self::Reach(_) => Test::Connectivity,
            Self::Filtering(_) => Test::Filtering,
            Self::Mapping(_) => Test::Mapping,
            Self::Ports(_) => Test::Ports,
            Self::Hairpinning(_) => Test::Hairpinning,
            Self::Fragments(_) => Test::Fragments,
            Self::Lifetime(_) => Test::Lifetime,
            Self::Over => return None,
        })
    }
}

impl Probe {
    /// Room that a request may need, in bytes: 64 KiB with [`Config::fragments`], 1280 without.
    pub const BUFFER: usize = 65_535;

    /// Begins to measure.
    pub fn new(config: Config, now: Instant) -> Self {
        let asks = Asks::new(now, Rng::new(config.seed), Sockets::new(config.local));
        let report = Report::new(now, config.local);
        let end = now + config.patience;
        let events = VecDeque::from([Event::Began(Test::Connectivity)]);
        let stage = Stage::Reach(Reach::new());
        let (connecting, connected) = (Vec::new(), Vec::new());
        let mut probe = Self { config, asks, stage, report, events, end, connecting, connected };
        probe.advance(now);
        probe
    }

    /// What is known so far; all of it once [`Event::Done`] was said.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whether nothing more will be measured.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Takes what has happened.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Timeout => {}
            Input::Datagram(datagram) => self.asks.receive(&datagram),
            Input::Opened { socket, local } => self.asks.sockets.bound(socket, local),
            Input::NotOpened { socket } => self.asks.sockets.not_bound(socket, &mut self.asks.rng),
            Input::Connected { request, socket } => {
                if let (Stage::Reach(reach), Some(to)) =
                    (&mut self.stage, self.connecting.get(request.0 as usize))
                    && self.connected.len() < self.connecting.len()
                {
                    self.connected.push(socket);
                    reach.connected(request, socket, *to, &mut self.asks);
                }
            }
            Input::NotConnected { request, why } => {
                if let Stage::Reach(reach) = &mut self.stage {
                    reach.not_connected(request, why);
                }
            }
            Input::Closed { socket, .. } => self.asks.lose(socket),
        }
        self.advance(now);
    }

    /// What is to be done next, until [`Output::Wait`]. A buffer of 1280 bytes is enough, or [`Self::BUFFER`] bytes if
    /// fragments are tested.
    pub fn poll_output<'b>(&mut self, buf: &'b mut [u8]) -> Output<'b> {
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if let Some((socket, local)) = self.asks.sockets.to_open.pop_front() {
            return Output::Open { socket, local };
        }
        if let Stage::Reach(reach) = &mut self.stage
            && let Some(connect) = reach.to_connect.pop()
        {
            return Output::Connect(connect);
        }
        if let Some((socket, destination, len)) = self.asks.write(buf) {
            let payload = buf.get(..len).unwrap_or_default();
            return Output::Transmit(Transmit::new(socket, self.config.local, destination, payload));
        }
        if let Some(socket) = self.asks.sockets.to_close.pop_front() {
            return Output::Close(socket);
        }
        Output::Wait(self.deadline().map(|at| Wake { at, slot: false }))
    }

    fn deadline(&self) -> Option<Instant> {
        let end = match self.stage {
            Stage::Over => return None,
            Stage::Lifetime(_) => None,
            _ => Some(self.end),
        };
        earliest(self.asks.deadline(), end)
    }

    fn advance(&mut self, now: Instant) {
        if !self.is_over() && !matches!(self.stage, Stage::Lifetime(_)) && now >= self.end {
            self.report.blame(Why::OutOfTime);
            self.finish();
        }
        self.asks.advance(now);
        while !self.is_over() && self.poll_stage(now) {
            self.events.extend(self.stage.test().map(Event::Ended));
            self.asks.sockets.close_all();
            self.stage = self.next();
            self.events.extend(self.stage.test().map(Event::Began));
            if self.is_over() {
                self.finish();
            }
        }
        // A slot may be free for what was just asked.
        self.asks.advance(now);
    }

    /// Whether the present stage is over.
    fn poll_stage(&mut self, now: Instant) -> bool {
        let (asks, report) = (&mut self.asks, &mut self.report);
        match &mut self.stage {
            Stage::Reach(reach) => {
                let is_over = reach.poll(&self.config.servers, asks, report);
                if !reach.to_connect.is_empty() && self.connecting.is_empty() {
                    self.connecting = reach.to_connect.iter().map(|connect| connect.remote).collect();
                }
                if is_over {
                    asks.sockets.to_close.extend(self.connected.drain(..));
                }
                is_over
            }
            Stage::Filtering(test) => test.poll(asks).map(|found| report.filtering = found).is_some(),
            Stage::Mapping(test) => test.poll(asks, report),
            Stage::Ports(test) => test.poll(asks, report),
            Stage::Hairpinning(test) => {
                test.poll(asks, report).map(|found| report.hairpinning = found).is_some()
            }
            Stage::Fragments(id) => {
                let Some(outcome) = asks.outcome(*id) else { return false };
                report.fragments_pass = match outcome {
                    Outcome::Answer(_) => Finding::Known(()),
                    Outcome::Refused(code) => Finding::Unknown(Why::Refused(code)),
                    _ => Finding::Unknown(Why::NoAnswer),
                };
                true
            }
            Stage::Lifetime(test) => test.poll(now, asks, report),
            Stage::Over => false,
        }
    }

    fn next(&mut self) -> Stage {
        let Some(server) = self.report.server else { return Stage::Over };
        let mapping = || Stage::Mapping(mapping::Test::new(server, self.report.other, &self.config.servers));
        let lifetime = || match self.config.lifetime {
            Some(longest) => Stage::Lifetime(lifetime::Test::new(server, longest)),
            None => Stage::Over,
        };
        match &self.stage {
            Stage::Reach(_) => match self.report.other {
                Some(other) => Stage::Filtering(filtering::Test::new(server, other)),
                None => mapping(),
            },
            Stage::Filtering(_) => mapping(),
            Stage::Mapping(_) if self.report.mapping == Finding::Unknown(Why::Implausible) => Stage::Over,
            Stage::Mapping(_) => Stage::Ports(ports::Test::new(server)),
            Stage::Ports(_) => Stage::Hairpinning(hairpin::Test::new(server)),
            Stage::Hairpinning(_) => match self.config.mtu {
                Some(mtu) => {
                    let socket = self.asks.open();
                    Stage::Fragments(self.asks.ask(Ask::new(socket, server).longer_than(mtu)))
                }
                None => lifetime(),
            },
            Stage::Fragments(_) => lifetime(),
            Stage::Lifetime(_) | Stage::Over => Stage::Over,
        }
    }

    /// Ends it: nothing more is sent, every socket is closed.
    fn finish(&mut self) {
        self.stage = Stage::Over;
        self.asks.drop_open();
        self.asks.sockets.close_all();
        self.report.samples.clone_from(&self.asks.samples);
        self.events.push_back(Event::Done);
    }
}
