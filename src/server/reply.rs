//! Answers: small values in a bounded queue, written when they are polled.

use std::net::{IpAddr, SocketAddr};

use super::Server;
use super::allocation::Client;
use super::auth::{ALGORITHMS, Asker};
use super::behavior::{Discovery, MAX_PADDING};
use super::mobility::Ticket;
use super::ports::Token;
use crate::io::SocketId;
use crate::stun::attributes::{AddressError, PasswordAlgorithms};
use crate::stun::wire::attr;
use crate::stun::{Class, Family, Message, Method, TransactionId, Writer, code};
use crate::time::Duration;

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The client's address, seen from here.
    Mapped,
    /// The same and more, for whoever looks into their NAT (RFC 5780).
    Discovered(Discovery),
    /// 401 or 438, with all that a client needs to authenticate.
    Challenge(u16),
    /// Another error.
    Error(u16),
    /// 300: ask that server.
    Redirect(SocketAddr),
    /// 420 with the types that were not understood.
    Unknown(Vec<u16>),
    /// An allocation.
    Allocated { relayed: Vec<SocketAddr>, granted: Granted, ticket: Option<Ticket> },
    /// A refreshed or deleted allocation.
    Refreshed { lifetime: Duration, ticket: Option<Ticket> },
    /// Success without more to say.
    Done,
}

/// What an allocation was granted at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) lifetime: Duration,
    /// Of a dual request, the family that it did not get, and why.
    pub(super) lacks: Option<(Family, u16)>,
    /// The next port was reserved.
    pub(super) token: Option<Token>,
}

/// What an answer repeats of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) client: Client,
    pub(super) method: Method,
    pub(super) id: TransactionId,
    /// FINGERPRINT is answered with FINGERPRINT.
    pub(super) fingerprint: bool,
}

impl Request {
    pub(super) fn of(client: Client, message: &Message<'_>) -> Self {
        Self {
            client,
            method: message.method(),
            id: message.transaction_id(),
            fingerprint: message.has_fingerprint(),
        }
    }
}

/// An answer that waits to be written. With an asker it is protected with that user's key.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) request: Request,
    pub(super) asker: Option<Asker>,
    pub(super) answer: Answer,
}

impl Reply {
    /// The socket, its address, and where to: the way back, unless the client wants another (RFC 5780 §6.1).
    pub(super) fn path(&self) -> (SocketId, IpAddr, SocketAddr) {
        let Client { socket, local, source } = self.request.client;
        match self.answer {
            Answer::Discovered(Discovery { from: (socket, local), to_port, .. }) => {
                let port = to_port.unwrap_or(source.port());
                (socket, local.ip(), SocketAddr::new(source.ip(), port))
            }
            _ => (socket, local, source),
        }
    }
}

impl Server {
    /// Writes an answer; `None` if it does not fit, which its parts do not allow.
    pub(super) fn write_reply(&self, reply: &Reply, buf: &mut [u8]) -> Option<usize> {
        let Reply { request: Request { client, method, id, fingerprint }, asker, answer } = reply;
        let mut writer = match answer {
            Answer::Challenge(code) | Answer::Error(code) => Writer::error(buf, *method, *id, *code),
            Answer::Unknown(_) => Writer::error(buf, *method, *id, code::UNKNOWN_ATTRIBUTE),
            Answer::Redirect(_) => Writer::error(buf, *method, *id, code::TRY_ALTERNATE),
            _ => Writer::new(buf, Class::Success, *method, *id),
        };
        match answer {
            Answer::Mapped => {
                writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, client.source);
            }
            Answer::Discovered(Discovery { from: (_, origin), other, padding, .. }) => {
                writer
                    .put_xor_address(attr::XOR_MAPPED_ADDRESS, client.source)
                    .put_address(attr::MAPPED_ADDRESS, client.source)
                    .put_address(attr::RESPONSE_ORIGIN, *origin)
                    .put_address(attr::OTHER_ADDRESS, *other);
                if let Some(len) = padding {
                    writer.put(attr::PADDING, &[0; MAX_PADDING][..*len]);
                }
            }
            Answer::Challenge(_) => {
                writer
                    .put_realm(self.gate.realm())
                    .put_nonce(&self.gate.nonce(self.now, client.source))
                    .put_password_algorithms(&PasswordAlgorithms::offer(&ALGORITHMS));
            }
            Answer::Error(_) | Answer::Done => {}
            Answer::Redirect(server) => {
                writer.put_address(attr::ALTERNATE_SERVER, *server);
            }
            Answer::Unknown(kinds) => {
                writer.put_unknown_attributes(kinds.iter().copied());
            }
            Answer::Allocated { relayed, granted: Granted { lifetime, lacks, token }, ticket } => {
                for relayed in relayed {
                    writer.put_xor_address(attr::XOR_RELAYED_ADDRESS, *relayed);
                }
                if let Some((family, code)) = lacks {
                    writer.put_address_error(&AddressError::new(*family, *code));
                }
                if let Some(Token(token)) = token {
                    writer.put_reservation_token(*token);
                }
                writer.put_lifetime(*lifetime).put_xor_address(attr::XOR_MAPPED_ADDRESS, client.source);
                if let Some(ticket) = ticket {
                    writer.put(attr::MOBILITY_TICKET, ticket);
                }
            }
            Answer::Refreshed { lifetime, ticket } => {
                writer.put_lifetime(*lifetime);
                if let Some(ticket) = ticket {
                    writer.put(attr::MOBILITY_TICKET, ticket);
                }
            }
        }
        if let Some(asker) = asker {
            writer.integrity(&asker.key, asker.integrity);
        }
        if *fingerprint {
            writer.fingerprint();
        }
        writer.finish().ok().map(<[u8]>::len)
    }
}
