//! TURN client (RFC 8656).

mod allocation;
mod answer;
mod channel;
pub mod client;
mod credential;
pub mod data;
mod event;
mod lease;
mod permission;
mod problem;
mod request;
#[cfg(test)]
mod tests;

pub use channel::MAX_CHANNELS;
pub use client::Client;
pub use event::{Event, Input, Output, Received};
pub use permission::MAX_PEERS;
pub use problem::Problem;

use std::fmt;
use std::net::SocketAddr;

/// A TURN server and the long-term credential for it (RFC 8489 §9.2).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnServer {
    /// Where it listens, UDP.
    pub addr: SocketAddr,
    /// The username.
    pub username: String,
    /// The password. `Debug` does not show it.
    pub password: String,
}

impl TurnServer {
    /// A server that is asked over UDP.
    pub fn new(addr: SocketAddr, username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { addr, username: username.into(), password: password.into() }
    }
}

impl fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnServer")
            .field("addr", &self.addr)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
