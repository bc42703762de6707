//! The STUN and TURN server machine, driven by a scripted client in virtual time (RFC 8489, RFC 8656).
#![expect(clippy::unwrap_used, reason = "in a test a value that is missing is a failure")]

mod behavior;
mod client;
mod connections;
mod data;
mod dual;
mod hostile;
mod mobility;
mod requests;
mod stun;
mod timed;
