//! The whole signaling protocol: what one agent emits and its peer takes, in order.
//!
//! One line of text a signal, made for a file, a pipe or a terminal:
//!
//! ```text
//! 0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg lite pacing=20 options=ice2,trickle
//! 0 candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host
//! 0 generation=8hhY end-of-candidates
//! 0 generation=8hhY selected 1 192.0.2.1 5000 198.51.100.7 6000
//! │ └ optional: the ufrag of the generation
//! └ the data stream
//! ```
//!
//! In a line of credentials `lite`, `pacing` (milliseconds) and `options` are optional and unknown words are
//! ignored, so that later versions can add some. It holds the password: keep it out of logs.
//!
//! With the feature `serde` a signal is a tagged map instead, see the impl in this module's child.

#[cfg(feature = "serde")]
mod serde;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use crate::candidate::{Candidate, sdp};
use crate::credentials::{Credentials, IceOption, Ufrag};
use crate::error::{CredentialsError, ParseError};

/// Longer lines are refused unread, in bytes.
pub const MAX_LINE: usize = 2048;

/// One message from an agent to its peer. Carry them in order, over anything: HTTP, a file, a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signal {
    /// The data stream it is about, from 0.
    pub stream: u16,
    /// The generation it belongs to; `None` = the one whose credentials came last. Credentials begin their own
    /// generation: there it is neither written nor read.
    pub ufrag: Option<Ufrag>,
    /// What it says.
    pub what: What,
}

/// What a signal says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// First of all, once a generation.
    Credentials(Credentials),
    /// A candidate, as soon as it is known (RFC 8838).
    Candidate(Candidate),
    /// No further candidate of this generation (RFC 8838 §13).
    EndOfCandidates,
    /// Only between two lite agents, whose candidates give more than one pair: which one of a component the controlling
    /// agent has selected (RFC 8445 §8.2). The session completes with the answer, [`Confirmed`](Self::Confirmed).
    Selected(SelectedPair),
    /// What the controlled agent answers to [`Selected`](Self::Selected).
    Confirmed(SelectedPair),
}

/// A pair of one component, as seen by the agent that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectedPair {
    /// 1..=256.
    pub component: u16,
    /// The candidate of the agent that says so.
    pub local: SocketAddr,
    /// The candidate of the one that hears it.
    pub remote: SocketAddr,
}

impl SelectedPair {
    /// The same pair as seen from the other end.
    #[must_use]
    pub fn from_afar(self) -> Self {
        Self { local: self.remote, remote: self.local, ..self }
    }
}

impl Signal {
    /// A signal about `stream` in the current generation.
    pub fn new(stream: u16, what: What) -> Self {
        Self { stream, ufrag: None, what }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.stream)?;
        if let Some(ufrag) = self.ufrag.as_ref().filter(|_| !matches!(self.what, What::Credentials(_))) {
            write!(f, "generation={ufrag} ")?;
        }
        match &self.what {
            What::Credentials(credentials) => write_credentials(f, credentials),
            What::Candidate(candidate) => write!(f, "{candidate}"),
            What::EndOfCandidates => f.write_str("end-of-candidates"),
            What::Selected(pair) => write_pair(f, "selected", pair),
            What::Confirmed(pair) => write_pair(f, "confirmed", pair),
        }
    }
}

fn write_pair(f: &mut fmt::Formatter<'_>, word: &str, pair: &SelectedPair) -> fmt::Result {
    let SelectedPair { component, local, remote } = pair;
    write!(f, "{word} {component} {} {} {} {}", local.ip(), local.port(), remote.ip(), remote.port())
}

/// `COMPONENT IP PORT IP PORT`: first the candidate of the one who says so.
fn parse_pair<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<SelectedPair, ParseError> {
    let mut next = || words.next().unwrap_or_default();
    let component = sdp::number("component", next(), 3, 1..=256)? as u16;
    let mut addr = |field| {
        let ip = next().parse::<IpAddr>().map_err(|error| ParseError::new(field, error.to_string()))?;
        Ok(SocketAddr::new(ip, sdp::number(field, next(), 5, 1..=65535)? as u16))
    };
    Ok(SelectedPair { component, local: addr("local address")?, remote: addr("remote address")? })
}

fn write_credentials(f: &mut fmt::Formatter<'_>, credentials: &Credentials) -> fmt::Result {
    write!(f, "credentials ufrag={} pwd={}", credentials.ufrag, credentials.pwd.as_str())?;
    if credentials.lite {
        f.write_str(" lite")?;
    }
    if let Some(pacing) = credentials.pacing {
        write!(f, " pacing={}", pacing.as_millis().min(u128::from(MAX_PACING)))?;
    }
    let mut separator = " options=";
    for option in &credentials.options {
        write!(f, "{separator}{option}")?;
        separator = ",";
    }
    Ok(())
}

