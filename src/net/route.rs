//! From a path to the socket that serves it: any task sends by itself, and none after the path is gone.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::Path;
use crate::io::{ComponentId, Transmit};

use super::activity::Activity;
use super::carrier::Carrier;
use super::counters::Counters;
use super::udp::TooLarge;

thread_local! {
    /// Where a payload is wrapped for a relay. A direct path needs no copy.
    static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where the data of one component goes at present.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) path: Path,
    pub(super) carrier: Carrier,
}

impl Route {
    /// The largest payload, in bytes.
    fn limit(&self) -> usize {
        self.carrier.limit(&self.path)
    }

    fn try_send(&self, payload: &[u8]) -> io::Result<()> {
        let (len, limit) = (payload.len(), self.limit());
        if len > limit {
            return Err(TooLarge { len, limit }.into());
        }
        let sent = if self.path.overhead() == 0 {
            let Path { socket, local, destination, .. } = self.path;
            self.carrier.try_send(&Transmit::new(socket, local, destination, payload))
        } else {
            FRAME.with_borrow_mut(|buf| {
                let room = Path::HEADROOM + len + Path::TAILROOM;
                if buf.len() < room {
                    buf.resize(room, 0);
                }
                buf[Path::HEADROOM..Path::HEADROOM + len].copy_from_slice(payload);
                self.carrier.try_send(&self.path.wrap(buf, len))
            })
        };
        // The kernel knew a smaller limit.
        match sent {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && len > self.limit() => {
                Err(TooLarge { len, limit: self.limit() }.into())
            }
            sent => sent,
        }
    }
}

/// The sending side of one component.
#[derive(Debug)]
pub(super) struct Outlet {
    component: ComponentId,
    route: watch::Receiver<Option<Route>>,
    counters: Arc<Counters>,
    activity: Arc<Activity>,
}

impl Outlet {
    pub(super) fn new(
        component: ComponentId,
        route: watch::Receiver<Option<Route>>,
        counters: Arc<Counters>,
        activity: Arc<Activity>,
    ) -> Self {
        Self { component, route, counters, activity }
    }

    pub(super) fn component(&self) -> ComponentId {
        self.component
    }

    pub(super) fn path(&self) -> Option<Path> {
        self.route.borrow().as_ref().map(|route| route.path)
    }

    pub(super) fn max_payload(&self) -> Option<usize> {
        self.route.borrow().as_ref().map(Route::limit)
    }

    /// Waits for a path; `false` if there will be none any more.
    pub(super) async fn has_path(&self) -> bool {
        self.route.clone().wait_for(Option::is_some).await.is_ok()
    }

    /// Sends now or fails.
    pub(super) fn try_send(&self, payload: &[u8]) -> io::Result<()> {
        // The route is held while the kernel is called: when the driver has taken it away, nobody still sends
        // (RFC 7675 §5.1).
        let route = self.route.borrow();
        route.as_ref().ok_or_else(not_connected)?.try_send(payload)?;
        self.counters.packets_sent.add(1);
        self.counters.bytes_sent.add(payload.len() as u64);
        self.activity.note();
        Ok(())
    }

    /// Sends, and waits for room in the send buffer where there is none.
    pub(super) async fn send(&self, payload: &[u8]) -> io::Result<()> {
        // A loop that only sends leaves the driver its turn.
        tokio::task::coop::consume_budget().await;
        loop {
            match self.try_send(payload) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_room().await?,
                sent => return sent,
            }
        }
    }

    /// Waits until the socket of the present route may have room.
    pub(super) async fn wait_for_room(&self) -> io::Result<()> {
        let mut route = self.route.clone();
        let carrier = route.borrow_and_update().as_ref().map(|route| route.carrier.clone());
        tokio::select! {
            ready = async { carrier.ok_or_else(not_connected)?.writable().await } => ready,
            // Another path has another socket.
            _ = route.changed() => Ok(()),
        }
    }
}

fn not_connected() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "there is no path to the peer")
}
