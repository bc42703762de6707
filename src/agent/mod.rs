//! The agent: it owns, routes and translates. Protocol rules live in [`checks`](crate::checks),
//! [`gather`](crate::gather), [`turn`](crate::turn) and [`consent`](crate::consent).
//!
//! | what | file |
//! |---|---|
//! | a datagram finds its owner | `input` |
//! | an owner's outcome reaches the next owner | `follow` |
//! | sockets and servers become candidates | `gathering` |
//! | ports that a gateway has mapped | `mapped` |
//! | what TURN clients tell | `relaying` |
//! | what is remembered of TURN servers | `servers` |
//! | relays that go on from another socket or connection | `moving` |
//! | the peer's signals | `signals` |
//! | what is given back when the session has its pairs | `free` |
//! | when this agent's signals leave | `trickle` |
//! | streams that are added and removed | `streams` |
//! | ICMP errors | `unreachable` |
//! | two lite agents agree on their pairs | `unchecked` |
//! | an offer that says how the peer has concluded | `race` |
//! | `.local` names in the place of addresses | `names` |
//! | TCP connections, and whose each one is | `connections` |
//! | listening sockets, and what runs on connections of pairs | `tcp` |
//! | the next ICE session, beside the one in use | `restart` |
//! | what a timeout does, who gets the slot | `tick` |
//! | ports of the peer's NAT that nobody can tell | `hard` |
//! | how often a flow without data is kept alive | `idle` |
//! | whether the path in use is alive | `liveness` |
//! | what is asked when it is not, and who takes over | `failover` |
//! | intents become bytes | `output` |

mod bases;
pub mod choose;
pub mod config;
mod connections;
pub mod diagnosis;
pub mod event;
mod failover;
mod flow;
mod follow;
mod free;
mod gathering;
mod hard;
mod idle;
mod input;
mod liveness;
pub mod mapped;
mod moving;
mod names;
mod notes;
mod output;
mod pacer;
pub mod path;
pub mod race;
mod record;
mod relaying;
mod relays;
mod restart;
mod servers;
mod signals;
pub mod state;
mod stray;
mod streams;
mod tcp;
mod tick;
pub mod trickle;
mod unchecked;
mod unreachable;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;

use smallvec::{SmallVec, smallvec};

use crate::candidate::address::LocalPreference;
use crate::candidate::foundation::FoundationAllocator;
use crate::checks::ChecklistSet;
use crate::credentials::Ufrag;
use crate::gather::Gatherer;
use crate::io::{ComponentId, Transport, Wake};
use crate::rng::Rng;
use crate::signal::Signal;
use crate::stats::Stats;
use crate::time::{Instant, Timer};
use crate::trace::Trace;

use bases::Bases;
use connections::Connections;
use flow::Flow;
use free::Free;
use hard::Hard;
use names::Names;
use notes::Notes;
use output::{FEW, Intents};
use pacer::{Allowance, Pacer};
use relays::Relays;
use servers::Servers;

pub use crate::nat::Ports;
pub use choose::ValidPair;
pub use config::{
    Answer, CheckOrder, Config, Failover, HostNames, Implementation, Limits, Nomination, Policy, Recheck,
    Role,
};
pub use diagnosis::Diagnosis;
pub use event::{Event, Input, Output, Reason, Received, ServerId, ServerProblem, Why};
pub use hard::HardNat;
pub use mapped::Mapped;
pub use names::{MAX_OUTSTANDING, Resolve, ResolveId};
pub use path::Path;
pub use race::{Announced, Race};
pub use state::State;
pub use trickle::Trickle;

/// An ICE agent (RFC 8445): no sockets, no clock, deterministic from its seed.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    rng: Rng,
    state: State,
    bases: Bases,
    checks: ChecklistSet,
    /// The ICE session before a restart, while a flow is on one of its pairs.
    previous: Option<Box<ChecklistSet>>,
    /// How many generations of the peer's credentials were taken, by stream.
    heard: SmallVec<[u32; 2]>,
    /// The peer's former ufrags, with their streams: what still comes of them is late.
    former: Vec<(u16, Ufrag)>,
    gatherer: Gatherer,
    relays: Relays,
    servers: Servers,
    /// Ports that a gateway has mapped: transport, base, and where the outside reaches it.
    mapped: Vec<(Transport, SocketAddr, SocketAddr)>,
    connections: Connections,
    names: Names,
    flows: Vec<Flow>,
    hard: Option<Box<Hard>>,
    events: VecDeque<Event>,
    /// Signals that wait for the end of gathering.
    untold: VecDeque<Signal>,
    /// Whether the peer said that it takes candidates one by one.
    peer_trickles: Option<bool>,
    intents: Intents,
    pacer: Pacer,
    allowance: Allowance,
    foundations: FoundationAllocator,
    host_preference: LocalPreference,
    relay_preference: LocalPreference,
    tcp_preference: LocalPreference,
    /// No further sockets: gathering may end.
    sockets_ended: bool,
    /// Slots that checks have had since the last one of gathering.
    checks_in_a_row: u8,
    /// When gathering stops to wait for servers that do not answer.
    gather_patience: Timer,
    /// Patiently awaiting connectivity (RFC 8863): until then no checklist fails.
    pac: Timer,
    pac_over: bool,
    /// When unused relays are given back (RFC 8445 §8.3.1).
    free: Free,
    /// When an agent without consent gives up.
    give_up: Timer,
    stats: Stats,
    /// What [`Agent::diagnosis`] tells, beside what others keep.
    notes: Notes,
    trace: Trace,
    /// When the agent was called last: what is polled counts as sent then.
    now: Instant,
    /// When something is due next, as long as nothing has happened that may bring it forward.
    rest: Option<Rest>,
}

