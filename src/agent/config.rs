//! What an agent is told at its birth. Setters consume, nothing here can fail.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::hard::HardNat;
use super::trickle::Trickle;
use smallvec::{SmallVec, smallvec};

use crate::candidate::{RemoteFilter, TcpRank};
pub use crate::checks::Implementation;
pub use crate::checks::likelihood::CheckOrder;
pub use crate::checks::limits::Limits;
pub use crate::checks::nominate::Nomination;
pub use crate::checks::recheck::Recheck;
pub use crate::checks::role::Role;
use crate::checks::set::Settings;
use crate::consent::KEEPALIVE;
use crate::io::ComponentId;
use crate::turn::TurnServer;

/// Which candidates may be used, and what the peer learns of this host (RFC 8828 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// All of them (mode 1): every address that the driver gives a socket of. RFC 8828 §5.2 wants the user's consent
    /// for it where the application is a web page that nobody trusts; whoever runs such ones sets
    /// [`DefaultRoute`](Self::DefaultRoute).
    All,
    /// The addresses that the default route leaves from, and what servers see of them (mode 2, "default route and
    /// associated local addresses"). Its driver binds to the wildcard address, leaves the route to the kernel, and adds
    /// those addresses only.
    DefaultRoute,
    /// What servers see, and relays (mode 3, "default route only"): no address of this host is signalled, also not as
    /// a related address. Its driver binds to the wildcard address and leaves the route to the kernel.
    DefaultRouteOnly,
    /// Relayed ones only (as near to mode 4 as an agent without a proxy comes): the peer does not learn where this host
    /// is.
    Relay,
}

/// What the peer is told of host candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostNames {
    /// Their addresses.
    Addresses,
    /// Random `.local` names that multicast DNS resolves on the same link (RFC 6762), as browsers do: the driver
    /// publishes them. Related addresses are hidden.
    Mdns,
}

/// What an unauthenticated request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 400 or 401 to a request with a valid FINGERPRINT, never longer than the request, at most 10 a second per
    /// socket.
    Limited,
    /// Nothing.
    Silent,
}

/// What happens when the selected pair falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failover {
    /// Where both agents know renomination ([`Nomination::Renominate`]) and another pair is valid, the selected one is
    /// checked within 100 to 250 ms after regular traffic of the peer has stopped, or a consent request stayed unanswered
    /// for as long. If three to five checks in a row find no answer and another pair answers, the controlling agent
    /// nominates that one.
    On,
    /// The selected pair is left when its consent expires (RFC 7675 §5.1), and not before.
    Off,
}

/// What all randomness comes from. `Debug` does not show it: with it go all passwords.
#[derive(Clone, Copy)]
pub(crate) struct Seed(pub(crate) [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

/// The configuration of an [`Agent`](super::Agent).
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) role: Role,
    pub(crate) seed: Seed,
    pub(crate) stun_servers: Vec<SocketAddr>,
    pub(crate) turn_servers: Vec<TurnServer>,
    pub(crate) components: SmallVec<[u16; 4]>,
    pub(crate) nomination: Nomination,
    pub(crate) policy: Policy,
    pub(crate) host_names: HostNames,
    pub(crate) external: Vec<(IpAddr, IpAddr)>,
    pub(crate) remote_filter: RemoteFilter,
    pub(crate) pacing: Duration,
    pub(crate) unauthenticated: Answer,
    pub(crate) limits: Limits,
    pub(crate) trace: usize,
    pub(crate) implementation: Implementation,
    pub(crate) trickle: Trickle,
    pub(crate) keepalive: Duration,
    pub(crate) mapping_lifetime: Option<Duration>,
    pub(crate) hard_nat: Option<HardNat>,
    pub(crate) check_order: CheckOrder,
    pub(crate) recheck: Recheck,
    pub(crate) tcp: Option<TcpRank>,
    pub(crate) failover: Failover,
}

