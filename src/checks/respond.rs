//! The peer's check (RFC 8445 §7.3): who sent it, what it is answered, and what it teaches.

use std::net::SocketAddr;

use super::pair::{Nominated, PairId, PairState, RemoteId};
use super::role::{Conflict, Role};
use super::set::{ChecklistSet, MAX_PAIRS};
use crate::candidate::BaseId;
use crate::io::ComponentId;
use crate::stun::auth::Integrity;
use crate::stun::wire::{Class, Method, attr};
use crate::stun::{Attributes, Message, TransactionId, Verified, Writer};

/// Comprehension-required attributes of STUN and ICE (RFC 8489 §18.3, RFC 8445 §20.1). Those that a check has no use
/// for are ignored (RFC 8489 §6.3).
const KNOWN: [u16; 13] = [
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
    /// From the base that the request came to.
    pub base: BaseId,
    /// To where it came from.
    pub destination: SocketAddr,
    /// What it answers.
    pub id: TransactionId,
    /// What it says.
    pub answer: Answer,
    /// Whose key signs it, and how; `None` for those that cannot be signed.
    signed: Option<(u16, Integrity)>,
}

impl Reply {
    /// The length of an unsigned error answer: header, ERROR-CODE, FINGERPRINT.
    pub const UNSIGNED_LEN: usize = 36;

    /// 401 to a request whose USERNAME is nobody's.
    pub fn unknown_user(base: BaseId, destination: SocketAddr, message: Message<'_>) -> Self {
        let answer = Answer::Error { code: 401, unknown: None };
        Self { base, destination, id: message.transaction_id(), answer, signed: None }
    }
}

/// What a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Success, with the mapped address.
    Success,
    /// An error response; 420 names the first unknown attribute.
    Error {
        /// The code.
        code: u16,
        /// For 420.
        unknown: Option<u16>,
    },
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
    /// Authentic and answered with success.
    Accepted {
        /// The answer.
        reply: Reply,
        /// We had to switch roles (RFC 8445 §7.3.1.1).
        switched: Option<Role>,
        /// What it changed; `None` if a limit was reached.
        learnt: Option<Learnt>,
    },
}

impl ChecklistSet {
    /// Processes a Binding request that arrived on `base` (RFC 8445 §7.3). It has a FINGERPRINT.
    pub fn handle_request(
        &mut self,
        base: BaseId,
        component: ComponentId,
        source: SocketAddr,
        message: Message<'_>,
    ) -> Verdict {
        let mut reply = Reply {
            base,
            destination: source,
            id: message.transaction_id(),
            answer: Answer::Success,
            signed: None,
        };
        let error = |code, unknown| Answer::Error { code, unknown };
        let stream = component.stream;
        let (Some(username), true) = (message.username(), message.has_integrity()) else {
            return Verdict::Unauthenticated(Reply { answer: error(400, None), ..reply });
        };
        let Some(checklist) =
            self.checklist(stream).filter(|list| names(username, list.local.ufrag.as_str()))
        else {
            return Verdict::Stranger;
        };
        let Ok(request) = message.verify(&checklist.local.key) else {
            return Verdict::Unauthenticated(Reply { answer: error(401, None), ..reply });
        };
        reply.signed = Some((stream, request.by()));
        let attributes = request.attributes();
        if let Some(unknown) = first_unknown(&attributes) {
            return Verdict::Refused(Reply { answer: error(420, Some(unknown)), ..reply });
        }
        let Some(priority) = attributes.u32(attr::PRIORITY) else {
            return Verdict::Refused(Reply { answer: error(400, None), ..reply });
        };
        let switched = match self.roles.conflict(&attributes) {
            Conflict::None => None,
            Conflict::Refuse => return Verdict::Refused(Reply { answer: error(487, None), ..reply }),
            Conflict::Switch => {
                self.roles.role = self.roles.role.other();
                self.reprioritize();
                Some(self.roles.role)
            }
        };
        let learnt = self.learn(base, component, source, priority, &request);
        Verdict::Accepted { reply, switched, learnt }
    }

    /// RFC 8445 §7.3.1.3 to §7.3.1.5.
    fn learn(
        &mut self,
        base: BaseId,
        component: ComponentId,
        source: SocketAddr,
        priority: u32,
        request: &Verified<'_>,
    ) -> Option<Learnt> {
        let nominates = request.attributes().has(attr::USE_CANDIDATE) && self.roles.role == Role::Controlled;
        let known = self.remotes.len();
        let id = match self.pair_of(base, source) {
            Some(id) => id,
            None => self.learn_pair(base, component, source, priority)?,
        };
        let new_remote = (self.remotes.len() > known).then_some(RemoteId(known as u16));
        let pair = self.pair_mut(id)?;
        pair.authenticated = true;
        pair.blocked = false;
        pair.quality.requests_received += 1;
        let (state, priority) = (pair.state, pair.priority);
        if nominates && pair.nominated == Nominated::No {
            pair.nominated = Nominated::OnSuccess;
        }
        let selected = self.checklist(component.stream)?.component(component.component)?.selected;
        let outranked = selected.and_then(|id| self.pair(id)).is_some_and(|best| priority <= best.priority);
        let selected = if state == PairState::Succeeded {
            // RFC 8445 §7.3.1.5.
            nominates && self.select(id)
        } else {
            // Once a pair is selected only a better nomination is worth a check of our own (RFC 8445 §8.1.1,
            // §8.1.2): a peer that nominates aggressively.
            if selected.is_none() || (nominates && !outranked) {
                self.check_back(id, state);
            }
            false
        };
        self.limit_pairs();
        if self.by_path.len() > MAX_PAIRS {
            // Nothing could be given up for it.
            self.remove_pair(id);
            return None;
        }
        Some(Learnt { pair: id, new_remote, selected })
    }

    /// The triggered check of RFC 8445 §7.3.1.4.
    fn check_back(&mut self, id: PairId, state: PairState) {
        if state == PairState::InProgress {
            self.cancel_check(id);
        }
        self.set_state(id, PairState::Waiting);
        self.trigger(id);
    }

    /// Writes an answer; `None` if the stream is gone.
    pub fn write_reply(&self, reply: &Reply, buf: &mut [u8]) -> Option<usize> {
        let class = if reply.answer == Answer::Success { Class::Success } else { Class::Error };
        let mut writer = Writer::new(buf, class, Method::BINDING, reply.id);
        match reply.answer {
            Answer::Success => {
                writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, reply.destination);
            }
            Answer::Error { code, unknown } => {
                writer.put_error_code(code, "");
                if let Some(unknown) = unknown {
                    writer.put(attr::UNKNOWN_ATTRIBUTES, &unknown.to_be_bytes());
                }
            }
        }
        if let Some((stream, integrity)) = reply.signed {
            writer.integrity(&self.checklist(stream)?.local.key, integrity);
        }
        writer.fingerprint();
        Some(writer.finish().ok()?.len())
    }
}

/// `local ufrag:anything` (RFC 8445 §7.3): the right part may not be known yet.
fn names(username: &[u8], ufrag: &str) -> bool {
    username.strip_prefix(ufrag.as_bytes()).is_some_and(|rest| rest.first() == Some(&b':'))
}

/// The first attribute that must be understood and is not.
pub(super) fn first_unknown(attributes: &Attributes<'_>) -> Option<u16> {
    attributes.iter().map(|(kind, _)| kind).find(|kind| *kind < 0x8000 && !KNOWN.contains(kind))
}
