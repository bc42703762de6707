//! The tokio driver: real sockets, real clock.
