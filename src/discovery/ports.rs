//! Which port and address the next mapping gets (RFC 4787 §4.1, §4.2): a row of fresh sockets asks one server.

use std::net::SocketAddr;

use super::ask::{Ask, AskId};
use super::asks::Asks;
use super::report::{Finding, Report, Sample, Translation};
use super::why::Why;
use crate::io::SocketId;

/// Sockets of a row: so many that 16 samples of parity and pooling come together with those of other tests.
const SOCKETS: usize = 16;
/// Port steps that are certain, at least.
const MIN_DELTAS: usize = 6;
/// Samples from which "always" is concluded: by chance it would be once in 32,768 times.
const MIN_SAMPLES: usize = 16;
/// Larger steps are none of counting.
const MAX_STEP: i32 = 512;

/// Which port a new mapping gets (RFC 4787 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortAllocation {
    /// That of the socket, every time.
    Preserving,
    /// That of the socket most times: when it is free.
    PreservingIfFree,
    /// So much higher than that of the mapping before (lower if negative), most times; others may come in between.
    Sequential {
        /// The most frequent step.
        delta: i32,
    },
    /// Any: it cannot be predicted.
    Random,
}

/// Whether even ports stay even and odd ones odd (RFC 4787 §4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parity {
    /// They do.
    Preserved,
    /// Not always.
    NotPreserved,
}

/// Which external address the mappings of one host get (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The same for all: "paired", or there is only one.
    Paired,
    /// Different ones: "arbitrary".
    Arbitrary,
}

#[derive(Debug)]
pub(super) struct Test {
    server: SocketAddr,
    asked: Vec<(SocketId, AskId)>,
}

impl Test {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self { server, asked: Vec::new() }
    }

    /// Goes on; true when it is over.
    pub(super) fn poll(&mut self, asks: &mut Asks, report: &mut Report) -> bool {
        if self.asked.is_empty() {
            for _ in 0..SOCKETS {
                let socket = asks.open();
                self.asked.push((socket, asks.ask(Ask::new(socket, self.server))));
            }
        }
        if self.asked.iter().any(|(_, id)| asks.outcome(*id).is_none()) {
            return false;
        }
        let row: Vec<Sample> = self
            .asked
            .iter()
            .filter_map(|(socket, id)| {
                let (local, answer) = (asks.local(*socket)?, asks.outcome(*id)?.answer()?);
                let in_order = asks.requests(*id) == 1;
                Some(Sample { local, to: self.server, mapped: answer.mapped, in_order })
            })
            .collect();
        self.asked.drain(..).for_each(|(socket, _)| asks.sockets.close(socket));
        report.samples.clone_from(&asks.samples);
        report.port_deltas = deltas(&row);
        report.ports = allocation(&row, &report.port_deltas);
        report.parity = parity(&row, report.ports);
        report.pooling = pooling(&report.samples);
        report.translation = super::mapping::translation(report);
        if report.translation == Finding::Known(Translation::None) {
            report.pooling = Finding::Unknown(Why::NoNat);
        }
        true
    }
}

/// The steps between neighbours of one external address whose order is certain.
fn deltas(row: &[Sample]) -> Vec<i32> {
    let neighbours = row.windows(2).filter_map(|two| match two {
        [one, two] if one.in_order && two.in_order && one.mapped.ip() == two.mapped.ip() => {
            Some(i32::from(two.mapped.port()) - i32::from(one.mapped.port()))
        }
        _ => None,
    });
    neighbours.collect()
}

fn allocation(row: &[Sample], deltas: &[i32]) -> Finding<PortAllocation> {
    let kept = row.iter().filter(|sample| sample.local.port() == sample.mapped.port()).count();
    if row.len() < MIN_DELTAS {
        return Finding::Unknown(Why::TooFew);
    }
    match kept {
        0 | 1 => {}
        _ if kept == row.len() => return Finding::Known(PortAllocation::Preserving),
        _ if kept * 2 > row.len() => return Finding::Known(PortAllocation::PreservingIfFree),
        _ => return Finding::Unknown(Why::Unstable),
    }
    if deltas.len() < MIN_DELTAS {
        return Finding::Unknown(Why::TooFew);
    }
    let steps = |sign: i32| deltas.iter().filter(move |it| it.signum() == sign && it.abs() <= MAX_STEP);
    let (up, down) = (steps(1).count(), steps(-1).count());
    let sign = if up >= down { 1 } else { -1 };
    // One may have been at the end of the range, one may have been overtaken.
    if up.max(down) + 2 >= deltas.len() {
        let most = steps(sign).max_by_key(|step| (steps(sign).filter(|it| it == step).count(), -step.abs()));
        return match most {
            Some(delta) => Finding::Known(PortAllocation::Sequential { delta: *delta }),
            None => Finding::Unknown(Why::TooFew),
        };
    }
    let others = deltas.len() - up.max(down);
    if others >= 3 { Finding::Known(PortAllocation::Random) } else { Finding::Unknown(Why::Unstable) }
}

fn parity(row: &[Sample], ports: Finding<PortAllocation>) -> Finding<Parity> {
    let changed = row.iter().any(|sample| (sample.local.port() ^ sample.mapped.port()) & 1 == 1);
    if changed {
        Finding::Known(Parity::NotPreserved)
    } else if ports == Finding::Known(PortAllocation::Preserving) || row.len() >= MIN_SAMPLES {
        Finding::Known(Parity::Preserved)
    } else {
        Finding::Unknown(Why::TooFew)
    }
}

fn pooling(samples: &[Sample]) -> Finding<Pooling> {
    let Some(first) = samples.first() else { return Finding::Unknown(Why::TooFew) };
    if samples.iter().any(|sample| sample.mapped.ip() != first.mapped.ip()) {
        Finding::Known(Pooling::Arbitrary)
    } else if samples.len() >= MIN_SAMPLES {
        Finding::Known(Pooling::Paired)
    } else {
        Finding::Unknown(Why::TooFew)
    }
}
