//! Sessions that nobody thought of: random places, networks, signaling and mishaps, from one number each. What has to
//! hold is in [`Session::judge`]. A failure is tried again without each of its troubles, and told with those that it
//! needs: `FLOE_PLAN=NUMBER FLOE_TROUBLES=MASK` replays it. `FLOE_PLANS=COUNT` runs more, `FLOE_FIRST_PLAN` later ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use floe::agent::{Event, Why};
use floe::rng::Rng;
use floe::sim::{Filtering, Gateway, Hairpin, HostId, Interface, Link, Mapping, Nat, Ports, Refresh, World};
use floe::{Agent, Config, Role, State};

use super::{ms, secs};

/// Plans of one run of the test.
const PLANS: u64 = 1000;
/// Mishaps happen until then.
const UNREST: u64 = 20_000;
/// How long it is quiet after that: the longest signaling, the patience of RFC 8863 after a restart, the life of a
/// check that a last retransmission triggers, and the time until an agent without consent gives up.
const QUIET: Duration = Duration::from_secs(6 + 40 + 32 + 40 + 60);

/// What can be taken out of a plan to find what a failure needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Trouble {
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

const TROUBLES: [Trouble; 21] = [
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

/// What a mishap does to one of the two sides.
#[derive(Debug, Clone, Copy)]
enum Mishap {
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
struct Plan {
    link: Link,
    signals: [Duration; 2],
    trickle: [Duration; 2],
    roles: [Role; 2],
    lite: Option<usize>,
    nats: [Option<Nat>; 2],
    shared: bool,
    interfaces: [u64; 2],
    v6: [bool; 2],
    stun: bool,
    turn: [bool; 2],
    dead: [bool; 2],
    skew: Duration,
    strategies: [u64; 2],
    heals: bool,
    mishaps: Vec<(Duration, Mishap)>,
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
    fn draw(number: u64, without: u32) -> Self {
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
                if on(trouble) {
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

    fn has(&self, wanted: impl Fn(&Mishap) -> bool) -> bool {
        self.mishaps.iter().any(|(_, mishap)| wanted(mishap))
    }
}

/// A plan that is carried out.
struct Session {
    world: World,
    plan: Plan,
    hosts: [HostId; 2],
    gateways: [Gateway; 2],
    /// How often each agent has asked for a restart because its path went with a socket.
    asked: [usize; 2],
}

impl Session {
    fn begin(number: u64, plan: Plan) -> Self {
        let mut world = World::new(number);
        let server = world.server();
        let (stun, turn) = (world.stun_server(), world.turn_server());
        let mut gateways = [0, 1].map(|side: usize| match &plan.nats[side] {
            Some(nat) if plan.lite != Some(side) => world.nat(nat.clone()).into(),
            _ => Nat::none(),
        });
        if plan.shared && plan.lite.is_none() {
            gateways[1] = gateways[0].clone();
        }
        let dead = std::net::SocketAddr::new([203, 0, 113, 9].into(), 3478);
        let hosts = [0, 1].map(|side: usize| {
            let mut config = Config::new(plan.roles[side], world.seed());
            let settle = ms(500);
            config = match plan.strategies[side] {
                0 | 1 => config,
                2 => config.nomination(floe::agent::Nomination::Best { settle }),
                _ => config.nomination(floe::agent::Nomination::First),
            };
            if plan.dead[side] {
                config = config.stun_server(dead);
            }
            if plan.stun {
                config = config.stun_server(stun);
            }
            if plan.turn[side] {
                config = config.turn_server(turn.clone());
            }
            let lite = plan.lite == Some(side);
            if lite {
                config = config.lite();
            }
            let count = if lite { 1 } else { plan.interfaces[side] };
            let v4 = (0..count).map(|_| Interface::v4(gateways[side].clone()));
            let v6 = plan.v6[side].then(|| Interface::v6(gateways[side].clone()));
            let all: Vec<_> = v4.chain(v6).collect();
            let first = world.agent(all[0].clone(), config);
            for interface in &all[1..] {
                world.add_interface(first, interface.clone());
            }
            if side == 0 {
                world.run_for(plan.skew);
            }
            first
        });
        let ends = [hosts[0], hosts[1], server];
        for from in ends {
            for to in ends.into_iter().filter(|to| *to != from) {
                world.set_path(from, to, plan.link.clone());
            }
        }
        Self { world, plan, hosts, gateways, asked: [0; 2] }
    }

    /// Until the signals begin to flow, and all mishaps.
    fn unrest(&mut self) {
        let start = self.world.elapsed();
        let mut events: Vec<(Duration, Result<Mishap, usize>)> =
            self.plan.mishaps.iter().map(|(at, mishap)| (*at, Ok(*mishap))).collect();
        events.extend([0, 1].map(|side| (self.plan.trickle[side], Err(side))));
        events.sort_by_key(|(at, _)| *at);
        for (at, event) in events {
            while self.world.elapsed() < start + at {
                let left = start + at - self.world.elapsed();
                self.live(left.min(ms(500)));
            }
            match event {
                Ok(mishap) => self.happen(mishap),
                Err(side) => {
                    let (from, to) = (self.hosts[side], self.hosts[1 - side]);
                    self.world.signal_one_way(from, to, self.plan.signals[side]);
                }
            }
        }
    }

    /// Lets time pass; an application that heals restarts what was lost.
    fn live(&mut self, time: Duration) {
        self.world.run_for(time);
        for (side, host) in self.hosts.into_iter().enumerate() {
            let asks = |it: &&(Duration, Event)| it.1 == Event::RestartNeeded(Why::PathGone);
            let asked = self.world.events(host).iter().filter(asks).count();
            let asks = std::mem::replace(&mut self.asked[side], asked) < asked;
            if self.plan.heals && (asks || self.world.state(host) == State::Disconnected) {
                self.world.with_agent(host, Agent::restart);
            }
        }
    }

    fn happen(&mut self, mishap: Mishap) {
        let world = &mut self.world;
        let [a, b] = self.hosts;
        match mishap {
            Mishap::Restart(side) => world.with_agent(self.hosts[side], Agent::restart),
            Mishap::Flush(side) => {
                let ip = world.addresses(self.hosts[side]).first().copied();
                if let Some(nat) = ip.and_then(|ip| world.gateway(self.hosts[side], ip)) {
                    world.flush(nat);
                }
            }
            Mishap::Remove(side) => {
                let ips = world.addresses(self.hosts[side]);
                if ips.len() > 1 {
                    world.remove_interface(self.hosts[side], ips[0]);
                }
            }
            Mishap::Add(side) => {
                world.add_interface(self.hosts[side], Interface::v4(self.gateways[side].clone()));
            }
            Mishap::Hole => {
                world.cut(a, b);
                world.run_for(secs(1));
                world.set_path(a, b, self.plan.link.clone());
                world.set_path(b, a, self.plan.link.clone());
            }
            Mishap::Calm => {
                let server = world.server();
                let ends = [a, b, server];
                for from in ends {
                    for to in ends.into_iter().filter(|to| *to != from) {
                        world.set_path(from, to, Link::ideal().latency(ms(10)));
                    }
                }
            }
        }
    }

    fn quiet(&mut self) {
        let end = self.world.elapsed() + QUIET;
        let settled = |world: &World, hosts: [HostId; 2]| {
            hosts.iter().all(|host| matches!(world.state(*host), State::Completed | State::Failed))
        };
        let mut calm = Duration::ZERO;
        while self.world.elapsed() < end && calm < secs(40) {
            self.live(secs(1));
            calm = if settled(&self.world, self.hosts) { calm + secs(1) } else { Duration::ZERO };
        }
    }

    fn judge(&mut self) {
        let [a, b] = self.hosts;
        let states = self.hosts.map(|host| self.world.state(host));
        let flushed = self.plan.has(|it| matches!(it, Mishap::Flush(_)));
        if flushed && self.plan.turn != [false; 2] {
            // Not followed yet: a relay whose server sees another port is lost.
            return;
        }
        // A lite agent has no consent to lose, and who restarts alone waits for an answer.
        let gone = states.contains(&State::Failed);
        let mut waiting = false;
        for (side, state) in states.into_iter().enumerate() {
            let settled = matches!(state, State::Completed | State::Failed | State::Disconnected);
            // Data takes another pair until the application restarts, as it was asked to.
            let waits = !self.plan.heals && state == State::Connected && self.asked[side] > 0;
            waiting |= waits;
            let settled = settled || waits;
            let alone = gone && (self.plan.lite == Some(side) || state == State::Gathering);
            assert!(settled || alone, "hangs in {states:?}");
        }
        if waiting || (gone && self.plan.lite.is_some()) {
            return;
        }
        let done = states.map(|state| state == State::Completed);
        assert_eq!(done[0], done[1], "one end only: {states:?}");
        // The relay is one of IPv4.
        let v4 = self.hosts.map(|host| self.world.addresses(host).iter().any(std::net::IpAddr::is_ipv4));
        let relay = self.plan.turn != [false; 2] && v4 == [true; 2];
        // What a NAT that restarts in the middle of a restart of the session costs is not regained yet.
        let possible = relay || self.world.direct_path_possible(a, b);
        let steady = !self.plan.has(|it| matches!(it, Mishap::Remove(_)));
        if possible && self.may_meet() && !flushed && (self.plan.heals || steady) {
            assert_eq!(states, [State::Completed; 2], "a path exists");
        }
        if !done[0] {
            return;
        }
        let roles = self.hosts.map(|host| self.world.agent_ref(host).role());
        assert_ne!(roles[0], roles[1], "one role");
        let before = self.hosts.map(|host| self.world.received(host).len());
        for host in self.hosts {
            self.world.send(host, b"ping");
        }
        self.world.run_for(secs(1));
        for side in [0, 1] {
            let arrivals = &self.world.received(self.hosts[side])[before[side]..];
            assert_eq!(arrivals.len(), 1, "data to side {side}");
            let path = self.world.agent_ref(self.hosts[side]).path(floe::io::ComponentId::FIRST);
            let back = path.map(|path| path.destination());
            assert_eq!(Some(arrivals[0].source), back, "side {side} sends elsewhere");
        }
        let [(la, ra), (lb, rb)] = self.hosts.map(|host| self.world.selected(host).expect("a pair"));
        // After a restart of a NAT the name of a candidate is history; where data goes was seen above.
        if flushed {
            return;
        }
        assert_eq!((&la.address, &ra.address), (&rb.address, &lb.address), "not mirror images");
    }

    /// Whether both know enough of each other to find the path that exists.
    fn may_meet(&self) -> bool {
        self.plan.stun || self.plan.turn == [true; 2]
    }
}

fn run(number: u64, without: u32) -> Result<(), (String, Option<String>)> {
    let mut told = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut session = Session::begin(number, Plan::draw(number, without));
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            session.unrest();
            session.quiet();
            session.judge();
        }));
        if let Err(panic) = outcome {
            told = Some(format!("{:#?}\n{}", session.plan, session.world));
            std::panic::resume_unwind(panic);
        }
    }));
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        (text.unwrap_or_default(), told)
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

