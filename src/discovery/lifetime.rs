//! How long a mapping lives, and what keeps it alive (RFC 5780 §4.6).
//!
//! A socket asks the server once, which makes its mapping, and is silent from then on. After a time T another socket has
//! the server answer to the first one's external port (RESPONSE-PORT): what arrives tells that the mapping is alive.
//! Instead of one T after the other, several sockets wait for as many T at the same time, first over the whole range,
//! then between the longest T that was survived and the shortest that was not.

use std::net::SocketAddr;

use super::ask::{Ask, AskId, Outcome};
use super::asks::Asks;
use super::report::{Finding, Lifetime, Refresh, Report};
use super::why::Why;
use crate::io::SocketId;
use crate::time::{Duration, Instant};

/// Times that are tried first, in seconds.
const TIMES: [u64; 14] = [10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1200];
/// Sockets of the second row.
const FINER: u32 = 8;
/// A bracket that is narrower is narrow enough.
const NARROW: Duration = Duration::from_secs(4);
/// Requests of a transaction.
const REQUESTS: u32 = 4;
/// Transactions about a mapping, at most.
const MAX_ATTEMPTS: u32 = 5;
/// From the first request of a transaction to the last one, and from that first one to that of the next transaction at
/// the latest: so long a mapping may have lived on after the first request about it.
const SLACK: (Duration, Duration) = (Duration::from_millis(3500), Duration::from_millis(8300));

/// A mapping that waits to be looked at.
#[derive(Debug)]
struct Waiting {
    socket: SocketId,
    made: AskId,
    after: Duration,
    looked: Option<AskId>,
}

#[derive(Debug)]
enum Phase {
    /// Does RESPONSE-PORT work at all?
    Control(Waiting),
    /// The first row, and the second.
    Row(Vec<Waiting>),
    /// Is one alive after traffic from outside, and another one after traffic from inside?
    Refresh(Refreshed, Refreshed),
}

/// A mapping that sees traffic of one side before its time is over, and is looked at when it would be.
#[derive(Debug)]
struct Refreshed {
    waiting: Waiting,
    traffic: Traffic,
    alive: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    /// A look is a datagram from outside.
    Inbound,
    /// The socket that asks about the others has been silent too, and may look otherwise now; `None` before it is asked.
    Renewal(Option<AskId>),
    /// A request of the socket itself whose answer goes to that other one: it would be traffic from outside.
    Outbound(AskId),
    /// It was there.
    Over,
}

#[derive(Debug)]
pub(super) struct Test {
    server: SocketAddr,
    longest: Duration,
    /// The socket that asks about the others.
    asker: Option<(SocketId, AskId)>,
    phase: Option<Phase>,
    alive: Duration,
    dead: Option<Duration>,
    rows: u8,
}

impl Test {
    pub(super) fn new(server: SocketAddr, longest: Duration) -> Self {
        Self { server, longest, asker: None, phase: None, alive: Duration::ZERO, dead: None, rows: 0 }
    }

    /// Goes on; true when it is over.
    pub(super) fn poll(&mut self, now: Instant, asks: &mut Asks, report: &mut Report) -> bool {
        match self.step(now, asks, report) {
            Some(Err(why)) => {
                if report.lifetime.known().is_none() {
                    report.lifetime = Finding::Unknown(why);
                }
                report.refresh = Finding::Unknown(why);
                asks.sockets.close_all();
                true
            }
            Some(Ok(())) => {
                asks.sockets.close_all();
                true
            }
            None => false,
        }
    }

