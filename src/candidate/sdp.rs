//! Candidates as text (RFC 8839 §5.1, RFC 6544 §4.5, RFC 8838).
//!
//! ```text
//! candidate:1 1 udp 1694498815 203.0.113.7 40000 typ srflx raddr 10.0.0.2 rport 5000 ufrag 8hhY generation 0
//!           │ │  │      │           │        │        │    └─ related address ─┘  └ name and value, repeated
//!  foundation │ transport priority  address  port     type
//!        component
//! ```
#![warn(clippy::indexing_slicing)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{Address, Candidate, CandidateType, TcpType};
use crate::credentials::Ufrag;
use crate::error::ParseError;
use crate::io::Transport;

/// Longer lines are refused unread, in bytes. Those of browsers have about 200.
pub const MAX_LINE: usize = 1024;
/// The port of a TCP candidate that only opens connections (RFC 6544 §4.5), and of a hidden related address
/// (RFC 8839 §5.1).
pub const DISCARD_PORT: u16 = 9;

impl CandidateType {
    fn from_token(token: &str) -> Option<Self> {
        [Self::Host, Self::ServerReflexive, Self::PeerReflexive, Self::Relayed]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(token))
    }
}

impl TcpType {
    /// The token of RFC 6544 §4.5: `active`, `passive`, `so`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        }
    }

    fn from_token(token: &str) -> Option<Self> {
        [Self::Active, Self::Passive, Self::SimultaneousOpen]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(token))
    }
}

/// Reads the attribute value, with or without a leading `a=` and a line end.
///
/// A related address that is hidden (`0.0.0.0` or `::`), incomplete, or a name reads as `None`, and so does one
/// of a host candidate. The port of an active TCP candidate means nothing and reads as 9. A zone of the peer
/// (`%eth0`) is dropped.
///
/// # Errors
/// [`ParseError::is_unsupported`] tells a candidate to ignore (another transport, another type, TCP without a
/// known `tcptype`) from a malformed one.
impl FromStr for Candidate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let line = text.trim_end_matches(['\r', '\n']);
        if line.len() > MAX_LINE {
            let problem = format!("has {} bytes, allowed are {MAX_LINE}", line.len());
            return Err(ParseError::new("candidate", problem));
        }
        if let Some(at) = line.bytes().position(|byte| byte != b' ' && !byte.is_ascii_graphic()) {
            let problem = format!("has a byte at {at} that is not printable ASCII");
            return Err(ParseError::new("candidate", problem));
        }
        let value = line.strip_prefix("a=").unwrap_or(line);
        let value = value
            .strip_prefix("candidate:")
            .ok_or_else(|| ParseError::new("candidate", "does not begin with 'candidate:'"))?;

        let mut words = value.split(' ');
        let mut word = |field| match words.next() {
            Some(word) if !word.is_empty() => Ok(word),
            _ => Err(ParseError::new(field, "is missing")),
        };
        let foundation = word("foundation")?.parse()?;
        let component = number("component", word("component")?, 3, 1..=256)? as u16;
        let transport = word("transport")?;
        let priority = number("priority", word("priority")?, 10, 1..=0x7FFF_FFFF)? as u32;
        let host = word("connection-address")?;
        let port = word("port")?;
        if !word("typ")?.eq_ignore_ascii_case("typ") {
            return Err(ParseError::new("typ", "is not where it belongs, after the port"));
        }
        let kind = word("candidate type")?;
        let attributes = Attributes::parse(&mut words)?;

        let transport = match transport {
            udp if udp.eq_ignore_ascii_case("udp") => Transport::Udp,
            tcp if tcp.eq_ignore_ascii_case("tcp") => Transport::Tcp,
            other => return Err(ParseError::unsupported("transport", format!("'{other}' is unknown"))),
        };
        let kind = CandidateType::from_token(kind)
            .ok_or_else(|| ParseError::unsupported("candidate type", format!("'{kind}' is unknown")))?;
        let tcp_type = match transport {
            Transport::Udp => None,
            Transport::Tcp => Some(attributes.tcp_type()?),
        };
        let port = match tcp_type {
            Some(TcpType::Active) => number("port", port, 5, 0..=65535).map(|_| DISCARD_PORT)?,
            _ => number("port", port, 5, 1..=65535)? as u16,
        };
        Ok(Self {
            foundation,
            component,
            transport,
            priority,
            address: address("connection-address", host, port)?,
            kind,
            related: attributes.related()?.filter(|_| kind != CandidateType::Host),
            tcp_type,
            ufrag: attributes.ufrag()?,
            extensions: attributes.extensions,
        })
    }
}

/// The name-value pairs behind the type, unread.
#[derive(Default)]
struct Attributes<'a> {
    raddr: Option<&'a str>,
    rport: Option<&'a str>,
    tcp_type: Option<&'a str>,
    ufrag: Option<&'a str>,
    extensions: Vec<(String, String)>,
}

impl<'a> Attributes<'a> {
    /// A value may be empty (`*VCHAR`), a name may not; one space at the line's end is no attribute.
    fn parse(words: &mut impl Iterator<Item = &'a str>) -> Result<Self, ParseError> {
        let mut attributes = Self::default();
        while let Some(name) = words.next() {
            let value = words.next();
            if name.is_empty() {
                match value {
                    None => break,
                    Some(_) => return Err(ParseError::new("extension", "has no name")),
                }
            }
            let value = value.unwrap_or_default();
            let (field, known) = match name {
                _ if name.eq_ignore_ascii_case("raddr") => ("raddr", &mut attributes.raddr),
                _ if name.eq_ignore_ascii_case("rport") => ("rport", &mut attributes.rport),
                _ if name.eq_ignore_ascii_case("tcptype") => ("tcptype", &mut attributes.tcp_type),
                _ if name.eq_ignore_ascii_case("ufrag") => ("ufrag", &mut attributes.ufrag),
                _ => {
                    attributes.extensions.push((name.to_owned(), value.to_owned()));
                    continue;
                }
            };
            if known.replace(value).is_some() {
                return Err(ParseError::new(field, "is given twice"));
            }
        }
        Ok(attributes)
    }

