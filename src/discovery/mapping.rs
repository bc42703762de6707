//! Which destinations share a mapping (RFC 5780 §4.3): one socket asks all addresses and ports of the server, twice, and
//! so does another one in the opposite order.

use std::net::SocketAddr;

use super::ask::{Ask, AskId};
use super::asks::Asks;
use super::report::{Finding, Mapping, Report, Translation};
use super::why::Why;
use crate::io::SocketId;

/// Plain servers that are asked.
const MAX_SERVERS: usize = 4;
/// Sockets that have to agree, and that are used for it.
const SOCKETS: (usize, usize) = (2, 4);

/// What one destination sees.
type Seen = (SocketAddr, SocketAddr);

#[derive(Debug)]
struct Round {
    socket: SocketId,
    first: Vec<AskId>,
    again: Vec<AskId>,
}

#[derive(Debug)]
pub(super) struct Test {
    destinations: Vec<SocketAddr>,
    is_one_server: bool,
    /// Other servers, if the second address of this one turns out to be none.
    plain: Vec<SocketAddr>,
    rounds: usize,
    round: Option<Round>,
    /// What each stable socket looked like.
    stable: Vec<Vec<Seen>>,
    sockets: Vec<SocketId>,
}

impl Test {
    pub(super) fn new(server: SocketAddr, other: Option<SocketAddr>, servers: &[SocketAddr]) -> Self {
        let more = servers.iter().copied().filter(|it| *it != server);
        let plain: Vec<_> = std::iter::once(server).chain(more).take(MAX_SERVERS).collect();
        let (destinations, plain) = if let Some(other) = other {
            let [away, back] =
                [(other, server), (server, other)].map(|(ip, port)| SocketAddr::new(ip.ip(), port.port()));
            (vec![server, away, other, back], plain)
        } else {
            (plain, Vec::new())
        };
        Self::toward(destinations, plain, other.is_some())
    }

    fn toward(destinations: Vec<SocketAddr>, plain: Vec<SocketAddr>, is_one_server: bool) -> Self {
        let (stable, sockets) = (Vec::new(), Vec::new());
        Self { destinations, is_one_server, plain, rounds: 0, round: None, stable, sockets }
    }

    /// Goes on; true when it is over.
    pub(super) fn poll(&mut self, asks: &mut Asks, report: &mut Report) -> bool {
        loop {
            let Some(round) = &mut self.round else {
                if self.stable.len() >= SOCKETS.0 || self.rounds >= SOCKETS.1 {
                    self.conclude(report);
                    self.sockets.drain(..).for_each(|socket| asks.sockets.close(socket));
                    if report.mapping == Finding::Unknown(Why::OneServer) && self.plain.len() > 1 {
                        *self = Self::toward(std::mem::take(&mut self.plain), Vec::new(), false);
                        continue;
                    }
                    return true;
                }
                self.begin(asks);
                continue;
            };
            let answers = |ids: &[AskId]| -> Option<Vec<Option<Seen>>> {
                let one = |id: &AskId| {
                    let outcome = asks.outcome(*id)?;
                    Some(outcome.answer().and_then(|answer| Some((asks.asked(*id)?.to, answer.mapped))))
                };
                ids.iter().map(one).collect()
            };
            let Some(first) = answers(&round.first) else { return false };
            if round.again.is_empty() {
                let answered: Vec<SocketAddr> = first.iter().flatten().map(|(to, _)| *to).collect();
                if !answered.is_empty() {
                    let ask = |to: &SocketAddr| asks.ask(Ask::new(round.socket, *to));
                    round.again = answered.iter().rev().map(ask).collect();
                    continue;
                }
            }
            let Some(again) = answers(&round.again) else { return false };
            let first: Vec<Seen> = first.into_iter().flatten().collect();
            let same = |seen: &Seen| again.iter().flatten().any(|it| it == seen);
            if !first.is_empty() && first.iter().all(same) {
                if self.stable.is_empty() {
                    report.local = asks.local(round.socket).unwrap_or(report.local);
                    let of_server = first.iter().find(|(to, _)| Some(*to) == report.server);
                    report.mapped = of_server.map(|(_, mapped)| *mapped).or(report.mapped);
                }
                self.stable.push(first);
            }
            self.round = None;
        }
    }

    fn begin(&mut self, asks: &mut Asks) {
        let socket = asks.open();
        self.sockets.push(socket);
        let mut order = self.destinations.clone();
        if self.rounds % 2 == 1 {
            order.reverse();
        }
        self.rounds += 1;
        let first = order.into_iter().map(|to| asks.ask(Ask::new(socket, to))).collect();
        self.round = Some(Round { socket, first, again: Vec::new() });
    }

    fn conclude(&self, report: &mut Report) {
        report.mapping = self.mapping();
        if report.mapping == Finding::Unknown(Why::Implausible) {
            report.translation = Finding::Unknown(Why::Implausible);
            report.blame(Why::Implausible);
        }
    }

