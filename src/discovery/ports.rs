//! Which port and address the next mapping gets (RFC 4787 §4.1, §4.2): a row of fresh sockets asks one server.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::ask::{Ask, AskId};
use super::asks::Asks;
use super::report::{Finding, Report, Sample, Translation};
use super::why::Why;
use crate::io::SocketId;

/// Sockets of a row: so many that 16 samples of parity and pooling come together with those of other tests.
const SOCKETS: usize = 16;
/// Rows, as long as too few of their mappings have a certain order.
const ROWS: u8 = 3;
/// Port steps that are certain: from how many on something is concluded, and how many are looked for.
const DELTAS: (usize, usize) = (6, 12);
/// Samples from which "always" is concluded: by chance it would be once in 32,768 times.
const MIN_SAMPLES: usize = 16;
/// Larger steps are none of counting, unless they are all the same.
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
    rows: u8,
    samples: Vec<Sample>,
    deltas: Vec<i32>,
}

impl Test {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self { server, asked: Vec::new(), rows: 0, samples: Vec::new(), deltas: Vec::new() }
    }

    /// Goes on; true when it is over.
    pub(super) fn poll(&mut self, asks: &mut Asks, report: &mut Report) -> bool {
        loop {
            if self.asked.is_empty() {
                for _ in 0..SOCKETS {
                    let socket = asks.open();
                    self.asked.push((socket, asks.ask(Ask::new(socket, self.server))));
                }
            }
            if self.asked.iter().any(|(_, id)| asks.outcome(*id).is_none()) {
                return false;
            }
            let sample = |(socket, id): &(SocketId, AskId)| {
                let (local, answer) = (asks.local(*socket)?, asks.outcome(*id)?.answer()?);
                let in_order = asks.requests(*id) == 1;
                Some(Sample { local, to: self.server, mapped: answer.mapped, in_order })
            };
            let row: Vec<Option<Sample>> = self.asked.iter().map(sample).collect();
            self.asked.drain(..).for_each(|(socket, _)| asks.sockets.close(socket));
            self.deltas.extend(deltas(&row));
            let is_silent = row.iter().all(Option::is_none);
            self.samples.extend(row.into_iter().flatten());
            self.rows += 1;
            // Few drawn ports may look like counting; more of them do not.
            let is_unclear = self.deltas.len() < DELTAS.1
                || allocation(&self.samples, &self.deltas) == Finding::Unknown(Why::Unstable);
            let needs_more = kept(&self.samples) <= 1 && is_unclear;
            if !needs_more || is_silent || self.rows >= ROWS {
                self.conclude(asks, report);
                return true;
            }
        }
    }

    fn conclude(&mut self, asks: &Asks, report: &mut Report) {
        report.samples.clone_from(&asks.samples);
        report.port_deltas = std::mem::take(&mut self.deltas);
        report.ports = allocation(&self.samples, &report.port_deltas);
        report.parity = parity(&self.samples);
        report.pooling = pooling(&report.samples);
        report.translation = super::mapping::translation(report);
        if report.translation == Finding::Known(Translation::None) {
            report.pooling = Finding::Unknown(Why::NoNat);
        }
    }
}

/// The steps between neighbours of one external address whose order is certain.
fn deltas(row: &[Option<Sample>]) -> Vec<i32> {
    let neighbours = row.windows(2).filter_map(|two| match two {
        [Some(one), Some(two)] if one.in_order && two.in_order && one.mapped.ip() == two.mapped.ip() => {
            Some(i32::from(two.mapped.port()) - i32::from(one.mapped.port()))
        }
        _ => None,
    });
    neighbours.collect()
}

/// How many have the port of their socket.
fn kept(samples: &[Sample]) -> usize {
    samples.iter().filter(|sample| sample.local.port() == sample.mapped.port()).count()
}

fn allocation(samples: &[Sample], deltas: &[i32]) -> Finding<PortAllocation> {
    if samples.len() < DELTAS.0 {
        return Finding::Unknown(Why::TooFew);
    }
    match kept(samples) {
        0 | 1 => {}
        kept if kept == samples.len() => return Finding::Known(PortAllocation::Preserving),
        kept if kept * 2 > samples.len() => return Finding::Known(PortAllocation::PreservingIfFree),
        _ => return Finding::Unknown(Why::Unstable),
    }
    if deltas.len() < DELTAS.0 {
        return Finding::Unknown(Why::TooFew);
    }
    // The most frequent step that passes; the smallest one of several.
    let most = |passes: &dyn Fn(i32) -> bool| {
        let count = |step: i32| deltas.iter().filter(|it| **it == step).count();
        let all = deltas.iter().copied().filter(|it| passes(*it));
        all.map(|step| (count(step), step)).max_by_key(|(count, step)| (*count, -step.abs()))
    };
    let sequential = |delta| Finding::Known(PortAllocation::Sequential { delta });
    if let Some((count, delta)) = most(&|_| true)
        && count >= 4
        && count * 2 >= deltas.len()
    {
        return sequential(delta);
    }
    let steps =
        |sign: i32| deltas.iter().filter(move |it| it.signum() == sign && it.abs() <= MAX_STEP).count();
    let (up, down) = (steps(1), steps(-1));
    let sign = if up >= down { 1 } else { -1 };
    let others = deltas.len() - up.max(down);
    if others <= exceptions(deltas.len()) {
        let found = most(&|step| step.signum() == sign && step.abs() <= MAX_STEP);
        return found.map_or(Finding::Unknown(Why::TooFew), |(_, delta)| sequential(delta));
    }
    if others * 3 >= deltas.len() {
        Finding::Known(PortAllocation::Random)
    } else {
        Finding::Unknown(Why::Unstable)
    }
}

