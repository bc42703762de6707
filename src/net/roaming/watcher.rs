//! Asks for the interfaces, again and again, and when the kernel says that something has changed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::net::clock;
use crate::net::endpoint::Builder;
use crate::net::interfaces::{self, Local};
use crate::net::udp::Source;
use crate::time::{Duration, Instant};

use super::debounce::Debounce;
use super::notices::Notices;

/// How often the interfaces are asked for.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often while they change, and at the most however often the kernel speaks.
const RESTLESS: Duration = Duration::from_millis(25);
/// When the time of day is ahead of the clock by so much more than before, the host has slept.
const SLEEP: Duration = Duration::from_secs(5);

/// What this host has at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::net) struct Network {
    /// The addresses for host candidates, best first.
    pub(super) bound: Vec<Local>,
    /// Those that the default routes use.
    pub(super) routed: Vec<Local>,
    /// All addresses, whatever they are good for.
    pub(super) assigned: Vec<IpAddr>,
    /// How often the host has slept.
    pub(super) sleeps: u32,
}

impl Network {
    fn now(settings: &Builder, sleeps: u32) -> Self {
        let locals = |source| settings.present(source).unwrap_or_default();
        let mut assigned = interfaces::assigned();
        // The order of interfaces says nothing.
        assigned.sort_unstable();
        assigned.dedup();
        Self { bound: locals(Source::Bound), routed: locals(Source::Routed), assigned, sleeps }
    }

    pub(super) fn of(&self, source: Source) -> &[Local] {
        match source {
            Source::Bound => &self.bound,
            Source::Routed => &self.routed,
        }
    }

    pub(super) fn routed_addrs(&self) -> Vec<SocketAddr> {
        self.routed.iter().map(|local| local.addr).collect()
    }
}

/// Watches while anybody has it.
#[derive(Debug)]
pub(in crate::net) struct Watcher {
    task: AbortHandle,
    look: Arc<Notify>,
    networks: watch::Receiver<Arc<Network>>,
}

impl Watcher {
    /// Within a tokio runtime.
    pub(in crate::net) fn start(settings: Builder) -> Arc<Self> {
        let network = Network::now(&settings, 0);
        let (sender, networks) = watch::channel(Arc::new(network.clone()));
        let look = Arc::<Notify>::default();
        let task = tokio::spawn(run(settings, network, look.clone(), sender)).abort_handle();
        Arc::new(Self { task, look, networks })
    }

    /// What was told last, and what will be.
    pub(super) fn networks(&self) -> watch::Receiver<Arc<Network>> {
        self.networks.clone()
    }

    /// What was told last.
    pub(in crate::net) fn network(&self) -> Arc<Network> {
        self.networks.borrow().clone()
    }

    /// Looks now.
    pub(in crate::net) fn look(&self) {
        self.look.notify_one();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(settings: Builder, network: Network, look: Arc<Notify>, sender: watch::Sender<Arc<Network>>) {
    let mut sleeps = network.sleeps;
    let mut debounce = Debounce::new(clock::now(), network);
    let mut notices = Notices::subscribe();
    loop {
        let (asleep, before) = (clock::unix(), clock::now());
        if debounce.is_restless() {
            // Whoever asks is heard at once.
            let _ = tokio::time::timeout(RESTLESS, look.notified()).await;
        } else {
            let word = async {
                tokio::time::sleep(RESTLESS).await;
                notices.next().await;
            };
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = look.notified() => {}
                () = word => {}
            }
        }
        let now = clock::now();
        if has_slept(clock::unix().saturating_sub(asleep), before, now) {
            sleeps += 1;
        }
        if let Some(network) = debounce.observe(now, Network::now(&settings, sleeps)) {
            sender.send_replace(Arc::new(network));
        }
    }
}

/// The clock may stand still while the host sleeps, or may not: then so much time passed between two looks.
fn has_slept(by_day: Duration, before: Instant, now: Instant) -> bool {
    let by_clock = now.saturating_duration_since(before);
    by_day.saturating_sub(by_clock) > SLEEP || by_clock > INTERVAL + SLEEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_slept_is_known_by_either_clock() {
        let start = clock::now();
        let secs = Duration::from_secs;
        let slept = |by_day, by_clock: Duration| has_slept(by_day, start, start + by_clock);
        assert!(!slept(INTERVAL, INTERVAL));
        assert!(!slept(secs(3), secs(3)), "a busy host is late");
        assert!(slept(secs(3600), INTERVAL), "its clock stood still");
        assert!(slept(secs(3600), secs(3600)), "its clock went on");
        assert!(!slept(Duration::ZERO, INTERVAL), "the time of day was set back");
    }
}
