//! The selected path dies while another one works: both ends are on the other one within half a second, and never when
//! nothing but packets is lost.

use std::net::IpAddr;
use std::time::Duration;

use floe::agent::{Failover, Nomination};
use floe::io::ComponentId;
use floe::sim::{HostId, Interface, Link, Nat, World};
use floe::{Config, Event, Role};

use super::{ROLES, ms, secs, seed};

/// From one packet of data to the next.
const EVERY: Duration = Duration::from_millis(20);
const RTT: Duration = Duration::from_millis(20);
/// What issue 5 asks for.
const GOAL: Duration = Duration::from_millis(500);

/// Which way the path loses everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    Both,
    /// What this host sends.
    From(usize),
}

const HOLES: [Hole; 3] = [Hole::Both, Hole::From(0), Hole::From(1)];

/// Who sends data.
type Talk = [bool; 2];
const EACH: Talk = [true, true];
const NOBODY: Talk = [false, false];

fn near() -> Link {
    Link::ideal().latency(RTT / 4)
}

/// Two hosts of two addresses each, on links of their own.
struct Session {
    world: World,
    hosts: [HostId; 2],
    /// The pair of addresses that carries data, seen from the first host.
    first: [IpAddr; 2],
}

/// The addresses of the path in use, seen from the first host; `None` while there is none.
fn ends(world: &World, hosts: [HostId; 2], of: usize) -> Option<[IpAddr; 2]> {
    world.agent_ref(hosts[of]).path(ComponentId::FIRST)?;
    let pair = world.agent_ref(hosts[of]).valid_pairs(ComponentId::FIRST).find(|pair| pair.selected)?;
    let mut ends = [pair.local, pair.remote].map(|it| it.address.socket().expect("an address").ip());
    if of == 1 {
        ends.reverse();
    }
    Some(ends)
}

impl Session {
    fn with(roles: [Role; 2], world_seed: u64, config: impl Fn(usize, Config) -> Config) -> Self {
        let mut world = World::new(world_seed);
        let hosts = [0, 1].map(|at: usize| {
            let interfaces = [(); 2].map(|()| Interface::v4(Nat::none()).link(near()));
            world.agent(interfaces, config(at, Config::new(roles[at], seed(at as u8 + 1))))
        });
        let [a, b] = hosts;
        world.signal(a, b);
        world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
        world.run_for(secs(5));
        let first = ends(&world, hosts, 0).expect("a path");
        assert_eq!(ends(&world, hosts, 1), Some(first), "{world}");
        Self { world, hosts, first }
    }

    fn new(roles: [Role; 2]) -> Self {
        Self::with(roles, 1, |_, config| config)
    }

    /// Data, each 20 ms, from those who talk.
    fn talk(&mut self, talk: Talk, duration: Duration) {
        let until = self.world.elapsed() + duration;
        while self.world.elapsed() < until {
            self.send(talk);
            self.world.run_for(EVERY);
        }
    }

    fn send(&mut self, talk: Talk) {
        for (host, talks) in self.hosts.into_iter().zip(talk) {
            if talks {
                self.world.send(host, b"data");
            }
        }
    }

    /// Every path of the first host's address that is in use.
    fn black_hole(&mut self, hole: Hole) {
        let (up, down) = match hole {
            Hole::Both => (Link::down(), Link::down()),
            Hole::From(0) => (Link::down(), near()),
            Hole::From(_) => (near(), Link::down()),
        };
        self.world.set_link(self.hosts[0], self.first[0], up, down);
    }

    fn ends(&self) -> [Option<[IpAddr; 2]>; 2] {
        [0, 1].map(|of| ends(&self.world, self.hosts, of))
    }

    /// Talks on until both are on one path that is not the first one. Returns how long that took, and how long they
    /// disagreed.
    fn moves(&mut self, talk: Talk, limit: Duration) -> (Duration, Duration) {
        let (start, mut apart) = (self.world.elapsed(), Duration::ZERO);
        loop {
            let took = self.world.elapsed() - start;
            if took.as_millis().is_multiple_of(EVERY.as_millis()) {
                self.send(talk);
            }
            let [a, b] = self.ends();
            if a == b && a != Some(self.first) {
                assert_ne!(a.expect("a path")[0], self.first[0], "the address that is gone: {}", self.world);
                return (took, apart);
            }
            assert!(took < limit, "{took:?} {a:?} {b:?} {}", self.world);
            self.world.run_for(ms(1));
            apart += if a == b { Duration::ZERO } else { ms(1) };
        }
    }

    fn count(&self, what: impl Fn(&Event) -> bool) -> [usize; 2] {
        self.hosts.map(|host| self.world.events(host).iter().filter(|(_, event)| what(event)).count())
    }

    fn selections(&self) -> [usize; 2] {
        self.count(|event| matches!(event, Event::Selected { .. }))
    }

    fn suspicions(&self) -> [usize; 2] {
        self.count(|event| matches!(event, Event::Suspected { .. }))
    }
}

