//! Nomination by the application ([`Nomination::Manual`](super::Nomination::Manual)): it sees the valid pairs and chooses.

use super::Agent;
use crate::candidate::Candidate;
use crate::checks::PairId;
use crate::checks::checklist::Component;
use crate::checks::pair::Quality;
use crate::error::NominateError;
use crate::io::ComponentId;
use crate::time::Instant;

/// A pair that a check has proven (RFC 8445 §7.2.5.3.2).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ValidPair<'a> {
    /// What [`Agent::nominate`] takes.
    pub id: PairId,
    /// The local candidate that the peer saw.
    pub local: &'a Candidate,
    /// The remote candidate.
    pub remote: &'a Candidate,
    /// RFC 8445 §6.1.2.3, of these two candidates.
    pub priority: u64,
    /// What was measured.
    pub quality: Quality,
    /// It is the selected one.
    pub selected: bool,
}

impl Agent {
    /// The valid pairs of a component, best first by priority.
    pub fn valid_pairs(&self, component: ComponentId) -> impl Iterator<Item = ValidPair<'_>> {
        let list =
            self.checks.checklist(component.stream).and_then(|list| list.component(component.component));
        let ids = list.into_iter().flat_map(Component::valid);
        ids.filter_map(|id| {
            let pair = self.checks.pair(id)?;
            Some(ValidPair {
                id,
                local: &self.checks.local(pair.valid?)?.candidate,
                remote: &self.checks.remote(pair.remote)?.candidate,
                priority: pair.valid_priority,
                quality: pair.quality,
                selected: self.checks.is_selected(id),
            })
        })
    }

    /// Nominates a valid pair (RFC 8445 §8.1.1).
    ///
    /// # Errors
    /// [`NominateError`]: the pair is not valid any more, the peer controls, or the decision was made and the peer does
    /// not know renomination.
    pub fn nominate(&mut self, now: Instant, pair: PairId) -> Result<(), NominateError> {
        self.wake_up(now);
        if self.is_over() || !self.checks.nominate_chosen(pair) {
            return Err(NominateError);
        }
        Ok(())
    }
}
