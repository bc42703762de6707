//! Mobility (RFC 8016): a relay whose socket or connection is gone goes on from another one of its component. Its relayed
//! addresses stay bases, their pairs stay valid; the path is announced again from where it leaves now.
//!
//! ```text
//!  socket removed, connection lost ─► detached ─┬─ another base ─► attached ─► Moved ─► Event::Path
//!                                               ├─ no base ──► waits for add_socket, 10 s
//!                                               └─ no ticket, no time left: the allocation is lost
//! ```

use super::Agent;
use super::bases::Via;
use super::event::ServerProblem;
use super::output::Intent;
use super::relays::{Link, RelayId};
use crate::candidate::BaseId;
use crate::io::CloseReason;
use crate::time::{Duration, Instant};

/// How long a relay waits for a socket. Its consent would end soon after that (RFC 7675 §5.1).
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that ends so soon after a move is not replaced again: its server does not want it.
const LEAST: Duration = Duration::from_secs(5);

impl Agent {
    /// The socket of this base is gone: each relay that was reached from there moves, waits for a socket, or is lost.
    pub(super) fn leave_base(&mut self, now: Instant, gone: BaseId) {
        let from_there: Vec<RelayId> = self.relays.of_base(gone).collect();
        for id in from_there {
            self.relays.unlink(id, &mut self.connections);
            let moves =
                self.relays.get_mut(id).is_some_and(|relay| relay.is_allocated() && relay.client.detach(now));
            if moves && (self.find_home(now, id, gone) || self.wait_for_home(now, id, gone)) {
                continue;
            }
            let bases = self.relays.take(id).map(|relay| relay.bases().collect::<Vec<_>>());
            for base in bases.into_iter().flatten() {
                self.forget_base(base);
            }
        }
    }

    /// A new socket: relays that wait for one go on from there.
    pub(super) fn take_in(&mut self, now: Instant, to: BaseId) {
        for id in self.relays.homeless() {
            if self.may_live_at(id, to, None) {
                self.move_to(now, id, to);
            }
        }
    }

    /// Time is over for relays that found no socket.
    pub(super) fn run_homeless(&mut self, now: Instant) {
        for id in self.relays.ids() {
            let Some(relay) = self.relays.get_mut(id) else { continue };
            if relay.home.take_due(now) {
                relay.client.disconnected();
                self.follow_relay(now, id);
            }
        }
    }

    /// Waits if no socket of its component could reach the server. Where one could and is in use for an allocation of its
    /// own, ICE goes on with that.
    fn wait_for_home(&mut self, now: Instant, id: RelayId, gone: BaseId) -> bool {
        let Some(relay) = self.relays.get(id) else { return false };
        let (component, server) = (relay.component, relay.server_addr);
        let could = self.bases.iter().any(|(base, entry)| {
            base != gone
                && entry.via == Via::Socket
                && entry.component == component
                && entry.addr.is_ipv4() == server.is_ipv4()
        });
        if let Some(relay) = self.relays.get_mut(id).filter(|_| !could) {
            relay.home.set(now + PATIENCE);
        }
        !could
    }

    fn find_home(&mut self, now: Instant, id: RelayId, gone: BaseId) -> bool {
        let homes: Vec<_> = self.bases.iter().map(|(base, entry)| (entry.preference, base)).collect();
        let homes = homes.into_iter().filter(|(_, base)| self.may_live_at(id, *base, Some(gone)));
        let Some((_, to)) = homes.max() else { return false };
        self.move_to(now, id, to);
        true
    }

    fn may_live_at(&self, id: RelayId, at: BaseId, gone: Option<BaseId>) -> bool {
        let (Some(relay), Some(base)) = (self.relays.get(id), self.bases.get(at)) else { return false };
        // One 5-tuple, one allocation.
        let occupied = relay.protocol().is_none()
            && self
                .relays
                .of_server(at, relay.server_addr)
                .is_some_and(|other| self.relays.get(other).is_some_and(|other| !other.client.is_finished()));
        Some(at) != gone
            && base.via == Via::Socket
            && base.component == relay.component
            && base.addr.is_ipv4() == relay.server_addr.is_ipv4()
            && (!base.addr.ip().is_loopback() || relay.server_addr.ip().is_loopback())
            && !occupied
    }

