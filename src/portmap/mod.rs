//! Port mappings: the gateway is asked to let the outside in, by PCP (RFC 6887), NAT-PMP (RFC 6886) or UPnP IGD, whichever
//! it speaks.
//!
//! One [`Mapper`] keeps the mappings of one address of this host at one gateway: it makes them, renews them, makes them
//! anew when the gateway has forgotten them, and takes them back in the end.
//!
//! ```text
//!            ┌─► PCP ──► NAT-PMP, if the gateway says that it knows no PCP     ┐ the first to grant a mapping
//!   map ─────┤                                                                ├────────────────────────────► kept by it
//!            └─► UPnP: search and description at once, a mapping after 1 s,    ┘
//!                or as soon as PCP is out of the race
//! ```
//!
//! - Two protocols never make the same mapping. A late grant of the one that has lost is taken back.
//! - Nobody but the gateway is asked, whatever anybody says; a search by multicast stays on the link.
//! - Memory is bounded, whatever the gateway answers.
//! - An address behind a further NAT is told ([`Problem::GatewayBehindNat`]), and so is a NAT before the gateway
//!   ([`Problem::NatBetween`]).
//!
//! A mapping at the port of an ICE socket makes a candidate: [`Agent::add_mapped`](crate::agent::Agent::add_mapped).
//! floe is no gateway: of the protocols it plays the client.
//!
//! ```
//! # use std::time::Instant;
//! use floe::io::Transport;
//! use floe::portmap::{Channel, Config, Event, Input, Mapper, Output, Wish};
//!
//! # fn now() -> Instant { #[allow(clippy::disallowed_methods)] Instant::now() }
//! # let seed = [7; 32];
//! let (local, gateway) = ("192.168.1.7".parse()?, "192.168.1.1".parse()?);
//! let mut mapper = Mapper::new(Config::new(local, gateway, seed));
//! let id = mapper.map(now(), Wish::new(Transport::Udp, 5000))?;
//! let mut buf = [0; 1500];
//! loop {
//!     match mapper.poll_output(&mut buf) {
//!         Output::Transmit { channel, destination, payload } => { /* that socket: send_to(payload, destination) */ }
//!         Output::Event(Event::Mapped { mapping, .. }) => println!("{}", mapping.external),
//!         Output::Wait(wake) => break,
//!         _ => {}
//!     }
//! }
//! # let (source, payload) = ("192.168.1.1:5351".parse()?, [0; 4]);
//! mapper.handle_input(now(), Input::Datagram { channel: Channel::Control, source, payload: &payload });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod config;
mod control;
mod entry;
mod epoch;
mod event;
#[doc(hidden)]
pub mod fuzzed;
mod lease;
mod mapper;
mod nat_pmp;
mod order;
mod outcomes;
mod pcp;
mod upnp;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use address::is_public;
pub use config::Config;
pub use entry::Wish;
pub use event::{Channel, Event, Input, MapError, Mapping, MappingId, Output, Problem, Protocol, StreamId};
pub use mapper::{MAX_MAPPINGS, Mapper};

/// Where gateways are asked (RFC 6886 §3.1, RFC 6887 §8).
pub const CONTROL_PORT: u16 = 5351;
/// Where gateways announce (RFC 6886 §3.2.1, RFC 6887 §14.1.3).
pub const ANNOUNCEMENT_PORT: u16 = 5350;
/// The group of announcements over IPv4.
pub const ANNOUNCEMENTS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// The group of announcements over IPv6.
pub const ANNOUNCEMENTS_V6: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1);
