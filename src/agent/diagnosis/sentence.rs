//! One plain sentence for each cause.

use std::fmt::{self, Display, Formatter};

use super::Cause;
use super::text::{Seconds, count, many};
use crate::consent::Loss;
use crate::stun::Family;
use crate::time::Duration;

fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket => f.write_str("there is no interface to send from"),
            Self::NoCredentials { checks_received: 0 } => {
                f.write_str("the peer's credentials have not arrived: signaling from the peer is missing")
            }
            Self::NoCredentials { checks_received } => {
                let checks = count(*checks_received, "check");
                write!(
                    f,
                    "{checks} of the peer arrived, but not its credentials: signaling works one way only"
                )
            }
            Self::NoCandidates { has_ended: true } => {
                f.write_str("the peer has no candidates and says that it is done")
            }
            Self::NoCandidates { has_ended: false } => f.write_str("the peer's candidates have not arrived"),
            Self::OnlyNames { names } => {
                write!(
                    f,
                    "the peer signalled {} instead of addresses, which cannot be resolved here",
                    count(*names, "name")
                )
            }
            Self::OnlyUnusable { candidates } => {
                write!(
                    f,
                    "the peer signalled {} that nothing may be sent to",
                    count(*candidates, "candidate")
                )
            }
            Self::FamilyMismatch { ours, theirs } => {
                let (ours, theirs) = (family(*ours), family(*theirs));
                write!(f, "this side has {ours} addresses only, the peer {theirs} ones only")
            }
            Self::PrivateOnly { candidates } => {
                let them = many(*candidates, "candidate");
                write!(
                    f,
                    "the peer signalled only {them} in a private network that is not ours: it knows no address that others can reach"
                )
            }
            Self::RelayPolicy { servers: 0 } => {
                f.write_str("the policy allows relays only, and no TURN server is configured")
            }
            Self::RelayPolicy { .. } => f.write_str("the policy allows relays only"),
            Self::PeerRelayOnly => f.write_str("the peer signalled relays only"),
            Self::UdpBlocked { .. }
            | Self::ServerUnreachable { .. }
            | Self::TurnCredentials { .. }
            | Self::ServerProblem { .. }
            | Self::RelayForbidsPeer { .. } => self.write_server(f),
            Self::CredentialsDiffer { answers, requests } => {
                let (answers, requests) = (count(*answers, "answer"), count(*requests, "request"));
                write!(
                    f,
                    "{answers} and {requests} were signed with another password: the two sides have mixed up their signals"
                )
            }
            Self::PeerRefuses { code } => write!(f, "the peer refuses checks with {code}"),
            Self::RoleConflict { answers } => {
                write!(f, "both sides insist on the same role ({answers} answers 487)")
            }
            Self::AnswersFromElsewhere { asked, from } => {
                write!(
                    f,
                    "checks to {asked} are answered from {from}: a NAT or a routing on the way is not symmetric"
                )
            }
            Self::OneWay { received, sent } => {
                let (received, sent) = (count(*received, "check"), count(*sent, "check"));
                write!(
                    f,
                    "{received} of the peer arrived, but no answer to {sent} of ours: the way to the peer is blocked"
                )
            }
            Self::PathBroke { sent, answered } => {
                let (sent, answered) = (count(*sent, "check"), count(*answered, "answer"));
                write!(
                    f,
                    "{answered} came to {sent}, but none to the last ones: the path broke, or loses most packets"
                )
            }
            Self::RelayNeeded { .. } | Self::DependentMapping { .. } | Self::DirectBlocked { .. } => {
                self.write_relay(f)
            }
            Self::PeerSilent { pairs, requests } => {
                let (pairs, requests) = (many(*pairs, "pair"), count(*requests, "check"));
                write!(
                    f,
                    "nothing was heard of the peer: {requests} on {pairs} without an answer; it may be gone, or a firewall is on the way"
                )
            }
            Self::ConsentLost { at, loss, .. } => write_loss(f, *at, *loss),
        }
    }
}

impl Cause {
    fn write_relay(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::RelayNeeded { mapping: Some(ends) } => {
                write!(f, "{ends} each destination anew, which takes a relay, and none is configured")
            }
            Self::RelayNeeded { mapping: None } => {
                f.write_str("NATs between the two sides let no check through, and no relay is configured")
            }
            Self::DependentMapping { ends } => {
                write!(f, "a relay is in use because {ends} each destination anew")
            }
            Self::DirectBlocked { pairs, requests } => {
                let (pairs, requests) = (many(*pairs, "direct pair"), count(*requests, "request"));
                write!(
                    f,
                    "a relay is in use because {pairs} did not work ({requests}): NATs or firewalls on the way"
                )
            }
            _ => Ok(()),
        }
    }

    fn write_server(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::UdpBlocked { servers, requests } => {
                let (asked, servers) = (count(*requests, "request"), many(*servers, "server"));
                write!(
                    f,
                    "nothing came back to {asked}, neither from {servers} nor from the peer: UDP is probably blocked"
                )
            }
            Self::ServerUnreachable { addr, requests, .. } => {
                write!(f, "server {addr} does not answer ({})", count(*requests, "request"))
            }
            Self::TurnCredentials { addr, .. } => {
                write!(f, "TURN server {addr} rejects the username or the password")
            }
            Self::ServerProblem { addr, problem, .. } => write!(f, "server {addr} is of no use: {problem}"),
            Self::RelayForbidsPeer { addr, peer, problem, .. } => {
                write!(f, "the relay of {addr} does not send to {peer}: {problem}")
            }
            _ => Ok(()),
        }
    }
}

fn write_loss(f: &mut Formatter<'_>, at: Duration, loss: Loss) -> fmt::Result {
    let at = Seconds(at);
    match loss {
        Loss::Revoked => write!(f, "the path worked until {at}, when the peer withdrew its consent"),
        Loss::Silent { unanswered } => {
            let requests = count(unanswered, "request");
            write!(
                f,
                "the path worked, then nothing came back any more: consent lost at {at} after {requests}"
            )
        }
        Loss::OneWay { unanswered } => {
            let requests = count(unanswered, "request");
            write!(
                f,
                "the path worked, then the peer was heard but did not answer: consent lost at {at} after {requests}"
            )
        }
    }
}
