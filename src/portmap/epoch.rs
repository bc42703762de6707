//! The clock of a gateway, which starts anew when it forgets its mappings (RFC 6886 §3.6, RFC 6887 §8.5).

use crate::time::Instant;

/// Whether the gateway still has its mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Kept,
    Lost,
}

/// The last epoch time that was seen, and when.
#[derive(Debug, Default)]
pub(super) struct Epoch(Option<(u32, Instant)>);

impl Epoch {
    /// RFC 6887 §8.5: compares both clocks, in both directions.
    pub(super) fn follow_pcp(&mut self, now: Instant, epoch: u32) -> Memory {
        let Some((before, at)) = self.0.replace((epoch, now)) else { return Memory::Kept };
        let (epoch, before) = (u64::from(epoch), u64::from(before));
        if epoch + 1 < before {
            return Memory::Lost;
        }
        let client = now.saturating_duration_since(at).as_secs();
        let server = epoch.saturating_sub(before);
        let slow = client + 2 < server - server / 16;
        let fast = server + 2 < client - client / 16;
        if slow || fast { Memory::Lost } else { Memory::Kept }
    }

    /// RFC 6886 §3.6: the gateway's clock may be an eighth slow, and two seconds off.
    pub(super) fn follow_nat_pmp(&mut self, now: Instant, epoch: u32) -> Memory {
        let Some((before, at)) = self.0.replace((epoch, now)) else { return Memory::Kept };
        let elapsed = now.saturating_duration_since(at).as_secs();
        let least = u64::from(before) + elapsed * 7 / 8;
        if u64::from(epoch) + 2 < least { Memory::Lost } else { Memory::Kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Duration, test_epoch};

    /// After `first`, `seconds` later, `second`.
    fn follow(first: u32, seconds: u64, second: u32, by: fn(&mut Epoch, Instant, u32) -> Memory) -> Memory {
        let (mut epoch, start) = (Epoch::default(), test_epoch());
        assert_eq!(by(&mut epoch, start, first), Memory::Kept, "the first one is valid");
        by(&mut epoch, start + Duration::from_secs(seconds), second)
    }

    #[test]
    fn a_pcp_epoch_is_compared_in_both_directions() {
        let pcp = |first, seconds, second| follow(first, seconds, second, Epoch::follow_pcp);
        // One second back is the network's, two are a restart.
        assert_eq!(pcp(1000, 0, 999), Memory::Kept);
        assert_eq!(pcp(1000, 0, 998), Memory::Lost);
        // 160 s of ours: at least 148 s of the gateway's.
        assert_eq!(pcp(1000, 160, 1148), Memory::Kept);
        assert_eq!(pcp(1000, 160, 1147), Memory::Lost);
        // 160 s of the gateway's: at least 148 s of ours.
        assert_eq!(pcp(1000, 148, 1160), Memory::Kept);
        assert_eq!(pcp(1000, 147, 1160), Memory::Lost);
        // At the ends of the numbers.
        assert_eq!(pcp(0, 0, 0), Memory::Kept);
        assert_eq!(pcp(u32::MAX, 10, 0), Memory::Lost);
        assert_eq!(pcp(0, 0, u32::MAX), Memory::Lost);
        assert_eq!(pcp(5, u64::from(u32::MAX), u32::MAX), Memory::Kept);
    }

    #[test]
    fn an_invalid_pcp_epoch_is_remembered_too() {
        let (mut epoch, start) = (Epoch::default(), test_epoch());
        assert_eq!(epoch.follow_pcp(start, 1000), Memory::Kept);
        assert_eq!(epoch.follow_pcp(start, 5), Memory::Lost);
        assert_eq!(epoch.follow_pcp(start + Duration::from_secs(1), 6), Memory::Kept);
    }

    #[test]
    fn a_nat_pmp_epoch_may_be_an_eighth_slow_and_2_seconds_off() {
        let nat_pmp = |first, seconds, second| follow(first, seconds, second, Epoch::follow_nat_pmp);
        // 80 s of ours: 70 s of the gateway's, less two.
        assert_eq!(nat_pmp(1000, 80, 1068), Memory::Kept);
        assert_eq!(nat_pmp(1000, 80, 1067), Memory::Lost);
        assert_eq!(nat_pmp(1000, 80, u32::MAX), Memory::Kept, "a fast clock is none that was reset");
        assert_eq!(nat_pmp(1, 0, 0), Memory::Kept);
        assert_eq!(nat_pmp(u32::MAX, 100, 0), Memory::Lost);
    }
}
