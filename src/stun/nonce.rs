//! The nonce cookie (RFC 8489 §9.2): a server says with the first 13 characters of its NONCE which security
//! features it has, so that nobody can strip them from its 401.
//!
//! ```text
//! obMatJos2  gAAA  …
//! │          │     └ the server's own part
//! │          └ 24 bits in base64; the first is bit 0
//! └ the cookie
//! ```

use std::fmt;

const COOKIE: &str = "obMatJos2";
/// Base64 (RFC 4648 §4).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PASSWORD_ALGORITHMS: u32 = 1 << 23;
const USERNAME_ANONYMITY: u32 = 1 << 22;

/// The security features of a server (RFC 8489 §18.1). Its [`Display`](fmt::Display) is what a NONCE begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SecurityFeatures {
    /// Bit 0: PASSWORD-ALGORITHMS is in the message; without it the message was tampered with (RFC 8489 §9.2.5).
    pub password_algorithms: bool,
    /// Bit 1: the client may send USERHASH in place of USERNAME.
    pub username_anonymity: bool,
}

impl SecurityFeatures {
    /// What this NONCE announces; nothing, if it does not begin with the cookie and four characters of base64.
    /// Bits that are not assigned are ignored.
    pub fn of(nonce: &str) -> Self {
        let bits = nonce.strip_prefix(COOKIE).and_then(|rest| rest.as_bytes().first_chunk::<4>());
        let bits = bits.and_then(|digits| {
            digits.iter().try_fold(0, |bits, digit| {
                let value = DIGITS.iter().position(|known| known == digit)?;
                Some(bits << 6 | value as u32)
            })
        });
        let bits = bits.unwrap_or(0);
        Self {
            password_algorithms: bits & PASSWORD_ALGORITHMS != 0,
            username_anonymity: bits & USERNAME_ANONYMITY != 0,
        }
    }
}

impl fmt::Display for SecurityFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.password_algorithms { PASSWORD_ALGORITHMS } else { 0 }
            | if self.username_anonymity { USERNAME_ANONYMITY } else { 0 };
        f.write_str(COOKIE)?;
        for shift in [18, 12, 6, 0] {
            let digit = DIGITS[(bits >> shift & 63) as usize];
            write!(f, "{}", char::from(digit))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announces_features_as_rfc_8489_18_1_numbers_the_bits() {
        for (password_algorithms, username_anonymity, begin) in [
            (false, false, "obMatJos2AAAA"),
            (true, false, "obMatJos2gAAA"),
            (false, true, "obMatJos2QAAA"),
            (true, true, "obMatJos2wAAA"),
        ] {
            let features = SecurityFeatures { password_algorithms, username_anonymity };
            assert_eq!(features.to_string(), begin);
            assert_eq!(SecurityFeatures::of(&format!("{begin}some nonce")), features);
        }
    }

    #[test]
    fn a_nonce_without_a_whole_cookie_announces_nothing() {
        for nonce in [
            "",
            "f//499k954d6OL34oL9FSTvy64sA",
            "obMatJos2wAA",
            "obMatJos2w=AA",
            "obMatJos2ẅAAA",
            "obMatJos1wAAA",
        ] {
            assert_eq!(SecurityFeatures::of(nonce), SecurityFeatures::default(), "{nonce}");
        }
    }

    #[test]
    fn unassigned_bits_are_ignored() {
        let features = SecurityFeatures::of("obMatJos2////");
        assert!(features.password_algorithms && features.username_anonymity);
    }
}
