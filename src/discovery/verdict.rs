//! What a report means for peers, in one sentence.

use std::fmt;

use super::ports::PortAllocation;
use super::report::{Connectivity, Filtering, Finding, Mapping, Report, Translation};

/// What a report means for two peers that want to connect directly, by ICE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Whoever can send UDP gets through.
    Open,
    /// With every peer whose UDP gets out, if it has one public address.
    Easy,
    /// With every peer but those behind a NAT that maps by destination.
    Restricted,
    /// With every peer but those behind a NAT that maps by destination, or not even that: the filter is not known.
    AtWorstRestricted,
    /// Only with peers that are not filtered by port.
    Hard,
    /// As [`Self::Hard`], with ports that can be guessed.
    HardButPredictable,
    /// With nobody: UDP does not pass, a TURN server over TCP or TLS does.
    TurnOverTcp,
    /// Something answers in the place of servers.
    Captive,
    /// Nothing passes, or no server was there.
    Nothing,
    /// Too little is known.
    Unknown,
}

impl Verdict {
    /// Of this report.
    pub fn of(report: &Report) -> Self {
        match report.connectivity {
            Finding::Known(Connectivity::TcpOnly) => return Self::TurnOverTcp,
            Finding::Known(Connectivity::Captive) => return Self::Captive,
            Finding::Known(Connectivity::Nothing) => return Self::Nothing,
            Finding::Known(Connectivity::Udp) => {}
            Finding::Unknown(_) => return Self::Unknown,
        }
        let mapping = match report.translation {
            Finding::Known(Translation::None) => Finding::Known(Mapping::EndpointIndependent),
            _ => report.mapping,
        };
        match (mapping, report.filtering) {
            (_, Finding::Known(Filtering::EndpointIndependent))
                if mapping == Finding::Known(Mapping::EndpointIndependent) =>
            {
                Self::Open
            }
            (Finding::Known(Mapping::EndpointIndependent), Finding::Known(Filtering::AddressDependent)) => {
                Self::Easy
            }
            (Finding::Known(Mapping::EndpointIndependent), Finding::Known(_)) => Self::Restricted,
            (Finding::Known(Mapping::EndpointIndependent), Finding::Unknown(_)) => Self::AtWorstRestricted,
            (Finding::Known(_), _) => match report.ports {
                Finding::Known(PortAllocation::Sequential { .. }) => Self::HardButPredictable,
                _ => Self::Hard,
            },
            (Finding::Unknown(_), _) => Self::Unknown,
        }
    }

    /// One or two words, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Easy => "easy",
            Self::Restricted => "restricted",
            Self::AtWorstRestricted => "at-worst-restricted",
            Self::Hard => "hard",
            Self::HardButPredictable => "hard-but-predictable",
            Self::TurnOverTcp => "turn-over-tcp",
            Self::Captive => "captive",
            Self::Nothing => "nothing",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => {
                "Peers connect directly with this host; a TURN server is needed only with those whose UDP is blocked."
            }
            Self::Easy => {
                "Peers connect directly with this host, those behind symmetric NATs too; a TURN server is needed only \
                 with those whose UDP is blocked."
            }
            Self::Restricted => {
                "Peers connect directly with this host unless they are behind a symmetric NAT; a TURN server is needed \
                 with those, and with those whose UDP is blocked."
            }
            Self::AtWorstRestricted => {
                "Peers connect directly with this host unless they are behind a symmetric NAT; whether a TURN server is \
                 needed with those is not known."
            }
            Self::Hard => {
                "Peers connect directly with this host only if their own NAT does not filter by port; a TURN server is \
                 needed with those behind port-restricted and symmetric NATs."
            }
            Self::HardButPredictable => {
                "Peers connect directly with this host only if their own NAT does not filter by port; a TURN server is \
                 needed with those behind port-restricted and symmetric NATs, unless the next port is guessed."
            }
            Self::TurnOverTcp => {
                "UDP does not get out of this network: a TURN server over TCP or TLS is needed with every peer."
            }
            Self::Captive => {
                "UDP does not get out of this network, and what accepts TCP connections in the server's place does not \
                 speak STUN: perhaps a portal that wants a login first."
            }
            Self::Nothing => {
                "No server answers, over UDP or TCP: either this network lets neither out, or the servers are down."
            }
            Self::Unknown => "Whether peers connect directly is not known: have a TURN server ready.",
        })
    }
}

impl Report {
    /// What RFC 3489 called such a NAT, where it had a word.
    pub fn popular_name(&self) -> Option<&'static str> {
        Some(match (self.translation.known()?, self.mapping.known()?, self.filtering.known()) {
            (Translation::None, _, Some(Filtering::EndpointIndependent)) => "no NAT",
            (Translation::None, _, Some(_)) => "no NAT, a firewall",
            (Translation::None, _, None) | (_, Mapping::EndpointIndependent, None) => return None,
            (_, Mapping::EndpointIndependent, Some(Filtering::EndpointIndependent)) => "full cone",
            (_, Mapping::EndpointIndependent, Some(Filtering::AddressDependent)) => "restricted cone",
            (_, Mapping::EndpointIndependent, Some(Filtering::AddressAndPortDependent)) => {
                "port-restricted cone"
            }
            (..) => "symmetric",
        })
    }
}
