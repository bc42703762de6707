//! A simulator of networks and NATs (RFC 4787) on a virtual clock: test what uses ICE without a network, in
//! microseconds, and replay what failed from its seed.
//!
//! ```
//! use floe::sim::{Nat, World};
//! use floe::{Config, Role};
//! use std::time::Duration;
//!
//! let mut world = World::new(7);
//! let a = world.agent(Nat::none(), Config::new(Role::Controlling, [1; 32]));
//! let b = world.agent(Nat::port_restricted(), Config::new(Role::Controlled, [2; 32]));
//! world.signal(a, b);
//! let took = world.run_until(Duration::from_secs(10), |w| w.completed(a) && w.completed(b));
//! assert!(took < Duration::from_secs(2));
//! world.send(a, b"hello");
//! world.run_for(Duration::from_millis(100));
//! assert_eq!(world.received(b)[0].payload, b"hello");
//! ```
//!
//! | what | where |
//! |---|---|
//! | hosts with an agent, with sockets only; what happens, and when | [`World`] |
//! | hosts with a program of one's own, such as another ICE implementation | [`World::guest`] |
//! | a STUN and TURN server, and further ones | [`World::stun_server`], [`World::turn_server`], [`World::server`], [`World::further_server`] |
//! | several addresses, shared NATs, nested NATs | [`Interface`], [`World::nat`], [`World::nat_behind`] |
//! | how a NAT behaves | [`Nat`] |
//! | latency, jitter, loss, duplication, reordering, MTU, blocked UDP or TCP | [`Link`] |
//! | TCP connections of agents, and of hosts without one | [`World::connect`], [`World::connections`], [`World::reset`] |
//! | what a host behind a NAT measures of it (RFC 5780) | [`World::probe`], [`World::behavior_server`], [`World::measured`] |
//! | whether a direct path can exist | [`World::direct_path_possible`] |

mod guest;
mod link;
mod names;
mod nat;
mod node;
mod observe;
mod oracle;
mod packet;
mod probing;
mod serving;
mod setting;
mod tcp;
mod topology;
mod wire;
mod world;

pub use guest::{Guest, Wish};
pub use link::{Link, Tcp, Udp};
pub use nat::{
    Alg, Filtering, Gateway, Hairpin, Mapping, Nat, NatId, Parity, Pooling, Ports, Refresh, Stray,
};
pub use node::{Host, HostId, Interface};
pub use packet::{Arrival, Captured, Fate, Packets, Protocol, Segment};
pub use world::World;
