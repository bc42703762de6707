//! A peer that means harm, and knows all passwords, reaches the limits and nothing beyond; and whoever is behind it can
//! still be connected to.

use std::net::SocketAddr;

use floe::agent::{Diagnosis, Limits, Nomination};
use floe::candidate::CandidateType::PeerReflexive;
use floe::credentials::Credentials;
use floe::error::{AddSocketError, SignalError};
use floe::io::{Socket, SocketId};
use floe::signal::{Signal, What};
use floe::sim::{HostId, Nat, World};
use floe::stun::auth::{Integrity, Key};
use floe::stun::wire::{Class, Method, attr};
use floe::stun::{Message, TransactionId, Writer};
use floe::{Agent, Config, Event, Output, Role};

use super::{ms, secs, seed};

/// What an agent of this configuration signals first: the same seed, the same credentials.
fn credentials(config: Config, world: &World) -> Credentials {
    let mut twin = Agent::new(config, world.now());
    match twin.poll_output(&mut [0; 1280]) {
        Output::Event(Event::Signal(Signal { what: What::Credentials(credentials), .. })) => credentials,
        other => panic!("{other:?}"),
    }
}

struct Stage {
    world: World,
    a: HostId,
    b: HostId,
    /// Of the victim.
    addr: SocketAddr,
    ours: Credentials,
    theirs: Credentials,
    /// A host that knows both credentials.
    accomplice: HostId,
}

impl Stage {
    fn new(limits: Limits) -> Self {
        let mut world = World::new(1);
        let [first, second] =
            [Role::Controlling, Role::Controlled].map(|role| Config::new(role, seed(role as u8 + 1)));
        let first = first.limits(limits).nomination(Nomination::Best { settle: secs(2) }).pacing(ms(5));
        let (ours, theirs) = (credentials(first.clone(), &world), credentials(second.clone(), &world));
        let [a, b] = [first, second].map(|config| world.agent(Nat::none(), config));
        let accomplice = world.host(Nat::none());
        let addr = SocketAddr::new(world.addresses(a)[0], 50_000);
        Self { world, a, b, addr, ours, theirs, accomplice }
    }

    fn diagnosis(&self) -> Diagnosis {
        self.world.agent_ref(self.a).diagnosis()
    }

    /// The victim learns of the peer, but not that it has no further candidates.
    fn meet(&mut self) {
        let peer = self.world.addresses(self.b)[0];
        let candidate = format!("0 candidate:1 1 udp 2130706431 {peer} 50000 typ host");
        let signals =
            [Signal::new(0, What::Credentials(self.theirs.clone())), candidate.parse().expect("a signal")];
        self.world.with_agent(self.a, |agent, now| {
            for signal in signals {
                agent.handle_signal(now, signal).expect("a good signal");
            }
        });
    }

    fn candidate(&mut self, number: usize) -> Result<(), SignalError> {
        let line = format!(
            "0 candidate:{} 1 udp {} 198.51.100.{} {} typ host",
            number + 10,
            2_000_000_000 - number,
            number % 250 + 1,
            5000 + number / 250
        );
        let signal: Signal = line.parse().expect("a signal");
        self.world.with_agent(self.a, |agent, now| agent.handle_signal(now, signal))
    }

    /// A check from this port of the accomplice, signed with the right password.
    fn check(&mut self, port: u16) {
        let mut id = [0; 12];
        id[..2].copy_from_slice(&port.to_be_bytes());
        let mut buf = [0; 200];
        let mut check = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId(id));
        check.put(attr::USERNAME, format!("{}:{}", self.ours.ufrag, self.theirs.ufrag).as_bytes());
        check.put_u32(attr::PRIORITY, 2_000_000_000).put_u64(attr::ICE_CONTROLLED, 1);
        check.integrity(&Key::short_term(self.ours.pwd.as_str()), Integrity::Sha1).fingerprint();
        let check = check.finish().expect("room");
        let from = SocketAddr::new(self.world.addresses(self.accomplice)[0], port);
        self.world.transmit(self.accomplice, from, self.addr, check);
    }

    /// For three seconds the accomplice answers all checks but those to its port 1000, each with another address.
    fn answer_from_elsewhere(&mut self) {
        let (key, mut seen) = (Key::short_term(self.theirs.pwd.as_str()), 0);
        for _ in 0..600 {
            self.world.run_for(ms(5));
            let arrivals = self.world.received(self.accomplice)[seen..].to_vec();
            seen += arrivals.len();
            for arrival in arrivals.iter().filter(|it| it.local.port() != 1000) {
                let request = Message::parse(&arrival.payload).expect("a message");
                let mut buf = [0; 200];
                let mut answer =
                    Writer::new(&mut buf, Class::Success, Method::BINDING, request.transaction_id());
                let elsewhere = SocketAddr::new([203, 0, 113, 1].into(), arrival.local.port());
                answer.put_xor_address(attr::XOR_MAPPED_ADDRESS, elsewhere);
                answer.integrity(&key, Integrity::Sha1).fingerprint();
                let answer = answer.finish().expect("room").to_vec();
                self.world.transmit(self.accomplice, arrival.local, arrival.source, &answer);
            }
        }
    }

    fn connects(&mut self) {
        let (a, b) = (self.a, self.b);
        self.world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
    }
}

