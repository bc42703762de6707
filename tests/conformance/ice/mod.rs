//! The rules of ICE (RFC 8445, RFC 8863, RFC 8421), by section.

mod data;
mod keepalive;
mod pacing;
mod race;
mod session;
mod trickle;