    fn move_to(&mut self, now: Instant, id: RelayId, to: BaseId) {
        let Some(base) = self.bases.get(to).copied() else { return };
        let Some(relay) = self.relays.get_mut(id) else { return };
        let server = relay.server_addr;
        relay.home.stop();
        relay.from = to;
        relay.moved_at = Some(now);
        if relay.protocol().is_some() {
            // The session waits for it: it is not for gathering or checks, and takes no slot.
            relay.link = Link::Unopened;
            return self.connect_relay(id);
        }
        relay.link = Link::Datagrams;
        let relayed: Vec<_> = relay.bases().collect();
        relay.client.attach(now);
        for relayed in relayed {
            self.bases.rehome(relayed, base.socket, base.local);
        }
        if let Some(other) = self.relays.of_server(to, server) {
            self.relays.take(other);
        }
        self.relays.link(id);
        self.follow_relay(now, id);
    }

    /// Whether a relay moves at a restart, which then waits for it.
    pub(super) fn await_relay(&mut self, id: RelayId) -> bool {
        let Some(relay) = self.relays.get_mut(id).filter(|relay| relay.client.is_moving()) else {
            return false;
        };
        (relay.awaited, relay.settled) = (true, false);
        true
    }

    /// The connection for a relay that moves stands.
    pub(super) fn arrive(&mut self, now: Instant, id: RelayId) {
        let Some(relay) = self.relays.get_mut(id) else { return };
        let Link::Open(socket, local) = relay.link else { return };
        relay.client.attach(now);
        let relayed: Vec<_> = relay.bases().collect();
        for relayed in relayed {
            self.bases.rehome(relayed, socket, local);
        }
    }

    /// The server knows where the client is now. It sends the peer's data there from the first message to the peer on
    /// (RFC 8016 §3.2.2): an indication is one that nobody answers, for those who have nothing to say at the moment.
    pub(super) fn follow_moved(&mut self, now: Instant, id: RelayId) {
        let Some(relay) = self.relays.get_mut(id) else { return };
        relay.moved_at = Some(now);
        let relayed: Vec<BaseId> = relay.bases().collect();
        if std::mem::take(&mut relay.awaited) {
            relay.settled = true;
            let known = relay.mapped.map(|mapped| (relay.server_addr, mapped));
            for base in &relayed {
                if let Some(((server, mapped), entry)) = known.zip(self.bases.get(*base).copied()) {
                    self.offer_relayed(now, *base, &entry, server, mapped);
                }
            }
        }
        self.follow_paths(now);
        for index in 0..self.flows.len() {
            let pair = self.flows[index].pair.and_then(|pair| self.pair_in_use(pair));
            if pair.is_some_and(|pair| relayed.contains(&pair.base)) {
                self.intents.push(Intent::Indication(index));
            }
        }
    }

    /// With the connection goes the 5-tuple. With a ticket the relay goes on over another connection; without one the
    /// allocation and all that it carries are lost (RFC 8656 §3.1).
    pub(super) fn lose_relay(&mut self, now: Instant, id: RelayId, why: CloseReason) {
        self.relays.unlink(id, &mut self.connections);
        let Some(relay) = self.relays.get_mut(id) else { return };
        let from = relay.from;
        let soon = relay.moved_at.is_some_and(|at| now.saturating_duration_since(at) < LEAST);
        let has_base = self.bases.get(from).is_some();
        if relay.is_allocated() && !soon && has_base && relay.client.detach(now) {
            self.relay_problem(id, ServerProblem::Connection(why));
            self.move_to(now, id, from);
            self.follow_paths(now);
            return;
        }
        let needed = relay.client.disconnected() || !relay.settled;
        if needed {
            self.relay_problem(id, ServerProblem::Connection(why));
        }
        self.follow_relay(now, id);
    }
}
