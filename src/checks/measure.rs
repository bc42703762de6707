//! What the answers of a pair tell of its quality: smoothed, so that one packet decides nothing.

use crate::time::Duration;

/// From so many answers on a pair counts as measured.
const ENOUGH: u8 = 3;
/// From so many questions on its loss does.
const ENOUGH_FOR_LOSS: u8 = 16;

/// The smoothed quality of a pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// Answers that were timed, up to 255.
    pub answers: u8,
    /// Questions with a known outcome, up to 255.
    pub questions: u8,
    /// The round-trip time (weight of a new one: 1/4).
    pub rtt: Duration,
    /// How far round-trip times are from it, on average (1/4).
    pub jitter: Duration,
    /// Questions or answers that were lost, of a thousand (1/16).
    pub loss: u16,
}

impl Measured {
    /// A question was answered after this time.
    pub fn answer(&mut self, rtt: Duration) {
        if self.answers == 0 {
            (self.rtt, self.jitter) = (rtt, Duration::ZERO);
        } else {
            self.jitter = (self.jitter * 3 + self.rtt.abs_diff(rtt)) / 4;
            self.rtt = (self.rtt * 3 + rtt) / 4;
        }
        self.answers = self.answers.saturating_add(1);
        self.count(0);
    }

    /// A question, or its answer, was lost.
    pub fn lose(&mut self) {
        self.count(1000);
    }

    fn count(&mut self, permille: u32) {
        self.loss = ((u32::from(self.loss) * 15 + permille) / 16) as u16;
        self.questions = self.questions.saturating_add(1);
    }

    /// What a packet costs in time, once that is known: the round trip, and twice what it varies.
    pub fn cost(&self) -> Option<Duration> {
        (self.answers >= ENOUGH).then(|| self.rtt + self.jitter * 2)
    }

    /// The loss in thousandths, once it is known.
    pub fn known_loss(&self) -> Option<u16> {
        (self.questions >= ENOUGH_FOR_LOSS).then_some(self.loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_decides_nothing_and_the_loss_of_many_shows() {
        let mut measured = Measured::default();
        let ms = Duration::from_millis;
        measured.answer(ms(20));
        measured.answer(ms(20));
        assert_eq!(measured.cost(), None);
        measured.answer(ms(20));
        assert_eq!(measured.cost(), Some(ms(20)));
        measured.answer(ms(100));
        assert_eq!((measured.rtt, measured.jitter), (ms(40), ms(20)));
        for _ in 0..11 {
            measured.lose();
        }
        assert_eq!(measured.known_loss(), None);
        measured.lose();
        assert!(measured.known_loss().is_some_and(|loss| loss > 450));
    }
}
