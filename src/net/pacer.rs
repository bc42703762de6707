//! Slots for the new transactions of all sessions of one endpoint (RFC 8445 §14.2, §B.1).

use std::sync::{Mutex, PoisonError};

use crate::time::{Duration, Instant};

/// "An implementation" starts no two transactions closer than this, however many agents it has.
const GAP: Duration = Duration::from_millis(5);

/// Gives out slots in the order they are asked for.
#[derive(Debug, Default)]
pub(super) struct Pacer(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    /// The first instant that nobody has reserved.
    free: Option<Instant>,
    /// When the last slot was used: a session that comes late to its slot pushes the next one.
    used: Option<Instant>,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(pub(super) Instant);

impl Pacer {
    /// Reserves the next slot, for somebody who could use it at `now`.
    pub(super) fn reserve(&self, now: Instant) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = slots.free.map_or(now, |free| free.max(now));
        slots.free = Some(at + GAP);
        Slot(at)
    }

    /// Uses a slot.
    ///
    /// # Errors
    /// The slot to come back at: this one has not come yet, or another session used its own too late.
    pub(super) fn begin(&self, now: Instant, slot: Slot) -> Result<(), Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = slots.used.map_or(slot.0, |used| slot.0.max(used + GAP));
        if at > now {
            return Err(Slot(at));
        }
        slots.used = Some(now);
        slots.free = slots.free.max(Some(now + GAP));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::test_epoch;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn two_transactions_of_one_endpoint_are_5_ms_apart_rfc_8445_section_14_2() {
        let (pacer, now) = (Pacer::default(), test_epoch());
        let slots: Vec<Slot> = (0..3).map(|_| pacer.reserve(now)).collect();
        assert_eq!(slots, [Slot(now), Slot(now + ms(5)), Slot(now + ms(10))]);
        assert_eq!(pacer.begin(now, slots[0]), Ok(()));
        assert_eq!(pacer.begin(now + ms(4), slots[1]), Err(Slot(now + ms(5))));
        assert_eq!(pacer.begin(now + ms(5), slots[1]), Ok(()));
        assert_eq!(pacer.reserve(now + ms(40)), Slot(now + ms(40)), "idle time is not saved up");
    }

    #[test]
    fn who_comes_late_pushes_the_next() {
        let (pacer, now) = (Pacer::default(), test_epoch());
        let (first, second) = (pacer.reserve(now), pacer.reserve(now));
        assert_eq!(pacer.begin(now + ms(3), first), Ok(()));
        assert_eq!(pacer.begin(now + ms(5), second), Err(Slot(now + ms(8))));
        assert_eq!(pacer.begin(now + ms(8), second), Ok(()));
    }
}
