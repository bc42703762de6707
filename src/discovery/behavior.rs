//! What an agent makes use of, of all that was measured.

use super::ports::{Pooling, PortAllocation};
use super::report::{Finding, Lifetime, Mapping, Report, Translation};
use crate::nat::{Behavior, Ports};

impl Report {
    /// What [`Config::nat`](crate::agent::Config::nat) takes.
    ///
    /// | measured | the agent's |
    /// |---|---|
    /// | no NAT, or endpoint-independent mapping | [`Ports::Stable`] |
    /// | mapping by destination, ports in sequence | [`Ports::Sequential`] |
    /// | mapping by destination, other ports or none that are known | [`Ports::Random`] |
    /// | mapping by destination, and arbitrary external addresses | not known: nobody tells which address to try |
    /// | mapping not known | not known |
    /// | lifetime | the longest time that a mapping has survived |
    ///
    /// A NAT that keeps the port of the first mapping of a socket has none to keep for the second one: ports that are
    /// [`Preserving`](PortAllocation::Preserving) count as random where the mapping depends on the destination. Ports are told
    /// of IPv4 only: those of NATs for IPv6 are not searched. Two reports make one by [`Behavior::and`].
    pub fn behavior(&self) -> Behavior {
        let ports = self.ports_of_new_destinations().filter(|_| self.local.is_ipv4());
        let behavior = ports.into_iter().fold(Behavior::new(), Behavior::ports);
        self.lifetime.known().map(Lifetime::at_least).into_iter().fold(behavior, Behavior::lifetime)
    }

    fn ports_of_new_destinations(&self) -> Option<Ports> {
        if self.translation == Finding::Known(Translation::None) {
            return Some(Ports::Stable);
        }
        let is_scattered = self.pooling == Finding::Known(Pooling::Arbitrary);
        match (self.mapping.known()?, self.ports) {
            (Mapping::EndpointIndependent, _) => Some(Ports::Stable),
            _ if is_scattered => None,
            (_, Finding::Known(PortAllocation::Sequential { delta })) => {
                Some(i16::try_from(delta).map_or(Ports::Random, Ports::Sequential))
            }
            _ => Some(Ports::Random),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Why;
    use super::*;
    use crate::time::{Duration, test_epoch};
    use Finding::{Known, Unknown};

    const NOT_MEASURED: Why = Why::NotMeasured;

    fn report(local: &str) -> Report {
        let mut report = Report::new(test_epoch(), local.parse().unwrap());
        report.translation = Known(Translation::Translated);
        report.pooling = Known(Pooling::Paired);
        report
    }

    #[test]
    fn the_ports_that_the_agent_reckons_with_follow_from_mapping_and_allocation() {
        let dependent = [
            Mapping::AddressDependent,
            Mapping::AddressAndPortDependent,
            Mapping::PortDependent,
            Mapping::Dependent,
        ];
        let allocations = [
            (Known(PortAllocation::Sequential { delta: 2 }), Ports::Sequential(2)),
            (Known(PortAllocation::Sequential { delta: -1 }), Ports::Sequential(-1)),
            (Known(PortAllocation::Sequential { delta: 40_000 }), Ports::Random),
            (Known(PortAllocation::Random), Ports::Random),
            (Known(PortAllocation::Preserving), Ports::Random),
            (Known(PortAllocation::PreservingIfFree), Ports::Random),
            (Unknown(Why::TooFew), Ports::Random),
        ];
        for (ports, expected) in allocations {
            let mut report = report("10.0.0.2");
            report.ports = ports;
            let mut told = |mapping, pooling, translation| {
                (report.mapping, report.pooling, report.translation) = (mapping, pooling, translation);
                report.behavior().ports
            };
            let (paired, arbitrary) = (Known(Pooling::Paired), Known(Pooling::Arbitrary));
            let translated = Known(Translation::Translated);
            for mapping in dependent {
                assert_eq!(told(Known(mapping), paired, translated), Some(expected), "{ports:?} {mapping:?}");
                assert_eq!(told(Known(mapping), Unknown(NOT_MEASURED), translated), Some(expected));
                assert_eq!(told(Known(mapping), arbitrary, translated), None, "{ports:?} {mapping:?}");
            }
            let stable = Known(Mapping::EndpointIndependent);
            for pooling in [paired, arbitrary] {
                assert_eq!(told(stable, pooling, translated), Some(Ports::Stable), "{ports:?}");
            }
            let none = Known(Translation::None);
            assert_eq!(told(Unknown(Why::NoNat), paired, none), Some(Ports::Stable));
            assert_eq!(told(Unknown(Why::ServersDisagree), paired, translated), None);
            assert_eq!(told(Unknown(NOT_MEASURED), paired, Unknown(NOT_MEASURED)), None);
        }
    }

    #[test]
    fn the_lifetime_that_the_agent_reckons_with_is_one_that_was_survived() {
        let seconds = Duration::from_secs;
        for (lifetime, expected) in [
            (Known(Lifetime::Between(seconds(28), seconds(31))), Some(seconds(28))),
            (Known(Lifetime::LongerThan(seconds(300))), Some(seconds(300))),
            (Unknown(Why::Ignored), None),
        ] {
            let mut report = report("10.0.0.2");
            report.lifetime = lifetime;
            assert_eq!(report.behavior().lifetime, expected);
        }
    }

    #[test]
    fn ports_are_told_of_ipv4_and_the_lifetime_of_both() {
        for (local, ports) in [("10.0.0.2", Some(Ports::Random)), ("2001:db8::2", None)] {
            let mut report = report(local);
            report.mapping = Known(Mapping::AddressDependent);
            report.lifetime = Known(Lifetime::LongerThan(Duration::from_secs(60)));
            let told = report.behavior();
            assert_eq!((told.ports, told.lifetime), (ports, Some(Duration::from_secs(60))));
        }
    }
}