/// So many of the steps of counting may go astray: at the end of the range, or where one was overtaken. Random ports of a
/// small block go up as often as that once in ten thousand times.
fn exceptions(steps: usize) -> usize {
    if steps < 10 { 0 } else { steps / 7 }
}

fn parity(samples: &[Sample]) -> Finding<Parity> {
    // A port that is kept says nothing of those that are not.
    let ports = samples.iter().map(|sample| (sample.local.port(), sample.mapped.port()));
    let changes: Vec<u16> =
        ports.filter(|(own, outer)| own != outer).map(|(own, outer)| (own ^ outer) & 1).collect();
    if changes.contains(&1) {
        Finding::Known(Parity::NotPreserved)
    } else if changes.len() >= MIN_SAMPLES || (changes.is_empty() && samples.len() >= DELTAS.0) {
        Finding::Known(Parity::Preserved)
    } else {
        Finding::Unknown(Why::TooFew)
    }
}

fn pooling(samples: &[Sample]) -> Finding<Pooling> {
    let Some(first) = samples.first() else { return Finding::Unknown(Why::TooFew) };
    let sockets: BTreeSet<SocketAddr> = samples.iter().map(|sample| sample.local).collect();
    if samples.iter().any(|sample| sample.mapped.ip() != first.mapped.ip()) {
        Finding::Known(Pooling::Arbitrary)
    } else if sockets.len() >= MIN_SAMPLES {
        Finding::Known(Pooling::Paired)
    } else {
        Finding::Unknown(Why::TooFew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mappings in the order of their sockets, from port 40000 on, each with its external port.
    fn row(ports: &[u16]) -> Vec<Option<Sample>> {
        let addr = |ip: &str, port| SocketAddr::new(ip.parse().unwrap(), port);
        let sample = |(local, port): (u16, &u16)| Sample {
            local: addr("10.0.0.2", local),
            to: addr("192.0.2.1", 3478),
            mapped: addr("203.0.113.1", *port),
            in_order: true,
        };
        (40_000..).zip(ports).map(sample).map(Some).collect()
    }

    fn told(ports: &[u16]) -> Finding<PortAllocation> {
        let row = row(ports);
        let samples: Vec<_> = row.iter().flatten().copied().collect();
        allocation(&samples, &deltas(&row))
    }

    /// RFC 4787 §4.2.1.
    #[test]
    fn counting_is_told_by_its_steps_whatever_their_size() {
        let sequential = |delta| Finding::Known(PortAllocation::Sequential { delta });
        let count = |step: u16| (0..16).map(|n| 2000 + n * step).collect::<Vec<_>>();
        for step in [1, 2, 7, 512, 513, 1000, 3000] {
            assert_eq!(told(&count(step)), sequential(step.into()), "{step}");
            let back: Vec<_> = count(step).into_iter().rev().collect();
            assert_eq!(told(&back), sequential(-i32::from(step)), "{step}");
        }
        // Others count too, and the range ends.
        let busy = [2000, 2003, 2004, 2005, 2007, 2008, 2009, 2012, 2013, 1024, 1025, 1027, 1028];
        assert_eq!(told(&busy), sequential(1));
    }

    #[test]
    fn few_ports_of_a_small_block_that_happen_to_rise_are_not_counting() {
        for ports in [
            &[2050, 2060, 2045, 2100, 2120, 2130, 2200][..],
            &[2050, 2060, 2145, 2100, 2120, 2130, 2200, 2210],
        ] {
            assert_eq!(told(ports), Finding::Unknown(Why::Unstable), "{ports:?}");
        }
        let random = [2050, 2260, 2145, 2100, 2120, 2090, 2200, 2110, 2111, 2070];
        assert_eq!(told(&random), Finding::Known(PortAllocation::Random));
    }

    /// RFC 4787 §4.2.2: a port that was kept proves nothing.
    #[test]
    fn parity_is_told_by_ports_that_were_changed() {
        let parity = |ports: &[u16]| {
            let samples: Vec<_> = row(ports).into_iter().flatten().collect();
            super::parity(&samples)
        };
        let mut ports: Vec<u16> = (40_000..40_016).collect();
        assert_eq!(parity(&ports), Finding::Known(Parity::Preserved), "all kept");
        (ports[3], ports[7]) = (50_001, 50_003);
        assert_eq!(parity(&ports), Finding::Unknown(Why::TooFew));
        ports[4] = 50_005;
        assert_eq!(parity(&ports), Finding::Known(Parity::NotPreserved));
        let changed: Vec<u16> = (50_000..50_016).collect();
        assert_eq!(parity(&changed), Finding::Known(Parity::Preserved));
    }
}