/// Row F: data both ways. The hole may begin at any phase of the data, and of the checks of the spare pair.
#[test]
fn a_path_that_falls_silent_is_left_within_500_ms_by_both_ends() {
    for roles in ROLES {
        for hole in HOLES {
            let mut worst = (Duration::ZERO, Duration::ZERO);
            for phase in 0..12 {
                let mut session = Session::new(roles);
                session.talk(EACH, secs(2 + phase * 3));
                session.send(EACH);
                session.world.run_for(ms(phase * 7 % 20));
                session.black_hole(hole);
                let (took, apart) = session.moves(EACH, secs(5));
                worst = (worst.0.max(took), worst.1.max(apart));
                session.talk(EACH, secs(1));
                for host in session.hosts {
                    let last = session.world.received(host).last().expect("data").at;
                    assert!(session.world.elapsed() - last <= EVERY + RTT, "{}", session.world);
                    let asks = |event: &Event| matches!(event, Event::RestartNeeded(_));
                    assert!(!session.world.events(host).iter().any(|(_, event)| asks(event)));
                }
            }
            assert!(worst.0 <= GOAL, "{roles:?} {hole:?} {worst:?}");
            assert!(worst.1 <= RTT, "{roles:?} {hole:?} {worst:?}");
        }
    }
}

/// Row F, idle: the next consent request after the hole, 6 s later at most, and a second to make sure.
#[test]
fn an_idle_session_leaves_a_dead_path_at_its_next_consent_check() {
    for roles in ROLES {
        for hole in HOLES {
            let mut session = Session::new(roles);
            session.world.run_for(secs(31));
            session.black_hole(hole);
            let (took, apart) = session.moves(NOBODY, secs(10));
            assert!(took <= secs(7) && apart <= RTT, "{roles:?} {hole:?} {took:?} {apart:?}");
            // At most the better of the two that are left, later.
            session.world.run_for(secs(4));
            assert_eq!(session.selections(), [2, 2], "{}", session.world);
            session.world.run_for(secs(60));
            let [near, far] = session.selections();
            assert!(near == far && near <= 3, "{near} {far} {}", session.world);
        }
    }
}

/// One end only sends, the other only receives: whoever hears nothing any more says so, by data or by consent.
#[test]
fn an_application_that_only_sends_or_only_receives_is_moved_too() {
    for roles in ROLES {
        for talk in [[true, false], [false, true]] {
            for hole in HOLES {
                let mut session = Session::new(roles);
                session.talk(talk, secs(3));
                session.black_hole(hole);
                let (took, apart) = session.moves(talk, secs(10));
                // What the receiver of data misses it misses at once.
                let heard = hole == Hole::Both || hole == Hole::From(usize::from(talk[1]));
                let limit = if heard { GOAL } else { secs(7) };
                assert!(took <= limit && apart <= RTT, "{roles:?} {talk:?} {hole:?} {took:?} {apart:?}");
            }
        }
    }
}

/// The path answers: nothing is suspected, told or changed.
#[test]
fn data_that_just_stops_is_no_failure() {
    for roles in ROLES {
        let mut session = Session::new(roles);
        for pause in [100, 130, 300, 700, 2000, 60_000] {
            session.talk(EACH, ms(500));
            session.world.run_for(ms(pause));
            session.talk([true, false], ms(500));
        }
        assert_eq!((session.selections(), session.suspicions()), ([1, 1], [0, 0]), "{}", session.world);
    }
}

/// Row F: losses are none, data or not.
#[test]
fn five_percent_loss_for_ten_minutes_changes_nothing() {
    for world_seed in 0..4 {
        for talk in [EACH, [true, false], NOBODY] {
            let mut session = Session::with(ROLES[world_seed as usize % 2], world_seed, |_, config| config);
            for host in session.hosts {
                for ip in session.world.addresses(host) {
                    // Both ends' links: half of it each.
                    let lossy = near().loss(0.0253);
                    session.world.set_link(host, ip, lossy.clone(), lossy);
                }
            }
            session.talk(talk, secs(600));
            assert_eq!((session.selections(), session.suspicions()), ([1, 1], [0, 0]), "{}", session.world);
        }
    }
}

/// Without the option at either end, or switched off by the application: RFC 7675 alone, 30 s after the last answer.
#[test]
fn without_renomination_or_failover_the_path_stays_until_consent_is_lost() {
    let plain = |_, config: Config| config.nomination(Nomination::Best { settle: ms(500) });
    let half = |at, config: Config| if at == 0 { plain(at, config) } else { config };
    let off = |_, config: Config| config.failover(Failover::Off);
    let configs: [&dyn Fn(usize, Config) -> Config; 3] = [&plain, &half, &off];
    for (nth, config) in configs.into_iter().enumerate() {
        for hole in HOLES {
            let mut session = Session::with(ROLES[0], 1, config);
            session.talk(EACH, secs(3));
            session.black_hole(hole);
            session.talk(EACH, secs(23));
            let first = session.first;
            assert_eq!(session.ends(), [Some(first); 2], "{nth} {hole:?} {}", session.world);
            // Dead by policy, suspected long before: two consent requests in vain, where nothing else arrives.
            let suspicions = session.suspicions();
            match hole {
                Hole::Both => assert_eq!(suspicions, [1, 1]),
                Hole::From(from) => assert_eq!(suspicions[1 - from], 1),
            }
        }
    }
}