    fn mapping(&self) -> Finding<Mapping> {
        let [one, two, ..] = self.stable.as_slice() else {
            return Finding::Unknown(Why::Unstable);
        };
        // No NAT has one external endpoint for two sockets towards the same server.
        if one.iter().any(|seen| two.contains(seen)) {
            return Finding::Unknown(Why::Implausible);
        }
        let addresses = |seen: &[Seen]| seen.iter().any(|(_, mapped)| mapped.ip() != seen[0].1.ip());
        if !self.is_one_server && (addresses(one) || addresses(two)) {
            return Finding::Unknown(Why::ServersDisagree);
        }
        match (classify(one), classify(two)) {
            (one, two) if one == two => one,
            _ => Finding::Unknown(Why::Unstable),
        }
    }
}

/// What the endpoints that several destinations saw of one socket prove.
fn classify(seen: &[Seen]) -> Finding<Mapping> {
    let pairs = || seen.iter().enumerate().flat_map(|(at, one)| seen[..at].iter().map(move |two| (one, two)));
    // Whether two destinations that differ in this way only see the same: Some(false) if some do not.
    let with = |differ: fn(&SocketAddr, &SocketAddr) -> bool| {
        let mut equal = pairs().filter(|(one, two)| differ(&one.0, &two.0)).map(|(one, two)| one.1 == two.1);
        let first = equal.next()?;
        Some(if equal.all(|it| it == first) { Ok(first) } else { Err(()) })
    };
    let by_port = with(|a, b| a.ip() == b.ip() && a.port() != b.port());
    let by_address = with(|a, b| a.ip() != b.ip() && a.port() == b.port());
    let by_both = with(|a, b| a.ip() != b.ip() && a.port() != b.port());
    let all_equal = pairs().all(|(one, two)| one.1 == two.1);
    let has_addresses = by_address.is_some() || by_both.is_some();
    let known = |mapping| Finding::Known(mapping);
    match (by_port, by_address) {
        _ if seen.len() < 2 => Finding::Unknown(Why::OneServer),
        _ if all_equal && has_addresses => known(Mapping::EndpointIndependent),
        _ if all_equal => Finding::Unknown(Why::OneServer),
        (Some(Ok(false)), Some(Ok(false))) => known(Mapping::AddressAndPortDependent),
        (Some(Ok(true)), Some(Ok(false))) => known(Mapping::AddressDependent),
        (Some(Ok(false)), Some(Ok(true))) => known(Mapping::PortDependent),
        _ => known(Mapping::Dependent),
    }
}

/// Whether what servers saw is what the sockets are.
pub(super) fn translation(report: &Report) -> Finding<Translation> {
    let same = report.samples.iter().filter(|sample| sample.local == sample.mapped).count();
    match (same, report.samples.len()) {
        (_, 0) => Finding::Unknown(Why::TooFew),
        (0, _) => Finding::Known(Translation::Translated),
        (same, all) if same == all => Finding::Known(Translation::None),
        _ => Finding::Unknown(Why::Unstable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(all: &[(&str, u16)]) -> Vec<Seen> {
        let mapped = |port| SocketAddr::new("203.0.113.1".parse().unwrap(), port);
        all.iter().map(|(to, port)| (to.parse().unwrap(), mapped(*port))).collect()
    }

    /// RFC 4787 §4.1.
    #[test]
    fn what_destinations_see_is_told_in_the_words_of_rfc_4787() {
        use Mapping::*;
        const FOUR: [&str; 4] = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.2:2", "192.0.2.1:2"];
        for (ports, mapping) in [
            ([5, 5, 5, 5], EndpointIndependent),
            ([5, 6, 6, 5], AddressDependent),
            ([5, 6, 7, 8], AddressAndPortDependent),
            ([5, 5, 6, 6], PortDependent),
            ([5, 5, 5, 6], Dependent),
        ] {
            let all: Vec<_> = FOUR.into_iter().zip(ports).collect();
            assert_eq!(classify(&seen(&all)), Finding::Known(mapping), "{ports:?}");
        }
    }

    #[test]
    fn fewer_destinations_tell_less() {
        let one = Finding::Unknown(Why::OneServer);
        assert_eq!(classify(&seen(&[("192.0.2.1:1", 5)])), one);
        assert_eq!(classify(&seen(&[("192.0.2.1:1", 5), ("192.0.2.1:2", 5)])), one);
        for (ports, mapping) in [((5, 5), Mapping::EndpointIndependent), ((5, 6), Mapping::Dependent)] {
            let two = seen(&[("192.0.2.1:1", ports.0), ("192.0.2.2:1", ports.1)]);
            assert_eq!(classify(&two), Finding::Known(mapping));
        }
    }
}
