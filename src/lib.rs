//! ICE agent and NAT traversal.

pub mod agent;
pub mod candidate;
pub mod checks;
pub mod consent;
pub mod credentials;
pub mod error;
pub mod gather;
pub mod io;
#[cfg(feature = "tokio")]
pub mod net;
pub mod rng;
pub mod server;
pub mod signal;
#[cfg(feature = "sim")]
pub mod sim;
pub mod stats;
pub mod stun;
pub mod time;
pub mod trace;
pub mod turn;

pub use agent::{Agent, Config, Event, Input, Output, Path, Received, Role, State};