/// ICE-8.1.1-a, ICE-9-a: whatever happens, both ends have the same pair in the end, or none.
#[test]
fn two_agents_never_end_on_different_pairs_and_never_hang() {
    let without = number("FLOE_TROUBLES").map_or(0, |mask| !(mask as u32));
    if let Some(plan) = number("FLOE_PLAN") {
        if let Err((text, told)) = run(plan, without) {
            panic!("{text}\n{}", told.unwrap_or_default());
        }
        return;
    }
    let first = number("FLOE_FIRST_PLAN").unwrap_or(0);
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut failures = Vec::new();
    for plan in first..first + number("FLOE_PLANS").unwrap_or(PLANS) {
        if let Err((text, _)) = run(plan, 0) {
            let mut gone = 0;
            for trouble in TROUBLES.iter().filter(|_| failures.len() < 5) {
                if run(plan, gone | 1 << *trouble as u32).is_err() {
                    gone |= 1 << *trouble as u32;
                }
            }
            let needed: Vec<_> = TROUBLES.iter().filter(|it| gone & (1 << **it as u32) == 0).collect();
            let mask = !gone & ((1 << TROUBLES.len()) - 1);
            let text = text.lines().next().unwrap_or_default().to_owned();
            failures.push(format!("FLOE_PLAN={plan} FLOE_TROUBLES={mask} {needed:?}: {text}"));
            if failures.len() >= 30 {
                break;
            }
        }
    }
    std::panic::set_hook(quiet);
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
