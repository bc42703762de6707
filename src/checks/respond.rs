//! The peer's check (RFC 8445 §7.3): who sent it, what it is answered, and what it teaches.

use std::net::SocketAddr;

use super::ask::Ask;
use super::pair::{Link, Nominated, PairId, PairState, RemoteId};
use super::role::{Conflict, Role};
use super::set::{ChecklistSet, Implementation};
use crate::candidate::BaseId;
use crate::io::ComponentId;
use crate::stun::auth::Integrity;
use crate::stun::wire::{Class, Method, attr};
use crate::stun::{Attributes, Message, TransactionId, Verified, Writer, code};
use crate::time::{Duration, Instant};

/// How long the answer to a check is consent to send (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// Comprehension-required attributes of STUN and ICE (RFC 8489 §18.3, RFC 8445 §20.1). Those that a check has no use
/// for are ignored (RFC 8489 §6.3).
pub(super) const KNOWN: [u16; 13] = [
    attr::MAPPED_ADDRESS,
    attr::USERNAME,
    attr::MESSAGE_INTEGRITY,
    attr::ERROR_CODE,
    attr::UNKNOWN_ATTRIBUTES,
    attr::REALM,
    attr::NONCE,
    attr::MESSAGE_INTEGRITY_SHA256,
    attr::PASSWORD_ALGORITHM,
    attr::USERHASH,
    attr::XOR_MAPPED_ADDRESS,
    attr::PRIORITY,
    attr::USE_CANDIDATE,
];

/// The answer to one request, small enough to queue; its bytes are made when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub answer: Answer,
    /// How it is signed; `None` if it cannot be.
    signature: Option<Signature>,
}

/// Whose key signs an answer, and how: as the request was (RFC 8489 §9.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signature {
    stream: u16,
    by: Integrity,
}

impl Reply {
    /// The length of an unsigned error answer: header, ERROR-CODE, FINGERPRINT.
    pub const UNSIGNED_LEN: usize = 36;
    /// 401 to a request whose USERNAME is nobody's.
    pub const UNKNOWN_USER: Self = Self::unsigned(401);

    const fn unsigned(code: u16) -> Self {
        Self { answer: Answer::Error(code), signature: None }
    }
}

/// What a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Success, with the mapped address.
    Success,
    /// An error response with this code.
    Error(u16),
    /// 420, with the types that were not understood.
    Unknown(Unknown),
}

/// Types of attributes that were not understood, each once: the first eight, since a ninth teaches nobody more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown {
    kinds: [u16; 8],
    count: u8,
}

impl Unknown {
    /// `None` if all that must be understood is.
    fn of(attributes: &Attributes<'_>) -> Option<Self> {
        let mut unknown = Self { kinds: [0; 8], count: 0 };
        for (to, kind) in unknown.kinds.iter_mut().zip(attributes.unknown_required(&KNOWN)) {
            *to = kind;
            unknown.count += 1;
        }
        (unknown.count > 0).then_some(unknown)
    }
}

/// What a request of the peer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learnt {
    /// The pair it arrived on.
    pub pair: PairId,
    /// Its source was not known before: a peer-reflexive remote candidate.
    pub new_remote: Option<RemoteId>,
    /// It nominated the pair.
    pub selected: bool,
    /// The peer checks on and never answers: the checklist may be spent.
    pub one_way: bool,
    /// The pair is valid, its consent stands, and nothing was wished: only counters have changed, nothing is due sooner.
    pub steady: bool,
}

/// What to do about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another agent's, or nobody's: its USERNAME names no stream of ours.
    Stranger,
    /// An answer that is not authenticated, to be given sparingly.
    Unauthenticated(Reply),
    /// Authentic, and refused.
    Refused(Reply),
    /// Authentic and processed. The answer is success, or 400 if its nomination is not followed (RFC 8445 §7.3.1.5).
    Accepted {
        /// The answer.
        reply: Reply,
        /// We had to switch roles (RFC 8445 §7.3.1.1).
        switched: Option<Role>,
        /// What it changed; `None` if a limit was reached.
        learnt: Option<Learnt>,
    },
}

/// What a check wishes of a controlled agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    None,
    /// This pair, with a value that is 0 without renomination.
    Nominates(u32),
    /// This pair, but a later nomination has come before.
    Outdated,
}

impl Wish {
    fn value(self) -> Option<u32> {
        match self {
            Self::Nominates(value) => Some(value),
            Self::None | Self::Outdated => None,
        }
    }
}

