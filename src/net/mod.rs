//! The tokio driver: real sockets, a real clock, the system's resolver. It decides nothing about ICE.
//!
//! ```no_run
//! use floe::Role;
//! use floe::net::{Endpoint, signaling};
//!
//! # async fn run(mut peer: impl floe::net::Signaling) -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = Endpoint::bind().await?;
//! let config = endpoint.config(Role::Controlling).stun_server("192.0.2.1:3478".parse()?);
//! let connection = endpoint.connect(config, peer).await?;
//! connection.send(b"hello").await?;
//! let mut buf = [0; 1500];
//! let len = connection.recv(&mut buf).await?;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! application ── Connection / Session          send: straight to the socket of the present path
//!                     │ commands   ▲ events, data (bounded; what does not fit is counted)
//!                     ▼            │
//!                driver, one task a session: owns the agent, receives on its sockets
//! ```
//!
//! ICMP errors are read on Linux, from the error queues of the sessions' UDP sockets: port and protocol unreachable, where
//! they quote a datagram of the socket, reach the agent as [`Input::Unreachable`](crate::agent::Input::Unreachable), at the
//! latest when it next sends from that socket. Host and network unreachable do not, whether ICMP says so or this host has no
//! route: they pass (RFC 1122 §4.2.3.9), and end nothing that times out anyway. Elsewhere a socket that is not connected to
//! one address learns of none, and what nobody receives times out.

mod activity;
mod bases;
mod carrier;
mod clock;
pub mod connection;
mod counters;
pub mod discovery;
mod driver;
pub mod endpoint;
mod escort;
mod eyeballs;
mod filter;
#[cfg(feature = "portmap")]
mod gateway;
mod handle;
#[cfg(target_os = "linux")]
mod icmp;
#[cfg(not(target_os = "linux"))]
#[path = "no_icmp.rs"]
mod icmp;
mod interfaces;
mod listeners;
#[cfg(feature = "portmap")]
mod mapped;
#[cfg(not(feature = "portmap"))]
#[path = "unmapped.rs"]
mod mapped;
mod mdns;
mod mtu;
mod opener;
mod outputs;
mod pacer;
#[cfg(feature = "portmap")]
pub mod portmap;
mod ports;
pub mod probe;
mod range;
mod readiness;
pub mod resolve;
mod roaming;
mod route;
mod seed;
pub mod server;
pub mod session;
pub mod signaling;
mod stream;
mod sys;
mod tls;
mod udp;

pub use connection::Connection;
pub use counters::Stats;
pub use endpoint::{Builder, ConnectError, Endpoint};
pub use eyeballs::answering;
pub use filter::{InterfaceFilter, Rule};
#[cfg(feature = "portmap")]
pub use portmap::{PortMapper, PortMapping};
pub use resolve::{Resolver, resolve};
pub use roaming::Roaming;
pub use server::Server;
pub use session::Session;
pub use signaling::Signaling;
pub use tls::Trust;
pub use udp::TooLarge;
