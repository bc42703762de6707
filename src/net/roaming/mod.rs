//! A session follows its host from network to network.
//!
//! ```text
//!  interfaces ── Watcher, one for an endpoint: asks and waits until it is quiet
//!                   │ Network
//!                   ▼
//!                Presence, one for a session ──► sockets added, sockets removed, one restart
//! ```
//!
//! The interfaces are asked for twice a second while there are sessions, and on Linux at once when the kernel says that a
//! link, an address or a route has changed.

mod debounce;
#[cfg_attr(not(target_os = "linux"), path = "no_notices.rs")]
mod notices;
mod presence;
mod watcher;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::State;
use crate::time::{Duration, Instant};

use super::bases::Bound;
use super::clock;
use super::driver::Driver;
use super::route::Route;

use self::presence::{Presence, Worth};
pub(super) use self::watcher::{Network, Watcher};

/// Checks from new addresses to the peer's known ones have four round trips before the restart begins, which ends them: with
/// renomination the path may have moved by then, without signaling. It is at least so long, since transactions are paced.
const MIN_HEAD_START: Duration = Duration::from_millis(100);
/// And at most: where NATs let none of these checks in, only the restart moves the path.
const MAX_HEAD_START: Duration = Duration::from_millis(500);
/// Of a round trip that was not measured.
const UNKNOWN_RTT: Duration = Duration::from_millis(60);
/// Restarts for changes of the network are so far apart at least, however restless it is.
const APART: Duration = Duration::from_secs(5);
/// And those without which there is no path.
const URGENT_APART: Duration = Duration::from_secs(1);

/// Whether sessions follow changes of this host's interfaces, addresses and default routes.
///
/// With [`On`](Self::On) an address that appears gets sockets, from which the peer's known candidates are checked at once. The
/// sockets of an address that has gone for half a second are closed, at once if another one came in its place; while there is
/// no other they stay, because they work again when it comes back. An address that is deprecated stays in use.
///
/// ICE is restarted, make-before-break, for an address that came or came back, unless that is on a tunnel or a bridge
/// of containers; when the address that the default route uses is another one; when the address of the present path has
/// gone; and when the host has slept. One change is one restart, and two are five seconds apart, one second if the path has
/// gone. The signals of the restart leave as any others do. While one is due, no
/// [`Event::RestartNeeded`](crate::Event::RestartNeeded) comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roaming {
    /// They do.
    On,
    /// They keep what they began with.
    Off,
}

/// What a session does about its network.
#[derive(Debug)]
pub(super) struct Roam {
    presence: Presence,
    networks: watch::Receiver<Arc<Network>>,
    /// A restart that is due.
    restart: Option<Instant>,
    /// The last one.
    restarted: Option<Instant>,
    /// Ends with the last session that has it.
    _watcher: Arc<Watcher>,
}

impl Roam {
    /// For a session that begins with what `watcher` knows.
    pub(super) fn new(watcher: Arc<Watcher>, presence: Presence) -> Self {
        let networks = watcher.networks();
        Self { presence, networks, restart: None, restarted: None, _watcher: watcher }
    }

    pub(super) fn presence(began: &Network, has: impl IntoIterator<Item = SocketAddr>) -> Presence {
        Presence::new(began, has)
    }

    /// Waits until the network is another one; forever if nobody watches it any more.
    pub(super) async fn changed(roam: Option<&mut Self>) {
        if let Some(roam) = roam
            && roam.networks.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// When something is due without a change.
    pub(super) fn deadline(&self) -> Option<Instant> {
        crate::time::earliest(self.presence.deadline(), self.restart)
    }

    /// Whether a restart is due soon, for whatever reason it is asked for meanwhile.
    pub(super) fn will_restart(&self) -> bool {
        self.restart.is_some()
    }

    fn want_restart(&mut self, now: Instant, head_start: Duration, apart: Duration) {
        let earliest = self.restarted.map_or(now, |last| last + apart).max(now + head_start);
        self.restart = crate::time::earliest(self.restart, Some(earliest));
    }
}

impl Driver {
    /// The network is another one. What has been replaced goes first: a relay that has to move takes the first socket that
    /// comes (RFC 8016), which would get an allocation of its own otherwise.
    pub(super) fn follow_network(&mut self) {
        let head_start = self.head_start();
        let Some(roam) = &mut self.roam else { return };
        let now = clock::now();
        let network = roam.networks.borrow_and_update().clone();
        let change = roam.presence.follow(now, &network, self.bases.source);
        tracing::debug!(?change, "the network changed");
        if change.worth == Worth::Restart {
            roam.want_restart(now, head_start, APART);
        }
        self.leave_addresses(now);
        let Self { agent, ports, listeners, mapped, .. } = self;
        let bound = self.bases.bind(&change.added, &mut Bound { agent, ports, listeners, mapped });
        if self.agent.wants_mappings() {
            for (transport, local) in bound {
                self.mapped.add(transport, local);
            }
        }
        self.roam_on(now);
    }

    /// How long checks have before a restart ends them.
    fn head_start(&self) -> Duration {
        let components = self.bases.components.iter();
        let pairs = components.flat_map(|component| self.agent.valid_pairs(*component));
        let rtt = pairs.filter(|pair| pair.selected).filter_map(|pair| pair.quality.rtt).max();
        (rtt.unwrap_or(UNKNOWN_RTT) * 4).clamp(MIN_HEAD_START, MAX_HEAD_START)
    }

    /// A restart for whatever reason serves for a change of the network, too.
    pub(super) fn restart(&mut self, now: Instant) {
        if let Some(roam) = &mut self.roam {
            (roam.restart, roam.restarted) = (None, Some(now));
        }
        self.agent.restart(now);
    }

    /// Leaves addresses whose time is over, and restarts when that is due.
    pub(super) fn roam_on(&mut self, now: Instant) {
        self.leave_addresses(now);
        let Some(roam) = &mut self.roam else { return };
        if roam.restart.take_if(|at| *at <= now).is_some() {
            // Before the peer has answered, candidates are signalled as they come.
            if !matches!(self.agent.state(), State::New | State::Gathering) {
                self.restart(now);
            }
        }
        self.drain();
    }

    fn leave_addresses(&mut self, now: Instant) {
        let head_start = self.head_start();
        let Some(roam) = &mut self.roam else { return };
        let gone = self.bases.leave(&roam.presence.take_gone(now));
        let leaves = |route: &Route| gone.contains(&route.path.socket());
        if self.routes.iter().any(|(_, watch)| watch.borrow().as_ref().is_some_and(leaves)) {
            roam.want_restart(now, head_start, URGENT_APART);
        }
        for id in gone {
            self.ports.close(id);
            self.listeners.close(id);
            self.agent.remove_socket(now, id);
        }
    }
}
