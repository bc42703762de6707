//! Data both ways (RFC 8656 §11, §12): nothing is copied, queued or allocated.

use std::net::SocketAddr;

use super::Server;
use super::allocation::{Client, Half};
use super::event::{Forward, Received};
use super::table::AllocationId;
use crate::io::Datagram;
use crate::stun::wire::Plain;
use crate::turn::data::{Framing, read_channel_data, read_indication};

/// The longest payload of UDP over IPv4.
const MAX_UDP: usize = 65_507;
impl Server {
    /// ChannelData of a client (RFC 8656 §12.6). Over UDP its padding may be there or not.
    pub(super) fn handle_channel_data<'a>(&mut self, client: Client, datagram: &'a [u8]) -> Received<'a> {
        let Some((number, payload)) = read_channel_data(datagram) else {
            self.stats.drops.malformed += 1;
            return Received::Consumed;
        };
        let Some(id) = self.sender(&client) else { return Received::Consumed };
        let Some(allocation) = self.allocations.at(id) else { return Received::Consumed };
        let Some(peer) = allocation.peer_of(self.now, number) else {
            self.stats.drops.no_channel += 1;
            return Received::Consumed;
        };
        let Some(half) = allocation.half(peer.ip().into()) else {
            self.stats.drops.no_permission += 1;
            return Received::Consumed;
        };
        let forward = to_peer(half, peer, payload);
        self.pass_to_peer(forward)
    }

    /// A Send indication (RFC 8656 §11.2). It is not authenticated: allocation and permission vouch for it. One with
    /// DONT-FRAGMENT is dropped, because the driver cannot set DF.
    pub(super) fn handle_send<'a>(&mut self, client: Client, plain: Plain<'a>) -> Received<'a> {
        let Some(id) = self.sender(&client) else { return Received::Consumed };
        let Some(allocation) = self.allocations.at(id) else { return Received::Consumed };
        let read = read_indication(plain.message()).filter(|_| !plain.attributes().has_dont_fragment());
        let Some((peer, payload)) = read else {
            self.stats.drops.malformed += 1;
            return Received::Consumed;
        };
        if !allocation.permits(self.now, peer.ip()) {
            self.stats.drops.no_permission += 1;
            return Received::Consumed;
        }
        let Some(half) = allocation.half(peer.ip().into()) else {
            self.stats.drops.no_permission += 1;
            return Received::Consumed;
        };
        let forward = to_peer(half, peer, payload);
        self.pass_to_peer(forward)
    }

    /// The allocation whose client sends this. Data from where a client has moved to completes the move
    /// (RFC 8016 §3.2.2).
    fn sender(&mut self, client: &Client) -> Option<AllocationId> {
        let Some(id) = self.allocations.id_of(client) else {
            self.stats.drops.no_allocation += 1;
            return None;
        };
        if self.arrives(client, id) {
            self.finish_move(id);
        }
        Some(id)
    }

    /// A datagram on a relay socket of this allocation (RFC 8656 §11.3).
    pub(super) fn handle_peer<'a>(&mut self, id: AllocationId, datagram: Datagram<'a>) -> Received<'a> {
        let Some(allocation) = self.allocations.at(id) else { return Received::Consumed };
        let Some(Client { socket, local, source }) = allocation.client else {
            self.stats.drops.no_client += 1;
            return Received::Consumed;
        };
        let peer = datagram.source;
        if !allocation.permits(self.now, peer.ip()) {
            self.stats.drops.no_permission += 1;
            return Received::Consumed;
        }
        let framing = match allocation.channel_to(self.now, peer) {
            Some(number) => Framing::Channel(number),
            None => Framing::Data { peer, id: allocation.indication },
        };
        let payload = datagram.payload;
        if payload.len() + framing.overhead() > MAX_UDP {
            self.stats.drops.too_long += 1;
            return Received::Consumed;
        }
        self.stats.packets_to_clients += 1;
        self.stats.bytes_to_clients += payload.len() as u64;
        Received::Forward(Forward { socket, local, destination: source, framing, payload })
    }

    fn pass_to_peer<'a>(&mut self, forward: Forward<'a>) -> Received<'a> {
        if !self.may_reach(forward.destination) {
            self.stats.drops.forbidden_peer += 1;
            return Received::Consumed;
        }
        self.stats.packets_to_peers += 1;
        self.stats.bytes_to_peers += forward.payload.len() as u64;
        Received::Forward(forward)
    }

    /// A client may meet another client of this server at its relayed address, but nothing else that listens on
    /// the address of the relay sockets, unless a rule names it.
    fn may_reach(&self, peer: SocketAddr) -> bool {
        peer.port() != 0
            && (!self.ports.is_relay(peer.ip())
                || self.ports.has_socket(peer)
                || self.config.peers.ruled(peer.ip()).is_some())
    }
}

fn to_peer<'a>(half: &Half, peer: SocketAddr, payload: &'a [u8]) -> Forward<'a> {
    let (socket, local) = (half.relay, half.relayed.ip());
    Forward { socket, local, destination: peer, framing: Framing::Direct, payload }
}
