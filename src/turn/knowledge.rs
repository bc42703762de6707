//! What a client has learnt of its server. The next client of the same server begins with it, and saves a round trip.

use super::credential::Challenge;
use super::server::Families;
use crate::stun::Family;
use crate::time::{Duration, Instant};

/// After 508 a family is not asked for before this has passed (RFC 8656 §7.3).
const FAMILY_PAUSE: Duration = Duration::from_secs(60);

/// What a client has learnt of its server: the challenge that it answered, and what the server does not do. It holds no
/// secret of the user; all the same it is for the same server, transport and username only: give it to no other.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    pub(super) challenge: Option<Challenge>,
    /// It answered 405 to a wish for mobility (RFC 8016 §3.1.4).
    pub(super) is_immobile: bool,
    pub(super) v4: Availability,
    pub(super) v6: Availability,
}

/// Whether a family can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Availability {
    #[default]
    Unknown,
    /// 508: not before.
    NotBefore(Instant),
    /// 440.
    Never,
}

impl Availability {
    fn is_given(self, now: Instant) -> bool {
        match self {
            Self::Unknown => true,
            Self::NotBefore(at) => at <= now,
            Self::Never => false,
        }
    }
}

impl Knowledge {
    /// Adds what another client of the same server has learnt later.
    pub fn update(&mut self, later: Self) {
        self.challenge = later.challenge.or(self.challenge.take());
        self.is_immobile |= later.is_immobile;
        for (known, later) in [(&mut self.v4, later.v4), (&mut self.v6, later.v6)] {
            if later != Availability::Unknown && *known != Availability::Never {
                *known = later;
            }
        }
    }

    /// The server has no address of this family (RFC 8656 §7.3): 440 for ever, 508 for a minute.
    pub(super) fn lacks(&mut self, family: Family, code: u16, now: Instant) {
        let availability = match code {
            crate::stun::code::INSUFFICIENT_CAPACITY => Availability::NotBefore(now + FAMILY_PAUSE),
            _ => Availability::Never,
        };
        match family {
            Family::V4 => self.v4 = availability,
            Family::V6 => self.v6 = availability,
        }
    }

    /// What is left of the wish. A wish for one family stays: its caller wants that one or nothing.
    pub(super) fn narrow(&self, wanted: Families, now: Instant) -> Families {
        match (wanted, self.v4.is_given(now), self.v6.is_given(now)) {
            (Families::Both, true, false) => Families::V4,
            (Families::Both, false, true) => Families::V6,
            _ => wanted,
        }
    }
}
