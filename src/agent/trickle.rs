//! When this agent's signals leave (RFC 8838 §3, §5, §16).

use super::Agent;
use super::event::Event;
use crate::checks::checklist::Withheld;
use crate::credentials::{Credentials, IceOption};
use crate::signal::{Signal, What};

/// Whether candidates are signalled as they are found. With a peer that is known not to take them so, by its
/// credentials, they wait for each other in any case (RFC 8838 §3, §5).
///
/// What waits leaves when gathering has ended, which needs [`Agent::end_of_sockets`]; no check begins before the
/// credentials have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trickle {
    /// As they are found, unless the peer is known not to take them.
    Full,
    /// Together with the credentials, unless the peer is known to take them later (RFC 8838 §16). The peer may trickle.
    Half,
    /// Together with the credentials, and so are the peer's: regular ICE.
    Off,
}

impl Agent {
    /// Tells the peer, at once or together with all the others of its stream.
    pub(super) fn tell(&mut self, signal: Signal) {
        if self.tells_at_once(signal.stream) {
            return self.events.push_back(Event::Signal(signal));
        }
        if matches!(signal.what, What::Credentials(_)) {
            self.checks.withhold(signal.stream, Withheld::Yes);
        }
        self.untold.push_back(signal);
    }

    fn tells_at_once(&self, stream: u16) -> bool {
        let trickles = match self.config.trickle {
            Trickle::Full => self.peer_trickles.unwrap_or(true),
            Trickle::Half => self.peer_trickles.unwrap_or(false),
            Trickle::Off => false,
        };
        trickles || self.has_gathered(stream)
    }

    /// Tells what waited, if it need not wait any more.
    pub(super) fn tell_untold(&mut self) {
        for signal in std::mem::take(&mut self.untold) {
            if !self.tells_at_once(signal.stream) {
                self.untold.push_back(signal);
                continue;
            }
            if matches!(signal.what, What::Credentials(_)) {
                self.checks.withhold(signal.stream, Withheld::No);
            }
            self.events.push_back(Event::Signal(signal));
        }
    }

    /// Whether gathering has ended for a stream.
    pub(super) fn has_gathered(&self, stream: u16) -> bool {
        self.checks.checklist(stream).is_some_and(|list| list.local_ended)
    }

    /// Whether it has ended for all of them.
    pub(super) fn has_gathered_all(&self) -> bool {
        self.checks.checklists().iter().all(|list| list.local_ended || list.is_removed())
    }

    pub(super) fn learn_trickle(&mut self, theirs: &Credentials) {
        self.peer_trickles = Some(theirs.has_option(&IceOption::TRICKLE));
        self.tell_untold();
    }
}
