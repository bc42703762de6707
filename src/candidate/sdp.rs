//! Candidates as text (RFC 8839 §5.1, RFC 6544 §4.5, RFC 8838).
