//! The asking half: names of others (RFC 6762 §5).

use std::net::IpAddr;

use super::wire::{Entry, Message, Section, address};
use super::{MAX_QUESTIONS, MAX_WAITING, Mdns, RequestId, Say};
use crate::candidate::address::is_unicast;
use crate::candidate::name;
use crate::error::NameError;
use crate::time::{Duration, Instant, Timer};

/// How long after each query the next one follows (RFC 6762 §5.2: at least a second, then at least twice as long),
/// and at last the end.
const PATIENCE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(1)];

/// A name that is asked for.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) serial: u64,
    /// In lower case.
    pub(super) host: Box<str>,
    waiting: Vec<RequestId>,
    /// Queries so far.
    asked: usize,
    pub(super) next: Timer,
}

impl Mdns {
    /// Asks for a name; the end comes as [`Output::Resolved`](super::Output::Resolved). A name that is already asked for is not asked twice,
    /// one that this machine has published needs no question.
    ///
    /// # Errors
    /// [`NameError`]; then nothing comes.
    pub fn resolve(&mut self, now: Instant, request: RequestId, host: &str) -> Result<(), NameError> {
        let host = name::canonical(host).ok_or(NameError::NotLocal)?;
        if let Some(own) = self.published.iter().find(|own| own.host == host) {
            self.ends.push_back((request, Some(own.ip)));
            return Ok(());
        }
        if let Some(question) = self.questions.iter_mut().find(|question| question.host == host) {
            if question.waiting.len() >= MAX_WAITING {
                return Err(NameError::TooMany(MAX_WAITING));
            }
            question.waiting.push(request);
            return Ok(());
        }
        if self.questions.len() >= MAX_QUESTIONS {
            return Err(NameError::TooMany(MAX_QUESTIONS));
        }
        let serial = self.next_serial();
        let next = Timer::at(now);
        self.questions.push(Question { serial, host, waiting: vec![request], asked: 0, next });
        self.ask_due(now);
        Ok(())
    }

    /// Asks what is due, and gives up what was asked often enough.
    pub(super) fn ask_due(&mut self, now: Instant) {
        for at in (0..self.questions.len()).rev() {
            let question = &mut self.questions[at];
            if !question.next.take_due(now) {
                continue;
            }
            let Some(patience) = PATIENCE.get(question.asked) else {
                self.end(at, None);
                continue;
            };
            question.asked += 1;
            question.next.set(now + *patience);
            let serial = question.serial;
            for link in 0..self.links.len() {
                self.say(Say::Ask(self.links[link].socket, serial));
            }
        }
    }

    fn end(&mut self, at: usize, address: Option<IpAddr>) {
        let question = self.questions.swap_remove(at);
        let counter = if address.is_some() { &mut self.stats.resolved } else { &mut self.stats.unanswered };
        *counter += 1;
        self.ends.extend(question.waiting.into_iter().map(|request| (request, address)));
    }

    pub(super) fn learn(&mut self, message: Message<'_>) {
        if self.questions.is_empty() {
            return;
        }
        for entry in message.entries() {
            let Entry::Record { section: Section::Answer | Section::Additional, name, kind, ttl, data } =
                entry
            else {
                continue;
            };
            // TTL 0 is a goodbye (RFC 6762 §10.1).
            let Some(ip) = address(kind, data).filter(|ip| ttl > 0 && is_unicast(*ip)) else {
                continue;
            };
            if let Some(at) = self.questions.iter().position(|question| name.is(&question.host)) {
                self.end(at, Some(ip));
            }
        }
    }
}
