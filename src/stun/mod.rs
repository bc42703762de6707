//! STUN (RFC 8489): messages, authentication, transactions. Only this module knows bytes of STUN.

pub mod attributes;
pub mod auth;
pub mod codec;
pub mod error_code;
mod hmac_sha1;
pub mod ice_server;
pub mod nonce;
pub mod transaction;
pub mod uri;
pub mod wire;

pub use auth::{Key, Verified};
pub use codec::Family;
pub use error_code::{ErrorCode, code};
pub use ice_server::IceServer;
pub use wire::{Attributes, Class, Message, Method, Plain, TransactionId, Writer};
