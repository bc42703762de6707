//! One question to a server, and what came of it.

use std::net::SocketAddr;

use crate::candidate::address::{Scope, scope};
use crate::io::SocketId;
use crate::stun::attributes::ChangeRequest;
use crate::stun::wire::{Class, Method, Plain, attr};
use crate::stun::{TransactionId, Writer};
use crate::time::Instant;

/// The attributes of an answer that have to be understood, and are (RFC 8489 §6.3.3).
const KNOWN: [u16; 5] = [
    attr::MAPPED_ADDRESS,
    attr::XOR_MAPPED_ADDRESS,
    attr::ERROR_CODE,
    attr::UNKNOWN_ATTRIBUTES,
    attr::PADDING,
];
/// FINGERPRINT, and the header of PADDING.
const BESIDE_PADDING: usize = 20 + 8 + 4;
/// No packet is longer, headers of IPv6 and UDP included (RFC 5780 §5: 64 KiB).
const MAX_PADDING: usize = 65_535 - 48 - BESIDE_PADDING;

/// Its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AskId(pub(super) usize);

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// A server over UDP.
    Server,
    /// A server over a connection.
    Connection,
    /// This host itself, by one of its external endpoints: the request is to come back.
    Own,
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) socket: SocketId,
    pub(super) to: SocketAddr,
    pub(super) whom: Whom,
    /// Where the answer comes from.
    pub(super) from: SocketAddr,
    /// Where it comes to.
    pub(super) hears: SocketId,
    change: Option<ChangeRequest>,
    response_port: Option<u16>,
    padding: usize,
    /// Transactions, one after the other.
    pub(super) attempts: u8,
    pub(super) not_before: Option<Instant>,
}

impl Ask {
    /// A plain Binding request that is repeated until it is next to certain that nobody answers.
    pub(super) fn new(socket: SocketId, to: SocketAddr) -> Self {
        Self {
            socket,
            to,
            whom: Whom::Server,
            from: to,
            hears: socket,
            change: None,
            response_port: None,
            padding: 0,
            attempts: 3,
            not_before: None,
        }
    }

    /// A request to this host's own endpoint, which belongs to the socket `hears`.
    pub(super) fn own(socket: SocketId, to: SocketAddr, hears: SocketId) -> Self {
        Self { whom: Whom::Own, hears, attempts: 1, ..Self::new(socket, to) }
    }

    /// Over a connection.
    pub(super) fn on_connection(socket: SocketId, to: SocketAddr) -> Self {
        Self { whom: Whom::Connection, attempts: 1, ..Self::new(socket, to) }
    }

    pub(super) fn attempts(self, attempts: u8) -> Self {
        Self { attempts, ..self }
    }

    /// The answer is to come from somewhere else.
    pub(super) fn change(self, change: ChangeRequest, from: SocketAddr) -> Self {
        Self { change: Some(change), from, ..self }
    }

    /// The answer is to go to this port, which belongs to another socket, or to another mapping of this one.
    pub(super) fn respond_to(self, port: u16, hears: SocketId) -> Self {
        Self { response_port: Some(port), hears, ..self }
    }

    /// So much PADDING that an interface of this MTU has to fragment it, in multiples of 4 bytes (RFC 5780 §5).
    pub(super) fn longer_than(self, mtu: u16) -> Self {
        let padding = usize::from(mtu).next_multiple_of(4).min(MAX_PADDING / 4 * 4);
        Self { padding, ..self }
    }

    pub(super) fn not_before(self, at: Instant) -> Self {
        Self { not_before: Some(at), ..self }
    }

    /// Whether a server that answers at all answers this.
    pub(super) fn is_plain(&self) -> bool {
        self.whom == Whom::Server
            && self.change.is_none()
            && self.response_port.is_none()
            && self.padding == 0
    }

    /// The request; always with FINGERPRINT, whatever else the socket is used for (RFC 5780 §5).
    pub(super) fn write(&self, buf: &mut [u8], id: TransactionId) -> Option<usize> {
        let mut writer = Writer::new(buf, Class::Request, Method::BINDING, id);
        if let Some(change) = self.change {
            writer.put_change_request(change);
        }
        if let Some(port) = self.response_port {
            writer.put_response_port(port);
        }
        if self.padding > 0 {
            writer.put(attr::PADDING, &vec![0; self.padding]);
        }
        writer.fingerprint();
        Some(writer.finish().ok()?.len())
    }
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A success response, from where it had to come, to where it had to go.
    Answer(Answer),
    /// This error code.
    Refused(u16),
    /// A response that is not understood, or says nothing.
    Unreadable,
    /// A response with an address that no host can have.
    Implausible,
    /// A response from where the request was sent to, or to the socket that sent it, though it was asked otherwise.
    Ignored,
    /// The own request has come back, from here.
    Returned(SocketAddr),
    /// Nothing but responses from this address.
    Elsewhere(SocketAddr),
    /// Nothing but what is not STUN.
    Garbage,
    /// Nothing.
    Silent,
    /// There is no such socket.
    NoSocket,
}

