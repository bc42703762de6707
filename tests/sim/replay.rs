//! The seed is the whole test.

use floe::sim::{Captured, Interface, Link, Nat, World};
use floe::{Config, Role};

use super::{ms, secs};

/// Two agents behind NATs with a server, over links that do everything that links do; the wire, and what the
/// agents say.
fn run(seed: u64) -> (Vec<Captured>, String, String) {
    let link = Link::wan().loss(0.1).jitter(ms(10)).duplication(0.1).reordering(0.1);
    let mut world = World::new(seed);
    world.capture();
    let server = world.stun_server();
    let [a, b] = [Role::Controlling, Role::Controlled].map(|role| {
        let config = Config::new(role, world.seed()).stun_server(server);
        let home = world.nat(Nat::symmetric().link(link.clone()));
        world.agent([Interface::v4(home), Interface::v6(home)], config)
    });
    world.signal(a, b);
    world.run_until(secs(30), |w| w.completed(a) && w.completed(b));
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