impl ChecklistSet {
    /// Processes a Binding request that arrived on `base` (RFC 8445 §7.3). It has a FINGERPRINT.
    pub fn handle_request(
        &mut self,
        now: Instant,
        base: BaseId,
        component: ComponentId,
        source: SocketAddr,
        message: Message<'_>,
    ) -> Verdict {
        let (signature, request) = match self.authenticate(component.stream, message) {
            Ok(authentic) => authentic,
            Err(verdict) => return verdict,
        };
        let reply = |answer| Reply { answer, signature: Some(signature) };
        let ask = Ask::read(&request.attributes());
        if ask.is_beyond_us
            && let Some(unknown) = Unknown::of(&request.attributes())
        {
            return Verdict::Refused(reply(Answer::Unknown(unknown)));
        }
        let Some(priority) = ask.priority() else {
            return Verdict::Refused(reply(Answer::Error(400)));
        };
        let switched = match self.conflict(&ask) {
            Conflict::None => None,
            Conflict::Refuse => return Verdict::Refused(reply(Answer::Error(487))),
            Conflict::Switch => {
                self.roles.role = self.roles.role.other();
                self.reprioritize();
                Some(self.roles.role)
            }
        };
        let wish = self.wish(component, &ask);
        let learnt = self.learn(now, base, component, source, priority, wish.value());
        let followed = wish == Wish::None || (wish.value().is_some() && learnt.is_some());
        let answer = if followed { Answer::Success } else { Answer::Error(400) };
        Verdict::Accepted { reply: reply(answer), switched, learnt }
    }

    /// Answers a check of an ICE session that a restart has ended, and does nothing else with it (RFC 8445 §9): the
    /// peer's consent to send on the old pair goes on (RFC 7675 §5.1).
    ///
    /// Only if both ufrags are of that session: a peer that checks with a new ufrag of its own and an old one of ours, as
    /// browsers do before they have our answer, would take a pair for valid that is none of the new session.
    pub fn answer_late(&self, stream: u16, message: Message<'_>) -> Option<Reply> {
        let theirs = self.checklist(stream)?.remote.as_ref()?.credentials.ufrag.as_str();
        message.username().filter(|username| username.ends_with(format!(":{theirs}").as_bytes()))?;
        let (signature, _) = self.authenticate(stream, message).ok()?;
        Some(Reply { answer: Answer::Success, signature: Some(signature) })
    }