/// Reads one line, with or without a line end.
///
/// # Errors
/// The field that is wrong; [`ParseError::is_unsupported`] for a candidate to ignore and for a signal of a
/// kind that is not known here.
impl FromStr for Signal {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let line = text.trim_end_matches(['\r', '\n']);
        if line.len() > MAX_LINE {
            let problem = format!("has {} bytes, allowed are {MAX_LINE}", line.len());
            return Err(ParseError::new("signal", problem));
        }
        let (stream, mut rest) = line
            .split_once(' ')
            .ok_or_else(|| ParseError::new("signal", "is not a stream and what it says"))?;
        let stream = sdp::number("stream", stream, 5, 0..=65535)? as u16;
        let mut ufrag = None;
        if let Some(generation) = rest.strip_prefix("generation=") {
            let (generation, what) =
                generation.split_once(' ').ok_or_else(|| ParseError::new("signal", "says nothing"))?;
            ufrag = Some(generation.parse().map_err(|error| wrong("generation", &error))?);
            rest = what;
        }
        let what = match rest.split(' ').next() {
            Some("credentials") => {
                ufrag = None;
                What::Credentials(parse_credentials(rest)?)
            }
            Some("end-of-candidates") => What::EndOfCandidates,
            Some("selected") => What::Selected(parse_pair(rest.split(' ').skip(1))?),
            Some("confirmed") => What::Confirmed(parse_pair(rest.split(' ').skip(1))?),
            Some(word) if word.starts_with("candidate:") || word.starts_with("a=candidate:") => {
                What::Candidate(rest.parse()?)
            }
            _ => {
                let problem = "is neither credentials, nor candidate:, nor end-of-candidates, nor selected or confirmed";
                return Err(ParseError::unsupported("signal", problem));
            }
        };
        Ok(Self { stream, ufrag, what })
    }
}

/// The largest pacing that the grammar allows, in milliseconds: `1*10DIGIT` (RFC 8839 §5.5).
pub(crate) const MAX_PACING: u64 = 9_999_999_999;

fn wrong(field: &'static str, error: &CredentialsError) -> ParseError {
    ParseError::new(field, error.to_string())
}

fn parse_credentials(text: &str) -> Result<Credentials, ParseError> {
    let (mut ufrag, mut pwd, mut lite, mut pacing, mut options) = (None, None, false, None, Vec::new());
    for word in text.split_ascii_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("ufrag", text) => ufrag = Some(text.parse().map_err(|error| wrong("ufrag", &error))?),
            ("pwd", text) => pwd = Some(text.parse().map_err(|error| wrong("pwd", &error))?),
            ("lite", "") => lite = true,
            ("pacing", text) => {
                pacing = Some(Duration::from_millis(sdp::number("pacing", text, 10, 0..=MAX_PACING)?));
            }
            ("options", text) => options = parse_options(text)?,
            _ => {}
        }
    }
    let ufrag = ufrag.ok_or_else(|| ParseError::new("ufrag", "is missing"))?;
    let pwd = pwd.ok_or_else(|| ParseError::new("pwd", "is missing"))?;
    Ok(Credentials { lite, pacing, options, ..Credentials::new(ufrag, pwd) })
}

fn parse_options(text: &str) -> Result<Vec<IceOption>, ParseError> {
    let wrong = |_| ParseError::new("options", "is not a comma-separated list of words");
    // Three are usual.
    let mut options = Vec::with_capacity(3);
    for option in text.split(',') {
        options.push(option.parse().map_err(wrong)?);
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_survives_reading_and_printing() {
        for line in [
            "0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg",
            "7 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg lite pacing=20 options=ice2,trickle",
            "0 candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
            "65535 generation=8hhY candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host ufrag 8hhY",
            "0 candidate:2 1 udp 1694498815 198.51.100.1 4000 typ srflx raddr 192.0.2.1 rport 5000 network-cost 10",
            "1 end-of-candidates",
            "1 generation=8hhY end-of-candidates",
            "1 generation=8hhY selected 1 192.0.2.1 5000 198.51.100.7 6000",
            "0 confirmed 256 2001:db8::1 5000 2001:db8::2 6000",
        ] {
            assert_eq!(line.parse::<Signal>().expect(line).to_string(), line);
        }
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        for (line, field) in [
            ("", "signal"),
            ("65536 end-of-candidates", "stream"),
            ("-1 end-of-candidates", "stream"),
            ("0 hello", "signal"),
            ("0 generation=a end-of-candidates", "generation"),
            ("0 credentials pwd=asd88fgpdd777uzjYhagZg", "ufrag"),
            ("0 credentials ufrag=8hhY", "pwd"),
            ("0 credentials ufrag=8hhY pwd=short", "pwd"),
            ("0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg pacing=1e3", "pacing"),
            ("0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg options=a,,b", "options"),
            ("0 candidate:1 0 udp 1 192.0.2.1 5 typ host", "component"),
            ("0 selected", "component"),
            ("0 selected 1 host.local 5000 192.0.2.1 6000", "local address"),
            ("0 confirmed 1 192.0.2.1 5000 192.0.2.1", "remote address"),
        ] {
            assert_eq!(line.parse::<Signal>().expect_err(line).field, field, "{line}");
        }
    }
}
