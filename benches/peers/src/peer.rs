//! What every implementation has to be able to do.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use floe::Role;
use floe::signal::Signal;
use floe::sim::Wish;

use crate::networks::Server;

/// An address that an agent may use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Local {
    /// Of an interface.
    Host(SocketAddr),
    /// What a STUN server saw of a host address.
    Reflexive { base: SocketAddr, mapped: SocketAddr },
    /// On a TURN server that is asked from a host address.
    Relayed { base: SocketAddr, relayed: SocketAddr },
}

/// Who finds out what servers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gathering {
    /// The agent itself.
    Own,
    /// Whoever embeds it.
    OfEmbedder,
}

/// An agent, driven as its best embedders drive it. What is said here is said once; [`crate::seat`] does the rest.
pub(crate) trait Peer: fmt::Debug + Send {
    fn gathering(&self) -> Gathering;
    fn add_local(&mut self, now: Instant, local: Local);
    /// There will be no further address.
    fn end_of_local(&mut self, now: Instant);
    /// A signal, of which the last one is the end of candidates.
    fn handle_signal(&mut self, now: Instant, signal: &Signal);
    fn handle_datagram(&mut self, now: Instant, local: SocketAddr, source: SocketAddr, payload: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    /// What comes next, until it wants to wait.
    fn poll(&mut self, now: Instant) -> Wish;
    /// Whether data may be sent.
    fn is_usable(&self) -> bool;
    /// Whether it has nominated, or knows that its peer has.
    fn is_completed(&self) -> bool;
}

/// What an agent begins with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) now: Instant,
    pub(crate) role: Role,
    pub(crate) seed: [u8; 32],
    pub(crate) server: Server,
}

/// An implementation with its settings.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// In words; the first one of each name is its default.
    pub(crate) settings: &'static str,
    pub(crate) make: fn(Start) -> Box<dyn Peer>,
}
