//! The rules of ICE (RFC 8445, RFC 8863, RFC 8421), by section.
#![expect(clippy::unchecked_time_subtraction, reason = "a time that runs backwards has to fail the test")]

mod data;
mod keepalive;
mod pacing;
mod race;
mod session;
mod trickle;
