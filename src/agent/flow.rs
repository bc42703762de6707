//! What carries the data of one component: its path and the consent to use it.

use super::path::Path;
use crate::checks::PairId;
use crate::consent::Consent;
use crate::io::ComponentId;
use crate::stun::TransactionId;

/// One component's way to the peer.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) component: ComponentId,
    /// The pair in use.
    pub(super) pair: Option<PairId>,
    /// What was last announced.
    pub(super) path: Option<Path>,
    pub(super) consent: Option<Consent>,
    /// Consent was lost, or the pair went with its base, and nothing has replaced it.
    pub(super) lost: bool,
}

impl Flow {
    pub(super) fn new(component: ComponentId) -> Self {
        Self { component, pair: None, path: None, consent: None, lost: false }
    }

    /// Whether a consent request of this id is open.
    pub(super) fn asks(&self, id: TransactionId) -> bool {
        self.consent.as_ref().is_some_and(|consent| consent.is_open(id))
    }
}
