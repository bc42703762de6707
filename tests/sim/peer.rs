//! A peer that is not floe: a scripted ICE endpoint on a plain host, with the habits of others. It has one socket, one
//! component, and no clock of its own: the test lets it act every 5 ms.

use std::net::SocketAddr;
use std::time::Duration;

use floe::credentials::{Credentials, IceOption};
use floe::io::ComponentId;
use floe::signal::{Signal, What};
use floe::sim::{Gateway, HostId, World};
use floe::stun::auth::{Integrity, Key};
use floe::stun::wire::{Class, Method, attr};
use floe::stun::{Message, TransactionId, Writer};
use floe::{Config, Role};

use super::{ms, seed};

const PORT: u16 = 4000;
const STEP: Duration = Duration::from_millis(5);
/// PRIORITY and candidate priority of a host.
const HOST: u32 = 2_130_706_431;

/// What a peer does in its own way. The default is a peer that does all by the book.
#[derive(Debug, Clone, Default)]
pub(super) struct Habits {
    /// USE-CANDIDATE in every check, whatever its role: aggressive nomination, and controlled peers that nominate.
    pub(super) nominates_always: bool,
    /// Nominates its pair again and again, without a value.
    pub(super) nominates_again: bool,
    /// Offers neither `ice2` nor `renomination`, and sends the priority of its host candidate as PRIORITY.
    pub rfc5245: bool,
    /// From this time on answers consent with this error.
    pub(super) refuses_consent: Option<(Duration, u16)>,
    /// Answers no check with an attribute that it does not know, also if it need not be understood.
    pub(super) drops_unknown: bool,
    /// Its signals come so long after its first check.
    pub(super) signals_late: Duration,
    /// Answers from another port than it was asked at.
    pub(super) answers_from_elsewhere: bool,
    /// Answers the first check so late only.
    pub(super) answers_late: Duration,
    /// An attribute that nobody knows in each check.
    pub(super) extra: Option<u16>,
}

/// The peer, the world, and floe.
pub(super) struct Play {
    pub(super) world: World,
    pub(super) floe: HostId,
    pub(super) peer: HostId,
    role: Role,
    habits: Habits,
    own: Credentials,
    theirs: Option<Credentials>,
    targets: Vec<SocketAddr>,
    heard_signals: usize,
    heard: usize,
    sent: u32,
    pending: Vec<(Duration, SocketAddr, SocketAddr, Vec<u8>)>,
    signalled: bool,
    next_check: Duration,
    has_nominated: bool,
    settled: bool,
    /// Successes to our own checks, and those of nominations.
    pub(super) successes: usize,
    /// Errors that we got.
    pub(super) errors: Vec<u16>,
    /// Checks of floe with USE-CANDIDATE.
    pub(super) nominations: usize,
    /// All checks of floe.
    pub(super) checks: usize,
}

impl Play {
    /// floe in `role` at a gateway, against a peer with a public address in the other role.
    pub(super) fn new(role: Role, at: Gateway, habits: Habits) -> Self {
        Self::with(Config::new(role, seed(1)), at, habits)
    }