    /// `None` while something is waited for.
    fn step(&mut self, now: Instant, asks: &mut Asks, report: &mut Report) -> Option<Result<(), Why>> {
        let server = self.server;
        let (asker, own) = *self.asker.get_or_insert_with(|| {
            let socket = asks.open();
            (socket, asks.ask(Ask::new(socket, server)))
        });
        let Some(own) = asks.outcome(own)?.answer() else { return Some(Err(Why::NoAnswer)) };
        let own = own.mapped;
        loop {
            let Some(phase) = &mut self.phase else {
                self.phase = Some(Phase::Control(Waiting::new(server, Duration::ZERO, asks)));
                continue;
            };
            match phase {
                Phase::Control(waiting) => {
                    match waiting.look(now, asker, own, server, asks)? {
                        Look::Alive => {}
                        Look::Dead => return Some(Err(Why::Ignored)),
                        Look::Never(why) => return Some(Err(why)),
                    }
                    waiting.close(asks);
                    let seconds = TIMES.iter().map(|seconds| Duration::from_secs(*seconds));
                    let mut times: Vec<_> = seconds.filter(|time| *time < self.longest).collect();
                    times.push(self.longest);
                    self.phase = Some(Phase::Row(row(server, &times, asks)));
                }
                Phase::Row(row) => {
                    let mut is_open = false;
                    let mut first_dead = None;
                    for waiting in row.iter_mut() {
                        match waiting.look(now, asker, own, server, asks) {
                            // What is looked at behind a dead one does not matter.
                            None => {
                                is_open = true;
                                break;
                            }
                            Some(Look::Alive) => self.alive = self.alive.max(waiting.after),
                            Some(Look::Dead) => {
                                first_dead = Some(waiting.after);
                                break;
                            }
                            Some(Look::Never(why)) => return Some(Err(why)),
                        }
                    }
                    if is_open {
                        // The later ones have their own times.
                        for waiting in row.iter_mut() {
                            let _ = waiting.look(now, asker, own, server, asks);
                        }
                        return None;
                    }
                    for waiting in row.iter() {
                        waiting.close(asks);
                    }
                    self.rows += 1;
                    self.dead = first_dead.or(self.dead);
                    let Some(dead) = self.dead else {
                        report.lifetime = Finding::Known(Lifetime::LongerThan(self.alive));
                        report.refresh = Finding::Unknown(Why::NotMeasured);
                        return Some(Ok(()));
                    };
                    if dead <= self.alive {
                        return Some(Err(Why::Unstable));
                    }
                    let gap = dead.saturating_sub(self.alive);
                    if self.rows < 2 && gap > NARROW {
                        let parts = FINER + 1;
                        let times: Vec<_> = (1..parts).map(|n| self.alive + gap * n / parts).collect();
                        self.phase = Some(Phase::Row(self::row(server, &times, asks)));
                        continue;
                    }
                    // So many requests without an answer are no loss; until the last of them it may have lived.
                    let more = attempts(asks).saturating_sub(1);
                    let upper = dead + SLACK.0 + SLACK.1 * more;
                    report.lifetime = Finding::Known(Lifetime::Between(self.alive, upper));
                    let look = self.alive * 4 / 5;
                    if look * 2 <= upper {
                        return Some(Err(Why::TooFew));
                    }
                    let [inbound, outbound] = [Traffic::Inbound, Traffic::Renewal(None)]
                        .map(|traffic| Refreshed::new(traffic, Waiting::new(server, look, asks)));
                    self.phase = Some(Phase::Refresh(inbound, outbound));
                }
                Phase::Refresh(inbound, outbound) => {
                    let found = [inbound, outbound].map(|it| it.poll(now, asker, own, server, asks));
                    if let Some(why) = found.iter().find_map(|it| it.as_ref()?.as_ref().err()) {
                        return Some(Err(*why));
                    }
                    let [Some(Ok(inbound)), Some(Ok(outbound))] = found else { return None };
                    report.refresh = Finding::Known(match (inbound, outbound) {
                        (true, true) => Refresh::Inbound,
                        (true, false) => Refresh::InboundOnly,
                        (false, true) => Refresh::Outbound,
                        (false, false) => Refresh::Neither,
                    });
                    return Some(Ok(()));
                }
            }
        }
    }
}

/// What a look at a mapping tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Alive,
    Dead,
    Never(Why),
}

impl Refreshed {
    fn new(traffic: Traffic, waiting: Waiting) -> Self {
        Self { waiting, traffic, alive: None }
    }

