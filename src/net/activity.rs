//! Whether the application sends: what leaves by a [`Route`](super::route::Route) goes past the driver, which has to know
//! of it all the same ([`Agent::note_sent`](crate::agent::Agent::note_sent)).
//!
//! ```text
//!  sender                        driver
//!  is it awaited? ── first ───►  note_sent, and is not awaited for PERIOD
//!       │ no: one load           awaited again
//! ```
//!
//! A datagram costs its sender one load; one in [`PERIOD`] wakes the driver. Where nobody sends, nobody wakes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::io::ComponentId;
use crate::time::{Duration, Instant, earliest};

/// How often the driver is told: a flow counts as idle after twice that.
const PERIOD: Duration = Duration::from_secs(5);

/// What those who send on one component tell.
#[derive(Debug)]
pub(super) struct Activity {
    /// Nothing is ordered by it: at worst the next datagram tells.
    is_awaited: AtomicBool,
    told: Arc<Notify>,
}

impl Activity {
    /// A datagram was sent.
    pub(super) fn note(&self) {
        // The load keeps the cache line shared among all who send.
        if self.is_awaited.load(Ordering::Relaxed) && self.is_awaited.swap(false, Ordering::Relaxed) {
            self.told.notify_one();
        }
    }
}

/// What the driver knows of all components.
#[derive(Debug)]
pub(super) struct Activities {
    list: Vec<Flow>,
    told: Arc<Notify>,
    /// The earliest instant in the list.
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct Flow {
    component: ComponentId,
    activity: Arc<Activity>,
    /// When the next datagram is awaited; `None`: it is.
    again: Option<Instant>,
}

impl Activities {
    pub(super) fn new(components: impl IntoIterator<Item = ComponentId>) -> Self {
        let told = Arc::<Notify>::default();
        let flow = |component| {
            let activity = Activity { is_awaited: AtomicBool::new(true), told: told.clone() };
            Flow { component, activity: Arc::new(activity), again: None }
        };
        Self { list: components.into_iter().map(flow).collect(), told: told.clone(), deadline: None }
    }

    /// For those who send, in the order of the components.
    pub(super) fn each(&self) -> impl Iterator<Item = Arc<Activity>> + '_ {
        self.list.iter().map(|flow| flow.activity.clone())
    }

    /// Waits until somebody has sent what was awaited. May be dropped and called again.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// When something is awaited again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Calls `note` for each component on which something was sent since it was awaited, and awaits what it is time for.
    pub(super) fn follow(&mut self, now: Instant, mut note: impl FnMut(ComponentId)) {
        self.deadline = None;
        for flow in &mut self.list {
            match flow.again {
                Some(again) if again <= now => {
                    flow.again = None;
                    flow.activity.is_awaited.store(true, Ordering::Relaxed);
                }
                None if !flow.activity.is_awaited.load(Ordering::Relaxed) => {
                    flow.again = Some(now + PERIOD);
                    note(flow.component);
                }
                _ => {}
            }
            self.deadline = earliest(self.deadline, flow.again);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn follow(activities: &mut Activities, now: Instant) -> Vec<ComponentId> {
        let mut noted = Vec::new();
        activities.follow(now, |component| noted.push(component));
        noted
    }

    fn is_told(activities: &Activities) -> bool {
        pin!(activities.told()).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn of_all_that_is_sent_in_5_s_the_first_is_told() {
        let components = [1, 2].map(|component| ComponentId { stream: 0, component });
        let mut activities = Activities::new(components);
        let senders: Vec<_> = activities.each().collect();
        let start = super::super::clock::now();
        assert!(!is_told(&activities) && follow(&mut activities, start).is_empty());
        senders[1].note();
        assert!(is_told(&activities));
        assert_eq!(follow(&mut activities, start), [components[1]]);
        assert_eq!(activities.deadline(), Some(start + PERIOD));
        for ms in [0, 1, 4999] {
            senders[1].note();
            assert!(!is_told(&activities), "{ms}");
            assert!(follow(&mut activities, start + Duration::from_millis(ms)).is_empty(), "{ms}");
        }
        // The other component waits for nothing.
        senders[0].note();
        assert!(is_told(&activities));
        let later = start + Duration::from_secs(4);
        assert_eq!(follow(&mut activities, later), [components[0]]);
        assert!(follow(&mut activities, start + PERIOD).is_empty());
        assert_eq!(activities.deadline(), Some(later + PERIOD));
        senders[1].note();
        assert!(is_told(&activities));
        assert_eq!(follow(&mut activities, start + PERIOD), [components[1]]);
    }

    #[test]
    fn where_nobody_sends_nothing_is_waited_for() {
        let mut activities = Activities::new([ComponentId::FIRST]);
        let start = super::super::clock::now();
        activities.each().for_each(|sender| sender.note());
        assert_eq!(follow(&mut activities, start), [ComponentId::FIRST]);
        assert!(follow(&mut activities, start + PERIOD).is_empty());
        assert_eq!(activities.deadline(), None);
    }
}