    pub(super) fn with(config: Config, at: Gateway, habits: Habits) -> Self {
        let mut world = World::new(1);
        let role = config.role();
        let floe = world.agent(at, config);
        let peer = world.host(floe::sim::Nat::none());
        let mut own = Credentials::new(
            "peer".parse().expect("a ufrag"),
            "passwordOfThePeer22Chars".parse().expect("a pwd"),
        );
        if !habits.rfc5245 {
            own.options = vec![IceOption::ICE2];
        }
        Self {
            world,
            floe,
            peer,
            role: role.other(),
            habits,
            own,
            theirs: None,
            targets: Vec::new(),
            heard_signals: 0,
            heard: 0,
            sent: 0,
            pending: Vec::new(),
            signalled: false,
            next_check: Duration::ZERO,
            has_nominated: false,
            settled: false,
            successes: 0,
            errors: Vec::new(),
            nominations: 0,
            checks: 0,
        }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.world.addresses(self.peer)[0], PORT)
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.world.elapsed() + time;
        while self.world.elapsed() < end {
            self.world.run_for(STEP);
            self.act();
        }
    }

    /// Until floe has a selected pair, at most this long.
    pub(super) fn completes_within(&mut self, limit: Duration) {
        let end = self.world.elapsed() + limit;
        while !self.world.completed(self.floe) {
            assert!(self.world.elapsed() < end, "{:?} {:?} {}", self.role, self.habits, self.world);
            self.run(STEP);
        }
    }

    /// floe's data arrives at the peer, and the peer's at floe.
    pub(super) fn carries_data(&mut self) {
        let sent = self.world.received(self.floe).len();
        self.world.send(self.floe, b"\xffdata of floe");
        let to = self.last_target();
        self.world.transmit(self.peer, self.addr(), to, b"\xffdata of the peer");
        self.world.run_for(ms(200));
        let here = self.world.received(self.peer).iter().any(|it| it.payload == b"\xffdata of floe");
        assert!(here && self.world.received(self.floe).len() == sent + 1, "{}", self.world);
    }

    fn last_target(&self) -> SocketAddr {
        let checks = self.world.received(self.peer).iter().rev();
        checks.map(|it| it.source).next().expect("floe was heard")
    }

    /// What the peer tells: its credentials, its candidate, and that there is no other.
    pub(super) fn signal(&mut self) {
        let line = format!("0 candidate:1 1 udp {HOST} {} {PORT} typ host", self.addr().ip());
        let candidate: Signal = line.parse().expect("a signal");
        let all = [
            Signal::new(0, What::Credentials(self.own.clone())),
            candidate,
            Signal::new(0, What::EndOfCandidates),
        ];
        self.world.with_agent(self.floe, |agent, now| {
            for signal in all {
                // What comes twice, or after the end, is refused and changes nothing.
                let _ = agent.handle_signal(now, signal);
            }
        });
        self.signalled = true;
    }

    fn act(&mut self) {
        self.listen();
        let now = self.world.elapsed();
        if !self.signalled && now >= self.habits.signals_late {
            self.signal();
        }
        self.receive();
        let due: Vec<_> = self.pending.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, from, to, bytes) in due {
            self.world.transmit(self.peer, from, to, &bytes);
        }
        let settled = self.settled && !self.habits.nominates_again;
        if now >= self.next_check && !settled && self.theirs.is_some() {
            self.next_check = now + ms(50);
            for target in self.targets.clone() {
                self.check(target);
            }
        }
    }

    fn listen(&mut self) {
        let signals = self.world.signals(self.floe);
        for signal in &signals[self.heard_signals..] {
            match &signal.what {
                What::Credentials(credentials) => self.theirs = Some(credentials.clone()),
                What::Candidate(candidate) => self.targets.extend(candidate.address.socket()),
                _ => {}
            }
        }
        self.heard_signals = signals.len();
    }

    fn receive(&mut self) {
        let arrivals = self.world.received(self.peer)[self.heard..].to_vec();
        self.heard += arrivals.len();
        for arrival in arrivals {
            let Ok(message) = Message::parse(&arrival.payload) else { continue };
            if !self.targets.contains(&arrival.source) {
                self.targets.push(arrival.source);
            }
            match message.class() {
                Class::Request => self.answer(arrival.source, arrival.local, message),
                Class::Success => {
                    self.successes += 1;
                    self.settled |= self.has_nominated || self.role == Role::Controlled;
                }
                Class::Error => {
                    let code = message.plain().attributes().error_code().map_or(0, |error| error.code);
                    self.errors.push(code);
                }
                Class::Indication => {}
            }
        }
    }

    fn answer(&mut self, source: SocketAddr, local: SocketAddr, message: Message<'_>) {
        let now = self.world.elapsed();
        let attributes = message.plain().attributes();
        self.checks += 1;
        if attributes.has(attr::USE_CANDIDATE) {
            self.nominations += 1;
        }
        let own = [attr::ICE_CONTROLLED, attr::ICE_CONTROLLING, attr::FINGERPRINT];
        let unknown = |kind: u16| kind >= 0x8000 && !own.contains(&kind);
        if self.habits.drops_unknown && (0x8000..=u16::MAX).any(|kind| unknown(kind) && attributes.has(kind))
        {
            return;
        }
        let refusal = self.habits.refuses_consent.filter(|(since, _)| now >= *since);
        let mut buf = [0; 300];
        let id = message.transaction_id();
        let mut writer = match refusal {
            Some((_, code)) => Writer::error(&mut buf, Method::BINDING, id, code),
            None => Writer::new(&mut buf, Class::Success, Method::BINDING, id),
        };
        if refusal.is_none() {
            writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, source);
        }
        writer.integrity(&Key::short_term(self.own.pwd.as_str()), Integrity::Sha1).fingerprint();
        let bytes = writer.finish().expect("room").to_vec();
        let from = if self.habits.answers_from_elsewhere { SocketAddr::new(local.ip(), 4001) } else { local };
        let at = if self.successes == 0 { now + self.habits.answers_late } else { now };
        self.pending.push((at, from, source, bytes));
    }

    fn check(&mut self, target: SocketAddr) {
        let Some(theirs) = &self.theirs else { return };
        self.sent += 1;
        let mut id = [7; 12];
        id[..4].copy_from_slice(&self.sent.to_be_bytes());
        let mut buf = [0; 300];
        let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId(id));
        writer.put(attr::USERNAME, format!("{}:{}", theirs.ufrag, self.own.ufrag).as_bytes());
        let priority = if self.habits.rfc5245 { HOST } else { 1_862_270_975 };
        writer.put_u32(attr::PRIORITY, priority);
        let role = match self.role {
            Role::Controlling => attr::ICE_CONTROLLING,
            Role::Controlled => attr::ICE_CONTROLLED,
        };
        writer.put_u64(role, 42);
        if let Some(kind) = self.habits.extra {
            writer.put(kind, &[1, 2, 3, 4]);
        }
        let regular = self.role == Role::Controlling && self.checks > 0;
        if self.habits.nominates_always || regular {
            writer.put(attr::USE_CANDIDATE, &[]);
            self.has_nominated = true;
        }
        writer.integrity(&Key::short_term(theirs.pwd.as_str()), Integrity::Sha1).fingerprint();
        let bytes = writer.finish().expect("room").to_vec();
        self.world.transmit(self.peer, self.addr(), target, &bytes);
    }

    /// The path of floe's first component.
    pub(super) fn is_usable(&self) -> bool {
        self.world.agent_ref(self.floe).path(ComponentId::FIRST).is_some()
    }
}
