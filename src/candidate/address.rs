//! Which addresses make candidates, and in which order (RFC 8445 §5.1.1.1, RFC 8421, RFC 6724).
