//! A session that nobody thought of, drawn from one number: places, networks, signaling and mishaps.

use std::time::Duration;

use floe::Role;
use floe::rng::Rng;
use floe::sim::{Filtering, Hairpin, Link, Mapping, Nat, Ports, Refresh};

use super::ms;

/// Mishaps happen until then, in milliseconds.
const UNREST: u64 = 20_000;

/// What can be taken out of a plan to find what a failure needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Trouble {
    Loss,
    Jitter,
    Duplication,
    Reordering,
    SlowSignals,
    LateTrickle,
    RoleConflict,
    Restarts,
    Flushes,
    Removals,
    Additions,
    Lite,
    Interfaces,
    V6,
    DeadServer,
    Turn,
    NatA,
    NatB,
    Skew,
    Strategies,
    Holes,
}

pub(crate) const TROUBLES: [Trouble; 21] = [
    Trouble::Loss,
    Trouble::Jitter,
    Trouble::Duplication,
    Trouble::Reordering,
    Trouble::SlowSignals,
    Trouble::LateTrickle,
    Trouble::RoleConflict,
    Trouble::Restarts,
    Trouble::Flushes,
    Trouble::Removals,
    Trouble::Additions,
    Trouble::Lite,
    Trouble::Interfaces,
    Trouble::V6,
    Trouble::DeadServer,
    Trouble::Turn,
    Trouble::NatA,
    Trouble::NatB,
    Trouble::Skew,
    Trouble::Strategies,
    Trouble::Holes,
];

/// The most mishaps of a plan; each of them has a bit of its own, above those of the troubles.
const MISHAPS: usize = 11;
/// Everything that can be taken out, a bit each.
pub(crate) const BITS: usize = TROUBLES.len() + MISHAPS;

/// What a mishap does to one of the two sides.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    Restart(usize),
    Flush(usize),
    Remove(usize),
    Add(usize),
    /// Direct datagrams vanish for a second.
    Hole,
    /// Loss and jitter end, for good.
    Calm,
}

/// Everything about a session that is random. All of it is drawn, whatever is taken out later.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) link: Link,
    pub(crate) signals: [Duration; 2],
    pub(crate) trickle: [Duration; 2],
    pub(crate) roles: [Role; 2],
    pub(crate) lite: Option<usize>,
    pub(crate) nats: [Option<Nat>; 2],
    pub(crate) shared: bool,
    pub(crate) interfaces: [u64; 2],
    pub(crate) v6: [bool; 2],
    pub(crate) stun: bool,
    pub(crate) turn: [bool; 2],
    pub(crate) dead: [bool; 2],
    pub(crate) skew: Duration,
    pub(crate) strategies: [u64; 2],
    pub(crate) heals: bool,
    pub(crate) mishaps: Vec<(Duration, Mishap)>,
}

fn nat(rng: &mut Rng) -> Option<Nat> {
    let mapping = [Mapping::EndpointIndependent, Mapping::AddressDependent, Mapping::AddressAndPortDependent];
    let filtering =
        [Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPortDependent];
    let (mapping, filtering) = (mapping[rng.between(0, 2) as usize], filtering[rng.between(0, 2) as usize]);
    let ports = [Ports::Preserving, Ports::Sequential, Ports::Random][rng.between(0, 2) as usize];
    let hairpin =
        [Hairpin::None, Hairpin::ExternalSource, Hairpin::InternalSource][rng.between(0, 2) as usize];
    let refresh = [Refresh::Outbound, Refresh::Both][rng.between(0, 1) as usize];
    rng.chance(0.75).then(|| Nat::new(mapping, filtering).ports(ports).hairpin(hairpin).refresh(refresh))
}

