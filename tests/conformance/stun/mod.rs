//! STUN (RFC 8489, RFC 7983): a test a rule, where no other test proves it.

mod answers;
mod asking;
mod bytes;
mod requests;
