//! The bases that pairs may have (RFC 8445 §4).

use super::pair::LocalId;
use crate::candidate::BaseId;

/// What the checks know of a base.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The candidate that is its own base: host or relayed.
    pub(super) local: LocalId,
    /// A server has seen it at another address.
    pub(super) is_told: bool,
}

/// All bases, by their numbers, which the agent counts up.
#[derive(Debug, Default)]
pub(super) struct Bases(Vec<Option<Known>>);

impl Bases {
    pub(super) fn get(&self, base: BaseId) -> Option<Known> {
        self.0.get(usize::from(base.0)).copied().flatten()
    }

    pub(super) fn get_mut(&mut self, base: BaseId) -> Option<&mut Known> {
        self.0.get_mut(usize::from(base.0))?.as_mut()
    }

    pub(super) fn insert(&mut self, base: BaseId, local: LocalId) {
        let at = usize::from(base.0);
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(Known { local, is_told: false });
    }

    pub(super) fn remove(&mut self, base: BaseId) {
        if let Some(known) = self.0.get_mut(usize::from(base.0)) {
            *known = None;
        }
    }

    /// All numbers so far, in the order they were given; some bases may be gone.
    pub(super) fn numbers(&self) -> impl Iterator<Item = BaseId> + use<> {
        (0..self.0.len() as u16).map(BaseId)
    }
}
