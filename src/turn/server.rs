//! Which server, how it is reached, and the credential for it.

use std::fmt;
use std::net::SocketAddr;

use crate::io::{StreamProtocol, Transport};
use crate::stun::Family;
use crate::stun::uri::{Scheme, Uri};

/// A TURN server and the long-term credential for it (RFC 8489 §9.2).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnServer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// How it is reached.
    pub transport: ServerTransport,
    /// The username.
    pub username: String,
    /// The password. `Debug` does not show it.
    pub password: String,
    /// What Allocate and Refresh say of the client in SOFTWARE (RFC 8656 §5); nothing by default, since it tells
    /// attackers more than it helps (RFC 8489 §16.1.2). Above [`MAX_SOFTWARE`] bytes it is not sent.
    pub software: Option<String>,
    /// Which relayed addresses are asked for.
    pub families: Families,
    /// Whether the relayed address shall survive a change of network.
    pub mobility: Mobility,
}

/// The address families of the relayed transport addresses (RFC 8656 §7.1). One allocation has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Families {
    /// IPv4, and IPv6 where the server knows of it: ADDITIONAL-ADDRESS-FAMILY, which servers of RFC 5766 ignore.
    #[default]
    Both,
    /// IPv4 alone.
    V4,
    /// IPv6 alone: REQUESTED-ADDRESS-FAMILY. Servers of RFC 5766 answer 420.
    V6,
}

impl Families {
    /// One after the other.
    pub(super) fn families(self) -> impl Iterator<Item = Family> {
        let [v4, v6] = match self {
            Self::Both => [true, true],
            Self::V4 => [true, false],
            Self::V6 => [false, true],
        };
        v4.then_some(Family::V4).into_iter().chain(v6.then_some(Family::V6))
    }
}

/// Mobility with TURN (RFC 8016).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mobility {
    /// A ticket is asked for. A server that does not know of it ignores that; one that forbids it answers 405 and is
    /// asked again without.
    #[default]
    Ask,
    /// Without: the allocation ends with the socket or connection that it was made from.
    Never,
}

/// The longest SOFTWARE that is sent, in bytes: every request has to fit into a datagram.
pub const MAX_SOFTWARE: usize = 120;

impl TurnServer {
    /// A server that is asked over UDP.
    pub fn new(addr: SocketAddr, username: impl Into<String>, password: impl Into<String>) -> Self {
        let (username, password) = (username.into(), password.into());
        Self {
            addr,
            transport: ServerTransport::Udp,
            username,
            password,
            software: None,
            families: Families::default(),
            mobility: Mobility::default(),
        }
    }

    /// Asks for relayed addresses of these families.
    #[must_use]
    pub fn families(mut self, families: Families) -> Self {
        self.families = families;
        self
    }

    /// Asks for mobility, or does not.
    #[must_use]
    pub fn mobility(mut self, mobility: Mobility) -> Self {
        self.mobility = mobility;
        self
    }

    /// Reaches it over another transport; the relayed addresses are UDP all the same.
    #[must_use]
    pub fn over(mut self, transport: ServerTransport) -> Self {
        self.transport = transport;
        self
    }
}

/// The transport between a client and its TURN server (RFC 8656 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerTransport {
    /// UDP.
    Udp,
    /// TCP, for networks that let no UDP out.
    Tcp,
    /// TLS over TCP.
    Tls {
        /// Whom the server's certificate has to name: a DNS name, or an IP address as text.
        server_name: Box<str>,
    },
}

impl ServerTransport {
    /// The transport that a `turn:` or `turns:` URI asks for (RFC 7065 §3.1). `None` for any other scheme, and for
    /// `turns:` over UDP: that is DTLS.
    pub fn of(uri: &Uri) -> Option<Self> {
        match (uri.scheme, uri.transport_or_default()) {
            (Scheme::Turn, Transport::Udp) => Some(Self::Udp),
            (Scheme::Turn, Transport::Tcp) => Some(Self::Tcp),
            (Scheme::Turns, Transport::Tcp) => Some(Self::Tls { server_name: uri.host.to_name().into() }),
            (Scheme::Turns, Transport::Udp) | (Scheme::Stun | Scheme::Stuns, _) => None,
        }
    }

    /// What runs on the connection; `None` over UDP.
    pub fn protocol(&self) -> Option<StreamProtocol> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some(StreamProtocol::Turn),
            Self::Tls { server_name } => Some(StreamProtocol::TurnTls { server_name: server_name.clone() }),
        }
    }
}

impl fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnServer")
            .field("addr", &self.addr)
            .field("transport", &self.transport)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7065 §3.2, RFC 7064 §3.2: `turns` and `stuns` are protected by TLS, and never silently by less.
    #[test]
    fn only_a_secure_scheme_gets_tls_and_no_other_does_without() {
        let tls = |name: &str| Some(ServerTransport::Tls { server_name: name.into() });
        for (uri, transport) in [
            ("turn:192.0.2.1", Some(ServerTransport::Udp)),
            ("turn:192.0.2.1?transport=udp", Some(ServerTransport::Udp)),
            ("turn:192.0.2.1?transport=tcp", Some(ServerTransport::Tcp)),
            ("turns:turn.example.org", tls("turn.example.org")),
            ("turns:turn.example.org?transport=tcp", tls("turn.example.org")),
            ("turns:[2001:db8::1]:443", tls("2001:db8::1")),
            // DTLS.
            ("turns:turn.example.org?transport=udp", None),
            ("stun:192.0.2.1", None),
            ("stuns:stun.example.org", None),
        ] {
            assert_eq!(ServerTransport::of(&uri.parse().unwrap()), transport, "{uri}");
        }
    }
}
