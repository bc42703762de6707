//! Authentication of STUN messages (RFC 8489 §9, §14.5, §14.6): keys that are prepared once, verification over
//! the bytes as received, in constant time.

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::hmac_sha1::HmacSha1;
use super::wire::{Attributes, HEADER, Message, Writer, attr};

/// Which integrity attribute protects a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY: HMAC-SHA1.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256,
}

/// How a long-term key is made of username, realm and password (RFC 8489 §18.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum PasswordAlgorithm {
    /// 0x0001.
    Md5 = 1,
    /// 0x0002.
    Sha256 = 2,
}

/// A key, prepared for HMAC-SHA1. SHA-256 is keyed at use: it is rare, and its states would double the size.
#[derive(Clone)]
pub struct Key {
    sha1: HmacSha1,
    /// Most are short: passwords of 22 characters.
    bytes: SmallVec<[u8; 24]>,
}

impl Key {
    /// The key of a short-term credential: the password itself (RFC 8489 §9.1.1).
    pub fn short_term(password: &str) -> Self {
        Self::from_bytes(password.as_bytes())
    }

    /// The key of a long-term credential: a hash of `username:realm:password` (RFC 8489 §9.2.2). The texts are
    /// already prepared as OpaqueString.
    pub fn long_term(algorithm: PasswordAlgorithm, username: &str, realm: &str, password: &str) -> Self {
        let text = format!("{username}:{realm}:{password}");
        match algorithm {
            PasswordAlgorithm::Md5 => Self::from_bytes(&md5::compute(text).0),
            PasswordAlgorithm::Sha256 => Self::from_bytes(&Sha256::digest(text)),
        }
    }

    /// A key given as bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { sha1: HmacSha1::new(bytes), bytes: bytes.into() }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

fn hmac_sha256(key: &[u8]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of any length"),
    }
}

/// USERHASH: SHA-256 of `username:realm` (RFC 8489 §14.4).
pub fn userhash(username: &str, realm: &str) -> [u8; 32] {
    Sha256::digest(format!("{username}:{realm}")).into()
}

/// The password that belongs to a username for a time, which a web service and a TURN server make of a secret that they
/// share: the base64 of HMAC-SHA1. The username begins with the Unix time of its end. It is what coturn and others call
/// the REST API (draft-uberti-behave-turn-rest).
pub fn timed_password(secret: &[u8], username: &str) -> String {
    Base64::encode_string(&HmacSha1::new(secret).tag(username.as_bytes()))
}

/// Why a message was not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// There is no integrity attribute.
    #[error("no integrity attribute")]
    Missing,
    /// The key does not fit.
    #[error("the integrity attribute does not match")]
    Mismatch,
}

/// A message whose sender knew the key. Only [`Message::verify`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    message: Message<'a>,
    by: Integrity,
}

impl<'a> Verified<'a> {
    /// The header.
    pub fn message(&self) -> &Message<'a> {
        &self.message
    }

    /// The attributes that the integrity attribute covers.
    pub fn attributes(&self) -> Attributes<'a> {
        self.message.attributes()
    }

    /// What protects it; a response is protected the same way (RFC 8489 §9.1.3).
    pub fn by(&self) -> Integrity {
        self.by
    }
}

impl<'a> Message<'a> {
    /// Verifies the bytes as received. With both attributes the SHA-256 one counts (RFC 8489 §9.1.3).
    ///
    /// # Errors
    /// [`Unverified`]; the caller answers 400 or 401, or stays silent.
    pub fn verify(self, key: &Key) -> Result<Verified<'a>, Unverified> {
        let raw = self.raw();
        let (fits, by) = if let Some(at) = self.integrity_sha256_at() {
            let Covered { text, length, value } = covered(raw, at).ok_or(Unverified::Missing)?;
            let mac = hmac_sha256(&key.bytes).chain_update(&text[..2]).chain_update(length.to_be_bytes());
            // A truncated HMAC of at least 16 bytes (RFC 8489 §14.6): no usage of floe allows it.
            (mac.chain_update(&text[4..]).verify_slice(value).is_ok(), Integrity::Sha256)
        } else {
            let at = self.integrity_at().ok_or(Unverified::Missing)?;
            let Covered { text, length, value } = covered(raw, at).ok_or(Unverified::Missing)?;
            (key.sha1.fits(text, length, value), Integrity::Sha1)
        };
        if fits { Ok(Verified { message: self, by }) } else { Err(Unverified::Mismatch) }
    }
}

/// What an integrity attribute vouches for.
struct Covered<'a> {
    /// All bytes before it, the header first.
    text: &'a [u8],
    /// What stands for the length field of that header: up to the end of the attribute.
    length: u16,
    value: &'a [u8],
}

