//! Who asks: the long-term credential mechanism of a server (RFC 8489 §9.2.4). Nonces are not remembered but
//! recognised: time and client address under a seal.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::config::Config;
use crate::stun::attributes::PasswordAlgorithms;
use crate::stun::auth::{Integrity, PasswordAlgorithm, Seal, timed_password, userhash};
use crate::stun::nonce::SecurityFeatures;
use crate::stun::wire::attr;
use crate::stun::{Attributes, Key, Message, Verified, code};
use crate::time::{Duration, Instant};

/// What the server offers, the preferred one first.
pub(super) const ALGORITHMS: [PasswordAlgorithm; 2] = [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5];
/// A user: one of the configuration by its place there, or one with a password for a time by the tag of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum UserId {
    Configured(usize),
    Timed(u64),
}

/// Who asked, and how: the answer is protected the same way (RFC 8489 §9.2.4).
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) user: UserId,
    pub(super) key: Key,
    pub(super) integrity: Integrity,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 401 or 438: the answer says how to authenticate.
    Challenge(u16),
    /// 400: the attributes contradict each other.
    BadRequest,
}

/// The keys of a user; the password is not kept (RFC 8656 §6).
#[derive(Debug)]
struct Keys {
    by_md5: Key,
    by_sha256: Key,
}

/// Users and nonces.
#[derive(Debug)]
pub(super) struct Gate {
    realm: String,
    keys: Vec<Keys>,
    by_name: BTreeMap<Box<[u8]>, UserId>,
    by_hash: BTreeMap<[u8; 32], UserId>,
    /// Of passwords for a time.
    secret: Option<Box<[u8]>>,
    /// Unix time at an instant; moves on with the clock of the instants.
    unix: Option<(Instant, Duration)>,
    /// What every nonce announces: a client that finds less in the message knows that somebody took it out.
    features: SecurityFeatures,
    seal: Seal,
    epoch: Instant,
    nonce_lifetime: Duration,
}

impl Gate {
    pub(super) fn new(config: &Config, secret: &[u8; 32], epoch: Instant) -> Self {
        let mut gate = Self {
            realm: config.realm.clone(),
            keys: Vec::new(),
            by_name: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            secret: config.secret.clone(),
            unix: None,
            // The hash of a name that is not kept says nothing.
            features: SecurityFeatures {
                password_algorithms: true,
                username_anonymity: config.secret.is_none(),
            },
            seal: Seal::new(secret),
            epoch,
            nonce_lifetime: config.nonce_lifetime,
        };
        for (name, password) in &config.users {
            let id = UserId::Configured(gate.keys.len());
            let key = |algorithm| Key::long_term(algorithm, name, &gate.realm, password);
            let keys =
                Keys { by_md5: key(PasswordAlgorithm::Md5), by_sha256: key(PasswordAlgorithm::Sha256) };
            gate.by_name.insert(name.as_bytes().into(), id);
            gate.by_hash.insert(userhash(name, &gate.realm), id);
            gate.keys.push(keys);
        }
        gate
    }

    /// Whether anybody may come in.
    pub(super) fn has_users(&self) -> bool {
        !self.keys.is_empty() || self.secret.is_some()
    }

    /// What the time of day is, for passwords that end.
    pub(super) fn set_unix_time(&mut self, now: Instant, unix: Duration) {
        self.unix = Some((now, unix));
    }

    pub(super) fn realm(&self) -> &str {
        &self.realm
    }

