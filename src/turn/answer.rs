//! The server's answers, and what follows from them.

use super::allocation::Granted;
use super::alternate::Alternate;
use super::client::Client;
use super::event::{Event, Received};
use super::lease::RETRY;
use super::problem::Problem;
use super::request::{Delivery, Purpose};
use crate::stun::wire::{Class, attr};
use crate::stun::{Attributes, Family, Message, TransactionId, code};
use crate::time::Instant;

/// The attributes that a response may have and that must be understood (RFC 8489 §6.3.3, §6.3.4). Those that are
/// known but not expected are ignored.
const KNOWN: [u16; 17] = [
    attr::MAPPED_ADDRESS,
    attr::USERNAME,
    attr::ERROR_CODE,
    attr::UNKNOWN_ATTRIBUTES,
    attr::CHANNEL_NUMBER,
    attr::LIFETIME,
    attr::XOR_PEER_ADDRESS,
    attr::REALM,
    attr::NONCE,
    attr::XOR_RELAYED_ADDRESS,
    attr::REQUESTED_ADDRESS_FAMILY,
    attr::EVEN_PORT,
    attr::REQUESTED_TRANSPORT,
    attr::DONT_FRAGMENT,
    attr::USERHASH,
    attr::XOR_MAPPED_ADDRESS,
    attr::RESERVATION_TOKEN,
];

