//! Foundations (RFC 8445 §5.1.1.3): which candidates are likely to share a fate.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use smallvec::SmallVec;

use super::CandidateType;
use crate::credentials::is_ice_char;
use crate::error::ParseError;
use crate::io::Transport;

/// 1..=32 `ice-char`s, held in place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foundation {
    length: u8,
    chars: [u8; 32],
}

impl Foundation {
    /// The foundation that is written as the decimal `number`.
    pub fn from_number(number: u32) -> Self {
        let mut foundation = Self { length: 0, chars: [0; 32] };
        let mut divisor = 1;
        while number / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            foundation.chars[usize::from(foundation.length)] = b'0' + (number / divisor % 10) as u8;
            foundation.length += 1;
            divisor /= 10;
        }
        foundation
    }

    /// The number that it is written as, if it is one.
    pub(crate) fn number(&self) -> Option<u32> {
        self.as_str().parse().ok()
    }

    /// The text as it is signalled.
    pub fn as_str(&self) -> &str {
        // Only ASCII was stored.
        std::str::from_utf8(&self.chars[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl FromStr for Foundation {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > 32 {
            return Err(ParseError::new(
                "foundation",
                format!("has {} characters, allowed are 1 to 32", text.len()),
            ));
        }
        if !text.bytes().all(is_ice_char) {
            return Err(ParseError::new(
                "foundation",
                "has a character that is not a letter, a digit, '+' or '/'",
            ));
        }
        let mut chars = [0; 32];
        chars[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { length: text.len() as u8, chars })
    }
}

impl fmt::Display for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foundation({self})")
    }
}

/// Gives equal foundations to candidates that are likely to share a fate (RFC 8445 §5.1.1.3). One serves all
/// streams and components of a session: unfreezing goes across checklists.
#[derive(Debug, Clone, Default)]
pub struct FoundationAllocator {
    /// The place of a key is its number, less one.
    keys: SmallVec<[Key; 1]>,
    /// Numbers that were given without being remembered.
    unremembered: u32,
}

/// Type, IP address of the base, IP address of the STUN or TURN server, transport to it.
type Key = (CandidateType, IpAddr, Option<IpAddr>, Transport);

impl FoundationAllocator {
    /// How many different keys are remembered. Beyond, each candidate gets a foundation of its own, which
    /// costs checks their head start and nothing else.
    pub const MAX_KEYS: usize = 1024;

    /// The foundation of a candidate: the same for the same four arguments, numbered from 1 in the order of
    /// first use. `server` is the address as it was contacted, `transport` the protocol spoken with it; for a
    /// host candidate they are `None` and its own.
    pub fn foundation(
        &mut self,
        kind: CandidateType,
        base: IpAddr,
        server: Option<IpAddr>,
        transport: Transport,
    ) -> Foundation {
        let key = (kind, base, server, transport);
        let known = self.keys.iter().position(|seen| *seen == key);
        let place = known.unwrap_or_else(|| {
            if self.keys.len() < Self::MAX_KEYS {
                self.keys.push(key);
                self.keys.len() - 1
            } else {
                self.unremembered = self.unremembered.wrapping_add(1);
                Self::MAX_KEYS - 1
            }
        });
        let own = if known.is_none() { self.unremembered } else { 0 };
        Foundation::from_number((place as u32 + 1).saturating_add(own))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn any_of_the_four_parts_makes_another_foundation() {
        // RFC 8445 §5.1.1.3
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let keys = [
            (CandidateType::Host, a, None, Transport::Udp),
            (CandidateType::Host, b, None, Transport::Udp),
            (CandidateType::Host, a, None, Transport::Tcp),
            (CandidateType::ServerReflexive, a, Some(a), Transport::Udp),
            (CandidateType::ServerReflexive, a, Some(b), Transport::Udp),
            (CandidateType::Relayed, a, Some(b), Transport::Udp),
        ];
        let mut allocator = FoundationAllocator::default();
        for _ in 0..2 {
            let given = keys.map(|(kind, base, server, transport)| {
                allocator.foundation(kind, base, server, transport).to_string()
            });
            assert_eq!(given, ["1", "2", "3", "4", "5", "6"]);
        }
    }

    #[test]
    fn a_full_allocator_gives_foundations_that_nobody_shares() {
        let mut allocator = FoundationAllocator::default();
        let mut host = |number: u32| {
            let base = IpAddr::from(Ipv4Addr::from_bits(number));
            allocator.foundation(CandidateType::Host, base, None, Transport::Udp).to_string()
        };
        for number in 0..1024 {
            assert_eq!(host(number), (number + 1).to_string());
        }
        assert_eq!(
            (host(5000), host(5000), host(0), host(5000)),
            ("1025".into(), "1026".into(), "1".into(), "1027".into())
        );
    }
}
