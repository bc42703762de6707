//! Priorities of candidates and of pairs (RFC 8445 §5.1.2, §6.1.2.3).

use super::{CandidateType, TcpType};

/// The type preference of RFC 8445 §5.1.2.2.
pub fn type_preference(kind: CandidateType) -> u8 {
    match kind {
        CandidateType::Host => 126,
        CandidateType::PeerReflexive => 110,
        CandidateType::ServerReflexive => 100,
        CandidateType::Relayed => 0,
    }
}

/// How TCP candidates stand to UDP ones (RFC 6544 §4.2). Relayed candidates come last either way, as that section
/// recommends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TcpRank {
    /// Any direct UDP pair before any TCP pair: type preferences 90, 80 and 70 for host, peer-reflexive and
    /// server-reflexive candidates, all below the 100 of server-reflexive UDP. A direct TCP pair still comes before
    /// a relay over UDP: it has one hop less, and costs nobody's server.
    #[default]
    AfterUdp,
    /// The type matters more than the transport: each type preference is one below that of UDP, so that a TCP host
    /// candidate comes before a server-reflexive UDP one.
    AfterType,
}

/// The type preference of a TCP candidate (RFC 6544 §4.2).
pub fn tcp_type_preference(kind: CandidateType, rank: TcpRank) -> u8 {
    match (rank, kind) {
        (_, CandidateType::Relayed) => 0,
        (TcpRank::AfterType, kind) => type_preference(kind) - 1,
        (TcpRank::AfterUdp, CandidateType::Host) => 90,
        (TcpRank::AfterUdp, CandidateType::PeerReflexive) => 80,
        (TcpRank::AfterUdp, CandidateType::ServerReflexive) => 70,
    }
}

/// The type preference of NAT-assisted candidates (RFC 6544 §4.2), such as ports that a gateway has mapped: 105, above
/// server-reflexive ones and below peer-reflexive ones; for TCP as [`tcp_type_preference`] has it.
pub fn nat_assisted_preference(tcp: Option<TcpRank>) -> u8 {
    match tcp {
        None => 105,
        Some(TcpRank::AfterType) => 104,
        Some(TcpRank::AfterUdp) => 75,
    }
}

/// The largest `other-pref` of RFC 6544 §4.2: what a host with one address has.
pub const MAX_OTHER_PREFERENCE: u16 = (1 << 13) - 1;

/// The local preference of a TCP candidate, `2^13 × direction-pref + other-pref` (RFC 6544 §4.2); `other` is clamped
/// to 0..=8191.
pub fn tcp_local_preference(kind: CandidateType, direction: TcpType, other: u16) -> u16 {
    let is_reflexive = kind == CandidateType::ServerReflexive;
    let direction: u16 = match direction {
        TcpType::SimultaneousOpen if is_reflexive => 6,
        TcpType::Active if is_reflexive => 4,
        TcpType::Passive if is_reflexive => 2,
        TcpType::Active => 6,
        TcpType::Passive => 4,
        TcpType::SimultaneousOpen => 2,
    };
    (direction << 13) + other.min(MAX_OTHER_PREFERENCE)
}

/// `2^24 × type preference + 2^8 × local preference + (256 − component)` (RFC 8445 §5.1.2.1), 1..=2^31-1.
pub fn candidate_priority(kind: CandidateType, local_preference: u16, component: u16) -> u32 {
    priority(type_preference(kind), local_preference, component)
}

