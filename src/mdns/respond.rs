//! The answering half: names of this host (RFC 6762 §6, §8.3, §10).

use std::net::{IpAddr, SocketAddr};

use super::wire::{Answer, Entry, Holds, Message, Section, address, kind, kind_of};
use super::{Link, MAX_NAMES, Mdns, PORT, Reach, Say, Tell};
use crate::candidate::name;
use crate::error::NameError;
use crate::io::SocketId;
use crate::time::{Duration, Instant, Timer};

/// The TTL of a record with an address, in seconds (RFC 6762 §10).
const TTL: u32 = 120;
/// The most that a resolver of old may remember, in seconds (RFC 6762 §6.7).
const LEGACY_TTL: u32 = 10;
/// A record is announced twice, a second apart (RFC 6762 §8.3).
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
/// A record is not multicast on a link more often than that (RFC 6762 §6).
const MULTICAST_EVERY: Duration = Duration::from_secs(1);

/// A name of this host.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) serial: u64,
    /// In lower case.
    pub(super) host: Box<str>,
    pub(super) ip: IpAddr,
    announced: u8,
    pub(super) next: Timer,
    /// When it was multicast last, on each link.
    multicast: Vec<(SocketId, Instant)>,
}

impl Published {
    pub(super) fn answer(&self, tell: &Tell) -> Answer<'_> {
        let ttl = if tell.legacy.is_some() { LEGACY_TTL } else { TTL };
        Answer { name: &self.host, ip: self.ip, holds: tell.holds, ttl, legacy: tell.legacy }
    }

    /// Whether it may be multicast on a link now; if so, it counts as done.
    fn take_turn(&mut self, now: Instant, socket: SocketId) -> bool {
        match self.multicast.iter_mut().find(|(known, _)| *known == socket) {
            Some((_, last)) if now.saturating_duration_since(*last) < MULTICAST_EVERY => false,
            Some((_, last)) => {
                *last = now;
                true
            }
            None => {
                self.multicast.push((socket, now));
                true
            }
        }
    }
}

/// What a query wants of a published name.
#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    /// The type that was asked for, of those that the address answers.
    address: Option<u16>,
    /// The type that was asked for and is not there.
    nothing_else: Option<u16>,
    unicast: bool,
}

impl Mdns {
    /// Answers for a name from now on, and announces it. A name that is published already gets the new address.
    ///
    /// # Errors
    /// [`NameError`]; the machine is unchanged.
    pub fn publish(&mut self, now: Instant, host: &str, ip: IpAddr) -> Result<(), NameError> {
        let host = name::canonical(host).ok_or(NameError::NotLocal)?;
        self.published.retain(|published| published.host != host);
        if self.published.len() >= MAX_NAMES {
            return Err(NameError::TooMany(MAX_NAMES));
        }
        let serial = self.next_serial();
        let (next, multicast) = (Timer::at(now), Vec::new());
        self.published.push(Published { serial, host, ip, announced: 0, next, multicast });
        self.announce_due(now);
        Ok(())
    }

    /// Answers for a name no longer, and says goodbye (RFC 6762 §10.1).
    pub fn withdraw(&mut self, host: &str) {
        let at = self.published.iter().position(|published| published.host.eq_ignore_ascii_case(host));
        let Some(at) = at else { return };
        let Published { host, ip, .. } = self.published.swap_remove(at);
        for socket in self.speakers() {
            self.say(Say::Goodbye(socket, host.clone(), ip));
        }
    }

    /// The sockets that others listen to.
    fn speakers(&self) -> Vec<SocketId> {
        self.links.iter().filter(|link| link.reach == Reach::Full).map(|link| link.socket).collect()
    }

    pub(super) fn announce_due(&mut self, now: Instant) {
        for at in 0..self.published.len() {
            let published = &mut self.published[at];
            if !published.next.take_due(now) {
                continue;
            }
            published.announced += 1;
            if published.announced < ANNOUNCEMENTS {
                published.next.set(now + ANNOUNCE_EVERY);
            }
            let serial = published.serial;
            for socket in self.speakers() {
                let _ = self.published[at].take_turn(now, socket);
                let holds = Holds::Address;
                self.say(Say::Tell(Tell { socket, serial, holds, to: None, legacy: None }));
            }
        }
    }

    /// Answers a query: by multicast, or by unicast where that was asked for (RFC 6762 §5.4, §6.7).
    pub(super) fn answer(&mut self, now: Instant, link: &Link, source: SocketAddr, message: Message<'_>) {
        if self.published.is_empty() || link.reach == Reach::AskOnly {
            return;
        }
        let mut wanted = [Wanted::default(); MAX_NAMES];
        for entry in message.entries() {
            self.note(&entry, &mut wanted);
        }
        let legacy = source.port() != PORT;
        for (at, wanted) in wanted.iter().enumerate().take(self.published.len()) {
            let wants = [(wanted.address, Holds::Address), (wanted.nothing_else, Holds::NothingElse)];
            for (asked, holds) in wants.into_iter().filter_map(|(asked, holds)| Some((asked?, holds))) {
                let published = &mut self.published[at];
                let to = (legacy || wanted.unicast).then_some(source);
                // The rarer answer has no turn of its own: it comes with the address, or alone.
                let free = holds == Holds::NothingElse && wanted.address.is_some();
                if to.is_none() && !free && !published.take_turn(now, link.socket) {
                    continue;
                }
                let legacy = legacy.then_some((message.id, asked));
                let tell = Tell { socket: link.socket, serial: published.serial, holds, to, legacy };
                self.stats.answers += 1;
                self.say(Say::Tell(tell));
            }
        }
    }

    /// What an entry of a query means for the published names.
    fn note(&self, entry: &Entry<'_>, wanted: &mut [Wanted; MAX_NAMES]) {
        let names = self.published.iter().zip(wanted);
        match entry {
            Entry::Question { name, kind, wants_unicast } => {
                for (published, wanted) in names.filter(|(published, _)| name.is(&published.host)) {
                    if *kind == kind_of(published.ip) || *kind == kind::ANY {
                        wanted.address = Some(*kind);
                    } else {
                        wanted.nothing_else = Some(*kind);
                    }
                    wanted.unicast |= *wants_unicast;
                }
            }
            // RFC 6762 §7.1: whoever knows it for another half of its time needs no answer.
            Entry::Record { section: Section::Answer, name, kind, ttl, data } if *ttl >= TTL / 2 => {
                let known = address(*kind, data);
                for (_, wanted) in
                    names.filter(|(published, _)| known == Some(published.ip) && name.is(&published.host))
                {
                    wanted.address = None;
                }
            }
            Entry::Record { .. } | Entry::Other => {}
        }
    }
}
