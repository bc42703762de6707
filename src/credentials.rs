//! ufrag and pwd: the short-term credential of one generation (RFC 8445 §5.3, RFC 8839 §5.4).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use smol_str::SmolStr;

use crate::error::{CredentialsError, IceOptionError};

/// A user fragment: 4..=256 `ice-char`s. It names a generation of an agent's credentials.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ufrag(SmolStr);

/// A password: 22..=256 `ice-char`s. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Pwd(SmolStr);

/// What one agent tells the other about itself, once a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The user fragment.
    pub ufrag: Ufrag,
    /// The password, the key of every check sent *to* the agent that chose it.
    pub pwd: Pwd,
    /// The agent is a lite one (RFC 8445 §2.5).
    pub lite: bool,
    /// The proposed Ta; `None` means 50 ms (RFC 8445 §14.2, RFC 8839 §5.5).
    pub pacing: Option<Duration>,
    /// What it knows beyond the basics (RFC 8839 §5.6).
    pub options: Vec<IceOption>,
}

/// An ICE option (RFC 8839 §5.6): a word of visible ASCII without a comma. The grammar allows `ice-char`s only, but old
/// agents have `google-ice`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IceOption(SmolStr);

impl Credentials {
    /// A full agent without options.
    pub fn new(ufrag: Ufrag, pwd: Pwd) -> Self {
        Self { ufrag, pwd, lite: false, pacing: None, options: Vec::new() }
    }

    /// Whether `option` was offered.
    pub fn has_option(&self, option: &IceOption) -> bool {
        self.options.contains(option)
    }
}

/// `ice-char` of RFC 8839 §5.1: letters, digits, `+` and `/`.
pub(crate) fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

fn checked(text: &str, least: usize, field: &'static str) -> Result<SmolStr, CredentialsError> {
    if !(least..=256).contains(&text.len()) {
        return Err(CredentialsError::Length { field, length: text.len(), least });
    }
    if let Some(at) = text.bytes().position(|byte| !is_ice_char(byte)) {
        return Err(CredentialsError::Character { field, at });
    }
    Ok(text.into())
}

/// ASCII as text.
fn text_of(chars: &[u8]) -> SmolStr {
    SmolStr::new(std::str::from_utf8(chars).unwrap_or_default())
}

impl Ufrag {
    pub(crate) fn from_ice_chars(chars: &[u8]) -> Self {
        Self(text_of(chars))
    }

    /// The text as it is signalled.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Pwd {
    pub(crate) fn from_ice_chars(chars: &[u8]) -> Self {
        Self(text_of(chars))
    }

    /// The text as it is signalled. It is a secret of the session: keep it out of logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl IceOption {
    /// The agent follows RFC 8445, not RFC 5245 (RFC 8445 §10).
    pub const ICE2: Self = Self(SmolStr::new_static("ice2"));
    /// Candidates may come one by one (RFC 8838 §3).
    pub const TRICKLE: Self = Self(SmolStr::new_static("trickle"));
    /// A controlling agent may nominate again (draft-thatcher-ice-renomination).
    pub const RENOMINATION: Self = Self(SmolStr::new_static("renomination"));

    /// The text as it is signalled.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IceOption {
    type Err = IceOptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
        is_word.then(|| Self(text.into())).ok_or(IceOptionError)
    }
}

impl fmt::Display for IceOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Ufrag {
    type Err = CredentialsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        checked(text, 4, "ufrag").map(Self)
    }
}

impl FromStr for Pwd {
    type Err = CredentialsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        checked(text, 22, "pwd").map(Self)
    }
}

impl fmt::Display for Ufrag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pwd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pwd({} characters)", self.0.len())
    }
}