    /// Whether the traffic has kept it alive; `None` while it is waited for.
    fn poll(
        &mut self,
        now: Instant,
        asker: SocketId,
        own: SocketAddr,
        server: SocketAddr,
        asks: &mut Asks,
    ) -> Option<Result<bool, Why>> {
        if let Some(alive) = self.alive {
            return Some(Ok(alive));
        }
        if let Traffic::Renewal(id) = self.traffic {
            asks.outcome(self.waiting.made)?;
            let ask = || Ask::new(asker, server).not_before(now + self.waiting.after);
            let id = id.unwrap_or_else(|| asks.ask(ask()));
            self.traffic = Traffic::Renewal(Some(id));
            let Some(asker_now) = asks.outcome(id)?.answer() else { return Some(Err(Why::NoAnswer)) };
            let ask = Ask::new(self.waiting.socket, server).respond_to(asker_now.mapped.port(), asker);
            self.traffic = Traffic::Outbound(asks.ask(ask));
        }
        if let Traffic::Outbound(id) = self.traffic {
            if asks.outcome(id)?.answer().is_none() {
                return Some(Err(Why::Unstable));
            }
            self.traffic = Traffic::Over;
        }
        let look = self.waiting.look(now, asker, own, server, asks)?;
        match (look, self.traffic) {
            (Look::Never(why), _) => Some(Err(why)),
            (Look::Dead, Traffic::Inbound) => Some(Err(Why::Unstable)),
            (Look::Alive, Traffic::Inbound) => {
                self.traffic = Traffic::Over;
                self.waiting.looked = None;
                let _ = self.waiting.look(now, asker, own, server, asks);
                None
            }
            (look, _) => {
                self.alive = Some(look == Look::Alive);
                Some(Ok(look == Look::Alive))
            }
        }
    }
}

/// So many transactions without an answer are no loss.
fn attempts(asks: &Asks) -> u32 {
    asks.loss.proof().div_ceil(REQUESTS)
}

fn row(server: SocketAddr, times: &[Duration], asks: &mut Asks) -> Vec<Waiting> {
    times.iter().map(|after| Waiting::new(server, *after, asks)).collect()
}

impl Waiting {
    fn new(server: SocketAddr, after: Duration, asks: &mut Asks) -> Self {
        let socket = asks.open();
        Self { socket, made: asks.ask(Ask::new(socket, server)), after, looked: None }
    }

    fn close(&self, asks: &mut Asks) {
        asks.sockets.close(self.socket);
    }

    /// Has the server answer to the mapping when it is time; `None` while it is waited for.
    fn look(
        &mut self,
        now: Instant,
        asker: SocketId,
        own: SocketAddr,
        server: SocketAddr,
        asks: &mut Asks,
    ) -> Option<Look> {
        let Some(made) = asks.outcome(self.made)?.answer() else { return Some(Look::Never(Why::NoAnswer)) };
        // The answer goes to the address that asks.
        if made.mapped.ip() != own.ip() {
            return Some(Look::Never(Why::SeveralAddresses));
        }
        let Some(looked) = self.looked else {
            // One more, in case that loss turns out to be worse.
            let attempts = match attempts(asks) {
                1 => 1,
                more => more.saturating_add(1).min(MAX_ATTEMPTS),
            };
            let ask = Ask::new(asker, server).respond_to(made.mapped.port(), self.socket);
            let ask = ask.attempts(attempts as u8);
            self.looked = Some(asks.ask(ask.not_before(now + self.after)));
            return None;
        };
        Some(match asks.outcome(looked)? {
            Outcome::Answer(_) => Look::Alive,
            Outcome::Refused(code) => Look::Never(Why::Refused(code)),
            Outcome::Silent if !asks.loss.proves_filter(asks.requests(looked)) => Look::Never(Why::Loss),
            Outcome::Silent | Outcome::Ignored => Look::Dead,
            Outcome::NoSocket => Look::Never(Why::NoSocket),
            _ => Look::Never(Why::Unreadable),
        })
    }
}
