//! Mobility (RFC 8016): an allocation that survives a change of network. The ticket that the server gave proves, from any
//! other 5-tuple, whose it is.
//!
//! ```text
//!  in place ── detach ─► nowhere ── attach ─► Refresh with the ticket ── success, with the next ticket ─► in place
//!     ▲          nothing is sent, permissions and channels stay            │
//!     └────────────────────── detach, attach: the network changed again ◄──┘
//! ```

use super::client::Client;
use super::request::Purpose;
use crate::time::Instant;

impl Client {
    /// The socket or connection to the server is gone. Whether the allocation can go on from another one: then nothing is
    /// sent until [`Client::attach`]. Else nothing has changed: see [`Client::disconnected`].
    pub fn detach(&mut self, now: Instant) -> bool {
        if !self.allocation.is_mobile() {
            return false;
        }
        self.allocation.uproot();
        // What was asked for from there has to be asked for again.
        for purpose in self.requests.take().into_iter().filter(|purpose| *purpose != Purpose::Move) {
            self.begin_anew(now, purpose);
        }
        true
    }

    /// What is polled from now on leaves from another socket or connection, to the same server: the client moves its
    /// allocation there. [`Event::Moved`](super::Event::Moved) or [`Event::Lost`](super::Event::Lost) follows.
    pub fn attach(&mut self, now: Instant) {
        if self.allocation.is_mobile() && !self.allocation.is_in_place() {
            self.requests.take();
            self.requests.begin(now, Purpose::Move);
        }
    }
}
