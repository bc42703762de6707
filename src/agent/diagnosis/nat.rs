//! What the addresses that others saw say about the NATs on the way.

use std::net::{IpAddr, Ipv4Addr};

use super::{Base, Diagnosis, End, Ends};
use crate::candidate::CandidateType;

/// Whose NAT was seen to map each destination anew (RFC 4787 §4.1).
pub(super) fn dependent(facts: &Diagnosis) -> Option<Ends> {
    match (ours_depends(facts), theirs_depends(facts)) {
        (true, true) => Some(Ends::Both),
        (true, false) => Some(Ends::Ours),
        (false, true) => Some(Ends::Peers),
        (false, false) => None,
    }
}

/// Two observers saw one base at two addresses.
fn ours_depends(facts: &Diagnosis) -> bool {
    facts.bases.iter().filter(|base| base.relay.is_none()).any(|base| {
        let asked = facts.servers.iter().filter(|server| server.base == base.addr);
        let learnt = base.candidates.iter().filter(|end| is_reflexive(end)).map(|end| end.addr);
        let mut seen =
            asked.filter_map(|server| server.mapped).chain(learnt).filter(|addr| *addr != base.addr);
        seen.next().is_some_and(|first| seen.any(|other| other != first))
    })
}

/// The peer's checks came from its reflexive address, but from another port than it knows of.
fn theirs_depends(facts: &Diagnosis) -> bool {
    let of = |kind| facts.peer.candidates.iter().filter(move |end| end.kind == kind).map(|end| end.addr);
    of(CandidateType::PeerReflexive)
        .any(|learnt| of(CandidateType::ServerReflexive).any(|told| told.ip() == learnt.ip()))
}

/// Whether some server, or the peer, was seen to be behind a NAT, or we were.
pub(super) fn between(facts: &Diagnosis) -> bool {
    let ours = facts.bases.iter().filter(|base| base.relay.is_none()).flat_map(|base| &base.candidates);
    ours.chain(&facts.peer.candidates).any(is_reflexive)
}

fn is_reflexive(end: &End) -> bool {
    matches!(end.kind, CandidateType::ServerReflexive | CandidateType::PeerReflexive)
}

/// Whether all these ends are private addresses of networks that none of our bases is in.
pub(super) fn are_foreign(ends: &[End], bases: &[Base]) -> bool {
    let foreign = |end: &End| {
        let ip = end.addr.ip();
        end.kind == CandidateType::Host
            && is_private(ip)
            && !bases.iter().any(|base| same_net(base.addr.ip(), ip))
    };
    !ends.is_empty() && ends.iter().all(foreign)
}

/// RFC 1918, RFC 6598, RFC 3927; RFC 4193, RFC 4291 §2.5.6.
fn is_private(ip: IpAddr) -> bool {
    let shared = |ip: Ipv4Addr| matches!(ip.octets(), [100, 64..=127, ..]);
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || shared(ip),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// A guess, since nobody tells the prefix: 24 bits of IPv4, 64 of IPv6.
fn same_net(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.segments()[..4] == b.segments()[..4],
        _ => false,
    }
}
