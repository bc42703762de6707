//! What a client needs to find out how its NAT behaves (RFC 5780): answers from another address and port, to another
//! port, with padding.
//!
//! Nobody proves who they are here, so that the answers must not be worth a forged source: they are counted by the rate
//! of unauthenticated answers, go to the address that asked whatever its port, and have no more PADDING than the request.
//! That is less than the MTU which RFC 5780 §6.1 recommends; a longer answer would have to be fragmented, which the
//! sockets of the driver never do.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Server;
use super::reply::Answer;
use crate::io::SocketId;
use crate::stun::wire::attr;
use crate::stun::{Attributes, code};

/// The attributes that a Binding request may have besides, where there is another address.
pub(super) const KNOWN: &[u16] = &[attr::CHANGE_REQUEST, attr::RESPONSE_PORT, attr::PADDING];

/// With the other attributes of an answer, FINGERPRINT included, it stays below the least MTU.
pub(super) const MAX_PADDING: usize = 1024;

/// A bound socket.
type Bound = (SocketId, SocketAddr);

/// Of one of the four sockets: from where answers come.
#[derive(Debug, Clone, Copy)]
struct Place {
    own: Bound,
    other_port: Bound,
    other_ip: Bound,
    other: Bound,
}

/// The sockets that know of three others.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<SocketId, Place>);

/// An answer to a Binding request where there is another address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Discovery {
    /// The socket that it is sent from: RESPONSE-ORIGIN.
    pub(super) from: (SocketId, SocketAddr),
    /// OTHER-ADDRESS.
    pub(super) other: SocketAddr,
    /// The port that it is sent to, if it is not that of the source.
    pub(super) to_port: Option<u16>,
    /// The length of PADDING, if there is any.
    pub(super) padding: Option<usize>,
}

impl Server {
    /// Adds the four sockets of two addresses of one family, each with the same two ports: with them the server answers
    /// as RFC 5780 says. They take clients like any other socket.
    ///
    /// # Panics
    /// If they are not two addresses with the same two ports each: then OTHER-ADDRESS must not be told
    /// (RFC 5780 §6), and [`add_socket`](Self::add_socket) does that.
    pub fn add_behavior_sockets(&mut self, [a1, a2]: [[(SocketId, SocketAddr); 2]; 2]) {
        let ports = |bound: [Bound; 2]| bound.map(|(_, addr)| addr.port());
        let (ips, own_ports) = ([a1, a2].map(|bound| bound.map(|(_, addr)| addr.ip())), ports(a1));
        assert!(
            own_ports == ports(a2) && own_ports[0] != own_ports[1] && ips[0][0] != ips[1][0],
            "not two addresses with the same two ports"
        );
        assert!(ips.iter().all(|[first, second]| first == second), "not two ports of one address");
        for (own, away) in [(a1, a2), (a2, a1)] {
            for (this, that) in [(0, 1), (1, 0)] {
                let place =
                    Place { own: own[this], other_port: own[that], other_ip: away[this], other: away[that] };
                let (id, local) = own[this];
                self.places.0.insert(id, place);
                self.add_socket(id, local);
            }
        }
    }

    /// Whether there is another address to answer from.
    pub(super) fn has_alternate(&self, socket: SocketId) -> bool {
        self.places.0.contains_key(&socket)
    }

    /// The answer to a Binding request (RFC 5780 §6.1).
    pub(super) fn discover(&self, socket: SocketId, attributes: &Attributes<'_>) -> Answer {
        const BAD_REQUEST: Answer = Answer::Error(code::BAD_REQUEST);
        let Some(place) = self.places.0.get(&socket) else { return Answer::Mapped };
        let from = match attributes.change_request() {
            None if attributes.has(attr::CHANGE_REQUEST) => return BAD_REQUEST,
            None => place.own,
            Some(change) => match (change.ip, change.port) {
                (false, false) => place.own,
                (false, true) => place.other_port,
                (true, false) => place.other_ip,
                (true, true) => place.other,
            },
        };
        let to_port = attributes.response_port();
        if to_port == Some(0) || to_port.is_none() && attributes.has(attr::RESPONSE_PORT) {
            return BAD_REQUEST;
        }
        let padding = attributes.find(attr::PADDING).map(|padding| padding.len().min(MAX_PADDING));
        if padding.is_some() && to_port.is_some() {
            return BAD_REQUEST;
        }
        Answer::Discovered(Discovery { from, other: place.other.1, to_port, padding })
    }
}
