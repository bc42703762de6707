//! TURN against coturn on loopback. It needs `turnserver`, so it is ignored unless asked for:
//!
//! ```text
//! cargo test --all-features --test turn_coturn -- --ignored
//! ```
#![expect(clippy::disallowed_methods, reason = "a real server runs in real time")]

mod client;
mod coturn;
mod sessions;
