//! Which ports of the peer's NAT are tried, and in which order: those that its habit makes likely, then all others from the
//! last known one outward, each once. Where any port is as likely as any other the order is worth nothing; where a carrier
//! gives each subscriber a block of ports (RFC 6888 §2, RFC 7422) the neighbours are the block.

use std::num::NonZeroU16;

use crate::nat::Ports;

/// The first port that NATs give.
const FIRST: i64 = 1024;
/// How many there are from there on.
const COUNT: i64 = 65_536 - FIRST;
/// How many are predicted: the peer's sockets, and what else it has asked since its last known port.
const PREDICTED: i64 = 384;

/// A row of ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guesses {
    /// The last port that is known: ordinary checks go to it.
    last: u16,
    /// From one port to the next one; 0 if there is no habit.
    delta: i16,
    tried: i64,
}

impl Guesses {
    pub(super) fn new(ports: Ports, last: u16) -> Self {
        let delta = match ports {
            Ports::Sequential(delta) => delta,
            _ => 0,
        };
        Self { last, delta, tried: 0 }
    }

    /// The next port.
    pub(super) fn next(&mut self) -> Option<NonZeroU16> {
        let offset = loop {
            let n = self.tried;
            self.tried += 1;
            let outward = n - self.predicted();
            match outward {
                ..0 => break i64::from(self.delta) * (n + 1),
                _ if outward >= COUNT - 1 => return None,
                _ => {}
            }
            // 1, -1, 2, -2, …
            let offset = if outward % 2 == 0 { outward / 2 + 1 } else { -(outward / 2 + 1) };
            if !self.is_predicted(offset) {
                break offset;
            }
        };
        let port = FIRST + (i64::from(self.last) - FIRST + offset).rem_euclid(COUNT);
        u16::try_from(port).ok().and_then(NonZeroU16::new)
    }

    fn predicted(&self) -> i64 {
        if self.delta == 0 { 0 } else { PREDICTED }
    }

    /// Whether a port at this distance was tried because of the habit.
    fn is_predicted(&self, offset: i64) -> bool {
        let delta = i64::from(self.delta);
        delta != 0 && offset % delta == 0 && (1..=PREDICTED).contains(&(offset / delta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn ports(mut guesses: Guesses) -> Vec<u16> {
        std::iter::from_fn(|| guesses.next()).map(NonZeroU16::get).collect()
    }

    #[test]
    fn each_port_from_1024_on_is_tried_once_and_never_that_which_checks_go_to() {
        for habit in [Ports::Random, Ports::Sequential(1), Ports::Sequential(-2), Ports::Sequential(7)] {
            for last in [1024, 5000, 65_535] {
                let tried = ports(Guesses::new(habit, last));
                let different: BTreeSet<_> = tried.iter().copied().collect();
                assert_eq!((tried.len(), different.len()), (COUNT as usize - 1, COUNT as usize - 1));
                assert!(different.first() >= Some(&1024) && !different.contains(&last));
            }
        }
    }

    #[test]
    fn without_a_habit_the_neighbours_are_tried_first() {
        for (last, expected) in [(5000, [5001, 4999, 5002, 4998]), (65_535, [1024, 65_534, 1025, 65_533])] {
            assert_eq!(ports(Guesses::new(Ports::Random, last))[..4], expected);
        }
    }

    #[test]
    fn a_habit_is_followed_first_and_around_the_end_of_the_range() {
        for (last, delta, expected) in
            [(5000, 2, [5002, 5004]), (65_535, 1, [1024, 1025]), (1025, -1, [1024, 65_535])]
        {
            assert_eq!(ports(Guesses::new(Ports::Sequential(delta), last))[..2], expected);
        }
    }
}
