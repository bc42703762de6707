//! When silence is evidence: an answer that never came was filtered only if it is next to impossible that all its
//! requests were lost.

/// The probability that a silence is told to be a filter although it was loss.
const ERROR: f64 = 1e-5;

/// How many plain requests to servers that answer were answered.
#[derive(Debug, Default)]
pub(super) struct Loss {
    sent: u32,
    lost: u32,
}

impl Loss {
    /// A transaction has ended after so many requests.
    pub(super) fn note(&mut self, requests: u32, answered: Answered) {
        self.sent += requests;
        self.lost += match answered {
            Answered::Yes => requests.saturating_sub(1),
            Answered::No => requests,
        };
    }

    /// The probability that a request or its answer is lost, by the rule of succession: never 0, never 1.
    fn rate(&self) -> f64 {
        f64::from(self.lost + 1) / f64::from(self.sent + 2)
    }

    /// So many unanswered requests prove it.
    pub(super) fn proof(&self) -> u32 {
        (1..1000).find(|requests| self.proves_filter(*requests)).unwrap_or(1000)
    }

    /// Whether so many unanswered requests prove that answers do not get through.
    pub(super) fn proves_filter(&self, requests: u32) -> bool {
        self.rate().powi(requests.min(1000).cast_signed()) < ERROR
    }
}

/// Whether a transaction was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_loss_needs_more_silence() {
        let mut loss = Loss::default();
        (0..8).for_each(|_| loss.note(1, Answered::Yes));
        assert!(loss.proves_filter(8) && !loss.proves_filter(4));
        (0..8).for_each(|_| loss.note(2, Answered::Yes));
        assert!(!loss.proves_filter(8) && loss.proves_filter(12));
        (0..8).for_each(|_| loss.note(4, Answered::No));
        assert!(!loss.proves_filter(24));
    }
}
