//! ICE (RFC 8445) as it is seen from outside.

mod checking;
mod concluding;
mod serving;
