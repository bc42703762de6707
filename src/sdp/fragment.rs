//! Fragments: the body of type `application/trickle-ice-sdpfrag`, candidates on their way to a description that
//! exists already (RFC 8838 §9, as SIP and WHIP carry them).
//!
//! ```text
//! a=ice-ufrag:8hhY
//! a=ice-pwd:asd88fgpdd777uzjYhagZg
//! m=audio 9 RTP/AVP 0
//! a=mid:0
//! a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host
//! a=end-of-candidates
//! ```

use std::fmt;
use std::str::FromStr;

use super::attribute::Attribute;
use super::description::Description;
use super::section::Media;
use crate::candidate::Candidate;
use crate::credentials::{Pwd, Ufrag};
use crate::error::ParseError;
use crate::signal::{Signal, What};

/// A fragment. Its text form is the whole body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Fragment {
    /// The pseudo m= sections.
    pub pieces: Vec<Piece>,
}

/// What a fragment says about one m= section of the description.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// The mid of the section.
    pub mid: String,
    /// The ufrag of the generation that the candidates belong to.
    pub ufrag: Ufrag,
    /// The pwd of that generation.
    pub pwd: Pwd,
    /// The candidates, in order.
    pub candidates: Vec<Candidate>,
    /// No further candidate of this generation will come.
    pub ended: bool,
    /// The m= line, without `m=`: `audio 9 RTP/AVP 0`. Its port means nothing.
    pub line: String,
}

/// # Errors
/// As [`Description`], and a section without `a=mid`, ufrag or pwd.
impl FromStr for Fragment {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let description: Description = text.parse()?;
        let mut pieces: Vec<Piece> = Vec::new();
        for (stream, media) in description.media.iter().enumerate() {
            let missing = |field| ParseError::new(field, format!("is missing in m= section {stream}"));
            let (ufrag, pwd) = description.names(stream);
            let ufrag = ufrag.ok_or_else(|| missing("ice-ufrag"))?;
            let pwd = pwd.ok_or_else(|| missing("ice-pwd"))?;
            // A description does not look at a section with port zero, but here a port means nothing.
            if pieces.iter().any(|other| other.ufrag == *ufrag && other.pwd != *pwd) {
                let problem = format!("of m= section {stream} is another one for the same ice-ufrag");
                return Err(ParseError::new("ice-pwd", problem));
            }
            pieces.push(Piece {
                mid: media.mid.clone().ok_or_else(|| missing("mid"))?,
                ufrag: ufrag.clone(),
                pwd: pwd.clone(),
                candidates: media.candidates.clone(),
                ended: media.ended || description.session.ended,
                line: line(media),
            });
        }
        Ok(Self { pieces })
    }
}

/// A candidate outside of a description names its generation itself (RFC 8838 §9).
pub(super) fn trickled(candidate: &Candidate, ufrag: &Ufrag) -> Candidate {
    let mut candidate = candidate.clone();
    candidate.ufrag.get_or_insert_with(|| ufrag.clone());
    candidate
}

fn line(media: &Media) -> String {
    let line =
        format!("{} {} {} {}", media.kind, super::destination::UNKNOWN_PORT, media.protocol, media.formats);
    line.trim_end().to_owned()
}

impl fmt::Display for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            write!(f, "m={}\r\na=mid:{}\r\n", piece.line, piece.mid)?;
            write!(f, "a={}\r\n", Attribute::IceUfrag(piece.ufrag.clone()))?;
            write!(f, "a={}\r\n", Attribute::IcePwd(piece.pwd.clone()))?;
            for candidate in &piece.candidates {
                write!(f, "a={candidate}\r\n")?;
            }
            if piece.ended {
                write!(f, "a={}\r\n", Attribute::EndOfCandidates)?;
            }
        }
        Ok(())
    }
}

impl Fragment {
    /// The candidates and ends of candidates among `signals` that the own agent emitted after `local` was sent.
    /// Credentials and streams that `local` does not have, or has without a mid, are left out.
    pub fn of(local: &Description, signals: &[Signal]) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        for (stream, media) in local.media.iter().enumerate() {
            let ((Some(ufrag), Some(pwd)), Some(mid)) = (local.names(stream), &media.mid) else { continue };
            let (mut candidates, mut ended) = (Vec::new(), false);
            let of_generation = |signal: &&Signal| {
                usize::from(signal.stream) == stream && signal.ufrag.as_ref().is_none_or(|it| it == ufrag)
            };
            for signal in signals.iter().filter(of_generation) {
                match &signal.what {
                    What::Candidate(candidate) => candidates.push(trickled(candidate, ufrag)),
                    What::EndOfCandidates => ended = true,
                    What::Credentials(_) | What::Selected(_) | What::Confirmed(_) => {}
                }
            }
            if ended || !candidates.is_empty() {
                let (mid, ufrag, pwd) = (mid.clone(), ufrag.clone(), pwd.clone());
                pieces.push(Piece { mid, ufrag, pwd, candidates, ended, line: line(media) });
            }
        }
        Self { pieces }
    }

    /// What the agent is to be told, in order. Each signal names its generation; credentials are not among them: a
    /// late fragment of an old generation would look like a restart.
    ///
    /// # Errors
    /// A mid that `remote`, the peer's description in force, does not have.
    pub fn signals(&self, remote: &Description) -> Result<Vec<Signal>, ParseError> {
        let mut signals = Vec::new();
        for piece in &self.pieces {
            let stream = remote
                .stream_of(&piece.mid)
                .ok_or_else(|| ParseError::new("mid", "is not one of the description's"))?;
            for candidate in &piece.candidates {
                let ufrag = candidate.ufrag.clone().unwrap_or_else(|| piece.ufrag.clone());
                let what = What::Candidate(candidate.clone());
                signals.push(Signal { stream, ufrag: Some(ufrag), what });
            }
            if piece.ended {
                let ufrag = Some(piece.ufrag.clone());
                signals.push(Signal { stream, ufrag, what: What::EndOfCandidates });
            }
        }
        Ok(signals)
    }
}
