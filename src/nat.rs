//! What an agent makes use of when it knows the NAT before its host: measured by
//! [`discovery`](crate::discovery) ([`Report::behavior`](crate::discovery::Report::behavior)), taken by
//! [`Config::nat`](crate::agent::Config::nat).

use std::fmt;
use std::str::FromStr;

use crate::error::ParseError;
use crate::time::Duration;

/// How the NAT before this host behaves, as far as it is known (RFC 4787 §4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behavior {
    /// Which external port a new destination gets.
    pub ports: Option<Ports>,
    /// How long a mapping lives without traffic, at least.
    pub lifetime: Option<Duration>,
}

impl Behavior {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which external port a new destination gets.
    #[must_use]
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = Some(ports);
        self
    }

    /// How long a mapping lives without traffic, at least.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// What holds for both of two ways out, such as those of IPv4 and IPv6: the shorter lifetime. Ports are those of `self`,
    /// and of `other` where `self` does not know them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let lifetime = match (self.lifetime, other.lifetime) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        Self { ports: self.ports.or(other.ports), lifetime }
    }
}

/// Which external port a NAT gives to a new destination. As text: `stable`, `random`, or a difference with its sign, such
/// as `+1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ports {
    /// That of all other destinations: endpoint-independent mapping, or no NAT.
    Stable,
    /// A new one, which differs from the one before by this.
    Sequential(i16),
    /// Any.
    Random,
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stable => f.write_str("stable"),
            Self::Sequential(delta) => write!(f, "{delta:+}"),
            Self::Random => f.write_str("random"),
        }
    }
}

impl FromStr for Ports {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The sign is wanted, so that nobody takes it for a number of ports. Without a difference the NAT is stable.
        let delta =
            || text.starts_with(['+', '-']).then(|| text.parse().ok()).flatten().filter(|it| *it != 0);
        match text {
            "stable" => Ok(Self::Stable),
            "random" => Ok(Self::Random),
            _ => delta().map(Self::Sequential).ok_or_else(|| {
                ParseError::new(
                    "ports",
                    "neither stable nor random nor a difference with its sign and not 0, such as +1",
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_ways_out_the_shorter_lifetime_counts() {
        let (v4, v6) = (Behavior::new().ports(Ports::Random), Behavior::new());
        let seconds = Duration::from_secs;
        for (first, second, both) in [
            (Some(30), Some(60), Some(30)),
            (Some(60), Some(30), Some(30)),
            (None, Some(30), Some(30)),
            (Some(30), None, Some(30)),
            (None, None, None),
        ] {
            let with = |it: Behavior, lifetime: Option<u64>| {
                lifetime.map(seconds).into_iter().fold(it, Behavior::lifetime)
            };
            let (v4, v6) = (with(v4, first), with(v6, second));
            for it in [v4.and(v6), v6.and(v4)] {
                assert_eq!((it.ports, it.lifetime), (Some(Ports::Random), both.map(seconds)));
            }
        }
        assert_eq!(v4.and(v6.ports(Ports::Stable)).ports, Some(Ports::Random));
    }

    #[test]
    fn what_is_printed_is_parsed() {
        for ports in [
            Ports::Stable,
            Ports::Random,
            Ports::Sequential(1),
            Ports::Sequential(i16::MIN),
            Ports::Sequential(i16::MAX),
        ] {
            assert_eq!(ports.to_string().parse(), Ok(ports));
        }
        for other in ["", "1", "+", "+32768", "-32769", "Stable", "+1 ", "++1", "any", "+0", "-0"] {
            assert!(other.parse::<Ports>().is_err(), "{other}");
        }
    }
}