/// What a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// XOR-MAPPED-ADDRESS.
    pub(super) mapped: SocketAddr,
    /// MAPPED-ADDRESS.
    pub(super) clear: Option<SocketAddr>,
    /// OTHER-ADDRESS.
    pub(super) other: Option<SocketAddr>,
}

/// What FINGERPRINT says of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// Nothing, or that it arrived as it was sent.
    Whole,
    /// Something on the way has changed it.
    Broken,
}

impl Outcome {
    pub(super) fn answer(&self) -> Option<Answer> {
        match self {
            Self::Answer(answer) => Some(*answer),
            _ => None,
        }
    }

    /// What a response says to a socket of `local`. ALTERNATE-SERVER is not looked at (RFC 5780 §5).
    ///
    /// What rewrites addresses that it finds in clear breaks the seal, and leaves XOR-MAPPED-ADDRESS alone. A broken seal
    /// that MAPPED-ADDRESS does not explain makes all of it worthless.
    pub(super) fn of(response: &Plain<'_>, seal: Seal, local: SocketAddr) -> Self {
        let attributes = response.attributes();
        if attributes.unknown_required(&KNOWN).next().is_some() {
            return Self::Unreadable;
        }
        if response.message().class() == Class::Error {
            return attributes.error_code().map_or(Self::Unreadable, |error| Self::Refused(error.code));
        }
        // MAPPED-ADDRESS alone may have been rewritten.
        let Some(mapped) = attributes.xor_address(attr::XOR_MAPPED_ADDRESS) else { return Self::Unreadable };
        let clear = attributes.address(attr::MAPPED_ADDRESS);
        if seal == Seal::Broken && clear.is_none_or(|clear| clear == mapped) {
            return Self::Unreadable;
        }
        if !is_plausible(mapped, local) {
            return Self::Implausible;
        }
        Self::Answer(Answer { mapped, clear, other: attributes.address(attr::OTHER_ADDRESS) })
    }
}

/// Whether a socket of `local` can look like this. Behind a translator of families a server sees IPv4 (RFC 6146).
fn is_plausible(mapped: SocketAddr, local: SocketAddr) -> bool {
    let is_near = |ip| matches!(scope(ip), Scope::Loopback | Scope::LinkLocal);
    mapped.port() != 0
        && (mapped.is_ipv4() || local.is_ipv6())
        && scope(mapped.ip()) != Scope::Unusable
        && (!is_near(mapped.ip()) || is_near(local.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(ask: &Ask) -> Vec<u8> {
        let mut buf = vec![0; 65_535];
        let len = ask.write(&mut buf, TransactionId([7; 12])).unwrap();
        buf.truncate(len);
        buf
    }

    /// RFC 5780 §5, §7.6.
    #[test]
    fn padding_is_the_mtu_in_multiples_of_4_and_no_packet_is_longer_than_64_kib() {
        let ask = Ask::new(SocketId(0), "192.0.2.1:3478".parse().unwrap());
        for (mtu, padding) in [(1499, 1500), (1500, 1500), (1280, 1280), (65_535, MAX_PADDING / 4 * 4)] {
            let bytes = request(&ask.longer_than(mtu));
            let message = crate::stun::Message::parse(&bytes);
            if let Ok(message) = message {
                let found = message.plain().attributes().find(attr::PADDING).map(<[u8]>::len);
                assert_eq!(found, Some(padding));
            }
            assert_eq!(bytes.len(), BESIDE_PADDING + padding);
            assert!(bytes.len() + 48 <= 65_535, "{mtu}: {}", bytes.len());
        }
    }

    /// RFC 5780 §5.
    #[test]
    fn every_request_has_a_fingerprint() {
        let (server, other) = ("192.0.2.1:3478".parse().unwrap(), "192.0.2.2:3479".parse().unwrap());
        let plain = Ask::new(SocketId(0), server);
        for ask in [
            plain,
            plain.change(ChangeRequest { ip: true, port: true }, other),
            plain.respond_to(9, SocketId(1)),
            plain.longer_than(1400),
            Ask::own(SocketId(0), other, SocketId(1)),
            Ask::on_connection(SocketId(0), server),
        ] {
            let bytes = request(&ask);
            assert!(crate::stun::Message::parse(&bytes).unwrap().has_fingerprint(), "{ask:?}");
        }
    }
}
