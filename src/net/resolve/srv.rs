//! SRV records: which service a URI asks for, and the order of its servers (RFC 2782).

use std::fmt;

use crate::io::Transport;
use crate::stun::uri::{Scheme, Uri};

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Srv {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    /// Without the dot at the end; empty for the root.
    pub(super) target: String,
}

impl Srv {
    /// The root as target says that the service is not there (RFC 2782).
    pub(super) fn is_service(&self) -> bool {
        !self.target.is_empty() && self.port != 0
    }
}

impl fmt::Display for Srv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { priority, weight, port, target } = self;
        write!(f, "{priority} {weight} {port} {target}.")
    }
}

/// The service and protocol labels; `None` for DTLS, which floe does not speak.
pub(super) fn service(uri: &Uri) -> Option<&'static str> {
    match (uri.scheme, uri.transport_or_default()) {
        (Scheme::Stun, Transport::Udp) => Some("_stun._udp"),
        (Scheme::Stun, Transport::Tcp) => Some("_stun._tcp"),
        (Scheme::Stuns, Transport::Tcp) => Some("_stuns._tcp"),
        (Scheme::Turn, Transport::Udp) => Some("_turn._udp"),
        (Scheme::Turn, Transport::Tcp) => Some("_turn._tcp"),
        (Scheme::Turns, Transport::Tcp) => Some("_turns._tcp"),
        (Scheme::Stuns | Scheme::Turns, Transport::Udp) => None,
    }
}

/// The service and protocol labels of behaviour discovery (RFC 5780 §5.1).
pub(super) fn behavior_service(uri: &Uri) -> Option<&'static str> {
    match (uri.scheme, uri.transport_or_default()) {
        (Scheme::Stun, Transport::Udp) => Some("_stun-behavior._udp"),
        (Scheme::Stun, Transport::Tcp) => Some("_stun-behavior._tcp"),
        (Scheme::Stuns, Transport::Tcp) => Some("_stun-behaviors._tcp"),
        _ => None,
    }
}

/// The order in which servers are tried: by priority, and among equals by a draw that weight favours; `below` draws a
/// number below its argument.
pub(super) fn in_order(mut records: Vec<Srv>, mut below: impl FnMut(u32) -> u32) -> Vec<Srv> {
    // Those of weight 0 first: a draw of 0 takes one of them, which is their small chance.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let equals = records.partition_point(|record| record.priority == priority);
        let total: u32 = records[..equals].iter().map(|record| u32::from(record.weight)).sum();
        let mut left = below(total + 1);
        let drawn = records[..equals].iter().position(|record| {
            let is_drawn = left <= u32::from(record.weight);
            left = left.saturating_sub(u32::from(record.weight));
            is_drawn
        });
        ordered.push(records.remove(drawn.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5780 §5.1, and the default ports of RFC 8489 §8.1 without a record.
    #[test]
    fn behaviour_discovery_has_services_of_its_own() {
        let of = |text: &str, transport| {
            let mut uri: Uri = text.parse().unwrap();
            uri.transport = transport;
            (behavior_service(&uri), uri.port_or_default())
        };
        assert_eq!(of("stun:example.org", None), (Some("_stun-behavior._udp"), 3478));
        assert_eq!(of("stun:example.org", Some(Transport::Tcp)), (Some("_stun-behavior._tcp"), 3478));
        assert_eq!(of("stuns:example.org", Some(Transport::Tcp)), (Some("_stun-behaviors._tcp"), 5349));
        assert_eq!(of("turn:example.org", None).0, None);
    }

    fn record(priority: u16, weight: u16) -> Srv {
        Srv { priority, weight, port: 3478, target: format!("{priority}-{weight}.example.org") }
    }

    fn weights(records: &[Srv]) -> Vec<u16> {
        records.iter().map(|record| record.weight).collect()
    }

    #[test]
    fn the_service_follows_scheme_and_transport() {
        for (uri, wanted) in [
            ("stun:example.org", Some("_stun._udp")),
            ("stuns:example.org", Some("_stuns._tcp")),
            ("turn:example.org", Some("_turn._udp")),
            ("turn:example.org?transport=udp", Some("_turn._udp")),
            ("turn:example.org?transport=tcp", Some("_turn._tcp")),
            ("turns:example.org", Some("_turns._tcp")),
            ("turns:example.org?transport=udp", None),
        ] {
            assert_eq!(service(&uri.parse().unwrap()), wanted, "{uri}");
        }
    }

    #[test]
    fn a_smaller_priority_comes_first_whatever_the_weights() {
        let ordered = in_order(vec![record(20, 65535), record(10, 1), record(20, 0)], |_| 0);
        let priorities: Vec<_> = ordered.iter().map(|record| record.priority).collect();
        assert_eq!(priorities, [10, 20, 20]);
    }

    /// RFC 2782: a running sum, and the first record whose sum is at least the number drawn from 0 to the total.
    #[test]
    fn among_equals_the_draw_is_by_weight() {
        let records = || vec![record(1, 60), record(1, 0), record(1, 40)];
        for (drawn, first) in [(0, 0), (1, 40), (40, 40), (41, 60), (100, 60)] {
            let mut draws = vec![0, 0, drawn];
            let ordered = in_order(records(), |_| draws.pop().unwrap());
            assert_eq!(ordered[0].weight, first, "{drawn}");
        }
        let mut bounds = Vec::new();
        let ordered = in_order(records(), |bound| {
            bounds.push(bound);
            bound - 1
        });
        assert_eq!(weights(&ordered), [60, 40, 0]);
        assert_eq!(bounds, [101, 41, 1]);
    }
}
