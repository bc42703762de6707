//! Foundations (RFC 8445 §5.1.1.3): which candidates are likely to share a fate.

use std::fmt;
use std::str::FromStr;

use crate::credentials::is_ice_char;
use crate::error::ParseError;

/// 1..=32 `ice-char`s, held in place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foundation {
    length: u8,
    chars: [u8; 32],
}

impl Foundation {
    /// The foundation that is written as the decimal `number`.
    pub fn from_number(number: u32) -> Self {
        let mut foundation = Self { length: 0, chars: [0; 32] };
        let mut divisor = 1;
        while number / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            foundation.chars[usize::from(foundation.length)] = b'0' + (number / divisor % 10) as u8;
            foundation.length += 1;
            divisor /= 10;
        }
        foundation
    }

    /// The text as it is signalled.
    pub fn as_str(&self) -> &str {
        // Only ASCII was stored.
        std::str::from_utf8(&self.chars[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl FromStr for Foundation {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > 32 {
            return Err(ParseError::new(
                "foundation",
                format!("has {} characters, allowed are 1 to 32", text.len()),
            ));
        }
        if !text.bytes().all(is_ice_char) {
            return Err(ParseError::new(
                "foundation",
                "has a character that is not a letter, a digit, '+' or '/'",
            ));
        }
        let mut chars = [0; 32];
        chars[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { length: text.len() as u8, chars })
    }
}

impl fmt::Display for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foundation({self})")
    }
}
