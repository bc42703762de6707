//! The seed is the whole test.

use floe::agent::Recheck;
use floe::sim::{Captured, Interface, Link, Nat, World};
use floe::trace::What;
use floe::{Config, Role};

use super::{ms, secs};

/// Two agents behind NATs with a relay, over links that do everything that links do; the wire, and what the
/// agents say.
fn run(seed: u64) -> (Vec<Captured>, String, String) {
    let link = Link::wan().loss(0.1).jitter(ms(10)).duplication(0.1).reordering(0.1);
    let mut world = World::new(seed);
    world.capture();
    let turn = world.turn_server();
    let [a, b] = [Role::Controlling, Role::Controlled].map(|role| {
        let config = Config::new(role, world.seed()).turn_server(turn.clone());
        let home = world.nat(Nat::symmetric().link(link.clone()));
        world.agent([Interface::v4(home), Interface::v4(home)], config)
    });
    world.signal(a, b);
    world.run_until(secs(60), |w| w.completed(a) && w.completed(b));
    world.send(a, b"data");
    world.run_for(secs(60));
    let events = format!("{:?}{:?}", world.events(a), world.events(b));
    (world.captured().to_vec(), events, world.to_string())
}

#[test]
fn the_same_seed_replays_bit_for_bit() {
    for seed in 0..5 {
        let first = run(seed);
        assert!(first.0.len() > 50);
        assert!(first == run(seed), "seed {seed} gave two different runs");
    }
}

#[test]
fn another_seed_is_another_run() {
    if std::env::var_os("FLOE_SEED").is_none() {
        assert!(run(1).0 != run(2).0);
    }
}

/// What the agent wrote down at this time of the world, pairs and candidates apart.
fn records_at(world: &World, host: floe::sim::HostId, at: std::time::Duration) -> Vec<What> {
    let epoch = world.now() - world.elapsed();
    let trace = world.agent_ref(host).trace();
    trace.records().filter(|record| record.at - epoch == at).map(|record| record.what).collect()
}

/// The check goes out at 50 ms and its answer is back at 550 ms, when the first retransmission is due. The peer knows
/// nobody that it could check.
#[test]
fn a_timer_goes_before_a_datagram_of_the_same_instant() {
    let mut world = World::new(1);
    let [a, b] = [Role::Controlling, Role::Controlled].map(|role| {
        let slow = Interface::v4(Nat::none()).link(Link::ideal().latency(ms(125)));
        let seed = world.seed();
        world.agent(slow, Config::new(role, seed).recheck(Recheck::Off))
    });
    world.signal_one_way(b, a, ms(50));
    world.run_for(secs(1));
    let records = records_at(&world, a, ms(550));
    assert!(matches!(records[..], [What::Sent { .. }, What::Received { .. }, ..]), "{records:?}");
}

/// The peer's signals take 90 ms; its check follows 50 ms later and takes 40.
#[test]
fn a_signal_goes_before_a_datagram_of_the_same_instant() {
    let mut world = World::new(1);
    let [a, b] = [Role::Controlling, Role::Controlled].map(|role| {
        let seed = world.seed();
        world.agent(Nat::none(), Config::new(role, seed))
    });
    world.signal_one_way(b, a, ms(50));
    world.signal_one_way(a, b, ms(90));
    world.run_for(secs(1));
    let records = records_at(&world, b, ms(90));
    let candidate = records.iter().position(|what| matches!(what, What::Candidate { .. }));
    let check = records.iter().position(|what| matches!(what, What::Received { .. }));
    assert!(candidate.is_some() && candidate < check, "{records:?}");
}

#[test]
#[should_panic(expected = "replay with FLOE_SEED=")]
fn a_limit_that_is_missed_tells_the_seed() {
    World::new(1).run_until(secs(1), |_| false);
}

#[test]
fn a_world_prints_the_ladder_of_agents_that_signal() {
    let mut world = World::new(1);
    let [a, b] = [Role::Controlling, Role::Controlled].map(|role| {
        let seed = world.seed();
        world.agent(Nat::none(), Config::new(role, seed))
    });
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    let text = world.to_string();
    for part in ["host 0", "host 1", "Binding request USE-CANDIDATE", "state completed"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
