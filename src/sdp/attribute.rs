//! One `a=` line of ICE (RFC 8839 §5, RFC 8838 §9 and §13).
#![warn(clippy::indexing_slicing)]

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::candidate::sdp::{MAX_LINE, address, number};
use crate::candidate::{Address, Candidate};
use crate::credentials::{IceOption, Pwd, Ufrag};
use crate::error::ParseError;
use crate::signal::MAX_PACING;

/// An attribute of ICE. Its text is what stands behind `a=`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attribute {
    /// `candidate:` (§5.1), media level.
    Candidate(Candidate),
    /// `remote-candidates:` (§5.2), media level, in offers of a controlling agent that has finished.
    RemoteCandidates(Vec<RemoteCandidate>),
    /// `ice-lite` (§5.3), session level.
    IceLite,
    /// `ice-mismatch` (§5.3), media level, in answers.
    IceMismatch,
    /// `ice-ufrag:` (§5.4), either level.
    IceUfrag(Ufrag),
    /// `ice-pwd:` (§5.4), either level.
    IcePwd(Pwd),
    /// `ice-pacing:` (§5.5), session level, in milliseconds.
    IcePacing(Duration),
    /// `ice-options:` (§5.6), either level. Unknown ones are kept.
    IceOptions(Vec<IceOption>),
    /// `end-of-candidates` (RFC 8838 §13), either level.
    EndOfCandidates,
}

/// One component of `remote-candidates` (RFC 8839 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCandidate {
    /// 1..=256.
    pub component: u16,
    /// Where the peer sends this component to.
    pub address: Address,
}

/// Reads one attribute, with or without `a=` and a line end. Space behind it is ignored.
///
/// # Errors
/// The field that is wrong. [`ParseError::is_unsupported`] for an attribute that is not one of ICE, and for a
/// candidate to ignore.
impl FromStr for Attribute {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let line = text.trim_end_matches(['\r', '\n']);
        let line = line.strip_prefix("a=").unwrap_or(line);
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        // An empty value at the end of a candidate is an extension of its own, everything else may be trimmed.
        let value = if name == "candidate" { value } else { value.trim() };
        let Some(field) = FIELDS.into_iter().find(|field| *field == name.trim_end()) else {
            return Err(ParseError::unsupported("attribute", "is not one of ICE"));
        };
        if line.len() > MAX_LINE {
            return Err(ParseError::new(field, format!("has {} bytes, allowed are {MAX_LINE}", line.len())));
        }
        let wrong = |error: crate::error::CredentialsError| ParseError::new(field, error.to_string());
        Ok(match field {
            "candidate" => Self::Candidate(line.parse()?),
            "remote-candidates" => Self::RemoteCandidates(remote_candidates(value)?),
            "ice-ufrag" => Self::IceUfrag(value.parse().map_err(wrong)?),
            "ice-pwd" => Self::IcePwd(value.parse().map_err(wrong)?),
            "ice-pacing" => {
                Self::IcePacing(Duration::from_millis(number("ice-pacing", value, 10, 0..=MAX_PACING)?))
            }
            "ice-options" => Self::IceOptions(options(value)?),
            "ice-lite" => Self::IceLite,
            "ice-mismatch" => Self::IceMismatch,
            _ => Self::EndOfCandidates,
        })
    }
}

/// The names of all attributes of ICE.
const FIELDS: [&str; 9] = [
    "candidate",
    "remote-candidates",
    "ice-ufrag",
    "ice-pwd",
    "ice-pacing",
    "ice-options",
    "ice-lite",
    "ice-mismatch",
    "end-of-candidates",
];

/// Tokens between spaces; those of old agents, such as `google-ice`, are no `ice-char`s and are kept too.
fn options(value: &str) -> Result<Vec<IceOption>, ParseError> {
    let options: Option<Vec<_>> = value.split_ascii_whitespace().map(|option| option.parse().ok()).collect();
    let options = options.filter(|options| !options.is_empty());
    options.ok_or_else(|| ParseError::new("ice-options", "is not a list of words"))
}

