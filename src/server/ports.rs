//! Relayed transport addresses: which are taken or reserved, and which comes next.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::rng::Rng;
use crate::stun::Family;
use crate::time::{Duration, Instant};

/// Ports that are looked at to find a free one: more would be work that a full server does for nothing.
const MAX_STEPS: u32 = 1024;
/// How long a reserved port waits for its Allocate (RFC 8656 §7.2).
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);
/// Reservations at a time: they take ports from everybody.
const MAX_RESERVATIONS: usize = 256;

/// What a RESERVATION-TOKEN says (RFC 8656 §18.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(pub(super) u64);

/// Where a relay socket is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Any port.
    Any(IpAddr),
    /// An even port.
    Even(IpAddr),
    /// An even port, and the next one is reserved.
    EvenAndNext(IpAddr),
    /// A port that was reserved before.
    Reserved(Token),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Socket,
    Reservation,
}

/// The addresses of relay sockets.
#[derive(Debug)]
pub(super) struct Ports {
    relays: BTreeMap<Family, IpAddr>,
    range: RangeInclusive<u16>,
    taken: BTreeMap<SocketAddr, Use>,
    reservations: BTreeMap<Token, SocketAddr>,
    /// In the order of their end, also of those that were claimed.
    ends: VecDeque<(Instant, Token)>,
}

impl Ports {
    pub(super) fn new(relays: BTreeMap<Family, IpAddr>, range: RangeInclusive<u16>) -> Self {
        Self { relays, range, taken: BTreeMap::new(), reservations: BTreeMap::new(), ends: VecDeque::new() }
    }

    /// The address for relayed addresses of this family.
    pub(super) fn relay_of(&self, family: Family) -> Option<IpAddr> {
        self.relays.get(&family).copied()
    }

    /// Whether relay sockets are bound to this address.
    pub(super) fn is_relay(&self, ip: IpAddr) -> bool {
        self.relay_of(ip.into()) == Some(ip)
    }

    /// Whether this is the address of a relay socket of ours.
    pub(super) fn has_socket(&self, addr: SocketAddr) -> bool {
        self.taken.get(&addr) == Some(&Use::Socket)
    }

    /// Takes a port: the first free one from a random place on (RFC 6056 §3.3.1), or the reserved one. `None` if there
    /// is none.
    pub(super) fn draw(&mut self, rng: &mut Rng, place: Place) -> Option<SocketAddr> {
        let addr = match place {
            Place::Any(ip) => self.find(rng, ip, |_, _| true)?,
            Place::Even(ip) => self.find(rng, ip, |_, addr| addr.port().is_multiple_of(2))?,
            Place::EvenAndNext(ip) => {
                if self.ends.len() >= MAX_RESERVATIONS {
                    return None;
                }
                let has_next = |ports: &Self, addr: SocketAddr| {
                    let next = next(addr);
                    addr.port().is_multiple_of(2)
                        && ports.range.contains(&next.port())
                        && !ports.taken.contains_key(&next)
                };
                let addr = self.find(rng, ip, has_next)?;
                self.taken.insert(next(addr), Use::Reservation);
                addr
            }
            Place::Reserved(token) => self.reservations.remove(&token)?,
        };
        self.taken.insert(addr, Use::Socket);
        Some(addr)
    }

    fn find(
        &self,
        rng: &mut Rng,
        ip: IpAddr,
        will_do: impl Fn(&Self, SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let (low, high) = (u32::from(*self.range.start()), u32::from(*self.range.end()));
        let size = (high + 1).checked_sub(low).filter(|size| *size > 0)?;
        let start = rng.between(0, u64::from(size - 1)) as u32;
        (0..size.min(MAX_STEPS))
            .map(|step| SocketAddr::new(ip, (low + (start + step) % size) as u16))
            .find(|addr| !self.taken.contains_key(addr) && will_do(self, *addr))
    }

    /// Gives the port back that was drawn for this place.
    pub(super) fn give_back(&mut self, place: Place, addr: SocketAddr) {
        self.free(addr);
        if let Place::EvenAndNext(_) = place {
            self.free(next(addr));
        }
    }

    /// Takes an address that the driver chose.
    pub(super) fn take(&mut self, addr: SocketAddr) {
        self.taken.insert(addr, Use::Socket);
    }

    /// Gives an address back.
    pub(super) fn free(&mut self, addr: SocketAddr) {
        self.taken.remove(&addr);
    }

    /// Reserves the port after this one, which was drawn with it.
    pub(super) fn reserve_next(&mut self, now: Instant, token: Token, addr: SocketAddr) {
        self.reservations.insert(token, next(addr));
        self.ends.push_back((now + RESERVATION_LIFETIME, token));
    }

    /// Whether this token is still good.
    pub(super) fn is_reserved(&self, token: Token) -> bool {
        self.reservations.contains_key(&token)
    }

    /// Ends the reservations whose time is over.
    pub(super) fn end_reservations(&mut self, now: Instant) {
        while let Some((_, token)) = self.ends.front().filter(|(at, _)| *at <= now) {
            if let Some(addr) = self.reservations.remove(token) {
                self.taken.remove(&addr);
            }
            self.ends.pop_front();
        }
    }
}

/// The port above an even one.
fn next(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip(), addr.port() | 1)
}
