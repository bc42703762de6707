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
    /// Microseconds, as is the next one: there is one of this for each pair.
    rtt: u32,
    jitter: u32,
    /// Questions or answers that were lost, of a thousand (1/16).
    pub loss: u16,
}

impl Measured {
    /// A question was answered after this time.
    pub fn answer(&mut self, rtt: Duration) {
        let rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
        if self.answers == 0 {
            (self.rtt, self.jitter) = (rtt, 0);
        } else {
            self.jitter = smooth(self.jitter, self.rtt.abs_diff(rtt));
            self.rtt = smooth(self.rtt, rtt);
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

    /// The round-trip time (weight of a new one: 1/4), up to 71 min; zero before the first answer.
    pub fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt.into())
    }

    /// How far round-trip times are from it, on average (1/4).
    pub fn jitter(&self) -> Duration {
        Duration::from_micros(self.jitter.into())
    }

    /// What a packet costs in time, once that is known: the round trip, and twice what it varies.
    pub fn cost(&self) -> Option<Duration> {
        (self.answers >= ENOUGH).then(|| self.rtt() + self.jitter() * 2)
    }

    /// The loss in thousandths, once it is known.
    pub fn known_loss(&self) -> Option<u16> {
        (self.questions >= ENOUGH_FOR_LOSS).then_some(self.loss)
    }
}

fn smooth(before: u32, new: u32) -> u32 {
    ((u64::from(before) * 3 + u64::from(new)) / 4) as u32
}

#[cfg(test)]
impl Measured {
    /// Of many answers.
    pub(super) const fn of(rtt_ms: u32, jitter_ms: u32, loss: u16) -> Self {
        Self { answers: 20, questions: 20, rtt: rtt_ms * 1000, jitter: jitter_ms * 1000, loss }
    }

    pub(super) const NOTHING: Self = Self { answers: 0, questions: 0, rtt: 0, jitter: 0, loss: 0 };
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
        assert_eq!((measured.rtt(), measured.jitter()), (ms(40), ms(20)));
        for _ in 0..11 {
            measured.lose();
        }
        assert_eq!(measured.known_loss(), None);
        measured.lose();
        assert!(measured.known_loss().is_some_and(|loss| loss > 450));
    }
}
