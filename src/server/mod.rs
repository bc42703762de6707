//! A STUN and TURN server machine (RFC 8489, RFC 8656).
