//! What an agent takes from the allocator: how often until it is connected and afterwards, and how much it holds. Both
//! agents are connected over a perfect wire, signals as text; what the wire itself allocates is not counted.
//!
//! `cargo test --test alloc -- --nocapture` prints the numbers.
#![expect(clippy::cast_possible_wrap, reason = "nothing here comes near the limits of an i64")]

#[path = "../benches/wire/mod.rs"]
mod wire;

use std::alloc::System;
use std::time::Duration;

use floe::Agent;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wire::{Wire, start};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Calls of the allocator that may fail: new memory, and more of it.
fn allocations() -> i64 {
    let stats = ALLOCATOR.stats();
    (stats.allocations + stats.reallocations) as i64
}

/// Bytes that are held.
fn bytes() -> i64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

/// Two agents that have completed, with so many host candidates each.
fn connected(sockets: u32, meter: wire::Meter) -> Wire {
    let mut wire = Wire::metered(start(), sockets, meter);
    wire.signal_as_text();
    wire.complete();
    wire
}

/// Goals that are not met yet, and what is held instead: it may sink, and not rise.
const MISSED: [(&str, i64); 1] = [("bytes of an agent with one socket", 4_200)];

/// One test, since all threads share the allocator.
#[test]
fn an_agent_takes_little_and_nothing_once_it_is_connected() {
    let mut faults = Vec::new();
    let mut check = |what: &str, is: i64, goal: i64| {
        let missed = MISSED.iter().find(|(missed, _)| *missed == what);
        let verdict = if missed.is_some() { "missed" } else { "" };
        println!("{what:<50} {is:>7}   goal {goal:>7} {verdict}");
        match missed {
            Some(_) if is <= goal => faults.push(format!("{what}: {is}, which meets {goal}: tell so")),
            Some((_, held)) if is > *held => faults.push(format!("{what}: {is}, above the {held} of before")),
            None if is > goal => faults.push(format!("{what}: {is}, above {goal}")),
            _ => {}
        }
    };
    for (sockets, goal) in [(1, 30), (10, 140)] {
        let mut wire = connected(sockets, allocations);
        for at in 0..2 {
            check(&format!("allocations until completed, {sockets} x {sockets}"), wire.spent(at), goal);
        }
        // The grace of RFC 8445 section 8.3.1, after which room is given back, and the first check of a spare pair.
        wire.run_for(Duration::from_secs(10));
        let before = [0, 1].map(|at| wire.spent(at));
        wire.run_for(Duration::from_mins(1));
        for (at, before) in before.into_iter().enumerate() {
            check(
                &format!("allocations in the next minute, {sockets} x {sockets}"),
                wire.spent(at) - before,
                0,
            );
        }
    }
    let own = size_of::<Agent>() as i64;
    println!("{:<50} {own:>7}", "bytes of that in place");
    let created = Wire::metered(start(), 1, bytes);
    check("bytes of an agent with one socket", own + created.spent(0).max(created.spent(1)), 2_500);
    for (sockets, goal) in [(1, 5_000), (10, 28_000)] {
        let mut wire = connected(sockets, bytes);
        wire.run_for(Duration::from_secs(4));
        let held = own + wire.spent(0).max(wire.spent(1));
        check(&format!("bytes of a connected agent, {sockets} x {sockets}"), held, goal);
    }
    for sockets in [1, 10] {
        let mut wire = connected(sockets, || 0);
        let before = wire.sent();
        wire.run_for(Duration::from_mins(1));
        check(
            &format!("datagrams of both in the first minute, {sockets} x {sockets}"),
            (wire.sent() - before) as i64,
            60,
        );
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
