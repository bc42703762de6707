//! Which ports of the peer's NAT are tried, and in which order: those that its habit makes likely, then all others, each
//! once.

use std::num::NonZeroU16;

use super::config::Ports;
use crate::rng::Rng;

/// The first port that NATs give.
const FIRST: u32 = 1024;
/// How many there are from there on.
const COUNT: u32 = 65_536 - FIRST;
/// How many are predicted: the peer's sockets, and what else it has asked since its last known port.
const PREDICTED: u32 = 384;

/// A row of ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guesses {
    /// The last port that is known, and the difference to the next one.
    habit: Option<(u16, i16)>,
    tried: u32,
    /// The others are `start + step * n`, which meets each once.
    start: u32,
    step: u32,
}

impl Guesses {
    pub(super) fn new(ports: Ports, last: u16, rng: &mut Rng) -> Self {
        let habit = match ports {
            Ports::Sequential(delta) if delta != 0 => Some((last, delta)),
            _ => None,
        };
        let start = rng.between(0, u64::from(COUNT - 1)) as u32;
        // Without a common divisor with the number of ports, which is 2¹⁰ · 3² · 7.
        let mut step = rng.between(1, u64::from(COUNT - 1)) as u32 | 1;
        while step.is_multiple_of(3) || step.is_multiple_of(7) {
            step += 2;
        }
        Self { habit, tried: 0, start, step }
    }

    /// The next port.
    pub(super) fn next(&mut self) -> Option<NonZeroU16> {
        let n = self.tried;
        self.tried += 1;
        let port = match self.habit {
            Some((last, delta)) if n < PREDICTED => {
                let offset = i64::from(last) - i64::from(FIRST) + i64::from(delta) * i64::from(n + 1);
                FIRST + offset.rem_euclid(i64::from(COUNT)) as u32
            }
            habit => {
                let n = u64::from(n - habit.map_or(0, |_| PREDICTED));
                FIRST + ((u64::from(self.start) + u64::from(self.step) * n) % u64::from(COUNT)) as u32
            }
        };
        NonZeroU16::new(port as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_port_from_1024_on_is_tried_once() {
        for seed in 0..8 {
            let mut guesses = Guesses::new(Ports::Random, 5000, &mut Rng::new([seed; 32]));
            let tried: BTreeSet<_> = (0..COUNT).filter_map(|_| guesses.next()).map(NonZeroU16::get).collect();
            assert_eq!((tried.len(), tried.first()), (COUNT as usize, Some(&1024)));
        }
    }

    #[test]
    fn a_habit_is_followed_first_and_around_the_end_of_the_range() {
        for (last, delta, expected) in
            [(5000, 2, [5002, 5004]), (65_535, 1, [1024, 1025]), (1025, -1, [1024, 65_535])]
        {
            let mut guesses = Guesses::new(Ports::Sequential(delta), last, &mut Rng::new([1; 32]));
            let first = [(); 2].map(|()| guesses.next().map_or(0, NonZeroU16::get));
            assert_eq!(first, expected);
        }
    }
}
