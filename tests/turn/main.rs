//! An agent and its TURN servers, which do as each test says, on virtual time and without sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod errors;
mod families;
mod moving;
mod redirects;
mod streams;
