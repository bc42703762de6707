//! Priorities of candidates and of pairs (RFC 8445 §5.1.2, §6.1.2.3).

use super::CandidateType;

/// The type preference of RFC 8445 §5.1.2.2.
pub fn type_preference(kind: CandidateType) -> u8 {
    match kind {
        CandidateType::Host => 126,
        CandidateType::PeerReflexive => 110,
        CandidateType::ServerReflexive => 100,
        CandidateType::Relayed => 0,
    }
}

/// `2^24 × type preference + 2^8 × local preference + (256 − component)` (RFC 8445 §5.1.2.1), 1..=2^31-1.
pub fn candidate_priority(kind: CandidateType, local_preference: u16, component: u16) -> u32 {
    let below_256 = 256 - u32::from(component.clamp(1, 256));
    let priority = (u32::from(type_preference(kind)) << 24) + (u32::from(local_preference) << 8) + below_256;
    priority.max(1)
}

/// The local preference inside of a candidate's priority.
pub fn local_preference(priority: u32) -> u16 {
    (priority >> 8) as u16
}

/// `2^32 × MIN(G, D) + 2 × MAX(G, D) + (G > D ? 1 : 0)` (RFC 8445 §6.1.2.3): the same value at both ends.
pub fn pair_priority(controlling: u32, controlled: u32) -> u64 {
    let (g, d) = (u64::from(controlling), u64::from(controlled));
    (g.min(d) << 32) + 2 * g.max(d) + u64::from(g > d)
}