/// Triples of component, address and port.
fn remote_candidates(value: &str) -> Result<Vec<RemoteCandidate>, ParseError> {
    let field = "remote-candidates";
    let mut words = value.split_ascii_whitespace();
    let mut candidates = Vec::new();
    while let Some(component) = words.next() {
        let component = number(field, component, 3, 1..=256)? as u16;
        let (Some(host), Some(port)) = (words.next(), words.next()) else {
            return Err(ParseError::new(field, "does not have three words a component"));
        };
        let port = number(field, port, 5, 1..=65535)? as u16;
        candidates.push(RemoteCandidate { component, address: address(field, host, port)? });
    }
    if candidates.is_empty() {
        return Err(ParseError::new(field, "is empty"));
    }
    Ok(candidates)
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate(candidate) => write!(f, "{candidate}"),
            Self::RemoteCandidates(candidates) => {
                f.write_str("remote-candidates:")?;
                for (at, candidate) in candidates.iter().enumerate() {
                    let space = if at == 0 { "" } else { " " };
                    write!(f, "{space}{} ", candidate.component)?;
                    match &candidate.address {
                        Address::Socket(addr) => write!(f, "{} {}", addr.ip(), addr.port())?,
                        Address::Name { host, port } => write!(f, "{host} {port}")?,
                    }
                }
                Ok(())
            }
            Self::IceLite => f.write_str("ice-lite"),
            Self::IceMismatch => f.write_str("ice-mismatch"),
            Self::IceUfrag(ufrag) => write!(f, "ice-ufrag:{ufrag}"),
            Self::IcePwd(pwd) => write!(f, "ice-pwd:{}", pwd.as_str()),
            Self::IcePacing(ta) => {
                write!(f, "ice-pacing:{}", ta.as_millis().min(u128::from(MAX_PACING)))
            }
            Self::IceOptions(options) => {
                let words: Vec<_> = options.iter().map(IceOption::as_str).collect();
                write!(f, "ice-options:{}", words.join(" "))
            }
            Self::EndOfCandidates => f.write_str("end-of-candidates"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_survives_reading_and_printing() {
        for line in [
            "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
            "remote-candidates:1 192.0.2.3 45664 2 2001:db8::3 45665",
            "ice-lite",
            "ice-mismatch",
            "ice-ufrag:8hhY",
            "ice-pwd:asd88fgpdd777uzjYhagZg",
            "ice-pacing:50",
            "ice-options:ice2 rtp+ecn google-ice",
            "end-of-candidates",
        ] {
            let attribute: Attribute = line.parse().expect(line);
            assert_eq!(attribute.to_string(), line);
            assert_eq!(format!("a={line}\r\n").parse(), Ok(attribute));
        }
    }

    #[test]
    fn an_error_names_the_attribute() {
        for (line, field) in [
            ("a=ice-ufrag:abc", "ice-ufrag"),
            ("a=ice-pwd:short", "ice-pwd"),
            ("a=ice-pacing:", "ice-pacing"),
            ("a=ice-pacing:12345678901", "ice-pacing"),
            ("a=ice-pacing:-1", "ice-pacing"),
            ("a=ice-options:", "ice-options"),
            ("a=ice-options:a,b", "ice-options"),
            ("a=remote-candidates:", "remote-candidates"),
            ("a=remote-candidates:1 192.0.2.1", "remote-candidates"),
            ("a=remote-candidates:0 192.0.2.1 5", "remote-candidates"),
            ("a=candidate:1 0 udp 1 192.0.2.1 5 typ host", "component"),
            ("a=sendrecv", "attribute"),
        ] {
            assert_eq!(line.parse::<Attribute>().expect_err(line).field, field, "{line}");
        }
        assert!("a=sendrecv".parse::<Attribute>().unwrap_err().is_unsupported());
        let long = format!("a=ice-options:{}", "x".repeat(MAX_LINE));
        assert_eq!(long.parse::<Attribute>().unwrap_err().field, "ice-options");
    }

    #[test]
    fn pacing_has_up_to_ten_digits() {
        // RFC 8839 §5.5
        let most: Attribute = "ice-pacing:9999999999".parse().unwrap();
        assert_eq!(most, Attribute::IcePacing(Duration::from_millis(9_999_999_999)));
        assert_eq!(most.to_string(), "ice-pacing:9999999999");
    }
}
