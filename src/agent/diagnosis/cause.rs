//! What may be wrong, each with one plain sentence.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::agent::event::{ServerId, ServerProblem};
use crate::consent::Loss;
use crate::io::ComponentId;
use crate::stun::Family;
use crate::time::Duration;

/// How sure a [`Cause`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// It was told or seen.
    Certain,
    /// What was seen has hardly another explanation.
    Likely,
    /// One explanation of several.
    Possible,
}

/// Whose NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ends {
    /// The one of this agent.
    Ours,
    /// The one of the peer.
    Peers,
    /// Both.
    Both,
}

/// Why there is no path, or none but a relayed one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The agent has no socket.
    NoSocket,
    /// The peer's credentials have not arrived.
    NoCredentials {
        /// Checks of the peer that did: it has ours, so only the way back is missing.
        checks_received: u32,
    },
    /// The peer signalled no candidate.
    NoCandidates {
        /// It said that there will be none.
        has_ended: bool,
    },
    /// The peer's candidates are names that nobody resolves.
    OnlyNames {
        /// How many.
        names: u32,
    },
    /// The peer's candidates have addresses that nothing may be sent to.
    OnlyUnusable {
        /// How many.
        candidates: u32,
    },
    /// The two sides have no address family in common.
    FamilyMismatch {
        /// The family of this side.
        ours: Family,
        /// The family of the peer.
        theirs: Family,
    },
    /// The peer signalled private addresses of another network only.
    PrivateOnly {
        /// How many.
        candidates: usize,
    },
    /// The policy allows relays only.
    RelayPolicy {
        /// TURN servers that are configured.
        servers: usize,
    },
    /// The peer signalled relayed candidates only.
    PeerRelayOnly,
    /// Neither a server nor the peer answered anything.
    UdpBlocked {
        /// Servers that were asked.
        servers: usize,
        /// Requests to them and to the peer.
        requests: u32,
    },
    /// A server did not answer.
    ServerUnreachable {
        /// Which one.
        server: ServerId,
        /// Where it is.
        addr: SocketAddr,
        /// Requests to it.
        requests: u32,
    },
    /// A TURN server rejects username or password.
    TurnCredentials {
        /// Which one.
        server: ServerId,
        /// Where it is.
        addr: SocketAddr,
    },
    /// A server answers, but is of no use.
    ServerProblem {
        /// Which one.
        server: ServerId,
        /// Where it is.
        addr: SocketAddr,
        /// What is wrong with it.
        problem: ServerProblem,
    },
    /// A relay does not send to an address of the peer.
    RelayForbidsPeer {
        /// Its server.
        server: ServerId,
        /// Where that is.
        addr: SocketAddr,
        /// The address that it refuses.
        peer: IpAddr,
        /// What it says.
        problem: ServerProblem,
    },
    /// The two sides do not use the same credentials.
    CredentialsDiffer {
        /// Answers of the peer that its signalled password does not vouch for.
        answers: u32,
        /// Requests that ours does not vouch for.
        requests: u32,
    },
    /// The peer answers checks with an error.
    PeerRefuses {
        /// Its code.
        code: u16,
    },
    /// Both sides insist on the same role.
    RoleConflict {
        /// Answers 487.
        answers: u32,
    },
    /// Answers come from another address than the one that was asked.
    AnswersFromElsewhere {
        /// Which address was asked.
        asked: SocketAddr,
        /// Where the answer came from.
        from: SocketAddr,
    },
    /// The peer's checks arrive, but no answer to ours does.
    OneWay {
        /// Checks of the peer.
        received: u32,
        /// Checks of ours.
        sent: u32,
    },
    /// The peer answered, but not to the end: no pair lasted until it was nominated.
    PathBroke {
        /// Checks of ours.
        sent: u32,
        /// Answers to them.
        answered: u32,
    },
    /// NATs on the way let nothing through, and there is no relay.
    RelayNeeded {
        /// Whose NAT was seen to map each destination anew; `None`: nobody's, but no other was asked.
        mapping: Option<Ends>,
    },
    /// A NAT maps each destination anew, so that the addresses that servers see are of no use to the peer (RFC 4787
    /// §4.1).
    DependentMapping {
        /// Whose.
        ends: Ends,
    },
    /// No direct pair works.
    DirectBlocked {
        /// Direct pairs.
        pairs: usize,
        /// Checks sent on them.
        requests: u32,
    },
    /// The peer answers nothing.
    PeerSilent {
        /// Pairs.
        pairs: usize,
        /// Checks sent on them.
        requests: u32,
    },
    /// Consent was lost on a path that had worked.
    ConsentLost {
        /// Of this component.
        component: ComponentId,
        /// When, from the birth of the agent.
        at: Duration,
        /// How.
        loss: Loss,
    },
}

impl Cause {
    /// How sure it is.
    pub fn certainty(&self) -> Certainty {
        match self {
            Self::UdpBlocked { .. }
            | Self::CredentialsDiffer { .. }
            | Self::RoleConflict { .. }
            | Self::OneWay { .. }
            | Self::PathBroke { .. }
            | Self::PrivateOnly { .. }
            | Self::DependentMapping { .. }
            | Self::RelayNeeded { mapping: Some(_) } => Certainty::Likely,
            Self::RelayNeeded { mapping: None } | Self::DirectBlocked { .. } | Self::PeerSilent { .. } => {
                Certainty::Possible
            }
            _ => Certainty::Certain,
        }
    }

    /// A name for programs: lower case, with hyphens, and it does not change.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoSocket => "no-socket",
            Self::NoCredentials { .. } => "no-credentials",
            Self::NoCandidates { .. } => "no-candidates",
            Self::OnlyNames { .. } => "only-names",
            Self::OnlyUnusable { .. } => "only-unusable",
            Self::FamilyMismatch { .. } => "family-mismatch",
            Self::PrivateOnly { .. } => "private-only",
            Self::RelayPolicy { .. } => "relay-policy",
            Self::PeerRelayOnly => "peer-relay-only",
            Self::UdpBlocked { .. } => "udp-blocked",
            Self::ServerUnreachable { .. } => "server-unreachable",
            Self::TurnCredentials { .. } => "turn-credentials",
            Self::ServerProblem { .. } => "server-problem",
            Self::RelayForbidsPeer { .. } => "relay-forbids-peer",
            Self::CredentialsDiffer { .. } => "credentials-differ",
            Self::PeerRefuses { .. } => "peer-refuses",
            Self::RoleConflict { .. } => "role-conflict",
            Self::AnswersFromElsewhere { .. } => "answers-from-elsewhere",
            Self::OneWay { .. } => "one-way",
            Self::PathBroke { .. } => "path-broke",
            Self::RelayNeeded { .. } => "relay-needed",
            Self::DependentMapping { .. } => "dependent-mapping",
            Self::DirectBlocked { .. } => "direct-blocked",
            Self::PeerSilent { .. } => "peer-silent",
            Self::ConsentLost { .. } => "consent-lost",
        }
    }
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
        })
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "our NAT maps",
            Self::Peers => "the peer's NAT maps",
            Self::Both => "both NATs map",
        })
    }
}
