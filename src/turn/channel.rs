//! Channels: four bytes of overhead in place of 36 (RFC 8656 §12).
//!
//! A number belongs to one peer for the whole life of a client, so that neither is ever bound otherwise before the
//! 15 minutes of RFC 8656 §12 are over, and a frame that was made long ago reaches nobody else.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::lease::{Leases, RETRY};
use super::problem::Problem;
use crate::stun::wire::attr;
use crate::stun::{Family, Writer};
use crate::time::{Duration, Instant};

/// A channel lasts this long, and only ChannelBind renews it (RFC 8656 §12).
const LIFETIME: Duration = Duration::from_secs(600);
/// The first of all numbers (RFC 8656 §12).
const FIRST: u16 = 0x4000;
/// Channels of one client: as many as there are numbers, 0x4000..=0x4FFF.
pub const MAX_CHANNELS: usize = 0x1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be asked for.
    Waiting,
    Asked,
    Bound,
    /// It was refused, or is over; it may be asked for again.
    Unbound,
}

#[derive(Debug)]
struct Channel {
    peer: SocketAddr,
    state: State,
}

/// The channels of one allocation.
#[derive(Debug, Default)]
pub(super) struct Channels {
    /// In the order of their numbers.
    list: Vec<Channel>,
    numbers: BTreeMap<SocketAddr, u16>,
    waiting: VecDeque<u16>,
    leases: Leases<u16>,
}

impl Channels {
    /// Wants a channel to this peer, unless there is one or the numbers are used up.
    pub(super) fn bind(&mut self, peer: SocketAddr) {
        if let Some(number) = self.numbers.get(&peer).copied() {
            if let Some(channel) = self.channel_mut(number).filter(|channel| channel.state == State::Unbound)
            {
                channel.state = State::Waiting;
                self.waiting.push_back(number);
            }
        } else if self.list.len() < MAX_CHANNELS {
            let number = FIRST + self.list.len() as u16;
            self.list.push(Channel { peer, state: State::Waiting });
            self.numbers.insert(peer, number);
            self.waiting.push_back(number);
        }
    }

    fn channel(&self, number: u16) -> Option<&Channel> {
        self.list.get(usize::from(number.checked_sub(FIRST)?))
    }

    fn channel_mut(&mut self, number: u16) -> Option<&mut Channel> {
        self.list.get_mut(usize::from(number.checked_sub(FIRST)?))
    }

    /// The confirmed channel to this peer.
    pub(super) fn number(&self, peer: SocketAddr) -> Option<u16> {
        let number = self.numbers.get(&peer).copied()?;
        self.channel(number).filter(|channel| channel.state == State::Bound).map(|_| number)
    }

    /// Whose data comes in this channel, and whether the server has confirmed it. Data counts from the first request
    /// on (RFC 8656 §12).
    pub(super) fn peer(&self, number: u16) -> Option<(SocketAddr, bool)> {
        let channel = self.channel(number)?;
        match channel.state {
            State::Asked => Some((channel.peer, false)),
            State::Bound => Some((channel.peer, true)),
            State::Waiting | State::Unbound => None,
        }
    }

    /// Whether a channel is to be asked for.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next channel to ask for, or to renew.
    pub(super) fn next(&mut self, now: Instant) -> Option<u16> {
        let Some(number) = self.waiting.pop_front() else { return self.leases.poll_renewal(now) };
        if let Some(channel) = self.channel_mut(number) {
            channel.state = State::Asked;
        }
        Some(number)
    }

    pub(super) fn put(&self, number: u16, writer: &mut Writer<'_>) {
        if let Some(channel) = self.channel(number) {
            writer.put_channel_number(number).put_xor_address(attr::XOR_PEER_ADDRESS, channel.peer);
        }
    }

    /// The server agreed to a request that left at `since`. Returns the peer, and whether the channel is new.
    pub(super) fn bound(&mut self, number: u16, since: Instant) -> Option<(SocketAddr, bool)> {
        let channel = self.channel_mut(number)?;
        let new = channel.state != State::Bound;
        channel.state = State::Bound;
        let peer = channel.peer;
        self.leases.grant(number, since, LIFETIME);
        Some((peer, new))
    }

    /// The server refused, or did not answer. Returns the peer whose channel is over by that.
    pub(super) fn failed(&mut self, number: u16, now: Instant, problem: &Problem) -> Option<SocketAddr> {
        let channel = self.channel_mut(number)?;
        let was_bound = channel.state == State::Bound;
        let peer = channel.peer;
        if was_bound && !problem.is_refusal() {
            self.leases.renew_at(number, now + RETRY);
            return None;
        }
        channel.state = State::Unbound;
        self.leases.end(number);
        was_bound.then_some(peer)
    }

    /// It has to be asked for anew: its request was not good any more.
    pub(super) fn again(&mut self, number: u16, now: Instant) {
        match self.channel_mut(number) {
            Some(channel) if channel.state == State::Asked => self.waiting.push_front(number),
            _ => self.leases.renew_at(number, now),
        }
    }

    /// No peer of this family can be reached any more. Their numbers stay theirs.
    pub(super) fn end_family(&mut self, family: Family) {
        for (number, channel) in (FIRST..).zip(&mut self.list) {
            if Family::from(channel.peer.ip()) == family {
                channel.state = State::Unbound;
                self.leases.end(number);
            }
        }
        let list = &self.list;
        self.waiting.retain(|number| {
            let channel = list.get(usize::from(number - FIRST));
            channel.is_some_and(|channel| channel.state == State::Waiting)
        });
    }

    /// The peer of the next channel that is over.
    pub(super) fn poll_end(&mut self, now: Instant) -> Option<SocketAddr> {
        let number = self.leases.poll_end(now)?;
        let channel = self.channel_mut(number)?;
        channel.state = State::Unbound;
        Some(channel.peer)
    }

    pub(super) fn next_renewal(&self) -> Option<Instant> {
        self.leases.next_renewal()
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.leases.next_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn numbers_stay_in_the_range_of_rfc_8656_12_and_are_never_used_twice() {
        let now = crate::time::test_epoch();
        let mut channels = Channels::default();
        let peer = |n: u16| SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), n));
        for n in 0..=MAX_CHANNELS as u16 {
            channels.bind(peer(n));
        }
        let numbers: Vec<_> = std::iter::from_fn(|| channels.next(now)).collect();
        assert_eq!(numbers, (0x4000..=0x4FFF).collect::<Vec<_>>());
        channels.failed(0x4000, now, &Problem::Unreachable);
        channels.bind(peer(0x1000));
        assert_eq!(channels.next(now), None, "the numbers are used up");
        channels.bind(peer(0));
        assert_eq!(channels.next(now), Some(0x4000), "the same pair may be bound at any time");
    }
}