    fn tcp_type(&self) -> Result<TcpType, ParseError> {
        let token = self
            .tcp_type
            .ok_or_else(|| ParseError::unsupported("tcptype", "is missing from a TCP candidate"))?;
        TcpType::from_token(token)
            .ok_or_else(|| ParseError::unsupported("tcptype", format!("'{token}' is unknown")))
    }

    fn related(&self) -> Result<Option<SocketAddr>, ParseError> {
        // Browsers write port 0 beside a hidden address.
        let port = self.rport.map(|port| number("rport", port, 5, 0..=65535)).transpose()?;
        let address = self.raddr.map(|host| address("raddr", host, port.unwrap_or(0) as u16)).transpose()?;
        let address = address.and_then(|address| address.socket());
        Ok(address.filter(|address| port.is_some() && !address.ip().is_unspecified()))
    }

    fn ufrag(&self) -> Result<Option<Ufrag>, ParseError> {
        let ufrag = self.ufrag.map(str::parse::<Ufrag>).transpose();
        ufrag.map_err(|error| ParseError::new("ufrag", error.to_string()))
    }
}

/// Digits only: no sign, and no more of them than the grammar has.
pub(crate) fn number(
    field: &'static str,
    text: &str,
    digits: usize,
    range: RangeInclusive<u64>,
) -> Result<u64, ParseError> {
    let grammatical = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| grammatical && range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = range.into_inner();
        ParseError::new(field, format!("is not a number from {least} to {most}"))
    })
}

pub(crate) fn address(field: &'static str, text: &str, port: u16) -> Result<Address, ParseError> {
    let socket = |ip| Ok(Address::Socket(SocketAddr::new(ip, port)));
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return socket(IpAddr::V4(ip));
    }
    // The zone is the peer's name for one of its own interfaces (RFC 4007 §6).
    let unzoned = text.split_once('%').map_or(text, |(address, _)| address);
    if let Ok(ip) = unzoned.parse::<Ipv6Addr>() {
        return socket(IpAddr::V6(ip));
    }
    if !is_name(text) {
        return Err(ParseError::new(field, "is neither an IP address nor a name"));
    }
    Ok(Address::Name { host: text.into(), port })
}

/// A domain name (RFC 1123 §2.1), underscores allowed. One that ends in a number is a mistyped IPv4 address.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let labels = text.strip_suffix('.').unwrap_or(text);
    let last = labels.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && labels.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Writes the attribute value without `a=`. A scope id is not written, and neither is an extension that the
/// grammar does not allow. A type other than host always has a related address: `None` is written as hidden
/// (RFC 8839 §5.1).
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        let Self { foundation, component, priority, .. } = self;
        write!(f, "candidate:{foundation} {component} {transport} {priority} ")?;
        let port = |port| if self.tcp_type == Some(TcpType::Active) { DISCARD_PORT } else { port };
        match &self.address {
            Address::Socket(addr) => write!(f, "{} {}", addr.ip(), port(addr.port()))?,
            Address::Name { host, port: named } => write!(f, "{host} {}", port(*named))?,
        }
        write!(f, " typ {}", self.kind.as_str())?;
        if self.kind != CandidateType::Host {
            let related = self.related.unwrap_or_else(|| self.hidden_related());
            write!(f, " raddr {} rport {}", related.ip(), related.port())?;
        }
        if let Some(tcp_type) = self.tcp_type {
            write!(f, " tcptype {}", tcp_type.as_str())?;
        }
        if let Some(ufrag) = &self.ufrag {
            write!(f, " ufrag {ufrag}")?;
        }
        let is_vchar = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        for (name, value) in &self.extensions {
            if !name.is_empty() && is_vchar(name) && is_vchar(value) {
                write!(f, " {name} {value}")?;
            }
        }
        Ok(())
    }
}

impl Candidate {
    fn hidden_related(&self) -> SocketAddr {
        let ip = match self.address.socket() {
            Some(SocketAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        SocketAddr::new(ip, DISCARD_PORT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_the_related_address_in_the_family_of_the_candidate() {
        // RFC 8839 §5.1
        for (addr, hidden) in [("192.0.2.1:7", "0.0.0.0"), ("[2001:db8::1]:7", "::")] {
            let addr = addr.parse().unwrap();
            let foundation = super::super::Foundation::from_number(4);
            let candidate = Candidate::udp(foundation, 1, 5, addr, CandidateType::Relayed, None);
            let text = candidate.to_string();
            assert!(text.ends_with(&format!("typ relay raddr {hidden} rport 9")), "{text}");
            assert_eq!(text.parse(), Ok(candidate));
        }
    }

    #[test]
    fn tells_unsupported_from_malformed() {
        // RFC 8839 §5.1: an unknown transport or type is ignored
        let error = |text: &str| text.parse::<Candidate>().expect_err(text);
        assert!(error("candidate:1 1 sctp 1 192.0.2.1 5 typ host").is_unsupported());
        assert!(error("candidate:1 1 udp 1 192.0.2.1 5 typ foo").is_unsupported());
        assert!(error("candidate:1 1 tcp 1 192.0.2.1 5 typ host").is_unsupported());
        assert!(!error("candidate:1 1 sctp x 192.0.2.1 5 typ host").is_unsupported());
    }
}
