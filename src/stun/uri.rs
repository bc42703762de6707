//! URIs of STUN and TURN servers (RFC 7064, RFC 7065). Nothing is resolved here.
//!
//! ```text
//! stun:host[:port]     turn:host[:port][?transport=udp|tcp]
//! stuns:name[:port]    turns:host[:port][?transport=udp|tcp]
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::error::ParseError;
use crate::io::Transport;

/// What is spoken, and whether over TLS or DTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `stun`.
    Stun,
    /// `stuns`: STUN over (D)TLS.
    Stuns,
    /// `turn`.
    Turn,
    /// `turns`: TURN over (D)TLS.
    Turns,
}

impl Scheme {
    /// Whether (D)TLS is asked for.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Stuns | Self::Turns)
    }

    /// 3478, or 5349 with (D)TLS (RFC 7064 §3.2, RFC 7065 §3.2).
    pub fn default_port(self) -> u16 {
        if self.is_secure() { 5349 } else { 3478 }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Stuns => "stuns",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }
}

/// The server's address or name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 address, or an IPv6 one in brackets.
    Ip(IpAddr),
    /// A name for DNS, as written: 1 to 255 letters, digits, `-`, `_` and dots.
    Name(String),
}

/// A server to ask. `Display` writes the canonical form: the scheme in lower case, the port only where the
/// text had one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    /// The scheme.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, if given: with one, DNS is asked for addresses only and not for SRV (RFC 8489 §8.1).
    pub port: Option<u16>,
    /// The transport, if given; only TURN has it (RFC 7065 §3.1).
    pub transport: Option<Transport>,
}

impl Uri {
    /// The port, or the scheme's default.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or_else(|| self.scheme.default_port())
    }

    /// The transport, or the scheme's default: TCP under TLS, else UDP (RFC 5928 §3).
    pub fn transport_or_default(&self) -> Transport {
        self.transport.unwrap_or(if self.scheme.is_secure() { Transport::Tcp } else { Transport::Udp })
    }
}

impl FromStr for Uri {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (scheme, rest) =
            text.split_once(':').ok_or_else(|| ParseError::new("scheme", "there is none"))?;
        let scheme = [Scheme::Stun, Scheme::Stuns, Scheme::Turn, Scheme::Turns]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(scheme))
            .ok_or_else(|| ParseError::new("scheme", "is none of stun, stuns, turn, turns"))?;
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        let (host, port) = split_port(authority)?;
        let host = read_host(host)?;
        if scheme == Scheme::Stuns && matches!(host, Host::Ip(_)) {
            return Err(ParseError::new("host", "stuns needs a name, not an address (RFC 8489 §8.1)"));
        }
        let port = port.map(read_port).transpose()?;
        let transport = query.map(|query| read_transport(scheme, query)).transpose()?;
        Ok(Self { scheme, host, port, transport })
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), ParseError> {
    // The colons of an IPv6 address stand in brackets.
    let host_end = match authority.strip_prefix('[') {
        Some(_) => {
            authority.find(']').ok_or_else(|| ParseError::new("host", "the bracket is not closed"))? + 1
        }
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(host_end);
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(ParseError::new("host", "something follows the bracket")),
    }
}

