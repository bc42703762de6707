//! The long-term credential (RFC 8489 §9.2): what the server's challenges make of username and password.

use std::fmt;

use super::problem::Problem;
use crate::stun::attributes::PasswordAlgorithms;
use crate::stun::auth::{Integrity, PasswordAlgorithm, Verified, userhash};
use crate::stun::nonce::SecurityFeatures;
use crate::stun::wire::{Class, Method, attr};
use crate::stun::{Attributes, Key, Message, TransactionId, Writer, code};

/// Challenges in a row, without an authentic answer between them, that are met. A server that sends more of them is
/// broken or hostile (RFC 8489 §9.2.5).
const MAX_CHALLENGES: u8 = 4;
/// What a credential may take of a request; the rest of 1200 bytes is for the header, eight peers and the HMAC.
const MAX_LEN: usize = 940;

/// What MOBILITY-TICKET may take beside the longest credential; a shorter one leaves more.
const TICKET_ROOM: usize = 180;

/// Username and password, and the credential that the last challenge made of them.
pub(super) struct Authentication {
    username: String,
    password: String,
    credential: Option<Credential>,
    challenges: u8,
}

/// What a server wants requests to be signed for. Every client of the server may begin with it.
#[derive(Clone)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    offer: Option<(PasswordAlgorithms, PasswordAlgorithm)>,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Who was challenged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This client.
    Own,
    /// Another one of the same server: a 401 says that the challenge is old, not that the password is wrong.
    Other,
}

/// What all requests carry until the next challenge. A challenge ends all open transactions, so that each
/// retransmission repeats its first bytes.
struct Credential {
    realm: String,
    nonce: String,
    user: User,
    /// What the server offers, and the choice; none if it knows MD5 only.
    offer: Option<(PasswordAlgorithms, PasswordAlgorithm)>,
    key: Key,
    origin: Origin,
}

enum User {
    Name(String),
    Hash([u8; 32]),
}

impl Authentication {
    pub(super) fn new(username: String, password: String) -> Self {
        Self { username, password, credential: None, challenges: 0 }
    }

    /// Takes a 401 or a 438. Nobody vouches for it: both come without integrity (RFC 8489 §9.2.4).
    ///
    /// # Errors
    /// The request must not be tried again.
    pub(super) fn challenge(&mut self, code: u16, attributes: &Attributes<'_>) -> Result<(), Problem> {
        let known = self.credential.as_ref();
        let nonce = attributes.nonce().ok_or(Problem::Incomplete("a NONCE"))?;
        let stale = code == code::STALE_NONCE;
        let cached = known.filter(|_| stale).map(|known| known.realm.clone());
        let realm = attributes.realm().or(cached).ok_or(Problem::Incomplete("a REALM"))?;
        if !stale && known.is_some_and(|known| known.realm == realm && known.origin == Origin::Own) {
            return Err(Problem::Unauthorized);
        }
        if self.challenges >= MAX_CHALLENGES {
            self.challenges = 0;
            return Err(Problem::of_code(code));
        }
        let offer = self.choose(&nonce, attributes)?;
        let credential = self.credential_for(Challenge { realm, nonce, offer }, Origin::Own)?;
        self.challenges += 1;
        self.credential = Some(credential);
        Ok(())
    }

    /// Begins with the challenge of another client, unless this one had its own. One that it cannot meet is forgotten.
    pub(super) fn adopt(&mut self, challenge: Challenge) {
        if self.credential.is_none() {
            self.credential = self.credential_for(challenge, Origin::Other).ok();
        }
    }

    /// What the next client of this server may begin with.
    pub(super) fn challenged(&self) -> Option<Challenge> {
        self.credential.as_ref().map(|Credential { realm, nonce, offer, .. }| Challenge {
            realm: realm.clone(),
            nonce: nonce.clone(),
            offer: offer.clone(),
        })
    }

    fn credential_for(&self, challenge: Challenge, origin: Origin) -> Result<Credential, Problem> {
        let Challenge { realm, nonce, offer } = challenge;
        let known = self.credential.as_ref();
        let algorithm = offer.as_ref().map_or(PasswordAlgorithm::Md5, |(_, choice)| *choice);
        // RFC 8489 §9.2.2: the key is made of the realm without quotes and trailing zeros.
        let bare = realm.trim_end_matches('\0').trim_matches('"');
        let key = match known {
            Some(known) if known.realm == realm && known.algorithm() == algorithm => known.key.clone(),
            _ => Key::long_term(algorithm, &self.username, bare, &self.password),
        };
        let user = if SecurityFeatures::of(&nonce).username_anonymity {
            User::Hash(userhash(&self.username, bare))
        } else {
            User::Name(self.username.clone())
        };
        let credential = Credential { realm, nonce, user, offer, key, origin };
        if credential.len().is_none() {
            return Err(Problem::Unsupported("a credential above the size of a datagram"));
        }
        Ok(credential)
    }

