//! Sessions that nobody thought of: random places, networks, signaling and mishaps, from one number each. What has to
//! hold is in [`Session::judge`]. A failure is tried again without each of its troubles, and told with those that it
//! needs: `FLOE_PLAN=NUMBER FLOE_TROUBLES=MASK` replays it. `FLOE_PLANS=COUNT` runs more, `FLOE_FIRST_PLAN` later ones:
//! some thousand a second.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use floe::agent::{Event, Why};
use floe::sim::{Gateway, HostId, Interface, Link, Nat, World};
use floe::{Agent, Config, State};

use super::plan::{BITS, Mishap, Plan, TROUBLES};
use super::{ms, secs};

/// Plans of one run of the test.
const PLANS: u64 = 1000;
/// After so many failures it is enough.
const MAX_FAILURES: usize = 30;
/// How long it is quiet after that: the longest signaling, the patience of RFC 8863 after a restart, the life of a
/// check that a last retransmission triggers, and the time until an agent without consent gives up.
const QUIET: Duration = Duration::from_secs(6 + 40 + 32 + 40 + 60);

/// A plan that is carried out.
struct Session {
    world: World,
    plan: Plan,
    hosts: [HostId; 2],
    gateways: [Gateway; 2],
    /// How often each agent has asked for a restart because its path went with a socket, or a restart led
    /// nowhere.
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
            // A restarted session that fails beside the one that carries data is told as a stream that failed.
            let asks = |it: &&(Duration, Event)| {
                matches!(it.1, Event::RestartNeeded(Why::PathGone) | Event::StreamFailed { .. })
            };
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
            // Or a restart leads nowhere, and the pair from before it goes on carrying data.
            let failed = |it: &(Duration, Event)| matches!(it.1, Event::StreamFailed { .. });
            let kept = self.world.events(self.hosts[side]).iter().any(failed);
            // The other end has asked for it, if it was the one to nominate.
            let asked = self.asked.iter().any(|count| *count > 0);
            let waits = state == State::Connected && (kept || (!self.plan.heals && asked));
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

/// What went wrong, and with it the plan and the ladder.
struct Failure {
    text: String,
    told: String,
}

fn run(number: u64, without: u32) -> Result<(), Failure> {
    let mut told = String::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut session = Session::begin(number, Plan::draw(number, without));
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            session.unrest();
            session.quiet();
            session.judge();
        }));
        if let Err(panic) = outcome {
            told = format!("{:#?}\n{}", session.plan, session.world);
            std::panic::resume_unwind(panic);
        }
    }));
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Failure { text: text.unwrap_or_default(), told }
    })
}

/// Takes out of a failing plan what its failure does not need, one thing after the other, once.
fn shrink(plan: u64, failure: &Failure) -> String {
    let mut gone = 0;
    for bit in 0..BITS {
        if run(plan, gone | 1 << bit).is_err() {
            gone |= 1 << bit;
        }
    }
    let needed: Vec<_> = TROUBLES.iter().filter(|it| gone & (1 << **it as u32) == 0).collect();
    let text = failure.text.lines().next().unwrap_or_default();
    format!("FLOE_PLAN={plan} FLOE_TROUBLES={} {needed:?}: {text}", gone ^ KEPT)
}

/// `FLOE_TROUBLES` has the bits of the troubles that stay, and of the single mishaps that do not.
const KEPT: u32 = (1 << TROUBLES.len()) - 1;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

/// ICE-8.1.1-a, ICE-9-a: whatever happens, both ends have the same pair in the end, or none.
#[test]
fn two_agents_never_end_on_different_pairs_and_never_hang() {
    if let Some(plan) = number("FLOE_PLAN") {
        let without = number("FLOE_TROUBLES").map_or(0, |mask| mask as u32 ^ KEPT);
        if let Err(Failure { text, told }) = run(plan, without) {
            panic!("{text}\n{told}");
        }
        return;
    }
    let first = number("FLOE_FIRST_PLAN").unwrap_or(0);
    let end = first + number("FLOE_PLANS").unwrap_or(PLANS);
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (next, failures) = (AtomicU64::new(first), Mutex::new(BTreeMap::new()));
    let work = || loop {
        let plan = next.fetch_add(1, Ordering::Relaxed);
        if plan >= end || failures.lock().expect("failures").len() >= MAX_FAILURES {
            return;
        }
        if let Err(failure) = run(plan, 0) {
            let told = shrink(plan, &failure);
            failures.lock().expect("failures").insert(plan, told);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    std::panic::set_hook(quiet);
    let failures: Vec<_> = failures.into_inner().expect("failures").into_values().collect();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
