//! The default destination: where a peer without ICE would send to (RFC 8839 §3), and whether it agrees with the
//! candidates (RFC 8839 §4.2.5).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::description::Description;
use super::section::{Ice, Media};
use crate::candidate::{Address, Candidate, CandidateType, Foundation, TcpType};
use crate::error::ParseError;
use crate::io::Transport;

/// Beside an unspecified address: the default destination is not known yet (RFC 8839 §4.3.1).
pub(super) const UNKNOWN_PORT: u16 = 9;

/// The address of a c= line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An IP address; the TTL and the number of a multicast address are not kept.
    Ip(IpAddr),
    /// A name.
    Name(Box<str>),
}

impl Host {
    /// 0.0.0.0: not known yet.
    pub const UNKNOWN: Self = Self::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// The transport address with `port`.
    pub fn at(&self, port: u16) -> Address {
        match self {
            Self::Ip(ip) => Address::Socket((*ip, port).into()),
            Self::Name(host) => Address::Name { host: host.clone(), port },
        }
    }

    /// Reads `IN IP4 192.0.2.3` (RFC 8866 §5.7).
    pub(super) fn parse(field: &'static str, text: &str) -> Result<Self, ParseError> {
        let words: Vec<&str> = text.split_ascii_whitespace().take(3).collect();
        let [_network, _family, host] = words[..] else {
            return Err(ParseError::new(field, "is not a network, a family and an address"));
        };
        let host = host.split('/').next().unwrap_or_default();
        match crate::candidate::sdp::address(field, host, 1)? {
            Address::Socket(addr) => Ok(Self::Ip(addr.ip())),
            Address::Name { host, .. } => Ok(Self::Name(host)),
        }
    }
}

/// As in a c= line: `IN IP4 192.0.2.3`.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "IN IP6 {ip}"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "IN IP4 {ip}"),
            Self::Name(host) => write!(f, "IN IP4 {host}"),
        }
    }
}

/// What a section says about ICE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// ICE is used.
    Ice,
    /// The default destination of the component is none of the candidates: something on the way changed the c= or
    /// m= line (RFC 8839 §4.2.5). An answerer may go on with [`Description::adopt_default`] or answer with
    /// [`Description::refuse`]; an offerer has to end ICE for the session (§4.3.3).
    Mismatch {
        /// 1, or 2 for RTCP.
        component: u16,
    },
    /// The peer says `ice-mismatch`: it knows ICE and does not use it here.
    Refused,
    /// No ufrag and pwd: the peer does not know ICE.
    Absent,
    /// The stream is removed: port 0.
    Removed,
    /// The section shares the transport of another one (RFC 8843).
    Bundled,
}

/// Which candidate of `component` a peer without ICE should send to: the one that most probably works, so relayed
/// before reflexive before host (RFC 8445 §5.1.4), then IPv4 before IPv6, then the higher priority, which over TCP is
/// that of an active one. A name cannot be one, and neither can a candidate for simultaneous open (RFC 6544 §4.3), or of
/// another transport than that of the m= line (RFC 8839 §4.3.2).
pub fn default_candidate(
    candidates: &[Candidate],
    component: u16,
    transport: Transport,
) -> Option<&Candidate> {
    let of_component = candidates
        .iter()
        .filter(|candidate| candidate.component == component && candidate.transport == transport)
        .filter(|candidate| candidate.tcp_type != Some(TcpType::SimultaneousOpen));
    of_component
        .filter_map(|candidate| Some((candidate.address.socket()?, candidate)))
        .max_by_key(|(addr, candidate)| {
            let reach = match candidate.kind {
                CandidateType::Relayed => 3,
                CandidateType::ServerReflexive => 2,
                CandidateType::PeerReflexive => 1,
                CandidateType::Host => 0,
            };
            (reach, addr.is_ipv4(), candidate.priority)
        })
        .map(|(_, candidate)| candidate)
}