    /// Checks a request in the order of RFC 8489 §9.2.4.
    pub(super) fn check<'a>(
        &self,
        now: Instant,
        source: SocketAddr,
        message: Message<'a>,
    ) -> Result<(Verified<'a>, Asker), Refusal> {
        const UNAUTHENTICATED: Refusal = Refusal::Challenge(code::UNAUTHENTICATED);
        if !message.has_integrity() {
            return Err(UNAUTHENTICATED);
        }
        let claims = message.plain().attributes();
        let named = claims.has(attr::USERNAME) || claims.has(attr::USERHASH);
        let nonce = claims.nonce().filter(|_| named && claims.has(attr::REALM));
        let nonce = nonce.ok_or(Refusal::BadRequest)?;
        let algorithm = chosen_algorithm(&claims, &nonce)?;
        let (user, key) = self.user(now, &message, &claims, algorithm).ok_or(UNAUTHENTICATED)?;
        let verified = message.verify(&key).map_err(|_| UNAUTHENTICATED)?;
        if !self.is_fresh(now, source, &nonce) {
            return Err(Refusal::Challenge(code::STALE_NONCE));
        }
        Ok((verified, Asker { user, key, integrity: verified.by() }))
    }

    fn user(
        &self,
        now: Instant,
        message: &Message<'_>,
        claims: &Attributes<'_>,
        algorithm: PasswordAlgorithm,
    ) -> Option<(UserId, Key)> {
        let user = match claims.userhash() {
            Some(hash) => self.by_hash.get(&hash),
            None => self.by_name.get(message.username()?),
        };
        let Some(user) = user else { return self.timed(now, message.username()?, algorithm) };
        let UserId::Configured(at) = *user else { return None };
        let keys = self.keys.get(at)?;
        let key = match algorithm {
            PasswordAlgorithm::Md5 => &keys.by_md5,
            PasswordAlgorithm::Sha256 => &keys.by_sha256,
        };
        Some((*user, key.clone()))
    }

    /// A user with a password for a time: the name is the Unix time of its end and, behind a colon, whatever tells
    /// users apart. `None` after that time.
    fn timed(&self, now: Instant, username: &[u8], algorithm: PasswordAlgorithm) -> Option<(UserId, Key)> {
        let (secret, (at, unix)) = (self.secret.as_ref()?, self.unix?);
        let username = str::from_utf8(username).ok()?;
        let (end, name) = username.split_once(':').unwrap_or((username, ""));
        let end = end.bytes().all(|digit| digit.is_ascii_digit()).then(|| end.parse().ok())??;
        if unix.saturating_add(now.saturating_duration_since(at)) >= Duration::from_secs(end) {
            return None;
        }
        let password = timed_password(secret, username);
        let key = Key::long_term(algorithm, username, &self.realm, &password);
        Some((UserId::Timed(self.seal.tag(&[b"user:", name.as_bytes()].concat())), key))
    }

    /// A nonce for this client: the cookie, seconds since the start, and their tag.
    pub(super) fn nonce(&self, now: Instant, source: SocketAddr) -> String {
        let seconds = now.saturating_duration_since(self.epoch).as_secs();
        let tag = self.seal.tag(&sealed(seconds, source));
        format!("{}{seconds:08x}{tag:016x}", self.features)
    }

    /// Whether this nonce was given to this client, and not too long ago.
    fn is_fresh(&self, now: Instant, source: SocketAddr, nonce: &str) -> bool {
        let Some((seconds, tag)) = self.parse_nonce(nonce) else { return false };
        let age = now.saturating_duration_since(self.epoch).checked_sub(Duration::from_secs(seconds));
        self.seal.fits(&sealed(seconds, source), tag) && age.is_some_and(|age| age < self.nonce_lifetime)
    }

    fn parse_nonce(&self, nonce: &str) -> Option<(u64, u64)> {
        let own = nonce.strip_prefix(&self.features.to_string())?;
        let (seconds, tag) = own.split_at_checked(own.len().checked_sub(16)?)?;
        let is_hex = |text: &str| text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if seconds.len() < 8 || !is_hex(own) {
            return None;
        }
        Some((u64::from_str_radix(seconds, 16).ok()?, u64::from_str_radix(tag, 16).ok()?))
    }
}

/// Which of the keys the client used (RFC 8489 §9.2.4). Only our nonces have the bit that makes the choice
/// binding; without it, and without the attributes, it is MD5.
fn chosen_algorithm(claims: &Attributes<'_>, nonce: &str) -> Result<PasswordAlgorithm, Refusal> {
    let (list, choice) = (claims.has(attr::PASSWORD_ALGORITHMS), claims.has(attr::PASSWORD_ALGORITHM));
    if !SecurityFeatures::of(nonce).password_algorithms || (!list && !choice) {
        return Ok(PasswordAlgorithm::Md5);
    }
    let offered = claims.password_algorithms() == Some(PasswordAlgorithms::offer(&ALGORITHMS));
    claims.password_algorithm().filter(|_| offered).ok_or(Refusal::BadRequest)
}

/// What the tag of a nonce covers: a nonce is good for one source address and port (RFC 8489 §9.2.4).
fn sealed(seconds: u64, source: SocketAddr) -> [u8; 26] {
    let ip = match source.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; 26];
    bytes[..8].copy_from_slice(&seconds.to_be_bytes());
    bytes[8..24].copy_from_slice(&ip.octets());
    bytes[24..].copy_from_slice(&source.port().to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::test_epoch;

    /// RFC 8489 §9.2.4, §9.2: nonces are of one client, for a time, and announce the features.
    #[test]
    fn a_nonce_is_good_for_its_client_and_its_time() {
        let start = test_epoch();
        let config = Config::new([0; 32]).nonce_lifetime(Duration::from_secs(60));
        let gate = Gate::new(&config, &[1; 32], start);
        let client: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let given = start + Duration::from_millis(1500);
        let nonce = gate.nonce(given, client);
        assert!(nonce.starts_with("obMatJos2wAAA") && nonce.len() < 64);
        assert!(gate.is_fresh(given, client, &nonce));
        assert!(gate.is_fresh(given + Duration::from_secs(59), client, &nonce));
        assert!(!gate.is_fresh(given + Duration::from_secs(60), client, &nonce));
        assert!(!gate.is_fresh(start, client, &nonce), "a nonce of the future");
        for other in ["192.0.2.1:5001", "192.0.2.2:5000", "[2001:db8::1]:5000"] {
            assert!(!gate.is_fresh(given, other.parse().unwrap(), &nonce), "{other}");
        }
        let stranger = Gate::new(&config, &[2; 32], start);
        assert!(!stranger.is_fresh(given, client, &nonce));
        for at in 0..nonce.len() {
            let mut bytes = nonce.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            assert!(!gate.is_fresh(given, client, &String::from_utf8(bytes).unwrap()), "{at}");
        }
        for junk in ["", "obMatJos2wAAA", "obMatJos2wAAA+0000001+000000000000001", "é".repeat(40).as_str()] {
            assert!(!gate.is_fresh(given, client, junk), "{junk}");
        }
    }
}
