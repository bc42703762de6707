//! floe is an ICE agent (RFC 8445) and the NAT traversal around it: a TURN client, a STUN and TURN server, a
//! simulator of NATs.
//!
//! The core is **sans-IO**: state machines without sockets, without a clock, deterministic from a seed. Whoever owns
//! the sockets feeds what arrives and sends what comes out. Every machine has the same two verbs,
//! `handle_input` and `poll_output`:
//!
//! ```
//! use std::time::Instant;
//! use floe::io::{Datagram, Socket, SocketId};
//! use floe::{Agent, Config, Event, Input, Output, Received, Role};
//!
//! # fn now() -> Instant { #[allow(clippy::disallowed_methods)] Instant::now() }
//! # let seed = [7; 32];
//! # let addr = "192.0.2.1:5000".parse().unwrap();
//! let mut agent = Agent::new(Config::new(Role::Controlling, seed), now());
//! agent.add_socket(now(), SocketId(0), Socket::udp(addr))?;
//! agent.end_of_sockets(now());
//!
//! let mut buf = [0; 1500];
//! let wake = loop {
//!     match agent.poll_output(&mut buf) {
//!         Output::Transmit(transmit) => { /* socket.send_to(transmit.payload, transmit.destination) */ }
//!         Output::Event(Event::Signal(signal)) => { /* to the peer, in order: the text of `signal` */ }
//!         Output::Event(Event::Path { path, .. }) => { /* data may be sent: `path.wrap(..)` */ }
//!         Output::Event(event) => println!("{event:?}"),
//!         Output::Wait(wake) => break wake,
//!         _ => {}
//!     }
//! };
//! // Then wait for a datagram, for a signal of the peer, or until `wake.at`, and go round again:
//! # let (source, local, bytes) = ("192.0.2.2:5000".parse().unwrap(), "192.0.2.1".parse().unwrap(), [0u8; 4]);
//! let datagram = Datagram { socket: SocketId(0), local, source, ecn: None, payload: &bytes };
//! match agent.handle_input(now(), Input::Datagram(datagram)) {
//!     Received::Data { payload, .. } => println!("{} bytes from the peer", payload.len()),
//!     Received::Consumed => {}
//!     Received::Unclaimed => { /* not this agent's */ }
//! }
//! let _ = agent.handle_input(now(), Input::Timeout);
//! # Ok::<(), floe::error::AddSocketError>(())
//! ```
//!
//! Whoever uses tokio finds that loop ready made in `floe::net` (feature `tokio`, the default), and whoever wants to
//! test code behind NATs without a network finds `floe::sim` (feature `sim`).
//!
//! | module | what it is | RFC |
//! |---|---|---|
//! | [`agent`] | the ICE agent: gathering, checks, nomination, consent as one machine | 8445, 8838, 7675 |
//! | [`checks`] | checklists, connectivity checks, nomination | 8445 §6–§8, 8863 |
//! | [`gather`], [`consent`] | server-reflexive candidates; permission to go on sending | 8445 §5, 7675 |
//! | [`turn`] | TURN client | 8656 |
//! | [`server`] | STUN and TURN server | 8489, 8656 |
//! | [`discovery`] | how NATs behave: mapping, filtering, ports, hairpinning, lifetime | 5780, 4787 |
//! | [`nat`] | what an agent makes use of when it knows its NAT | 4787 |
//! | [`mdns`] | `.local` names in the place of host addresses | 6762 |
//! | `portmap` | ports that the gateway maps | 6887, 6886 |
//! | [`stun`] | messages, authentication, transactions | 8489 |
//! | [`tcp`] | messages on a stream | 8489, 8656, 4571 |
//! | [`candidate`], [`signal`], [`credentials`] | what travels over signaling | 8839 |
//! | [`sdp`] | session descriptions, their fragments, candidates of browsers | 8839, 8838 |
//! | `net` | the tokio driver | |
//! | `sim` | networks and NATs on a virtual clock | 4787 |
//!
//! # Features
//! - `tokio` (default): `floe::net`, real sockets and a real clock.
//! - `tls`: TLS to TURN servers, and of `floe::net::Server`.
//! - `dns`: SRV records, and name servers of one's own choice.
//! - `portmap`: `floe::portmap`, ports of this host mapped by its gateway.
//! - `sim`: `floe::sim`, the simulator.
//! - `serde`: `Serialize` and `Deserialize` for signals and what is in them, `Serialize` for the counters of servers.
//! - `cli`: the `floe` command.
//!
//! Without default features the crate is the core alone; it builds for `wasm32-unknown-unknown`.

pub mod agent;
pub mod candidate;
pub mod checks;
pub mod consent;
pub mod credentials;
pub mod discovery;
pub mod error;
pub mod gather;
mod hash;
pub mod io;
pub mod mdns;
pub mod nat;
#[cfg(feature = "tokio")]
pub mod net;
#[cfg(feature = "portmap")]
pub mod portmap;
pub mod rng;
pub mod sdp;
pub mod server;
pub mod signal;
#[cfg(feature = "sim")]
pub mod sim;
mod sorted;
pub mod stats;
pub mod stun;
pub mod tcp;
pub mod time;
pub mod trace;
pub mod turn;

pub use agent::{Agent, Config, Event, Input, Output, Path, Received, Role, State};
