//! TURN client (RFC 8656): one [`Client`] for each server and local socket.
//!
//! ```text
//!   slot, timeout, datagram ──▶ Client ──▶ requests ──▶ server        Allocate, Refresh, CreatePermission, ChannelBind
//!                                 │  └───▶ events
//!                                 └─ framing(peer) ──▶ data::wrap ──▶ server ──▶ peer
//! ```
//!
//! ```
//! use floe::turn::{Client, Event, Input, Output, TurnServer};
//!
//! # fn now() -> std::time::Instant { #[allow(clippy::disallowed_methods)] std::time::Instant::now() }
//! let server = TurnServer::new("203.0.113.1:3478".parse().unwrap(), "user", "password");
//! let mut client = Client::new(server, [7; 32]);
//! let _ = client.handle_input(now(), Input::Slot);
//! let mut buf = [0; 1280];
//! let wake = loop {
//!     match client.poll_output(&mut buf) {
//!         Output::Transmit(request) => { /* to the server */ }
//!         Output::Event(Event::Allocated { relayed, .. }) => client.permit("192.0.2.1:5000".parse().unwrap()),
//!         Output::Event(event) => println!("{event:?}"),
//!         Output::Wait(wake) => break wake,
//!     }
//! };
//! // Then wait for a datagram of the server, or until `wake.at` for a timeout, or for a slot if `wake.slot` says so.
//! # assert!(wake.is_some());
//! ```

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
pub use client::{Client, Traffic};
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
    /// What Allocate and Refresh say of the client in SOFTWARE (RFC 8656 §5); nothing by default, since it tells
    /// attackers more than it helps (RFC 8489 §16.1.2). Above [`MAX_SOFTWARE`] bytes it is not sent.
    pub software: Option<String>,
}

/// The longest SOFTWARE that is sent, in bytes: every request has to fit into a datagram.
pub const MAX_SOFTWARE: usize = 120;

impl TurnServer {
    /// A server that is asked over UDP.
    pub fn new(addr: SocketAddr, username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { addr, username: username.into(), password: password.into(), software: None }
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