/// What [`Output::Wait`] said: a turn that comes before has nothing to do.
#[derive(Debug, Clone, Copy)]
struct Rest(Option<Wake>);

impl Rest {
    fn is_over(self, now: Instant) -> bool {
        self.0.is_some_and(|wake| wake.at <= now)
    }
}

impl Agent {
    /// A new agent. Its first outputs are the credentials to signal.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut rng = Rng::new(config.seed.0);
        let settings = config.settings();
        let checks = ChecklistSet::new(settings, &config.components, &mut rng);
        let trace = Trace::new(config.trace);
        let heard = smallvec![0; config.components.len()];
        let gatherer = Gatherer::new(usize::from(config.limits.queries));
        // They are large, and collected they would have room for four.
        let mut flows = Vec::with_capacity(config.component_ids().count());
        flows.extend(config.component_ids().map(Flow::new));
        let mut agent = Self {
            flows,
            config,
            rng,
            state: State::New,
            bases: Bases::default(),
            checks,
            previous: None,
            heard,
            former: Vec::new(),
            gatherer,
            relays: Relays::default(),
            servers: Servers::default(),
            mapped: Vec::new(),
            connections: Connections::default(),
            names: Names::default(),
            hard: None,
            events: VecDeque::with_capacity(FEW),
            untold: VecDeque::new(),
            peer_trickles: None,
            intents: Intents::default(),
            pacer: Pacer::new(now),
            allowance: Allowance::new(now),
            foundations: FoundationAllocator::default(),
            host_preference: LocalPreference::default(),
            relay_preference: LocalPreference::default(),
            tcp_preference: LocalPreference::default(),
            sockets_ended: false,
            checks_in_a_row: 0,
            gather_patience: Timer::STOPPED,
            pac: Timer::STOPPED,
            pac_over: false,
            free: Free::default(),
            give_up: Timer::STOPPED,
            stats: Stats::default(),
            notes: Notes::new(now),
            trace,
            now,
            rest: None,
        };
        agent.signal_credentials();
        agent
    }

    /// Where the agent stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The present role; it differs from the configured one after a role conflict.
    pub fn role(&self) -> Role {
        self.checks.role()
    }

    /// The way to the peer, as the last [`Event::Path`] of this component said.
    pub fn path(&self, component: ComponentId) -> Option<Path> {
        self.flows.iter().find(|flow| flow.component == component)?.path
    }

    /// Whether a copy of a path may still be used: it is one that this agent announced last (RFC 7675 §5.1).
    pub fn may_send(&self, path: &Path) -> bool {
        self.flows.iter().any(|flow| flow.path.as_ref() == Some(path))
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Ends the session: relays are given back, nothing is sent after that.
    pub fn close(&mut self, now: Instant) {
        self.wake_up(now);
        if self.state == State::Closed {
            return;
        }
        self.end(now, State::Closed);
    }

    /// Failed and Closed are final: paths go, allocations are deleted.
    fn end(&mut self, now: Instant, state: State) {
        for flow in &mut self.flows {
            flow.end();
            if flow.path.take().is_some() {
                self.events.push_back(Event::Path { component: flow.component, path: None });
            }
        }
        // Before the relays are closed: what they tell then is not a matter of gathering any more.
        self.state = state;
        self.intents.clear();
        self.checks.conclude();
        self.gatherer.conclude();
        self.names.end();
        self.finish_hard();
        self.connections.end_pairs();
        for id in self.relays.ids() {
            if let Some(relay) = self.relays.get_mut(id) {
                relay.queued = false;
                relay.client.close(now);
            }
            self.follow_relay(now, id);
        }
        self.record_state(now, state);
        self.events.push_back(Event::State(state));
    }

    /// Something happens, after which other things may be due.
    fn wake_up(&mut self, now: Instant) {
        self.now = now;
        self.rest = None;
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Failed | State::Closed)
    }
}