impl Config {
    /// Defaults for everything but the role. All randomness of the agent comes from `seed`, which has to be
    /// unpredictable: credentials and transaction ids are drawn from it (RFC 8445 §5.3).
    pub fn new(role: Role, seed: [u8; 32]) -> Self {
        Self {
            role,
            seed: Seed(seed),
            stun_servers: Vec::new(),
            turn_servers: Vec::new(),
            components: smallvec![1],
            nomination: Nomination::Renominate { settle: Duration::from_millis(500) },
            policy: Policy::All,
            host_names: HostNames::Addresses,
            external: Vec::new(),
            remote_filter: RemoteFilter::new(),
            pacing: Duration::from_millis(5),
            unauthenticated: Answer::Limited,
            limits: Limits::default(),
            trace: 0,
            implementation: Implementation::Full,
            trickle: Trickle::Full,
            keepalive: KEEPALIVE,
            mapping_lifetime: None,
            hard_nat: None,
            check_order: CheckOrder::Likelihood,
            recheck: Recheck::On,
            tcp: None,
            failover: Failover::On,
        }
    }

    /// Adds a STUN server. Default: none.
    #[must_use]
    pub fn stun_server(mut self, addr: SocketAddr) -> Self {
        self.stun_servers.push(addr);
        self
    }

    /// Adds a TURN server. Default: none.
    #[must_use]
    pub fn turn_server(mut self, server: TurnServer) -> Self {
        self.turn_servers.push(server);
        self
    }

    /// The number of components of each data stream; default `[1]`, also for an empty list: no session is without a
    /// stream. Zeros and numbers above 256 are clamped.
    #[must_use]
    pub fn components(mut self, per_stream: &[u16]) -> Self {
        let per_stream = if per_stream.is_empty() { &[1] } else { per_stream };
        self.components = per_stream.iter().map(|count| (*count).clamp(1, 256)).collect();
        self
    }

    /// When to nominate; default [`Nomination::Renominate`] with 500 ms.
    #[must_use]
    pub fn nomination(mut self, nomination: Nomination) -> Self {
        self.nomination = nomination;
        self
    }

    /// Which candidates may be used; default [`Policy::All`].
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What the peer is told of host candidates; default [`HostNames::Addresses`].
    #[must_use]
    pub fn host_names(mut self, names: HostNames) -> Self {
        self.host_names = names;
        self
    }

    /// A NAT that translates `local` to `external` one to one, ports unchanged, as cloud providers have it: sockets at
    /// `local` get a server-reflexive candidate at `external`, without a server. The host candidate stays, for peers on
    /// the same network. Default: none; the last one for an address counts.
    #[must_use]
    pub fn external_address(mut self, local: IpAddr, external: IpAddr) -> Self {
        self.external.retain(|(known, _)| *known != local);
        self.external.push((local, external));
        self
    }

    /// Which addresses of the peer are checked; default [`RemoteFilter::new`].
    #[must_use]
    pub fn remote_filter(mut self, filter: RemoteFilter) -> Self {
        self.remote_filter = filter;
        self
    }

    /// The Ta that this agent proposes; default 5 ms, which is the least. The larger of both proposals is used
    /// (RFC 8445 §14.2).
    #[must_use]
    pub fn pacing(mut self, ta: Duration) -> Self {
        self.pacing = ta.max(Duration::from_millis(5));
        self
    }

    /// What unauthenticated requests are answered; default [`Answer::Limited`].
    #[must_use]
    pub fn unauthenticated(mut self, answer: Answer) -> Self {
        self.unauthenticated = answer;
        self
    }

    /// Makes a lite agent (RFC 8445 §2.5): it has host candidates only, answers checks and sends none. For hosts with a
    /// public address that every peer can reach, such as media servers; one address of each family is enough (RFC 8445
    /// §5.2). Whoever has several, or a NAT before them, wants a full agent, the default.
    ///
    /// Candidates are preferred as RFC 6724 prefers their addresses, IPv6 before IPv4, if the socket of IPv6 is added
    /// first; an IPv4 address that comes first has the highest priority, as on a host without IPv6.
    #[must_use]
    pub fn lite(mut self) -> Self {
        self.implementation = Implementation::Lite;
        self
    }

    /// Whether candidates are signalled as they are found; default [`Trickle::Full`].
    #[must_use]
    pub fn trickle(mut self, trickle: Trickle) -> Self {
        self.trickle = trickle;
        self
    }

    /// The interval of keepalives on a pair without consent checks, which is that of a lite agent; default 15 s, and at
    /// least that (RFC 8445 §11, Tr). A NAT whose lifetime is known to be longer allows more.
    #[must_use]
    pub fn keepalive(mut self, interval: Duration) -> Self {
        self.keepalive = interval.max(KEEPALIVE);
        self
    }