fn read_host(text: &str) -> Result<Host, ParseError> {
    if let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let ip: Ipv6Addr =
            inside.parse().map_err(|_| ParseError::new("host", "no IPv6 address in the brackets"))?;
        return Ok(Host::Ip(ip.into()));
    }
    if let Ok(ip) = text.parse() {
        return Ok(Host::Ip(IpAddr::V4(ip)));
    }
    if text.is_empty() || text.len() > 255 {
        return Err(ParseError::new("host", "a name has 1 to 255 characters"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match text.bytes().position(|byte| !allowed(byte)) {
        Some(at) => Err(ParseError::new("host", format!("the character at {at} is not one of a DNS name"))),
        None => Ok(Host::Name(text.to_owned())),
    }
}

fn read_port(text: &str) -> Result<u16, ParseError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or_else(|| ParseError::new("port", "is not a number of 1 to 65535"))
}

fn read_transport(scheme: Scheme, query: &str) -> Result<Transport, ParseError> {
    if matches!(scheme, Scheme::Stun | Scheme::Stuns) {
        return Err(ParseError::new("transport", "only turn and turns have one"));
    }
    match query.strip_prefix("transport=") {
        Some(name) if name.eq_ignore_ascii_case("udp") => Ok(Transport::Udp),
        Some(name) if name.eq_ignore_ascii_case("tcp") => Ok(Transport::Tcp),
        Some(_) => Err(ParseError::new("transport", "is neither udp nor tcp")),
        None => Err(ParseError::new("transport", "only transport= may follow '?'")),
    }
}

impl Host {
    /// As a certificate names it: an IPv6 address without brackets.
    pub fn to_name(&self) -> String {
        match self {
            Self::Ip(ip) => ip.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme.as_str(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.transport {
            Some(Transport::Udp) => f.write_str("?transport=udp"),
            Some(Transport::Tcp) => f.write_str("?transport=tcp"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_examples_of_rfc_7064_and_7065() {
        for (text, port, transport) in [
            ("stun:example.org", 3478, Transport::Udp),
            ("stuns:example.org", 5349, Transport::Tcp),
            ("stun:example.org:8000", 8000, Transport::Udp),
            ("turn:example.org", 3478, Transport::Udp),
            ("turns:example.org", 5349, Transport::Tcp),
            ("turn:example.org:8000?transport=tcp", 8000, Transport::Tcp),
            ("turns:example.org?transport=udp", 5349, Transport::Udp),
            ("turn:192.0.2.1:3479?transport=udp", 3479, Transport::Udp),
            ("stun:[2001:db8::1]:3479", 3479, Transport::Udp),
            ("turn:[2001:db8::1]", 3478, Transport::Udp),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(uri.to_string(), text);
            assert_eq!((uri.port_or_default(), uri.transport_or_default()), (port, transport), "{text}");
        }
    }

    #[test]
    fn the_scheme_is_case_insensitive() {
        assert_eq!("TuRn:example.org".parse::<Uri>().unwrap().to_string(), "turn:example.org");
    }

    /// RFC 8489 §8.1: there is no certificate to be had for an address. TURN has no such rule.
    #[test]
    fn stuns_takes_no_address() {
        for host in ["192.0.2.1", "[2001:db8::1]", "192.0.2.1:5349"] {
            assert_eq!(format!("stuns:{host}").parse::<Uri>().unwrap_err().field, "host");
            assert!(format!("stun:{host}").parse::<Uri>().is_ok());
        }
        assert!("stuns:example.org".parse::<Uri>().is_ok());
    }

    #[test]
    fn errors_name_the_part_that_is_wrong() {
        for (text, field) in [
            ("", "scheme"),
            ("example.org", "scheme"),
            ("http:example.org", "scheme"),
            ("stun:", "host"),
            ("stun://example.org", "host"),
            ("turn:user@example.org", "host"),
            ("stun:[2001:db8::1", "host"),
            ("stun:[2001:db8::1]x", "host"),
            ("stun:[192.0.2.1]", "host"),
            ("stun:2001:db8::1", "port"),
            ("stun:user@example.org", "host"),
            ("stun:example.org/path", "host"),
            ("stun:example.org:", "port"),
            ("stun:example.org:0", "port"),
            ("stun:example.org:+1", "port"),
            ("stun:example.org:65536", "port"),
            ("stun:example.org?transport=udp", "transport"),
            ("turn:example.org?transport=sctp", "transport"),
            ("turn:example.org?foo", "transport"),
        ] {
            assert_eq!(text.parse::<Uri>().unwrap_err().field, field, "{text}");
        }
        assert_eq!(format!("stun:{}", "a".repeat(256)).parse::<Uri>().unwrap_err().field, "host");
    }
}
