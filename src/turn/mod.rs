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
pub mod alternate;
mod answer;
mod channel;
pub mod client;
mod credential;
pub mod data;
mod event;
mod knowledge;
mod lease;
mod moving;
mod permission;
mod problem;
mod receive;
mod request;
mod server;
#[cfg(test)]
mod tests;

pub use alternate::{Alternate, Redirects};
pub use channel::MAX_CHANNELS;
pub use client::{Client, Traffic};
pub use event::{Event, Input, Output, Received};
pub use knowledge::Knowledge;
pub use permission::MAX_PEERS;
pub use problem::Problem;
pub use server::{Families, MAX_SOFTWARE, Mobility, ServerTransport, TurnServer};
