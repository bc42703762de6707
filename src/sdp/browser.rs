//! Candidates as browsers hand them to their applications: W3C WebRTC, `RTCIceCandidateInit`.

use super::description::Description;
use super::destination::Support;
use super::fragment::trickled;
use crate::candidate::Candidate;
use crate::credentials::Ufrag;
use crate::error::ParseError;
use crate::signal::{Signal, What};

/// `RTCIceCandidateInit`. With the feature `serde` it is the JSON of browsers:
///
/// ```text
/// {"candidate":"candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host","sdpMid":"0","sdpMLineIndex":0,
///  "usernameFragment":"8hhY"}
/// ```
///
/// Any field may be absent or null.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", default))]
pub struct CandidateInit {
    /// The attribute value; empty is the end of candidates.
    pub candidate: String,
    /// The mid of the m= section.
    pub sdp_mid: Option<String>,
    /// The number of the m= section, from 0. Only looked at without a mid.
    pub sdp_m_line_index: Option<u16>,
    /// The generation.
    pub username_fragment: Option<String>,
}

impl CandidateInit {
    /// What the own agent emitted, for the peer's `addIceCandidate`. `local` is the own description. `None` for
    /// credentials and selected pairs, which travel in descriptions only.
    pub fn of(local: &Description, signal: &Signal) -> Option<Self> {
        let stream = usize::from(signal.stream);
        let ufrag = signal.ufrag.as_ref().or(local.names(stream).0);
        let candidate = match (&signal.what, ufrag) {
            (What::Candidate(candidate), Some(ufrag)) => trickled(candidate, ufrag).to_string(),
            (What::Candidate(candidate), None) => candidate.to_string(),
            (What::EndOfCandidates, _) => String::new(),
            (What::Credentials(_) | What::Selected(_) | What::Confirmed(_), _) => return None,
        };
        Some(Self {
            candidate,
            sdp_mid: local.media.get(stream).and_then(|media| media.mid.clone()),
            sdp_m_line_index: Some(signal.stream),
            username_fragment: ufrag.map(ToString::to_string),
        })
    }

    /// What the agent is to be told: one signal, or for an end of candidates without mid and index one for each stream
    /// of `remote`, the peer's description in force.
    ///
    /// # Errors
    /// The field that is wrong: a candidate without mid and index, an unknown mid or index, a bad ufrag or candidate.
    /// [`ParseError::is_unsupported`] for a candidate to ignore.
    pub fn signals(&self, remote: &Description) -> Result<Vec<Signal>, ParseError> {
        let bad_ufrag =
            |error: crate::error::CredentialsError| ParseError::new("usernameFragment", error.to_string());
        let named = self.username_fragment.as_deref().filter(|text| !text.is_empty());
        let named = named.map(str::parse::<Ufrag>).transpose().map_err(bad_ufrag)?;
        let stream = match (&self.sdp_mid, self.sdp_m_line_index) {
            (Some(mid), _) => {
                let stream = remote.stream_of(mid);
                Some(stream.ok_or_else(|| ParseError::new("sdpMid", "is not one of the description's"))?)
            }
            (None, Some(index)) if usize::from(index) < remote.media.len() => Some(index),
            (None, Some(_)) => {
                return Err(ParseError::new("sdpMLineIndex", "is beyond the description's sections"));
            }
            (None, None) => None,
        };
        let generation = |stream: u16| named.clone().or_else(|| remote.names(usize::from(stream)).0.cloned());
        if self.candidate.is_empty() {
            let streams = match stream {
                Some(stream) => vec![stream],
                None => (0..remote.media.len())
                    .filter(|stream| remote.support(*stream) == Support::Ice)
                    .map(|stream| stream as u16)
                    .collect(),
            };
            let end = |stream| Signal { stream, ufrag: generation(stream), what: What::EndOfCandidates };
            return Ok(streams.into_iter().map(end).collect());
        }
        let stream =
            stream.ok_or_else(|| ParseError::new("sdpMid", "is missing, and so is sdpMLineIndex"))?;
        let candidate: Candidate = self.candidate.parse()?;
        // What the field says counts before what the line says.
        let ufrag = named.clone().or_else(|| candidate.ufrag.clone()).or_else(|| generation(stream));
        Ok(vec![Signal { stream, ufrag, what: What::Candidate(candidate) }])
    }
}
