//! The one comparison of two valid pairs: a pure function of what is known of them.

use super::measure::Measured;
use super::nominate::Reach;
use super::pair::Pair;
use crate::time::Duration;

/// More loss than this, in thousandths and there and back, makes a pair a poor one ...
const POOR: u16 = 400;
/// ... which a pair with less than this replaces, however it reaches the peer.
const FINE: u16 = 200;
/// A pair that is not faster by this much is not worth a change.
const WORTH: Duration = Duration::from_millis(10);

/// Whether a pair may be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// It did not answer when it was asked, or has not done so for long enough since.
    Suspected,
    /// It may.
    Trusted,
}

/// What is compared of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether it answers.
    pub trust: Trust,
    /// How it reaches the peer.
    pub reach: Reach,
    /// RFC 8445 §6.1.2.3.
    pub priority: u64,
    /// What was measured.
    pub measured: Measured,
}

/// Whether the controlling agent leaves the selected pair for another one, where renomination allows it. In this order:
/// 1. a pair that answers is better than one that does not;
/// 2. one that loses little is better than one that loses much, even a relayed one;
/// 3. among those that reach the peer alike, if both were measured, one that is faster by a fifth and 10 ms is better,
///    and one that is slower, however little, is not;
/// 4. otherwise priority decides, which is the preference of both agents (RFC 8445 §6.1.2.3, §7.2.5.3.2).
pub fn is_better(other: &Facts, selected: &Facts) -> bool {
    if other.trust != selected.trust {
        return other.trust > selected.trust;
    }
    if let (Some(loss), lost) = (selected.measured.known_loss(), other.measured)
        && loss > POOR
        && lost.cost().is_some()
        && lost.loss < FINE
    {
        return true;
    }
    if other.measured.known_loss().is_some_and(|loss| loss > POOR) {
        return false;
    }
    let costs = other.measured.cost().zip(selected.measured.cost());
    match costs.filter(|_| other.reach == selected.reach) {
        Some((other, selected)) if other * 5 <= selected * 4 && other + WORTH <= selected => true,
        Some((other, selected)) if other > selected => false,
        _ => other.priority > selected.priority,
    }
}

/// Whether `a` outranks `b` by pair priority alone, which both ends compute alike: all that counts without renomination
/// (RFC 8445 §8.1.1).
pub fn outranks(a: &Pair, b: &Pair) -> bool {
    a.valid_priority > b.valid_priority
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAYED: Facts =
        Facts { trust: Trust::Trusted, reach: Reach::Relayed, priority: 10, measured: Measured::NOTHING };
    const DIRECT: Facts = Facts { reach: Reach::Direct, priority: 30, ..RELAYED };
    const SECOND: Facts = Facts { priority: 20, ..DIRECT };

    fn measured(facts: Facts, rtt: u32, jitter: u32, loss: u16) -> Facts {
        Facts { measured: Measured::of(rtt, jitter, loss), ..facts }
    }

    fn suspected(facts: Facts) -> Facts {
        Facts { trust: Trust::Suspected, ..facts }
    }

    #[test]
    fn each_reason_has_its_rank() {
        for (other, selected, better, why) in [
            (DIRECT, RELAYED, true, "priority"),
            (RELAYED, DIRECT, false, "priority"),
            (DIRECT, DIRECT, false, "nothing"),
            (RELAYED, suspected(DIRECT), true, "it answers"),
            (suspected(DIRECT), RELAYED, false, "it does not answer"),
            (suspected(DIRECT), suspected(RELAYED), true, "priority where neither answers"),
            (
                measured(DIRECT, 90, 0, 0),
                measured(RELAYED, 20, 0, 0),
                true,
                "speed does not make up for a relay",
            ),
            (measured(RELAYED, 20, 0, 0), measured(DIRECT, 90, 0, 0), false, "nor the other way round"),
            (
                measured(SECOND, 20, 0, 0),
                measured(DIRECT, 80, 0, 0),
                true,
                "faster, and reaches the peer alike",
            ),
            (measured(SECOND, 70, 0, 0), measured(DIRECT, 80, 0, 0), false, "10 ms, but less than a fifth"),
            (measured(SECOND, 20, 0, 0), measured(DIRECT, 29, 0, 0), false, "a fifth, but less than 10 ms"),
            (measured(SECOND, 40, 0, 0), measured(DIRECT, 50, 0, 0), true, "a fifth and 10 ms"),
            (measured(SECOND, 40, 20, 0), measured(DIRECT, 50, 0, 0), false, "faster, but it varies"),
            (measured(DIRECT, 50, 0, 0), measured(SECOND, 50, 0, 0), true, "priority among equals"),
            (measured(DIRECT, 51, 0, 0), measured(SECOND, 50, 0, 0), false, "what works stays"),
            (SECOND, measured(DIRECT, 80, 0, 0), false, "not measured yet"),
            (measured(RELAYED, 90, 0, 50), measured(DIRECT, 20, 0, 500), true, "half of it is lost"),
            (measured(RELAYED, 90, 0, 0), measured(DIRECT, 20, 0, 100), false, "a tenth is no reason"),
            (measured(RELAYED, 90, 0, 300), measured(DIRECT, 20, 0, 500), false, "both lose"),
            (measured(DIRECT, 20, 0, 500), measured(RELAYED, 90, 0, 0), false, "it would lose again"),
        ] {
            assert_eq!(is_better(&other, &selected), better, "{why}: {other:?} {selected:?}");
        }
    }
}
