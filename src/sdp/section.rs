//! The two levels of a session description, as far as ICE is concerned (RFC 8839 §4.2).

use std::time::Duration;

use super::attribute::RemoteCandidate;
use super::destination::Host;
use crate::candidate::Candidate;
use crate::credentials::{IceOption, Pwd, Ufrag};
use crate::io::Transport;

/// The session level: what stands before the first m= line. Values here are defaults for the m= sections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Session {
    /// The address of the c= line.
    pub connection: Option<Host>,
    /// `a=ice-ufrag`.
    pub ufrag: Option<Ufrag>,
    /// `a=ice-pwd`.
    pub pwd: Option<Pwd>,
    /// `a=ice-options`.
    pub options: Vec<IceOption>,
    /// `a=ice-pacing`; absent means 50 ms (RFC 8839 §5.5).
    pub pacing: Option<Duration>,
    /// `a=ice-lite`.
    pub lite: bool,
    /// `a=end-of-candidates`, for all sections.
    pub ended: bool,
    /// The mids of `a=group:BUNDLE` (RFC 8843), a list for each group.
    pub bundles: Vec<Vec<String>>,
}

/// Whether a section takes part in ICE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ice {
    /// It does if it has a ufrag and a pwd.
    #[default]
    On,
    /// `a=ice-mismatch`: both agents know ICE, but for this stream the procedures of RFC 3264 count.
    Mismatch,
    /// It has no attribute of ICE.
    Off,
}

/// One m= section.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Media {
    /// The first word of the m= line: `audio`, `application`.
    pub kind: String,
    /// The port of the m= line; 0 removes the stream (RFC 3264 §8.2), 9 beside 0.0.0.0 says that it is not known.
    pub port: u16,
    /// The third word of the m= line, such as `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// The rest of the m= line.
    pub formats: String,
    /// `a=mid` (RFC 5888).
    pub mid: Option<String>,
    /// The address of the section's own c= line.
    pub connection: Option<Host>,
    /// `a=rtcp` (RFC 3605): its port, and its address if that is another than that of the c= line.
    pub rtcp: Option<(u16, Option<Host>)>,
    /// `a=rtcp-mux` (RFC 5761): there is no second component.
    pub rtcp_mux: bool,
    /// `a=bundle-only` (RFC 8843 §6): port 0 does not remove the stream.
    pub bundle_only: bool,
    /// `a=ice-ufrag`; before that of the session level.
    pub ufrag: Option<Ufrag>,
    /// `a=ice-pwd`; before that of the session level.
    pub pwd: Option<Pwd>,
    /// `a=ice-options` of this level.
    pub options: Vec<IceOption>,
    /// Whether ICE is used.
    pub ice: Ice,
    /// `a=candidate`, in order.
    pub candidates: Vec<Candidate>,
    /// `a=remote-candidates`, one a component (RFC 8839 §5.2).
    pub remote_candidates: Vec<RemoteCandidate>,
    /// `a=end-of-candidates` (RFC 8838 §13).
    pub ended: bool,
}

impl Media {
    /// A section over UDP without candidates, its default destination unknown (RFC 8839 §4.3.1).
    pub fn new(kind: &str, protocol: &str, formats: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            port: super::destination::UNKNOWN_PORT,
            protocol: protocol.to_owned(),
            formats: formats.to_owned(),
            mid: None,
            connection: None,
            rtcp: None,
            rtcp_mux: false,
            bundle_only: false,
            ufrag: None,
            pwd: None,
            options: Vec::new(),
            ice: Ice::On,
            candidates: Vec::new(),
            remote_candidates: Vec::new(),
            ended: false,
        }
    }

    /// Whether the stream was removed or refused (RFC 3264 §8.2).
    pub fn is_removed(&self) -> bool {
        self.port == 0 && !self.bundle_only
    }

    /// The transport of the m= line: TCP if its protocol begins so, otherwise UDP.
    pub fn transport(&self) -> Transport {
        match self.protocol.split('/').next() {
            Some(first) if first.eq_ignore_ascii_case("TCP") => Transport::Tcp,
            _ => Transport::Udp,
        }
    }
}
