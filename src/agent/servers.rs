//! What the agent remembers of its TURN servers, from one client and one session to the next: what a server wants and
//! cannot do, and until when it is left alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::event::{ServerId, ServerProblem};
use crate::time::Instant;
use crate::turn::{Knowledge, Problem};

/// Addresses that are remembered. Servers of the configuration come first; where they send their clients to comes and goes.
const MAX_KNOWN: usize = 64;

/// A server is known by its place in the configuration, which stands for transport and username too, and by the address
/// that was really asked: what one server said is never told to another one.
type Key = (ServerId, SocketAddr);

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Servers {
    known: BTreeMap<Key, Known>,
}

#[derive(Debug, Default)]
struct Known {
    knowledge: Knowledge,
    off: Option<Off>,
}

/// No Allocate until then (RFC 8656 §7.4).
#[derive(Debug, Clone)]
struct Off {
    /// `None`: as long as nothing changes, which for an agent means for ever.
    until: Option<Instant>,
    problem: ServerProblem,
}

impl Servers {
    fn entry(&mut self, key: Key) -> Option<&mut Known> {
        let has_room = self.known.len() < MAX_KNOWN || self.known.contains_key(&key);
        has_room.then(|| self.known.entry(key).or_default())
    }

    /// A client has learnt something.
    pub(super) fn learn(&mut self, server: ServerId, addr: SocketAddr, news: Knowledge) {
        if let Some(known) = self.entry((server, addr)) {
            known.knowledge.update(news);
        }
    }

    /// What the next client may begin with.
    pub(super) fn knowledge(&self, server: ServerId, addr: SocketAddr) -> Option<&Knowledge> {
        Some(&self.known.get(&(server, addr))?.knowledge)
    }

    /// The server did not allocate: it is left alone for the time that the problem says.
    pub(super) fn leave_alone(
        &mut self,
        now: Instant,
        server: ServerId,
        addr: SocketAddr,
        problem: &Problem,
    ) {
        let until = problem.pause().map(|pause| now + pause);
        if let Some(known) = self.entry((server, addr)) {
            known.off = Some(Off { until, problem: problem.clone().into() });
        }
    }

    /// Why no Allocate may be sent to this server now.
    pub(super) fn why_off(&self, now: Instant, server: ServerId, addr: SocketAddr) -> Option<ServerProblem> {
        let off = self.known.get(&(server, addr))?.off.as_ref()?;
        off.until.is_none_or(|until| now < until).then(|| off.problem.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    /// RFC 8656 §7.4.
    #[test]
    fn a_server_is_left_alone_for_as_long_as_its_problem_says() {
        let start = crate::time::test_epoch();
        let addr = "203.0.113.1:3478".parse().unwrap();
        for (code, pause) in [(486, Some(60)), (508, Some(60)), (437, Some(120)), (441, None), (442, None)] {
            let mut servers = Servers::default();
            let problem = Problem::Error { code, reason: String::new() };
            servers.leave_alone(start, ServerId(0), addr, &problem);
            let why = |secs| servers.why_off(start + Duration::from_secs(secs), ServerId(0), addr);
            assert_eq!(why(0), Some(problem.clone().into()));
            assert_eq!(why(pause.unwrap_or(100_000) - 1), Some(problem.clone().into()), "{code}");
            assert_eq!(why(pause.unwrap_or(100_000)).is_none(), pause.is_some(), "{code}");
            assert_eq!(servers.why_off(start, ServerId(1), addr), None, "others are used meanwhile");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let now = crate::time::test_epoch();
        let mut servers = Servers::default();
        for port in 1..1000 {
            servers.leave_alone(now, ServerId(0), ([203, 0, 113, 1], port).into(), &Problem::Unauthorized);
        }
        assert_eq!(servers.known.len(), MAX_KNOWN);
    }
}
