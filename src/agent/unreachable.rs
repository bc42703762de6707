//! Hard ICMP errors (RFC 8489 §6.2.1, RFC 8445 §7.2.5.2.2). Nobody vouches for them: what has ever been answered goes on,
//! and ends by its own rules.

use std::net::{IpAddr, SocketAddr};

use super::Agent;
use super::event::ServerProblem;
use crate::io::SocketId;
use crate::time::Instant;

impl Agent {
    pub(super) fn follow_unreachable(
        &mut self,
        now: Instant,
        socket: SocketId,
        local: IpAddr,
        destination: SocketAddr,
    ) {
        let Some(base) = self.bases.of_socket(socket, local).filter(|_| !self.is_over()) else { return };
        for query in self.gatherer.end_unreachable(base, destination) {
            self.query_problem(query, ServerProblem::Unreachable);
        }
        if let Some(id) = self.relays.of_server(base, destination) {
            if let Some(relay) = self.relays.get_mut(id) {
                relay.client.unreachable(now);
            }
            self.follow_relay(now, id);
        }
        if self.checks.note_unreachable(base, destination) {
            self.follow_checks(now);
        }
        self.follow_gathering(now);
    }
}
