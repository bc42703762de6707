//! ufrag and pwd: the short-term credential of one generation (RFC 8445 §5.3, RFC 8839 §5.4).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use smol_str::SmolStr;

use crate::error::CredentialsError;

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
    /// ICE options, such as `ice2`, `trickle`, `renomination` (RFC 8839 §5.6).
    pub options: Vec<String>,
}

impl Credentials {
    /// A full agent without options.
    pub fn new(ufrag: Ufrag, pwd: Pwd) -> Self {
        Self { ufrag, pwd, lite: false, pacing: None, options: Vec::new() }
    }

    /// Whether `option` was offered.
    pub fn has_option(&self, option: &str) -> bool {
        self.options.iter().any(|offered| offered == option)
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

impl Ufrag {
    pub(crate) fn from_ice_chars(chars: &[u8]) -> Self {
        Self(chars.iter().copied().map(char::from).collect())
    }

    /// The text as it is signalled.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Pwd {
    pub(crate) fn from_ice_chars(chars: &[u8]) -> Self {
        Self(chars.iter().copied().map(char::from).collect())
    }

    /// The text as it is signalled. It is a secret of the session: keep it out of logs.
    pub fn as_str(&self) -> &str {
        &self.0
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