    /// How long a mapping of the NAT lives without traffic, if that is known; default: it is not. A measured one is
    /// [`Lifetime::at_least`](crate::discovery::Lifetime::at_least) of
    /// [`Report::lifetime`](crate::discovery::Report::lifetime).
    ///
    /// Paths that no data arrives on are kept alive less often then: consent is asked for two and a half times in a lifetime
    /// instead of every 5 s, and every 12 s at the rarest, so that two requests fit into the 30 s after which it expires (RFC
    /// 7675 §5.1); without an answer every 5 s again. A pair without consent checks has a keepalive every 0.8 lifetimes, or
    /// every [`keepalive`](Self::keepalive) if that is longer.
    ///
    /// Data that is sent goes past the agent: who only sends may tell it by [`Agent::note_sent`](super::Agent::note_sent).
    #[must_use]
    pub fn mapping_lifetime(mut self, lifetime: Duration) -> Self {
        self.mapping_lifetime = Some(lifetime);
        self
    }

    /// Looks for a direct path where ordinary checks find none because one side's NAT maps each destination to another
    /// port: the peer's ports are predicted, or tried. Default: off. Both agents have to be told of their own NAT, one with
    /// [`Ports::Stable`](super::Ports::Stable) and one without, and both need a server-reflexive candidate over IPv4; it is
    /// done for the first component. It costs some hundred packets, one each 5 ms, while data goes through the relay: see
    /// [`HardNat`] for the budgets. Without [renomination](Nomination::Renominate) on both sides it is of no use once the
    /// relayed pair is nominated.
    #[must_use]
    pub fn hard_nat(mut self, hard: HardNat) -> Self {
        self.hard_nat = Some(hard);
        self
    }

    /// Which pairs are checked first; default [`CheckOrder::Likelihood`].
    #[must_use]
    pub fn check_order(mut self, order: CheckOrder) -> Self {
        self.check_order = order;
        self
    }

    /// Whether likely pairs without an answer are checked again early; default [`Recheck::On`].
    #[must_use]
    pub fn recheck(mut self, recheck: Recheck) -> Self {
        self.recheck = recheck;
        self
    }

    /// What happens when the selected pair falls silent; default [`Failover::On`].
    #[must_use]
    pub fn failover(mut self, failover: Failover) -> Self {
        self.failover = failover;
        self
    }

    /// Candidates over TCP too (RFC 6544), preferred as `rank` says; default: none. It takes listening sockets of the
    /// driver ([`Socket::TcpListener`](crate::io::Socket::TcpListener)), of which `floe::net` has one for each UDP
    /// socket then.
    ///
    /// Each gives a passive host candidate and, unless the agent is a lite one, an active one. Remote candidates for
    /// simultaneous open are refused as unsupported. [`Policy::Relay`] has no TCP candidates.
    #[must_use]
    pub fn tcp(mut self, rank: TcpRank) -> Self {
        self.tcp = Some(rank);
        self
    }

    /// Whether [`tcp`](Self::tcp) was asked for, so that a driver knows what to open.
    pub fn has_tcp(&self) -> bool {
        self.tcp.is_some() && self.policy != Policy::Relay
    }

    /// How much the session may hold, whatever the peer does; default [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps the last `records` events of the wire and the state machine; default 0, nothing is kept.
    #[must_use]
    pub fn trace(mut self, records: usize) -> Self {
        self.trace = records;
        self
    }

    pub(crate) fn settings(&self) -> Settings {
        let (role, nomination, pacing) = (self.role, self.nomination, self.pacing);
        let (implementation, limits, tcp) = (self.implementation, self.limits, self.tcp.unwrap_or_default());
        let (order, recheck) = (self.check_order, self.recheck);
        Settings { role, nomination, pacing, order, recheck, implementation, limits, tcp }
    }

    /// Every component of every data stream, in order.
    pub fn component_ids(&self) -> impl Iterator<Item = ComponentId> + '_ {
        let streams = self.components.iter().enumerate();
        streams.flat_map(|(stream, count)| {
            (1..=*count).map(move |component| ComponentId { stream: stream as u16, component })
        })
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }
}