impl Plan {
    pub(crate) fn draw(number: u64, without: u32) -> Self {
        let mut bytes = [0x5c; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let rng = &mut Rng::new(bytes);
        let on = |trouble: Trouble| without & (1 << trouble as u32) == 0;
        let mut link = Link::ideal().latency(ms(rng.between(0, 100)));
        let (loss, jitter) = (f64::from(rng.between(0, 20) as u32) / 100.0, ms(rng.between(0, 80)));
        let (twice, order) =
            (f64::from(rng.between(0, 10) as u32) / 100.0, f64::from(rng.between(0, 20) as u32) / 100.0);
        let rough = [0.5, 0.5, 0.3, 0.3].map(|p| rng.chance(p));
        if rough[0] && on(Trouble::Loss) {
            link = link.loss(loss);
        }
        if rough[1] && on(Trouble::Jitter) {
            link = link.jitter(jitter);
        }
        if rough[2] && on(Trouble::Duplication) {
            link = link.duplication(twice);
        }
        if rough[3] && on(Trouble::Reordering) {
            link = link.reordering(order);
        }
        let slow = if rng.chance(0.5) { 3000 } else { 200 };
        let signals = [(); 2].map(|()| ms(rng.between(0, slow)));
        let trickle = [(); 2].map(|()| ms(if rng.chance(0.3) { rng.between(0, 3000) } else { 0 }));
        let both = [Role::Controlling, Role::Controlled];
        let first = both[rng.between(0, 1) as usize];
        let conflict = rng.chance(0.3) && on(Trouble::RoleConflict);
        let roles = [first, if conflict { first } else { first.other() }];
        let lite = (rng.chance(0.12) && on(Trouble::Lite)).then(|| rng.between(0, 1) as usize);
        let nats = [Trouble::NatA, Trouble::NatB].map(|side| nat(rng).filter(|_| on(side)));
        let shared = rng.chance(0.1);
        let interfaces =
            [(); 2].map(|()| rng.between(1, 3)).map(|n| if on(Trouble::Interfaces) { n } else { 1 });
        let v6 = [(); 2].map(|()| rng.chance(0.3) && on(Trouble::V6));
        let stun = rng.chance(0.8);
        let turn = [(); 2].map(|()| rng.chance(0.35) && on(Trouble::Turn));
        let dead = [(); 2].map(|()| rng.chance(0.15) && on(Trouble::DeadServer));
        let skew = ms(rng.between(0, 2000));
        let strategies =
            [(); 2].map(|()| rng.between(0, 3)).map(|n| if on(Trouble::Strategies) { n } else { 0 });
        let heals = rng.chance(0.5);
        let mut mishaps = vec![(ms(UNREST), Mishap::Calm)];
        let counts = [(0.4, 3), (0.25, 2), (0.2, 2), (0.2, 2), (0.2, 2)].map(|(chance, most)| {
            let count = rng.between(1, most);
            if rng.chance(chance) { count } else { 0 }
        });
        let mut drawn = 0;
        for (kind, count) in counts.into_iter().enumerate() {
            for _ in 0..count {
                let (at, side) = (ms(rng.between(0, UNREST - 1000)), rng.between(0, 1) as usize);
                let (mishap, trouble) = match kind {
                    0 => (Mishap::Restart(side), Trouble::Restarts),
                    1 => (Mishap::Flush(side), Trouble::Flushes),
                    2 => (Mishap::Remove(side), Trouble::Removals),
                    3 => (Mishap::Add(side), Trouble::Additions),
                    _ => (Mishap::Hole, Trouble::Holes),
                };
                let single = 1 << (TROUBLES.len() + drawn);
                drawn += 1;
                if on(trouble) && without & single == 0 {
                    mishaps.push((at, mishap));
                }
            }
        }
        mishaps.sort_by_key(|(at, _)| *at);
        Self {
            link,
            signals: if on(Trouble::SlowSignals) { signals } else { [ms(50); 2] },
            trickle: if on(Trouble::LateTrickle) { trickle } else { [ms(0); 2] },
            roles,
            lite,
            nats,
            shared,
            interfaces,
            v6,
            stun,
            turn,
            dead,
            skew: if on(Trouble::Skew) { skew } else { ms(0) },
            strategies,
            heals,
            mishaps,
        }
    }

    pub(crate) fn has(&self, wanted: impl Fn(&Mishap) -> bool) -> bool {
        self.mishaps.iter().any(|(_, mishap)| wanted(mishap))
    }
}
