//! The rules of ICE (RFC 8445, RFC 8863, RFC 8421), by section.

mod candidates;
mod gathering;
mod lite;
mod running;
mod servers;
