//! Who nominates, and how a conflict repairs itself (RFC 8445 §6.1.1, §7.2.5.1, §7.3.1.1).

use super::ask::Ask;
use crate::rng::Rng;
use crate::stun::wire::attr;

/// The role of an agent (RFC 8445 §6.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Nominates. Usually the offerer.
    Controlling,
    /// Follows the nomination.
    Controlled,
}

impl Role {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }

    /// The attribute that carries the tiebreaker in checks of this role (RFC 8445 §16.1).
    pub(super) fn attribute(self) -> u16 {
        match self {
            Self::Controlling => attr::ICE_CONTROLLING,
            Self::Controlled => attr::ICE_CONTROLLED,
        }
    }
}

/// What a check of the peer says about roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conflict {
    /// The roles differ, or the peer does not say.
    None,
    /// We switch and answer with success.
    Switch,
    /// The peer has to switch: 487.
    Refuse,
}

/// The role and the tiebreaker, the same for all checks of a session (RFC 8445 §16.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Roles {
    pub(super) role: Role,
    pub(super) tiebreaker: u64,
}

impl Roles {
    /// RFC 8445 §7.3.1.1: the larger tiebreaker is controlling; on equality the controlling side refuses and the
    /// controlled one switches.
    pub(super) fn conflict(&self, ask: &Ask<'_>) -> Conflict {
        let Some(theirs) = ask.tiebreaker(self.role) else { return Conflict::None };
        match (self.role, self.tiebreaker >= theirs) {
            (Role::Controlling, true) | (Role::Controlled, false) => Conflict::Refuse,
            (Role::Controlling, false) | (Role::Controlled, true) => Conflict::Switch,
        }
    }

    /// A 487 to a check that was sent as `sent` (RFC 8445 §7.2.5.1): what was sent decides, so that several 487s
    /// switch once. Returns whether the role changed.
    pub(super) fn refused(&mut self, sent: Role, rng: &mut Rng) -> bool {
        self.tiebreaker = rng.tiebreaker();
        let switched = self.role == sent;
        self.role = sent.other();
        switched
    }
}
