//! What is known of the own NAT, and how much may be spent.

use crate::credentials::IceOption;
use crate::time::Duration;

/// Which external port the own NAT gives to a new destination, as it was measured
/// ([`Report::mapping`](crate::discovery::Report::mapping), [`Report::ports`](crate::discovery::Report::ports)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ports {
    /// That of all other destinations: endpoint-independent mapping.
    Stable,
    /// A new one, which differs from the one before by this.
    Sequential(i16),
    /// Any.
    Random,
}

impl Ports {
    /// As it is told to the peer, with the credentials.
    pub(super) fn option(self) -> IceOption {
        let option = match self {
            Self::Stable => "nat/stable".to_owned(),
            // A minus is no character of an ICE option (RFC 8839 §5.6).
            Self::Sequential(delta) => format!("nat/next/{}", delta.cast_unsigned()),
            Self::Random => "nat/random".into(),
        };
        option.parse().unwrap_or_else(|_| unreachable!("a word"))
    }

    /// As the peer has told it.
    pub(super) fn of_option(option: &IceOption) -> Option<Self> {
        match option.as_str().strip_prefix("nat/")? {
            "stable" => Some(Self::Stable),
            "random" => Some(Self::Random),
            other => {
                let delta: u16 = other.strip_prefix("next/")?.parse().ok()?;
                Some(Self::Sequential(delta.cast_signed()))
            }
        }
    }
}

/// How a direct path is looked for between a NAT that maps each destination anew and one that does not: see
/// [`Config::hard_nat`](crate::agent::Config::hard_nat).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardNat {
    pub(super) ports: Ports,
    pub(super) sockets: u16,
    pub(super) probes: u16,
    pub(super) time: Duration,
}

impl HardNat {
    /// Behind a NAT of this kind, with the default budgets: with random ports they find a path in 97 of 100 sessions, with at most
    /// 1,200 packets of both sides.
    pub fn new(ports: Ports) -> Self {
        Self { ports, sockets: 256, probes: 900, time: Duration::from_secs(10) }
    }

    /// How many sockets may be opened, which is also how many probes leave from them; 1 to 512, default 256. Of use
    /// behind a NAT that maps each destination anew.
    #[must_use]
    pub fn sockets(mut self, count: u16) -> Self {
        self.sockets = count.clamp(1, 512);
        self
    }

    /// How many ports of the peer's NAT are tried, one packet each; 1 to 4096, default 900. Of use behind a NAT with
    /// endpoint-independent mapping.
    #[must_use]
    pub fn probes(mut self, count: u16) -> Self {
        self.probes = count.clamp(1, 4096);
        self
    }

    /// How long it may take from its beginning on, 1 s to 60 s; default 10 s. Sockets are closed then.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time.clamp(Duration::from_secs(1), Duration::from_secs(60));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        for ports in [
            Ports::Stable,
            Ports::Random,
            Ports::Sequential(1),
            Ports::Sequential(i16::MIN),
            Ports::Sequential(i16::MAX),
        ] {
            let option = ports.option();
            assert_eq!(Ports::of_option(&option), Some(ports), "{option}");
            let is_ice_char = |byte: u8| byte.is_ascii_alphanumeric() || [b'+', b'/'].contains(&byte);
            assert!(option.as_str().len() <= 20 && option.as_str().bytes().all(is_ice_char), "{option}");
        }
        for other in ["ice2", "nat/", "nat/next/", "nat/next/65536", "nat/other"] {
            assert_eq!(Ports::of_option(&other.parse().unwrap()), None, "{other}");
        }
    }
}
