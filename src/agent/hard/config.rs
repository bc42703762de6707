//! What is known of the own NAT, and how much may be spent.

use crate::agent::config::Config;
use crate::credentials::IceOption;
use crate::nat::{Behavior, Ports};
use crate::time::Duration;

/// As it is told to the peer, with the credentials.
pub(super) fn option(ports: Ports) -> IceOption {
    let option = match ports {
        Ports::Stable => "nat/stable".to_owned(),
        // A minus is no character of an ICE option (RFC 8839 §5.6).
        Ports::Sequential(delta) => format!("nat/next/{}", delta.cast_unsigned()),
        Ports::Random => "nat/random".into(),
    };
    option.parse().unwrap_or_else(|_| unreachable!("a word"))
}

/// As the peer has told it.
pub(super) fn of_option(option: &IceOption) -> Option<Ports> {
    match option.as_str().strip_prefix("nat/")? {
        "stable" => Some(Ports::Stable),
        "random" => Some(Ports::Random),
        other => {
            let delta: u16 = other.strip_prefix("next/")?.parse().ok()?;
            Some(Ports::Sequential(delta.cast_signed()))
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

impl Config {
    /// What is known of the NAT before this host, as [`Report::behavior`](crate::discovery::Report::behavior) has measured
    /// it: its lifetime is the [`mapping_lifetime`](Self::mapping_lifetime), its ports are those of
    /// [`hard_nat`](Self::hard_nat), with the default budgets unless that was called before. What is not known stays as it
    /// is.
    ///
    /// Between a measurement and the session a NAT may have changed: it is worth as much as it is fresh (RFC 5780 §4).
    #[must_use]
    pub fn nat(mut self, known: Behavior) -> Self {
        self.mapping_lifetime = known.lifetime.or(self.mapping_lifetime);
        if let Some(ports) = known.ports {
            self.hard_nat = Some(HardNat { ports, ..self.hard_nat.unwrap_or_else(|| HardNat::new(ports)) });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_the_nat_is_taken_and_the_rest_stays() {
        let seconds = Duration::from_secs;
        let config = Config::new(crate::agent::Role::Controlling, [0; 32]);
        assert_eq!((config.mapping_lifetime, config.hard_nat), (None, None));
        let told = config.nat(Behavior::new().ports(Ports::Random).lifetime(seconds(40)));
        assert_eq!(told.mapping_lifetime, Some(seconds(40)));
        assert_eq!(told.hard_nat, Some(HardNat::new(Ports::Random)));
        let told = told.nat(Behavior::new());
        assert_eq!(told.mapping_lifetime, Some(seconds(40)));
        assert_eq!(told.hard_nat, Some(HardNat::new(Ports::Random)));
        let told =
            told.hard_nat(HardNat::new(Ports::Random).probes(5)).nat(Behavior::new().ports(Ports::Stable));
        assert_eq!(told.hard_nat, Some(HardNat::new(Ports::Stable).probes(5)));
    }

    #[test]
    fn what_is_told_is_understood() {
        for ports in [
            Ports::Stable,
            Ports::Random,
            Ports::Sequential(1),
            Ports::Sequential(i16::MIN),
            Ports::Sequential(i16::MAX),
        ] {
            let option = option(ports);
            assert_eq!(of_option(&option), Some(ports), "{option}");
            let is_ice_char = |byte: u8| byte.is_ascii_alphanumeric() || [b'+', b'/'].contains(&byte);
            assert!(option.as_str().len() <= 20 && option.as_str().bytes().all(is_ice_char), "{option}");
        }
        for other in ["ice2", "nat/", "nat/next/", "nat/next/65536", "nat/other"] {
            assert_eq!(of_option(&other.parse().unwrap()), None, "{other}");
        }
    }
}