#[test]
fn remote_candidates_and_pairs_are_limited() {
    for (limits, candidates, pairs) in [
        (Limits::default(), 128, 100),
        (Limits::default().remote_candidates(5), 5, 5),
        (Limits::default().pairs(3), 128, 3),
    ] {
        let mut stage = Stage::new(limits);
        stage.meet();
        let taken = (0..1000).filter(|number| stage.candidate(*number).is_ok()).count();
        assert_eq!(stage.candidate(1000), Err(SignalError::TooMany(candidates)));
        assert_eq!(taken, candidates - 1, "the peer's own came first");
        let diagnosis = stage.diagnosis();
        assert_eq!((diagnosis.peer.candidates.len(), diagnosis.pairs.len()), (candidates, pairs));
        stage.world.signal(stage.a, stage.b);
        stage.connects();
    }
}

/// Before the peer's credentials are known these are early checks, afterwards triggered ones.
#[test]
fn checks_from_ever_new_ports_are_limited() {
    for (limits, most, pairs) in [
        (Limits::default(), 32, 100),
        (Limits::default().peer_reflexive(2), 2, 100),
        (Limits::default().early_checks(1).triggered_checks(1), 32, 100),
        (Limits::default().pairs(36).transactions(1), 32, 36),
    ] {
        for early in [true, false] {
            let mut stage = Stage::new(limits);
            if early {
                stage.world.signal_one_way(stage.a, stage.b, ms(500));
            } else {
                stage.world.signal(stage.a, stage.b);
                stage.world.run_for(ms(50));
            }
            for port in 1000..1200 {
                stage.check(port);
                stage.world.run_for(ms(2));
                let diagnosis = stage.diagnosis();
                let learnt = diagnosis.peer.candidates.iter().filter(|end| end.kind == PeerReflexive);
                assert!(learnt.count() <= most && diagnosis.pairs.len() <= pairs, "{diagnosis}");
            }
            stage.world.run_for(ms(100));
            assert!(!stage.diagnosis().peer.candidates.is_empty(), "they did arrive");
            stage.world.signal(stage.a, stage.b);
            stage.connects();
        }
    }
}

/// Each answer says that the agent is somewhere else (RFC 8445 §7.2.5.3.1).
#[test]
fn local_peer_reflexive_candidates_are_limited() {
    for (limits, most) in [
        (Limits::default(), 1 + 32),
        (Limits::default().peer_reflexive(2), 1 + 2),
        (Limits::default().local_candidates(4), 4),
    ] {
        let mut stage = Stage::new(limits);
        let host = stage.world.addresses(stage.accomplice)[0];
        let mut theirs = stage.theirs.clone();
        theirs.pacing = Some(ms(5));
        let mut signals = vec![Signal::new(0, What::Credentials(theirs))];
        // The first one never answers, so that nothing is nominated before the others had their turn.
        for port in 1000..1090 {
            let priority = 2_000_000_000 - port;
            let line = format!("0 candidate:{port} 1 udp {priority} {host} {port} typ host");
            signals.push(line.parse().expect("a signal"));
        }
        stage.world.with_agent(stage.a, |agent, now| {
            for signal in signals {
                agent.handle_signal(now, signal).expect("a good signal");
            }
        });
        stage.answer_from_elsewhere();
        let candidates = &stage.diagnosis().bases[0].candidates;
        assert_eq!(candidates.len(), most, "{}", stage.diagnosis());
        assert!(stage.world.usable(stage.a), "{}", stage.world);
    }
}

#[test]
fn bases_are_limited() {
    for (limits, most) in [(Limits::default(), 128), (Limits::default().bases(3), 3)] {
        let mut stage = Stage::new(limits);
        let added = (1..=300_u16).map(|port| {
            let local = SocketAddr::new(stage.addr.ip(), port);
            stage.world.with_agent(stage.a, |agent, now| {
                agent.add_socket(now, SocketId(u32::from(port) + 1000), Socket::udp(local))
            })
        });
        let refused: Vec<_> = added.filter_map(Result::err).collect();
        assert_eq!(refused.len(), 300 - (most - 1));
        assert!(refused.iter().all(|error| *error == AddSocketError::TooMany(most)));
        stage.world.signal(stage.a, stage.b);
        stage.connects();
    }
}

#[test]
fn queries_are_limited() {
    for (limits, most) in [(Limits::default(), 256), (Limits::default().queries(2), 2)] {
        let mut world = World::new(1);
        let mut config = Config::new(Role::Controlling, seed(1)).limits(limits);
        for port in 1..=300 {
            config = config.stun_server(SocketAddr::new([192, 0, 2, 50].into(), port));
        }
        let a = world.agent(Nat::none(), config);
        let b = world.agent(Nat::none(), Config::new(Role::Controlled, seed(2)));
        assert_eq!(world.agent_ref(a).diagnosis().servers.len(), most);
        world.signal(a, b);
        world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
    }
}
