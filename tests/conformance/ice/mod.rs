//! The rules of ICE (RFC 8445, RFC 8863, RFC 8421), by section.
#![expect(clippy::unchecked_time_subtraction, reason = "a time that runs backwards has to fail the test")]

mod candidates;
mod checking;
mod concluding;
mod data;
mod gathering;
mod keepalive;
mod lite;
mod pacing;
mod race;
mod running;
mod servers;
mod serving;
mod session;
mod trickle;
mod unreachable;