impl Client {
    pub(super) fn handle_answer(&mut self, now: Instant, message: Message<'_>) -> Received<'static> {
        let id = message.transaction_id();
        let Some(purpose) = self.requests.find(id) else { return Received::Unclaimed };
        self.traffic.answers = self.traffic.answers.saturating_add(1);
        if message.method() != purpose.method() {
            return Received::Consumed;
        }
        let plain = message.plain();
        let challenge = plain.attributes().error_code().map(|error| error.code);
        match challenge.filter(|_| message.class() == Class::Error) {
            Some(code @ (code::UNAUTHENTICATED | code::STALE_NONCE)) => {
                self.follow_challenge(now, id, purpose, code, &plain.attributes());
            }
            _ => match self.authentication.verify(message) {
                Some(verified) => {
                    let since = self.requests.end(id).map_or(now, |ended| ended.started);
                    let attributes = verified.attributes();
                    match problem_of(message.class(), &attributes) {
                        None => self.succeed(now, since, purpose, &attributes),
                        Some(problem) if purpose == Purpose::Allocate => {
                            self.fail_to_allocate(now, problem, &attributes);
                        }
                        Some(problem) => self.fail(now, purpose, problem),
                    }
                }
                None => self.follow_forgery(now, id, purpose),
            },
        }
        self.begin_unpaced(now);
        Received::Consumed
    }

    /// An answer that nobody vouches for is dropped. Over UDP the true one may still come; what comes over a stream is of
    /// the server, or of somebody who holds the connection (RFC 8489 §9.1.4, §9.2.5).
    fn follow_forgery(&mut self, now: Instant, id: TransactionId, purpose: Purpose) {
        match self.requests.delivery() {
            Delivery::Datagrams => self.requests.doubt(id),
            Delivery::Stream => {
                self.requests.end(id);
                self.fail(now, purpose, Problem::IntegrityViolated);
            }
        }
    }

    /// A challenge that is met changes the credential, so that every open transaction begins anew.
    fn follow_challenge(
        &mut self,
        now: Instant,
        id: TransactionId,
        purpose: Purpose,
        code: u16,
        attributes: &Attributes<'_>,
    ) {
        self.requests.end(id);
        match self.authentication.challenge(code, attributes) {
            Ok(()) => {
                self.has_news = true;
                let others = self.requests.take();
                for purpose in std::iter::once(purpose).chain(others) {
                    self.begin_anew(now, purpose);
                }
            }
            Err(problem) => self.fail(now, purpose, problem),
        }
    }

    pub(super) fn begin_anew(&mut self, now: Instant, purpose: Purpose) {
        match purpose {
            Purpose::Allocate => self.allocation.again(),
            Purpose::Refresh => self.allocation.renew_at(now),
            Purpose::Delete => self.delete(now),
            Purpose::Release(_) if !self.allocation.is_in_place() => {}
            Purpose::Release(_) | Purpose::Move => {
                self.requests.begin(now, purpose);
            }
            Purpose::Permit(batch) => self.permissions.again(batch, now),
            Purpose::Bind(number) => self.channels.again(number, now),
        }
    }

    fn succeed(&mut self, now: Instant, since: Instant, purpose: Purpose, attributes: &Attributes<'_>) {
        match purpose {
            // It was closed meanwhile.
            Purpose::Allocate if self.allocation.is_over() => self.delete(now),
            Purpose::Allocate => {
                let room = self.authentication.room_for_ticket();
                match self.allocation.granted(since, attributes, room) {
                    Ok(granted) => self.follow_grant(now, granted, attributes),
                    Err(problem) => {
                        self.say(Event::Problem(problem));
                        self.allocation.close();
                        self.delete(now);
                    }
                }
            }
            Purpose::Move => {
                self.allocation.moved(attributes, self.authentication.room_for_ticket());
                if self.allocation.is_over() {
                    return self.delete(now);
                }
                self.allocation.refreshed(since, now, attributes);
                self.say(Event::Moved);
            }
            Purpose::Release(_) => {}
            Purpose::Refresh => self.allocation.refreshed(since, now, attributes),
            Purpose::Delete => self.allocation.end(),
            Purpose::Permit(batch) => {
                for peer in self.permissions.granted(batch, since) {
                    self.say(Event::PermissionGranted { peer });
                }
            }
            Purpose::Bind(number) => {
                let Some((peer, new)) = self.channels.bound(number, since) else { return };
                if !self.allocation.serves(peer.ip().into()) {
                    return;
                }
                let id = self.requests.id();
                if self.permissions.bound(peer.ip(), since, id) {
                    self.say(Event::PermissionGranted { peer: peer.ip() });
                }
                if new {
                    self.say(Event::ChannelBound { peer, number });
                }
            }
        }
    }

    fn follow_grant(&mut self, now: Instant, granted: Granted, attributes: &Attributes<'_>) {
        let Granted { relayed, mapped, lifetime, lacking } = granted;
        for relayed in relayed {
            self.say(Event::Allocated { relayed, mapped, lifetime });
        }
        let reason = attributes.address_error();
        for family in lacking {
            // A server that says nothing does not know of the wish.
            if let Some(reason) = reason.as_ref().filter(|reason| reason.family == family) {
                self.known.lacks(family, reason.code, now);
                self.has_news = true;
                let problem =
                    Problem::Error { code: reason.code, reason: reason.reason.clone().into_owned() };
                self.say(Event::Lacking { family, problem });
            }
            let mismatch = Problem::of_code(code::PEER_ADDRESS_FAMILY_MISMATCH);
            for peer in self.permissions.refuse_family(family, &mismatch) {
                self.say(Event::PermissionRefused { peer, problem: mismatch.clone() });
            }
            self.channels.end_family(family);
        }
    }

    /// An authentic error to an Allocate (RFC 8656 §7.4).
    fn fail_to_allocate(&mut self, now: Instant, problem: Problem, attributes: &Attributes<'_>) {
        if self.allocation.is_over() {
            return self.allocation.end();
        }
        match problem {
            Problem::Error { code: code::TRY_ALTERNATE, .. } => {
                match Alternate::of(attributes, self.allocation.transport()) {
                    Ok(Some(alternate)) => self.say(Event::Redirected(alternate)),
                    Ok(None) => self.say(Event::Problem(problem)),
                    Err(problem) => self.say(Event::Problem(problem)),
                }
                self.allocation.end();
            }
            // RFC 8016 §3.1.4: never again with the wish.
            Problem::Error { code: code::MOBILITY_FORBIDDEN, .. }
                if self.allocation.do_without_mobility() =>
            {
                self.known.is_immobile = true;
                self.has_news = true;
                self.allocation.again();
            }
            // RFC 8656 §7.4: no IPv4 address at this server. That of the other family it may have all the same.
            Problem::Error { code: code::ADDRESS_FAMILY_NOT_SUPPORTED, .. }
                if self.allocation.has_asked_for_both() =>
            {
                self.known.lacks(Family::V4, code::ADDRESS_FAMILY_NOT_SUPPORTED, now);
                self.has_news = true;
                self.allocation.again();
            }
            // RFC 8489 §6.3.4: the server failed, and may do better soon. Its capacity comes back later (RFC 8656 §7.4).
            Problem::Error { code: 500..600, .. }
                if !problem.has_code(code::INSUFFICIENT_CAPACITY) && self.allocation.repeat(now) => {}
            _ => self.fail(now, Purpose::Allocate, problem),
        }
    }

    pub(super) fn fail(&mut self, now: Instant, purpose: Purpose, problem: Problem) {
        match purpose {
            Purpose::Allocate => {
                self.say(Event::Problem(problem));
                self.allocation.end();
            }
            Purpose::Delete => self.allocation.end(),
            // What the server keeps of it ends with the rest.
            Purpose::Release(_) => {}
            Purpose::Move => {
                self.say(Event::Problem(problem));
                self.lose();
            }
            // RFC 8656 §5: 437 to anything but an Allocate means that the allocation is gone.
            _ if problem.has_code(code::ALLOCATION_MISMATCH) => self.lose(),
            // Nothing can be asked for any more, so it would end soon.
            _ if problem == Problem::Unauthorized => {
                self.say(Event::Problem(problem));
                self.lose();
            }
            Purpose::Refresh => self.allocation.renew_at(now + RETRY),
            Purpose::Permit(batch) => {
                for peer in self.permissions.failed(batch, now, &problem) {
                    self.say(Event::PermissionRefused { peer, problem: problem.clone() });
                }
            }
            // RFC 8656 §12.3: server and client disagree on what is bound. The allocation is given up.
            Purpose::Bind(_) if problem.has_code(code::BAD_REQUEST) => {
                self.say(Event::Problem(problem));
                self.say(Event::Lost);
                self.allocation.close();
                self.delete(now);
            }
            Purpose::Bind(number) => {
                if let Some(peer) = self.channels.failed(number, now, &problem) {
                    self.say(Event::ChannelLost { peer });
                }
            }
        }
    }
}

/// What is wrong with an authentic answer.
fn problem_of(class: Class, attributes: &Attributes<'_>) -> Option<Problem> {
    if attributes.unknown_required(&KNOWN).next().is_some() {
        return Some(Problem::Unsupported("an attribute"));
    }
    if class == Class::Success {
        return None;
    }
    Some(attributes.error_code().map_or(Problem::Incomplete("an ERROR-CODE"), Problem::from))
}
