//! Agents, NATs and links on a virtual clock. A failure prints its seed: `FLOE_SEED=… cargo test --features sim
//! --test sim NAME` replays it.
#![expect(clippy::unchecked_time_subtraction, reason = "a time that runs backwards has to fail the test")]

mod attack;
mod connections;
mod consent;
mod diagnosis;
mod discovery;
mod failover;
mod faults;
mod guest;
mod hard;
mod idle;
mod limits;
mod link;
mod lite;
mod loss;
mod matrix;
mod names;
mod nat_behaviour;
mod nat_pools;
mod nats;
mod pair;
mod peer;
mod plan;
mod promotion;
mod random;
mod relayed;
mod renomination;
mod replay;
mod restart;
mod roaming;
mod roles;
mod scenarios;
mod schedule;
mod spare;
mod streams;
mod tcp;
mod trickle;

use std::time::Duration;

use floe::sim::{HostId, World};
use floe::{Event, Role};

/// The roles of two agents, both ways round.
const ROLES: [[Role; 2]; 2] = [[Role::Controlling, Role::Controlled], [Role::Controlled, Role::Controlling]];

/// How often a pair was selected.
fn selections(world: &World, host: HostId) -> usize {
    world.events(host).iter().filter(|(_, event)| matches!(event, Event::Selected { .. })).count()
}

fn seed(byte: u8) -> [u8; 32] {
    [byte; 32]
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}
