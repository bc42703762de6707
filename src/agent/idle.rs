//! How often a flow is kept alive that carries no data, where the lifetime of the NAT's mappings is known.
//!
//! | flow | without a known lifetime | with a lifetime of L |
//! |---|---|---|
//! | with consent, data in the last 10 s | 5 s | 5 s |
//! | with consent, idle | 5 s | 0.4 L, between 5 s and 12 s |
//! | without consent: Binding indications | 15 s | 0.8 L, at least 15 s |
//!
//! What counts as data: what was received, and what the application has told by [`Agent::note_sent`]. A copy of a
//! [`Path`](super::Path) sends without the agent; who sends and never hears a word keeps the mapping open by what it sends,
//! and its consent expires after 30 s whatever the period is.

use super::Agent;
use super::config::Config;
use crate::consent::{MAX_PERIOD, PERIOD};
use crate::io::ComponentId;
use crate::time::{Duration, Instant};

/// A flow without data for so long is idle: two periods.
const IDLE: Duration = Duration::from_secs(10);

impl Config {
    /// The period of consent requests on an idle pair: as often as the mapping needs it, also if one of two is lost.
    fn idle_period(&self) -> Duration {
        let period = self.mapping_lifetime.map_or(PERIOD, |lifetime| lifetime.saturating_mul(2) / 5);
        period.clamp(PERIOD, MAX_PERIOD)
    }

    /// The interval of keepalives where there is no consent.
    pub(super) fn keepalive_interval(&self) -> Duration {
        let known = self.mapping_lifetime.map_or(Duration::ZERO, |lifetime| lifetime.saturating_mul(4) / 5);
        // What is longer than a day is forever, and an instant has an end.
        self.keepalive.max(known.min(Duration::from_secs(86_400)))
    }
}

impl Agent {
    /// The application has sent data on the path of this component: it is not idle. Of use only with
    /// [`Config::mapping_lifetime`], and once every 5 s is enough. It puts the keepalive of a pair without consent off (RFC
    /// 8445 §11).
    pub fn note_sent(&mut self, now: Instant, component: ComponentId) {
        let interval = self.config.keepalive_interval();
        if let Some(flow) = self.flows.iter_mut().find(|flow| flow.component == component)
            && flow.keepalive.deadline().is_some()
        {
            flow.keepalive.set(now + interval);
            self.wake_up(now);
        }
        self.note_data(now, component);
    }

    /// Data has come, or was sent.
    pub(super) fn note_data(&mut self, now: Instant, component: ComponentId) {
        if self.config.mapping_lifetime.is_none() {
            return;
        }
        let Some(index) = self.flows.iter().position(|flow| flow.component == component) else { return };
        let was_idle = self.is_idle(now, index);
        self.flows[index].busy = Some(now);
        if was_idle {
            self.pace_consent(now, index);
            self.wake_up(now);
        }
    }

    /// Before anything is asked of its consent.
    pub(super) fn pace_consent(&mut self, now: Instant, index: usize) {
        let period = if self.is_idle(now, index) { self.config.idle_period() } else { PERIOD };
        if let Some(consent) = &mut self.flows[index].consent {
            consent.set_period(now, period);
        }
    }

    fn is_idle(&self, now: Instant, index: usize) -> bool {
        self.flows[index].busy.is_none_or(|busy| now.saturating_duration_since(busy) >= IDLE)
    }
}
