//! What carries the data of one component: its path and the consent to use it.

use super::event::Why;
use super::liveness::{Liveness, Probe};
use super::path::Path;
use super::stray::Stray;
use crate::checks::{Generation, PairId};
use crate::consent::Consent;
use crate::io::ComponentId;
use crate::stun::TransactionId;
use crate::time::{Instant, Timer};

/// A pair that carries data, and the ICE session that it belongs to: a restart leaves it where it is until the next
/// session has selected one (RFC 8445 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InUse {
    pub(super) generation: Generation,
    pub(super) id: PairId,
}

/// How the selected pair of an ICE session was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) generation: Generation,
    /// Without consent this session carries nothing more (RFC 7675 §5.1). After a base that is gone, another pair of it may be
    /// selected, if the peer nominates one.
    pub(super) why: Why,
}

/// One component's way to the peer.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) component: ComponentId,
    /// The pair in use.
    pub(super) pair: Option<InUse>,
    /// What was last announced.
    pub(super) path: Option<Path>,
    pub(super) consent: Option<Consent>,
    /// Whether the pair in use still carries anything; there as long as there is consent to lose.
    pub(super) liveness: Option<Liveness>,
    pub(super) stray: Stray,
    /// Where there is no consent: when the next Binding indication is due (RFC 8445 §11).
    pub(super) keepalive: Timer,
    /// The last data, as far as is known; the beginning of the pair counts as such.
    pub(super) busy: Option<Instant>,
    /// The selected pair went with its base, and no other will be selected in this session.
    pub(super) bereft: bool,
    /// The peer knows no address of ours any more, and no pair has been selected.
    pub(super) stranded: bool,
    /// The selected pair that was lost, while nothing has replaced it.
    pub(super) lost: Option<Lost>,
}

impl Flow {
    pub(super) fn new(component: ComponentId) -> Self {
        Self {
            component,
            pair: None,
            path: None,
            consent: None,
            liveness: None,
            stray: Stray::default(),
            keepalive: Timer::STOPPED,
            busy: None,
            bereft: false,
            stranded: false,
            lost: None,
        }
    }

    /// Nothing keeps it alive any more.
    pub(super) fn end(&mut self) {
        self.pair = None;
        self.consent = None;
        self.liveness = None;
        self.keepalive.stop();
        self.lost = None;
    }

    /// The open probe of this id.
    pub(super) fn probe(&self, id: TransactionId) -> Option<Probe> {
        self.liveness.as_ref()?.probe(id)
    }

    /// Whether a consent request of this id is open.
    pub(super) fn asks(&self, id: TransactionId) -> bool {
        self.consent.as_ref().is_some_and(|consent| consent.is_open(id))
    }
}
