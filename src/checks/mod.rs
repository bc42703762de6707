//! Connectivity checks (RFC 8445 §6 to §8).
