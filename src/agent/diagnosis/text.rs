//! The report as text: causes first, then what they follow from.

use std::fmt::{self, Display, Formatter};

use super::{Base, Diagnosis, End, Pair, Patience, Peer, Server, Service, Standing};
use crate::checks::{Failure, Role};
use crate::time::Duration;

impl Display for Diagnosis {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {}", self.state.as_str(), Seconds(self.age))?;
        if let Some(reason) = self.reason {
            write!(f, ": {reason}")?;
        }
        let role = match self.role {
            Role::Controlling => "controlling",
            Role::Controlled => "controlled",
        };
        let patience = match self.patience {
            Patience::NotStarted => "not started",
            Patience::Running => "running",
            Patience::Over => "over",
        };
        let gathering = if self.gathering_ended { "ended" } else { "going on" };
        writeln!(f, "\n{role}, gathering {gathering}, patience for checks {patience}")?;
        for cause in &self.causes {
            writeln!(f, "{}: {cause}", cause.certainty())?;
        }
        section(f, "interfaces and relays", &self.bases)?;
        section(f, "servers", &self.servers)?;
        writeln!(f, "peer\n  {}", self.peer)?;
        if self.requests_unverified > 0 {
            writeln!(f, "  {} that were not authenticated", count(self.requests_unverified, "request"))?;
        }
        section(f, "pairs", &self.pairs)
    }
}

fn section(f: &mut Formatter<'_>, name: &str, lines: &[impl Display]) -> fmt::Result {
    writeln!(f, "{name}{}", if lines.is_empty() { ": none" } else { "" })?;
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}

/// Seconds with one digit.
pub(super) struct Seconds(pub(super) Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

/// A number of things.
pub(super) fn count(number: impl Into<u64>, what: &str) -> String {
    let number = number.into();
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

pub(super) fn many(number: usize, what: &str) -> String {
    count(number as u64, what)
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.addr)
    }
}

impl Display for Base {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.addr)?;
        for end in &self.candidates {
            write!(f, " {end},")?;
        }
        let (sent, answers) = (count(self.requests_sent, "request"), count(self.answers_received, "answer"));
        write!(f, " {sent}, {answers}, {} of the peer", count(self.requests_received, "check"))
    }
}

impl Display for Server {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let service = match self.service {
            Service::Stun => "stun",
            Service::Turn => "turn",
        };
        let (sent, answers) = (count(self.requests, "request"), count(self.answers, "answer"));
        write!(f, "{service} {} from {}: {sent}, {answers}", self.addr, self.base)?;
        if let Some(mapped) = self.mapped {
            write!(f, ", sees {mapped}")?;
        }
        if let Some(relayed) = self.relayed {
            write!(f, ", relays at {relayed}")?;
        }
        if let Some(problem) = &self.problem {
            write!(f, ": {problem}")?;
        }
        match &self.refused {
            Some((peer, problem)) => write!(f, "; refuses to relay to {peer}: {problem}"),
            None => Ok(()),
        }
    }
}

impl Display for Peer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let credentials = if self.has_credentials { "credentials" } else { "no credentials" };
        let end = if self.has_ended { "ended" } else { "not ended" };
        write!(f, "{credentials}, {} ({end})", many(self.candidates.len(), "candidate"))?;
        for (number, what) in [
            (self.names, "candidate with a name"),
            (self.unusable, "candidate with an address not to be used"),
            (self.others_refused, "other signal"),
        ] {
            if number > 0 {
                write!(f, ", not taken: {number} × {what}")?;
            }
        }
        self.candidates.iter().try_for_each(|end| write!(f, "\n  {end}"))
    }
}

impl Display for Pair {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let quality = &self.quality;
        write!(f, "{} -> {}: ", self.local, self.remote)?;
        match self.standing {
            Standing::Selected => f.write_str("selected")?,
            Standing::Works => f.write_str("works")?,
            Standing::Checking => f.write_str("is being checked")?,
            Standing::Waiting => f.write_str("waits for its turn")?,
            Standing::NeedsCredentials => f.write_str("waits for the peer's credentials")?,
            Standing::NeedsPermission => f.write_str("waits for a TURN permission")?,
            Standing::Retired => f.write_str("not needed any more")?,
            Standing::Failed(Failure::Unanswered) => {
                write!(f, "no answer to {}", count(quality.requests_sent, "request"))?;
            }
            Standing::Failed(Failure::IntegrityViolated) => f.write_str("no answer is authentic")?,
            Standing::Failed(Failure::Refused(code)) => write!(f, "refused with {code}")?,
            Standing::Failed(Failure::Asymmetric(from)) => write!(f, "answered from {from} instead")?,
            Standing::Failed(Failure::Incomplete) => f.write_str("answered without a mapped address")?,
            Standing::Failed(Failure::NotPermitted) => f.write_str("the relay does not send there")?,
            Standing::Failed(Failure::Unreachable) => f.write_str("ICMP says that nobody is there")?,
            Standing::Failed(Failure::ConsentLost) => f.write_str("consent lost")?,
            Standing::Failed(Failure::Disconnected(why)) => write!(f, "no connection: {why}")?,
        }
        let (sent, answers) = (quality.requests_sent, quality.responses_received);
        write!(f, "; {}, {}", count(sent, "request"), count(answers, "answer"))?;
        match quality.requests_received {
            0 => f.write_str(", peer never heard there")?,
            heard => write!(f, ", {} of the peer", count(heard, "check"))?,
        }
        if quality.answers_unverified > 0 {
            write!(f, ", {} not authentic", count(quality.answers_unverified, "answer"))?;
        }
        if quality.role_conflicts > 0 {
            write!(f, ", {}", count(quality.role_conflicts, "role conflict"))?;
        }
        match quality.rtt {
            Some(rtt) => write!(f, ", {:.1} ms", rtt.as_secs_f64() * 1000.0),
            None => Ok(()),
        }
    }
}
