//! One allocation: a TURN client on a link, driven, and what passes between them looked at.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::net::clock;
use crate::net::seed::seed;
use crate::stun::auth::PasswordAlgorithm;
use crate::stun::wire::{Class, Method};
use crate::stun::{Message, TransactionId, code};
use crate::time::Instant;
use crate::turn::data::{HEADROOM, TAILROOM, wrap};
use crate::turn::{Client, Event, Input, Output, Received, TurnServer};

use super::failure::Failure;
use super::link::Link;

/// Requests and answers that are remembered; a test has few.
const MAX_REMEMBERED: usize = 64;
/// Room for a request, at least 1200 bytes.
const OUTPUT: usize = 1280;

#[derive(Debug)]
pub(super) struct Side {
    client: Client,
    link: Link,
    pub(super) events: VecDeque<Event>,
    /// What has come from peers.
    pub(super) data: VecDeque<(SocketAddr, Vec<u8>)>,
    /// What is under way, since when.
    asked: BTreeMap<TransactionId, Instant>,
    pub(super) answers: VecDeque<Answer>,
    /// How the last request hashed the password.
    pub(super) algorithm: Option<&'static str>,
}

/// What an answer says. Nobody vouches for it: it is shown, and decides nothing.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) method: Method,
    pub(super) class: Class,
    pub(super) code: Option<u16>,
    pub(super) realm: Option<String>,
    pub(super) software: Option<String>,
    pub(super) lifetime: Option<Duration>,
    /// Since the first request of its transaction.
    pub(super) took: Duration,
}

impl Answer {
    /// Whether it asks for a credential.
    pub(super) fn is_challenge(&self) -> bool {
        self.class == Class::Error && self.code == Some(code::UNAUTHENTICATED)
    }
}

impl Side {
    pub(super) fn new(server: TurnServer, link: Link) -> Self {
        Self {
            client: Client::new(server, seed()),
            link,
            events: VecDeque::new(),
            data: VecDeque::new(),
            asked: BTreeMap::new(),
            answers: VecDeque::new(),
            algorithm: None,
        }
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.link.server()
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks the client for something, and sends what it wants sent.
    pub(super) fn with(&mut self, ask: impl FnOnce(&mut Client, Instant)) -> Result<(), Failure> {
        ask(&mut self.client, clock::now());
        self.drain()
    }

    /// Waits until something has happened, and follows it. May be dropped and called again.
    pub(super) async fn happen(&mut self) -> Result<(), Failure> {
        let deadline = self.client.deadline();
        let due = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = self.link.receive() => self.take(&message?),
            () = due => drop(self.client.handle_input(clock::now(), Input::Timeout)),
        }
        self.drain()
    }

    /// Sends `payload` to a peer that is permitted.
    pub(super) fn send(&mut self, peer: SocketAddr, payload: &[u8]) -> Result<(), Failure> {
        let Some(framing) = self.client.framing(peer) else { return Err(Failure::Lost) };
        let mut buf = vec![0; HEADROOM + payload.len() + TAILROOM];
        buf[HEADROOM..HEADROOM + payload.len()].copy_from_slice(payload);
        self.link.send(wrap(framing, &mut buf, payload.len()))
    }

    fn take(&mut self, message: &[u8]) {
        let now = clock::now();
        self.note_answer(now, message);
        if let Received::Data { peer, payload } = self.client.handle_input(now, Input::Datagram(message))
            && self.data.len() < MAX_REMEMBERED
        {
            self.data.push_back((peer, payload.to_vec()));
        }
    }

    /// One client alone needs no pace.
    fn drain(&mut self) -> Result<(), Failure> {
        let mut buf = [0; OUTPUT];
        loop {
            if self.client.wants_slot() {
                let _ = self.client.handle_input(clock::now(), Input::Slot);
            }
            match self.client.poll_output(&mut buf) {
                Output::Transmit(message) => {
                    if let Ok(request) = Message::parse(message) {
                        self.algorithm = algorithm(&request);
                        if self.asked.len() < MAX_REMEMBERED {
                            self.asked.entry(request.transaction_id()).or_insert_with(clock::now);
                        }
                    }
                    self.link.send(message)?;
                }
                Output::Event(event) => self.events.push_back(event),
                Output::Wait(_) if self.client.wants_slot() => {}
                Output::Wait(_) => return Ok(()),
            }
        }
    }

    fn note_answer(&mut self, now: Instant, message: &[u8]) {
        let Ok(message) = Message::parse(message) else { return };
        if !matches!(message.class(), Class::Success | Class::Error) {
            return;
        }
        let Some(since) = self.asked.remove(&message.transaction_id()) else { return };
        let plain = message.plain();
        let attributes = plain.attributes();
        if self.answers.len() >= MAX_REMEMBERED {
            self.answers.pop_front();
        }
        self.answers.push_back(Answer {
            method: message.method(),
            class: message.class(),
            code: attributes.error_code().map(|error| error.code),
            realm: attributes.realm(),
            software: attributes.software().map(Cow::into_owned),
            lifetime: attributes.lifetime(),
            took: now.saturating_duration_since(since),
        });
    }
}

/// How a request hashed the password; MD5 is what a request says nothing of (RFC 8489 §9.2.4).
fn algorithm(request: &Message<'_>) -> Option<&'static str> {
    if !request.has_integrity() {
        return None;
    }
    match request.plain().attributes().password_algorithm() {
        Some(PasswordAlgorithm::Sha256) => Some("SHA-256"),
        Some(PasswordAlgorithm::Md5) | None => Some("MD5"),
    }
}