    /// Bytes that a ticket may have, so that it fits into a request.
    pub(super) fn room_for_ticket(&self) -> usize {
        let len = self.credential.as_ref().and_then(Credential::len);
        TICKET_ROOM + MAX_LEN - len.unwrap_or(MAX_LEN)
    }

    /// The password algorithm. Bid-down protection (RFC 8489 §9.2.5): the nonce tells whether there must be a choice,
    /// and a server that offered one before cannot have forgotten it.
    fn choose(
        &self,
        nonce: &str,
        attributes: &Attributes<'_>,
    ) -> Result<Option<(PasswordAlgorithms, PasswordAlgorithm)>, Problem> {
        let offered_before = self.credential.as_ref().is_some_and(|known| known.offer.is_some());
        let expected = offered_before || SecurityFeatures::of(nonce).password_algorithms;
        let Some(offer) = attributes.password_algorithms() else {
            let broken = expected || attributes.has(attr::PASSWORD_ALGORITHMS);
            return if broken { Err(Problem::Incomplete("PASSWORD-ALGORITHMS")) } else { Ok(None) };
        };
        // RFC 8656 §6: SHA-256 wherever it stands in the list.
        let choice = if offer.has(PasswordAlgorithm::Sha256) {
            Some(PasswordAlgorithm::Sha256)
        } else {
            offer.supported().next()
        };
        let choice = choice.ok_or(Problem::Unsupported("a password algorithm"))?;
        Ok(Some((offer, choice)))
    }

    /// Adds the credential and the integrity; nothing before the first challenge (RFC 8489 §9.2.3.1).
    pub(super) fn sign(&self, writer: &mut Writer<'_>) {
        if let Some(credential) = &self.credential {
            credential.put(writer);
            writer.integrity(&credential.key, credential.integrity());
        }
    }

    /// The answer, if it is authentic. One whose nonce announces PASSWORD-ALGORITHMS that are not there was
    /// tampered with.
    pub(super) fn verify<'a>(&mut self, message: Message<'a>) -> Option<Verified<'a>> {
        let verified = message.verify(&self.credential.as_ref()?.key).ok()?;
        let attributes = verified.attributes();
        let announced =
            attributes.nonce().is_some_and(|nonce| SecurityFeatures::of(&nonce).password_algorithms);
        if announced && attributes.password_algorithms().is_none() {
            return None;
        }
        self.challenges = 0;
        Some(verified)
    }
}

impl Credential {
    fn algorithm(&self) -> PasswordAlgorithm {
        self.offer.as_ref().map_or(PasswordAlgorithm::Md5, |(_, choice)| *choice)
    }

    /// RFC 8489 §9.2.5: once the server has offered algorithms, SHA-256 protects all requests.
    fn integrity(&self) -> Integrity {
        if self.offer.is_some() { Integrity::Sha256 } else { Integrity::Sha1 }
    }

    fn put(&self, writer: &mut Writer<'_>) {
        match &self.user {
            User::Name(name) => writer.put_username(name),
            User::Hash(hash) => writer.put_userhash(*hash),
        };
        writer.put_realm(&self.realm).put_nonce(&self.nonce);
        if let Some((offer, choice)) = &self.offer {
            writer.put_password_algorithms(offer).put_password_algorithm(*choice);
        }
    }

    /// Bytes that it takes of a request, the header included; `None`: more than there are.
    fn len(&self) -> Option<usize> {
        let mut room = [0; MAX_LEN];
        let mut writer = Writer::new(&mut room, Class::Request, Method::ALLOCATE, TransactionId([0; 12]));
        self.put(&mut writer);
        Some(writer.finish().ok()?.len())
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let realm = self.credential.as_ref().map(|credential| &credential.realm);
        f.debug_struct("Authentication")
            .field("username", &self.username)
            .field("realm", &realm)
            .finish_non_exhaustive()
    }
}
