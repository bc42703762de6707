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

/// `2^32 × MIN(G, D) + 2 × MAX(G, D) + (G > D ? 1 : 0)` (RFC 8445 §6.1.2.3): the same value at both ends. It saturates
/// where both are above 2^31-1 by far, which only a hostile PRIORITY is.
pub fn pair_priority(controlling: u32, controlled: u32) -> u64 {
    let (g, d) = (u64::from(controlling), u64::from(controlled));
    (g.min(d) << 32).saturating_add(2 * g.max(d) + u64::from(g > d))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [CandidateType; 4] = [
        CandidateType::Host,
        CandidateType::PeerReflexive,
        CandidateType::ServerReflexive,
        CandidateType::Relayed,
    ];

    #[test]
    fn a_single_homed_agent_has_the_well_known_priorities() {
        // RFC 8445 §5.1.2.1, §5.1.2.2; 2130706431 is in its §15 example too
        let priorities = KINDS.map(|kind| candidate_priority(kind, 65535, 1));
        assert_eq!(priorities, [2_130_706_431, 1_862_270_975, 1_694_498_815, 16_777_215]);
        assert_eq!(candidate_priority(CandidateType::Host, 65535, 2), 2_130_706_430);
    }

    #[test]
    fn no_candidate_has_priority_0() {
        // RFC 8445 §5.1.2: from 1
        assert_eq!(candidate_priority(CandidateType::Relayed, 0, 256), 1);
    }

    #[test]
    fn pair_priorities_do_not_overflow() {
        // RFC 8445 §6.1.2.3, with PRIORITY values that only a hostile peer sends
        assert_eq!(pair_priority(u32::MAX, u32::MAX), u64::MAX);
        assert_eq!(pair_priority(u32::MAX, u32::MAX - 1), u64::MAX);
        assert_eq!(pair_priority(2, 1), (1 << 32) + 5);
        assert_eq!(pair_priority(1, 2), (1 << 32) + 4);
    }

    proptest! {
        /// RFC 8445 §5.1.2
        #[test]
        fn priorities_are_in_range_and_keep_the_local_preference(kind in 0..4_usize, local: u16, component in 1..=256_u16) {
            let priority = candidate_priority(KINDS[kind], local, component);
            prop_assert!((1..=0x7FFF_FFFF).contains(&priority));
            prop_assert_eq!(local_preference(priority), local);
        }

        /// RFC 8445 §6.1.2.3: the smaller of the two candidates decides, whoever controls.
        #[test]
        fn the_weaker_candidate_decides_whoever_controls(
            [a, b, c, d] in prop::array::uniform4(1..=0x7FFF_FFFF_u32),
        ) {
            prop_assume!(a.min(b) != c.min(d));
            let [a, b, c, d] = if a.min(b) < c.min(d) { [a, b, c, d] } else { [c, d, a, b] };
            prop_assert!(pair_priority(a, b) < pair_priority(c, d));
            prop_assert!(pair_priority(b, a) < pair_priority(c, d));
            prop_assert_eq!(pair_priority(a, b).abs_diff(pair_priority(b, a)), u64::from(a != b));
        }
    }
}