/// The same with any type preference, 0 to 126.
pub fn priority(type_preference: u8, local_preference: u16, component: u16) -> u32 {
    let below_256 = 256 - u32::from(component.clamp(1, 256));
    let priority = (u32::from(type_preference) << 24) + (u32::from(local_preference) << 8) + below_256;
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

    /// RFC 6544 §4.2, Appendix C: the priorities of its first example, whose type preferences are those of UDP.
    #[test]
    fn tcp_candidates_have_the_priorities_of_rfc_6544_appendix_c() {
        use TcpType::{Active, Passive, SimultaneousOpen};
        let of = |kind, direction| {
            priority(type_preference(kind), tcp_local_preference(kind, direction, MAX_OTHER_PREFERENCE), 1)
        };
        let host = [Active, Passive, SimultaneousOpen].map(|direction| of(CandidateType::Host, direction));
        assert_eq!(host, [2_128_609_279, 2_124_414_975, 2_120_220_671]);
        let reflexive = [SimultaneousOpen, Active, Passive];
        let reflexive = reflexive.map(|direction| of(CandidateType::ServerReflexive, direction));
        assert_eq!(reflexive, [1_692_401_663, 1_688_207_359, 1_684_013_055]);
    }

    /// RFC 6544 §4.2.
    #[test]
    fn directions_are_preferred_as_rfc_6544_recommends() {
        use TcpType::{Active, Passive, SimultaneousOpen};
        for kind in KINDS {
            let mut directions = [Active, Passive, SimultaneousOpen];
            directions.sort_by_key(|direction| std::cmp::Reverse(tcp_local_preference(kind, *direction, 0)));
            let order = match kind {
                CandidateType::ServerReflexive => [SimultaneousOpen, Active, Passive],
                _ => [Active, Passive, SimultaneousOpen],
            };
            assert_eq!(directions, order, "{kind:?}");
            assert_eq!(directions.map(|it| tcp_local_preference(kind, it, 0) >> 13), [6, 4, 2]);
        }
    }

    /// RFC 6544 §4.2, Appendix C: those of its second example, where UDP is preferred within a type.
    #[test]
    fn one_type_preference_less_gives_the_mixed_example_of_rfc_6544_appendix_c() {
        let host = tcp_type_preference(CandidateType::Host, TcpRank::AfterType);
        let reflexive = tcp_type_preference(CandidateType::ServerReflexive, TcpRank::AfterType);
        assert_eq!((host, reflexive), (125, 99));
        let active = tcp_local_preference(CandidateType::Host, TcpType::Active, MAX_OTHER_PREFERENCE);
        assert_eq!(priority(host, active, 1), 2_111_832_063);
    }

    /// RFC 6544 §4.2: transport first, and relays last of all.
    #[test]
    fn by_default_any_direct_udp_candidate_comes_before_any_tcp_one_and_relays_come_last() {
        let direct = [CandidateType::Host, CandidateType::PeerReflexive, CandidateType::ServerReflexive];
        let most = direct.map(|kind| priority(tcp_type_preference(kind, TcpRank::AfterUdp), u16::MAX, 1));
        let least = direct.map(|kind| priority(tcp_type_preference(kind, TcpRank::AfterUdp), 0, 256));
        let udp = direct.map(|kind| candidate_priority(kind, 0, 256)).into_iter().min();
        assert!(most.into_iter().max() < udp);
        assert!(least.into_iter().min() > Some(candidate_priority(CandidateType::Relayed, 65535, 1)));
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
        /// RFC 6544 §4.2: direction-pref is 0 to 7 and other-pref 0 to 8191, whatever is asked for.
        #[test]
        fn the_two_parts_of_a_tcp_local_preference_do_not_run_into_each_other(other: u16, kind in 0..4_usize) {
            for (direction, [plain, reflexive]) in
                [(TcpType::Active, [6, 4]), (TcpType::Passive, [4, 2]), (TcpType::SimultaneousOpen, [2, 6])]
            {
                let is_reflexive = KINDS[kind] == CandidateType::ServerReflexive;
                let preference = tcp_local_preference(KINDS[kind], direction, other);
                prop_assert_eq!(preference >> 13, if is_reflexive { reflexive } else { plain });
                prop_assert_eq!(preference & MAX_OTHER_PREFERENCE, other.min(8191));
            }
        }

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
