//! What a link does to the datagrams that cross it.

use super::packet::{Fate, Packet, Protocol};
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// A link with the same properties in both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    latency: Duration,
    jitter: Duration,
    loss: f64,
    duplication: f64,
    reordering: f64,
    mtu: usize,
    udp: Udp,
    tcp: Tcp,
}

/// Which UDP a link carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Udp {
    /// All of it.
    Open,
    /// Only with these ports of the far end.
    Only(Vec<u16>),
    /// None.
    Blocked,
}

/// Whether a link carries TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tcp {
    /// It does.
    Open,
    /// It does not, and does not say so.
    Blocked,
}

impl Link {
    /// Carries everything, at once.
    pub fn ideal() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            mtu: 1500,
            udp: Udp::Open,
            tcp: Tcp::Open,
        }
    }

    /// A local network: a latency of 1 ms. What stands behind a NAT is linked to it like this.
    pub fn lan() -> Self {
        Self::ideal().latency(Duration::from_millis(1))
    }

    /// Access to the Internet: a latency of 20 ms. What has a public address is linked to it like this.
    pub fn wan() -> Self {
        Self::ideal().latency(Duration::from_millis(20))
    }

    /// Carries nothing and does not say so.
    pub fn down() -> Self {
        Self::ideal().loss(1.0)
    }

    /// The time from one end to the other.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Each datagram takes up to this much longer, uniformly distributed; it never overtakes another one.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// The probability that a datagram is lost, 0 to 1.
    #[must_use]
    pub fn loss(mut self, probability: f64) -> Self {
        self.loss = probability;
        self
    }

    /// The probability that a datagram arrives twice, 0 to 1.
    #[must_use]
    pub fn duplication(mut self, probability: f64) -> Self {
        self.duplication = probability;
        self
    }

    /// The probability that a datagram takes twice its time, so that later ones overtake it, 0 to 1.
    #[must_use]
    pub fn reordering(mut self, probability: f64) -> Self {
        self.reordering = probability;
        self
    }

    /// The largest IP packet in bytes, headers included. Larger ones are dropped.
    #[must_use]
    pub fn mtu(mut self, bytes: usize) -> Self {
        self.mtu = bytes;
        self
    }

    /// Which UDP passes.
    #[must_use]
    pub fn udp(mut self, udp: Udp) -> Self {
        self.udp = udp;
        self
    }

    /// Whether TCP passes. Where it does, what is lost and arrives twice or in another order is its own affair: messages
    /// of a stream take their latency and their jitter, one behind the other. Only a link that loses everything loses
    /// them, and then for good.
    #[must_use]
    pub fn tcp(mut self, tcp: Tcp) -> Self {
        self.tcp = tcp;
        self
    }

    /// Whether a datagram to or from this port of the far end can ever pass.
    pub(super) fn carries(&self, far_port: u16) -> bool {
        let open = match &self.udp {
            Udp::Open => true,
            Udp::Only(ports) => ports.contains(&far_port),
            Udp::Blocked => false,
        };
        open && self.loss < 1.0
    }
}

/// One direction of a link.
#[derive(Debug, Clone)]
pub(super) struct Pipe {
    link: Link,
    /// Nothing that is in order arrives before that.
    not_before: Option<Instant>,
    /// The same for TCP.
    segments_not_before: Option<Instant>,
}

impl Pipe {
    pub(super) fn new(link: Link) -> Self {
        Self { link, not_before: None, segments_not_before: None }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// When a datagram arrives, and when its copy does; or why it does not.
    pub(super) fn pass(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        packet: &Packet,
        far_port: u16,
    ) -> Result<(Instant, Option<Instant>), Fate> {
        if let Protocol::Tcp(_) = packet.protocol {
            return self.pass_segment(now, rng);
        }
        if packet.ip_length() > self.link.mtu {
            return Err(Fate::TooLarge);
        }
        if rng.chance(self.link.loss) {
            return Err(Fate::Lost);
        }
        if !self.link.carries(far_port) {
            return Err(Fate::Blocked);
        }
        let first = self.arrival(now, rng);
        let second = rng.chance(self.link.duplication).then(|| self.arrival(now, rng));
        Ok((first, second))
    }

    fn pass_segment(&mut self, now: Instant, rng: &mut Rng) -> Result<(Instant, Option<Instant>), Fate> {
        if self.link.tcp == Tcp::Blocked {
            return Err(Fate::Blocked);
        }
        if self.link.loss >= 1.0 {
            return Err(Fate::Lost);
        }
        let jitter = Duration::from_nanos(rng.between(0, self.link.jitter.as_nanos() as u64));
        let arrival = now + self.link.latency + jitter;
        let arrival = self.segments_not_before.map_or(arrival, |before| before.max(arrival));
        self.segments_not_before = Some(arrival);
        Ok((arrival, None))
    }

    fn arrival(&mut self, now: Instant, rng: &mut Rng) -> Instant {
        let jitter = Duration::from_nanos(rng.between(0, self.link.jitter.as_nanos() as u64));
        let travel = self.link.latency + jitter;
        if rng.chance(self.link.reordering) {
            return now + travel * 2;
        }
        let arrival = self.not_before.map_or(now + travel, |before| before.max(now + travel));
        self.not_before = Some(arrival);
        arrival
    }
}
