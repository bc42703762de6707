//! Worlds that nobody thought of: agents meet directly exactly where the oracle says so, and always with a relay.

use floe::candidate::CandidateType::Relayed;
use floe::rng::Rng;
use floe::sim::{Filtering, Hairpin, Host, HostId, Interface, Mapping, Nat, NatId, Ports, Refresh, World};
use floe::{Config, Role, State};

use super::secs;

const WORLDS: u64 = 500;

fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.between(0, from.len() as u64 - 1) as usize].clone()
}

/// Any of the 4 × 3 × 3 × 3 × 2 combinations. Overloaded ports are left out: behind a NAT that two hosts share, who asks
/// the server first has a reflexive address that others can use, and the other one has none.
fn nat(rng: &mut Rng) -> Nat {
    let mapping = [
        Mapping::Identity,
        Mapping::EndpointIndependent,
        Mapping::AddressDependent,
        Mapping::AddressAndPortDependent,
    ];
    let filtering =
        [Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPortDependent];
    let ports = [Ports::Preserving, Ports::Sequential, Ports::Random];
    let hairpin = [Hairpin::None, Hairpin::ExternalSource, Hairpin::InternalSource];
    Nat::new(pick(rng, &mapping), pick(rng, &filtering))
        .ports(pick(rng, &ports))
        .hairpin(pick(rng, &hairpin))
        .refresh(pick(rng, &[Refresh::Outbound, Refresh::Both]))
}

/// A host on the Internet, behind a NAT of its own, or behind one that is there, up to three deep.
fn host(rng: &mut Rng, world: &mut World, nats: &mut Vec<NatId>) -> Host {
    let depth = rng.between(0, 3);
    let mut gateway = None;
    for _ in 0..depth {
        gateway = Some(match gateway {
            None if !nats.is_empty() && rng.chance(0.5) => pick(rng, nats),
            None => world.nat(nat(rng)),
            Some(outer) => world.nat_behind(outer, nat(rng)),
        });
        nats.extend(gateway);
    }
    match gateway {
        None => Nat::none().into(),
        Some(gateway) if rng.chance(0.1) => [Interface::v4(gateway), Interface::v6(gateway)].into(),
        Some(gateway) => gateway.into(),
    }
}

/// Two agents somewhere in a random world.
fn agents(world: &mut World, config: impl Fn(Config) -> Config) -> [HostId; 2] {
    let mut rng = Rng::new(world.seed());
    let mut nats = Vec::new();
    let [a, b] = [Role::Controlling, Role::Controlled].map(|role| {
        let place = host(&mut rng, world, &mut nats);
        world.agent(place, config(Config::new(role, rng.seed())))
    });
    world.signal(a, b);
    [a, b]
}

#[test]
fn agents_in_random_worlds_meet_directly_exactly_where_it_is_possible() {
    let mut direct = 0;
    for seed in 0..WORLDS {
        let mut world = World::new(seed);
        let server = world.stun_server();
        let [a, b] = agents(&mut world, |config| config.stun_server(server));
        if world.direct_path_possible(a, b) {
            direct += 1;
            let took = world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
            assert!(took < secs(6), "{took:?} {world}");
            assert!(!world.selected_types(a, b).contains(&Relayed));
        } else {
            // A check that the peer's last one triggers, which began before its patience of 39.5 s ended and took as
            // long to fail, takes 39.5 s to fail.
            world.run_until(secs(119), |w| w.state(a) == State::Failed && w.state(b) == State::Failed);
        }
    }
    assert!((WORLDS / 4..WORLDS).contains(&direct), "{direct} of {WORLDS}: a test of one outcome only");
}

#[test]
fn agents_with_a_relay_in_random_worlds_always_meet() {
    for seed in 0..WORLDS {
        let mut world = World::new(seed);
        let turn = world.turn_server();
        let [a, b] = agents(&mut world, |config| config.turn_server(turn.clone()));
        let took = world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
        assert!(took < secs(8), "{took:?} {world}");
        let direct = world.direct_path_possible(a, b);
        assert_ne!(world.selected_types(a, b).contains(&Relayed), direct, "{world}");
    }
}
