//! What a server is told at its birth. Setters consume, nothing here can fail.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::peers::PeerRules;
use crate::stun::Family;
use crate::time::Duration;

/// The lifetime that an allocation has at least (RFC 8656 §3.2).
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);
/// The longest that a nonce is good (RFC 8656 §5).
const MAX_NONCE_LIFETIME: Duration = Duration::from_secs(3600);

/// The configuration of a [`Server`](super::Server).
#[derive(Clone)]
pub struct Config {
    pub(super) seed: [u8; 32],
    pub(super) realm: String,
    pub(super) users: Vec<(String, String)>,
    pub(super) secret: Option<Box<[u8]>>,
    pub(super) relays: BTreeMap<Family, IpAddr>,
    pub(super) redirects: BTreeMap<Family, SocketAddr>,
    pub(super) ports: RangeInclusive<u16>,
    pub(super) quota: usize,
    pub(super) max_allocations: usize,
    pub(super) max_lifetime: Duration,
    pub(super) nonce_lifetime: Duration,
    pub(super) unauthenticated_rate: u32,
    pub(super) mobility: bool,
    pub(super) max_connections: usize,
    pub(super) max_connections_per_source: usize,
    pub(super) idle_timeout: Duration,
    pub(super) peers: PeerRules,
}

impl Config {
    /// Defaults for everything: a STUN server. Nonces and ports are drawn from `seed`, which has to be
    /// unpredictable.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            realm: "floe".to_owned(),
            users: Vec::new(),
            secret: None,
            relays: BTreeMap::new(),
            redirects: BTreeMap::new(),
            ports: 49152..=65535,
            quota: 128,
            max_allocations: 8192,
            max_lifetime: Duration::from_secs(3600),
            nonce_lifetime: MAX_NONCE_LIFETIME,
            unauthenticated_rate: 500,
            mobility: true,
            max_connections: 4096,
            max_connections_per_source: 256,
            idle_timeout: Duration::from_secs(60),
            peers: PeerRules::default(),
        }
    }

    /// The realm of the credentials, best the provider's domain name (RFC 8489 §9.2.4); default `floe`. Cut after
    /// 127 characters.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        self.realm = realm.chars().take(127).collect();
        self
    }

    /// Adds a user, or gives it another password. Default: none, then the server answers Binding only and
    /// refuses to relay. The server keeps keys, not passwords (RFC 8656 §6).
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// Lets users in whose password a web service has made of this secret, for a time: the username is the Unix time of
    /// its end, alone or with a colon and a name behind it, and the password is
    /// [`timed_password`](crate::stun::auth::timed_password) of that. After its end, 401 is answered. The name is the
    /// user whom [`quota`](Self::quota) counts for. The server has to know the time of day:
    /// [`Server::set_unix_time`](super::Server::set_unix_time). Default: none.
    ///
    /// USERHASH is not offered then: the server does not know these names before they come.
    #[must_use]
    pub fn rest_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secret = Some(secret.as_ref().into());
        self
    }

    /// The address that relay sockets are bound to: one of each family, the last one counts. Default: none, then
    /// every Allocate is refused with 440.
    #[must_use]
    pub fn relay_address(mut self, ip: IpAddr) -> Self {
        self.relays.insert(ip.into(), ip);
        self
    }

    /// Sends clients to another server instead of giving them an allocation: 300 with this ALTERNATE-SERVER
    /// (RFC 8489 §10), to those who have proved who they are and come from its family; one of each family, the last one
    /// counts. Default: none.
    #[must_use]
    pub fn redirect(mut self, server: SocketAddr) -> Self {
        self.redirects.insert(server.ip().into(), server);
        self
    }

    /// The ports of relay sockets; default 49152..=65535. Ports below 1024 are never used (RFC 8656 §7.2).
    #[must_use]
    pub fn relay_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = (*ports.start()).max(1024)..=*ports.end();
        self
    }

    /// Allocations that one user may have at a time, beyond which 486 is answered; default 128.
    #[must_use]
    pub fn quota(mut self, allocations: usize) -> Self {
        self.quota = allocations;
        self
    }

    /// Allocations of all users together, beyond which 508 is answered; default 8192.
    #[must_use]
    pub fn max_allocations(mut self, allocations: usize) -> Self {
        self.max_allocations = allocations;
        self
    }

    /// The longest lifetime that is granted; default 3600 s. Below 600 s it does not shorten anything
    /// (RFC 8656 §7.2).
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = lifetime;
        self
    }

    /// How long a nonce is good; default, and at most, 3600 s (RFC 8656 §5).
    #[must_use]
    pub fn nonce_lifetime(mut self, lifetime: Duration) -> Self {
        self.nonce_lifetime = lifetime.min(MAX_NONCE_LIFETIME);
        self
    }

    /// Answers a second that one source address (IPv6: one /64) gets without authentication: to Binding, and
    /// 401 and 438. A second's worth may come at once. Default 500: a source may be the NAT of many clients.
    #[must_use]
    pub fn unauthenticated_rate(mut self, answers_per_second: u32) -> Self {
        self.unauthenticated_rate = answers_per_second;
        self
    }

    /// Refuses to let clients move with their allocations (RFC 8016): who asks for a ticket gets 405. By default they
    /// may, since a ticket is good only together with the credentials of the user who got it. Without, an allocation
    /// always ends with its connection; a client that has a ticket has until the end of the allocation to come back.
    #[must_use]
    pub fn without_mobility(mut self) -> Self {
        self.mobility = false;
        self
    }

    /// Connections (TCP and TLS) at a time, beyond which new ones are closed at once; default 4096.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Connections at a time from one source address (IPv6: one /64); default 256: a source may be the NAT of many
    /// clients.
    #[must_use]
    pub fn max_connections_per_source(mut self, connections: usize) -> Self {
        self.max_connections_per_source = connections;
        self
    }

    /// How long a connection stays open without an allocation and without a whole message; default 60 s. The first
    /// message has to come within 15 s.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Which peers clients may reach through the relay; default [`PeerRules::default`].
    #[must_use]
    pub fn peers(mut self, rules: PeerRules) -> Self {
        self.peers = rules;
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("realm", &self.realm)
            .field("users", &self.users.len())
            .field("relays", &self.relays)
            .field("ports", &self.ports)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}