/// What the integrity attribute at `at` covers.
fn covered(raw: &[u8], at: usize) -> Option<Covered<'_>> {
    let (text, attribute) = raw.split_at_checked(at).filter(|(text, _)| text.len() >= HEADER)?;
    let (&[_, _, l0, l1], rest) = attribute.split_first_chunk()?;
    let length = u16::from_be_bytes([l0, l1]);
    #[cfg(test)]
    super::wire::work::mac(at);
    let value = rest.get(..usize::from(length))?;
    Some(Covered { text, length: (at + 4 + value.len() - HEADER) as u16, value })
}

impl Writer<'_> {
    /// Adds the integrity attribute over what was written (RFC 8489 §14.5, §14.6).
    pub fn integrity(&mut self, key: &Key, integrity: Integrity) -> &mut Self {
        match integrity {
            Integrity::Sha1 => {
                self.set_length(self.written().len() + 24 - HEADER);
                let mac = key.sha1.tag(self.written());
                self.put(attr::MESSAGE_INTEGRITY, &mac)
            }
            Integrity::Sha256 => {
                self.set_length(self.written().len() + 36 - HEADER);
                let mac = hmac_sha256(&key.bytes).chain_update(self.written()).finalize().into_bytes();
                self.put(attr::MESSAGE_INTEGRITY_SHA256, &mac)
            }
        }
    }
}

/// A secret with which a server marks what it hands out, so that it knows it again without keeping it: the tag of
/// a nonce (RFC 8489 §9.2).
#[derive(Clone)]
pub struct Seal(Hmac<Sha256>);

impl Seal {
    /// A seal of this secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac_sha256(secret))
    }

    /// The mark of these bytes: the first 64 bits of their HMAC-SHA256.
    pub fn tag(&self, bytes: &[u8]) -> u64 {
        let mac = self.0.clone().chain_update(bytes).finalize().into_bytes();
        mac.iter().take(8).fold(0, |tag, byte| tag << 8 | u64::from(*byte))
    }

    /// Whether `tag` is the mark of these bytes; in constant time.
    pub fn fits(&self, bytes: &[u8], tag: u64) -> bool {
        self.0.clone().chain_update(bytes).verify_truncated_left(&tag.to_be_bytes()).is_ok()
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `printf 1700000000:ann | openssl dgst -sha1 -hmac north -binary | base64`.
    #[test]
    fn a_password_for_a_time_is_the_base64_of_the_hmac_of_the_username() {
        assert_eq!(timed_password(b"north", "1700000000:ann"), "jeamH6dA5l2I9g3jmieza7CzEDo=");
    }

    #[test]
    fn a_seal_knows_its_own_tags_only() {
        let (seal, other) = (Seal::new(&[1; 32]), Seal::new(&[2; 32]));
        let tag = seal.tag(b"bytes");
        assert!(seal.fits(b"bytes", tag));
        assert!(!seal.fits(b"Bytes", tag) && !seal.fits(b"bytes", tag ^ 1) && !other.fits(b"bytes", tag));
    }

    #[test]
    fn makes_the_long_term_key_of_rfc_8489_9_2_2() {
        let key = Key::long_term(PasswordAlgorithm::Md5, "user", "realm", "pass");
        assert_eq!(
            u128::from_be_bytes(key.bytes.as_slice().try_into().unwrap()),
            0x8493_fbc5_3ba5_82fb_4c04_4c45_6bdc_40eb
        );
    }

    /// RFC 8489 Appendix B.1 as raw bytes: its length field is wrong and it lacks PASSWORD-ALGORITHM, so that it
    /// is no message, but the HMAC over these bytes is right.
    #[test]
    fn computes_the_hmac_of_rfc_8489_b_1() {
        let mut covered = vec![0x00, 0x01, 0x00, 0x9c, 0x21, 0x12, 0xa4, 0x42];
        covered.extend([0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e]);
        covered.extend([0x00, 0x1e, 0x00, 0x20]);
        covered.extend(userhash("マトリックス", "example.org"));
        covered.extend([0x00, 0x15, 0x00, 0x29]);
        covered.extend(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA\0\0\0");
        covered.extend([0x00, 0x14, 0x00, 0x0b]);
        covered.extend(b"example.org\0");
        let key = Key::long_term(PasswordAlgorithm::Sha256, "マトリックス", "example.org", "TheMatrIX");
        let mac = hmac_sha256(&key.bytes).chain_update(&covered);
        let expected = [
            0xe4, 0x68, 0x6c, 0x8f, 0x0e, 0xde, 0xb5, 0x90, 0x13, 0xe0, 0x70, 0x90, 0x01, 0x0a, 0x93, 0xef,
            0xcc, 0xbc, 0xcc, 0x54, 0x4c, 0x0a, 0x45, 0xd9, 0xf8, 0x30, 0xaa, 0x6d, 0x6f, 0x73, 0x5a, 0x01,
        ];
        assert!(mac.verify_slice(&expected).is_ok());
    }
}
