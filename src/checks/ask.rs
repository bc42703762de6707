//! What a check says (RFC 8445 §7.1), read in one walk over its attributes.

use super::respond::KNOWN;
use super::role::Role;
use crate::stun::Attributes;
use crate::stun::wire::attr;

/// The attributes of a check that mean something to ICE: of several of a type the first (RFC 8489 §14). One of a wrong
/// length says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ask<'a> {
    priority: Option<&'a [u8]>,
    nomination: Option<&'a [u8]>,
    controlling: Option<&'a [u8]>,
    controlled: Option<&'a [u8]>,
    /// USE-CANDIDATE.
    pub(super) nominates: bool,
    /// Something has to be understood that is not (RFC 8489 §6.3.1).
    pub(super) is_beyond_us: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn read(attributes: &Attributes<'a>) -> Self {
        let mut ask = Self::default();
        for (kind, value) in attributes.iter() {
            let place = match kind {
                attr::PRIORITY => &mut ask.priority,
                attr::NOMINATION => &mut ask.nomination,
                attr::ICE_CONTROLLING => &mut ask.controlling,
                attr::ICE_CONTROLLED => &mut ask.controlled,
                attr::USERNAME => continue,
                attr::USE_CANDIDATE => {
                    ask.nominates = true;
                    continue;
                }
                _ => {
                    ask.is_beyond_us |= kind < 0x8000 && !KNOWN.contains(&kind);
                    continue;
                }
            };
            place.get_or_insert(value);
        }
        ask
    }

    /// PRIORITY.
    pub(super) fn priority(&self) -> Option<u32> {
        self.priority?.try_into().ok().map(u32::from_be_bytes)
    }

    /// NOMINATION.
    pub(super) fn nomination(&self) -> Option<u32> {
        self.nomination?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The tiebreaker of a sender that claims this role.
    pub(super) fn tiebreaker(&self, role: Role) -> Option<u64> {
        let value = match role {
            Role::Controlling => self.controlling,
            Role::Controlled => self.controlled,
        };
        value?.try_into().ok().map(u64::from_be_bytes)
    }
}