/// Traffic that the application has authenticated counts, whether its checks are answered or not: a network that drops
/// STUN alone costs nothing before consent expires (RFC 7675 §5.1).
#[test]
fn checks_that_are_lost_do_not_end_a_path_that_carries_data() {
    for roles in ROLES {
        let mut session = Session::new(roles);
        session.talk(EACH, secs(3));
        session.black_hole(Hole::Both);
        let from = session.world.elapsed();
        // What takes another way round the hole, as far as the agents know.
        while session.world.elapsed() - from < secs(22) {
            for host in session.hosts {
                session.world.with_agent(host, |agent, now| agent.note_received(now, ComponentId::FIRST));
            }
            session.world.run_for(EVERY);
        }
        assert_eq!((session.selections(), session.suspicions()), ([1, 1], [0, 0]), "{}", session.world);
        // When it stops, the hole shows.
        let (took, _) = session.moves(NOBODY, secs(5));
        assert!(took <= GOAL, "{took:?}");
    }
}

/// Three things that are told one after the other, never at once: the path does not answer, the path is another one, it
/// is alive. And where there is no other one: suspected within a second of the last data, lost by consent.
#[test]
fn a_suspicion_is_told_within_a_second_and_long_before_the_loss() {
    let mut session = Session::new(ROLES[0]);
    session.talk(EACH, secs(3));
    let (hole, before) =
        (session.world.elapsed(), session.hosts.map(|host| session.world.events(host).len()));
    session.black_hole(Hole::Both);
    session.talk(EACH, secs(4));
    for (host, before) in session.hosts.into_iter().zip(before) {
        let told = &session.world.events(host)[before..];
        let kinds: Vec<_> = told
            .iter()
            .map(|(_, event)| match event {
                Event::Suspected { .. } => "suspected",
                Event::Selected { .. } => "selected",
                Event::Path { path: Some(_), .. } => "path",
                Event::Recovered { .. } => "recovered",
                _ => "another",
            })
            .collect();
        assert!(told[0].0 - hole <= secs(1), "{told:?}");
        assert_eq!(kinds, ["suspected", "selected", "recovered", "path"], "{}", session.world);
    }
    // Everything is gone: both paths.
    let hole = session.world.elapsed();
    for ip in session.world.addresses(session.hosts[0]) {
        session.world.set_link(session.hosts[0], ip, Link::down(), Link::down());
    }
    session.talk(EACH, secs(20));
    session.world.run_for(secs(20));
    for host in session.hosts {
        let since = |what: fn(&Event) -> bool| {
            let mut told = session.world.events(host).iter().filter(|(at, event)| *at > hole && what(event));
            told.next().map(|(at, _)| *at - hole)
        };
        let suspected = since(|event| matches!(event, Event::Suspected { .. })).expect("a suspicion");
        let lost = since(|event| matches!(event, Event::Path { path: None, .. })).expect("a loss");
        assert!(suspected <= secs(1) && lost >= secs(20), "{suspected:?} {lost:?} {}", session.world);
    }
}

/// The relay is the other way: no second interface anywhere.
#[test]
fn a_relay_takes_over_as_fast() {
    for roles in ROLES {
        for hole in HOLES {
            let mut world = World::new(1);
            let server = world.further_server(Interface::v4(Nat::none()).link(Link::ideal()));
            let turn = world.turn_server_on(server);
            let hosts = [0, 1].map(|at: usize| {
                let config = Config::new(roles[at], seed(at as u8 + 1)).turn_server(turn.clone());
                world.agent(Interface::v4(Nat::none()).link(near()), config)
            });
            let [a, b] = hosts;
            world.signal(a, b);
            world.run_until(secs(10), |w| w.completed(a) && w.completed(b));
            let talk = |world: &mut World, until: &dyn Fn(&World) -> bool| {
                let start = world.elapsed();
                while !until(world) && world.elapsed() - start < secs(3) {
                    if (world.elapsed() - start).as_millis().is_multiple_of(20) {
                        world.send(a, b"data");
                        world.send(b, b"data");
                    }
                    world.run_for(ms(1));
                }
                world.elapsed() - start
            };
            talk(&mut world, &|_| false);
            let before = hosts.map(|host| world.agent_ref(host).path(ComponentId::FIRST));
            match hole {
                Hole::Both => world.cut(a, b),
                Hole::From(0) => world.set_path(a, b, Link::down()),
                Hole::From(_) => world.set_path(b, a, Link::down()),
            }
            let moved = |w: &World, at: usize| {
                w.completed(hosts[at]) && w.agent_ref(hosts[at]).path(ComponentId::FIRST) != before[at]
            };
            let took = talk(&mut world, &|w| moved(w, 0) && moved(w, 1));
            assert!(took <= GOAL, "{roles:?} {hole:?} {took:?}");
        }
    }
}