impl Media {
    /// Lets the c=, m= and `a=rtcp` lines follow the candidates; without one that fits they say "not known"
    /// (RFC 8839 §4.3.1, §4.3.2).
    pub(super) fn follow_candidates(&mut self) {
        let default = |component| {
            let candidate = default_candidate(&self.candidates, component, self.transport());
            candidate.and_then(|candidate| candidate.address.socket())
        };
        let (first, second) = (default(1), default(2));
        self.connection = Some(first.map_or(Host::UNKNOWN, |addr| Host::Ip(addr.ip())));
        self.port = first.map_or(UNKNOWN_PORT, |addr| addr.port());
        // Without an `a=rtcp` line it would be the port after that of component 1, which is no candidate.
        let unknown = || {
            let has_second = self.candidates.iter().any(|candidate| candidate.component == 2);
            has_second.then_some((UNKNOWN_PORT, Some(Host::UNKNOWN)))
        };
        self.rtcp = second.map_or_else(unknown, |addr| Some((addr.port(), Some(Host::Ip(addr.ip())))));
    }
}

impl Description {
    /// Where a peer without ICE would send this component to: c= and m= for component 1; `a=rtcp`, or else the next
    /// port, for component 2 (RFC 8839 §3). `None` where there is no c= line, no such section or no such component.
    pub fn default_destination(&self, stream: usize, component: u16) -> Option<Address> {
        let media = self.media.get(stream)?;
        let connection = media.connection.as_ref().or(self.session.connection.as_ref());
        match (component, &media.rtcp) {
            (1, _) => Some(connection?.at(media.port)),
            (2, _) if media.rtcp_mux => None,
            (2, Some((port, host))) => Some(host.as_ref().or(connection)?.at(*port)),
            (2, None) => Some(connection?.at(media.port.checked_add(1)?)),
            _ => None,
        }
    }

    /// Whether ICE is used for a stream (RFC 8839 §4.2.5). `Removed` for a section that does not exist.
    pub fn support(&self, stream: usize) -> Support {
        let Some(media) = self.media.get(stream).filter(|media| !media.is_removed()) else {
            return Support::Removed;
        };
        if self.credentials(stream).is_none() || media.ice == Ice::Off {
            return Support::Absent;
        }
        if media.ice == Ice::Mismatch {
            return Support::Refused;
        }
        if self.is_bundled(stream) {
            return Support::Bundled;
        }
        let has_rtcp = media.candidates.iter().any(|candidate| candidate.component == 2);
        let components = if has_rtcp || media.rtcp.is_some() { 1..=2 } else { 1..=1 };
        let mismatch = components.into_iter().find(|component| self.mismatches(stream, *component));
        mismatch.map_or(Support::Ice, |component| Support::Mismatch { component })
    }

    fn mismatches(&self, stream: usize, component: u16) -> bool {
        // A name is never a mismatch, and neither is "not known".
        let Some(Address::Socket(default)) = self.default_destination(stream, component) else {
            return false;
        };
        if default.ip().is_unspecified() && default.port() == UNKNOWN_PORT {
            return false;
        }
        let media = &self.media[stream];
        // The port after an unknown one is not known either.
        if component == 2 && media.rtcp.is_none() && default.ip().is_unspecified() {
            return false;
        }
        !media.candidates.iter().any(|candidate| {
            candidate.component == component
                && candidate.transport == media.transport()
                && candidate.address == Address::Socket(default)
        })
    }

    /// Takes the default destinations that are no candidates as candidates of low priority, so that ICE goes on
    /// (RFC 8839 §4.2.5).
    pub fn adopt_default(&mut self, stream: usize) {
        for priority in [2, 1] {
            let Support::Mismatch { component: wrong } = self.support(stream) else { return };
            let Some(Address::Socket(addr)) = self.default_destination(stream, wrong) else { return };
            let media = &mut self.media[stream];
            let mut candidate = Candidate::udp(
                Foundation::from_number(u32::MAX),
                wrong,
                priority,
                addr,
                CandidateType::PeerReflexive,
                None,
            );
            candidate.transport = media.transport();
            media.candidates.push(candidate);
        }
    }
}
