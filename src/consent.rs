//! Consent freshness (RFC 7675) and keepalives (RFC 8445 §11).