    /// Whose request it is: the signature of the answer, and what the key vouches for (RFC 8445 §7.3, RFC 8489 §9.1.3).
    fn authenticate<'a>(
        &self,
        stream: u16,
        message: Message<'a>,
    ) -> Result<(Signature, Verified<'a>), Verdict> {
        let unauthenticated = |code| Verdict::Unauthenticated(Reply::unsigned(code));
        let (Some(username), true) = (message.username(), message.has_integrity()) else {
            return Err(unauthenticated(400));
        };
        let named = self.checklist(stream).filter(|list| names(username, list.local.ufrag.as_str()));
        let checklist = named.ok_or(Verdict::Stranger)?;
        let request = message.verify(&checklist.local.key).map_err(|_| unauthenticated(401))?;
        Ok((Signature { stream, by: request.by() }, request))
    }

    /// A lite agent has no conflict to repair: whoever checks is full and controls, also where its credentials are still
    /// to come (RFC 8445 §6.1.1).
    fn conflict(&self, ask: &Ask<'_>) -> Conflict {
        match self.implementation {
            Implementation::Full => self.roles.conflict(ask),
            Implementation::Lite if self.roles.role == Role::Controlling => Conflict::Switch,
            Implementation::Lite => Conflict::None,
        }
    }

    /// RFC 8445 §7.3.1.3 to §7.3.1.5.
    fn learn(
        &mut self,
        now: Instant,
        base: BaseId,
        component: ComponentId,
        source: SocketAddr,
        priority: u32,
        wish: Option<u32>,
    ) -> Option<Learnt> {
        let known = self.remotes.len();
        let id = match self.pair_of(base, source) {
            Some(id) => id,
            None => self.learn_pair(base, component, source, priority)?,
        };
        let new_remote = (self.remotes.len() > known).then_some(RemoteId(known as u16));
        let is_selected = self.is_selected(id);
        let pair = self.pair_mut(id)?;
        pair.authenticated = true;
        let before = pair.heard.replace(now);
        pair.blocked = false;
        if pair.link != Link::Datagrams {
            // It has come over it.
            pair.link = Link::Open;
        }
        pair.quality.requests_received += 1;
        if let Some(value) = wish {
            pair.nomination = pair.nomination.max(value);
            if !is_selected {
                pair.nominated = Nominated::OnSuccess;
            }
        }
        let fresh = pair.answered.is_some_and(|at| now < at + CONSENT);
        let (state, priority, one_way) = (pair.state, pair.priority, pair.is_one_way(now));
        if self.implementation == Implementation::Lite {
            let selected = wish.is_some() && self.accept(id);
            return Some(Learnt { pair: id, new_remote, selected, one_way: false, steady: false });
        }
        let heard = self.checklist_mut(component.stream)?.component_mut(component.component)?;
        heard.is_heard = true;
        let selected = self.checklist(component.stream)?.component(component.component)?.selected;
        let selected = if state == PairState::Succeeded && !fresh && (wish.is_some() || selected.is_none()) {
            // Consent to send on it has lapsed (RFC 7675 §5.1): it is asked for before data is sent again. Without a
            // selected pair the peer's checks may be the only sign of a way that works.
            self.trigger(id);
            false
        } else if state == PairState::Succeeded {
            // RFC 8445 §7.3.1.5.
            wish.is_some() && self.select(id)
        } else {
            // Once a pair is selected only a better one is worth a check of our own (RFC 8445 §8.1.1, §8.1.2): that of
            // a peer that nominates aggressively, or anew.
            // Nor does one count that has lost its connection: this may be the next one (RFC 6544 §11.1).
            let best = selected.and_then(|selected| self.pair(selected));
            let best = best.filter(|pair| pair.link != Link::Closed).map(|pair| pair.priority);
            let worth = match best {
                None => true,
                Some(best) if self.renominates(component.stream) => {
                    wish.is_some() || priority > best || self.is_of_use(now, id, before)
                }
                Some(best) => wish.is_some() && priority > best,
            };
            let is_checked =
                wish.is_none() && state == PairState::InProgress && self.is_checked_back(now, id);
            if worth && !is_checked {
                self.check_back(id, state);
            }
            false
        };
        self.limit_pairs();
        if self.by_path.len() > usize::from(self.limits.pairs) {
            // Nothing could be given up for it.
            self.remove_pair(id);
            return None;
        }
        let steady = state == PairState::Succeeded && fresh && wish.is_none();
        Some(Learnt { pair: id, new_remote, selected, one_way, steady })
    }

    /// What a check wishes: with renomination the value of a nomination must not be below what came before.
    fn wish(&self, at: ComponentId, ask: &Ask<'_>) -> Wish {
        if !ask.nominates || self.roles.role != Role::Controlled {
            return Wish::None;
        }
        let value = ask.nomination().unwrap_or(0);
        if !self.renominates(at.stream) {
            // A peer whose credentials are still to come may know renomination: the order of its nominations counts.
            let early = self.checklist(at.stream).is_some_and(|list| list.remote.is_none());
            return Wish::Nominates(if early { value } else { 0 });
        }
        let component = self.checklist(at.stream).and_then(|list| list.component(at.component));
        if component.is_some_and(|component| value >= component.nomination) {
            Wish::Nominates(value)
        } else {
            Wish::Outdated
        }
    }

    /// The triggered check of RFC 8445 §7.3.1.4.
    pub(super) fn check_back(&mut self, id: PairId, state: PairState) {
        if state == PairState::InProgress {
            self.cancel_check(id);
        }
        self.set_state(id, PairState::Waiting);
        self.trigger(id);
    }

    /// Writes the answer to the request that came from `source` with this id; `None` if the stream is gone.
    pub fn write_reply(
        &self,
        reply: &Reply,
        id: TransactionId,
        source: SocketAddr,
        buf: &mut [u8],
    ) -> Option<usize> {
        let class = if reply.answer == Answer::Success { Class::Success } else { Class::Error };
        let mut writer = Writer::new(buf, class, Method::BINDING, id);
        match reply.answer {
            Answer::Success => {
                writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, source);
            }
            Answer::Error(code) => {
                writer.put_error_code(code, "");
            }
            Answer::Unknown(Unknown { kinds, count }) => {
                writer.put_error_code(code::UNKNOWN_ATTRIBUTE, "");
                writer.put_unknown_attributes(kinds.into_iter().take(count.into()));
            }
        }
        if let Some(Signature { stream, by }) = reply.signature {
            writer.integrity(&self.checklist(stream)?.local.key, by);
        }
        writer.fingerprint();
        Some(writer.finish().ok()?.len())
    }
}

/// `local ufrag:anything` (RFC 8445 §7.3): the right part may not be known yet.
pub(super) fn names(username: &[u8], ufrag: &str) -> bool {
    username.strip_prefix(ufrag.as_bytes()).is_some_and(|rest| rest.first() == Some(&b':'))
}
