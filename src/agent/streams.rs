//! A data stream that ends before the session does.

use super::Agent;
use super::event::Event;
use crate::checks::checklist::Checklist;
use crate::time::Instant;

impl Agent {
    /// Removes a data stream: a later offer or answer has its port at zero (RFC 8839 §4.4.1.1.2). Its pairs, checks,
    /// keepalives, relays and paths end at once, and its signals are refused; its number is not used again. Without the
    /// last one the session is closed.
    pub fn remove_stream(&mut self, now: Instant, stream: u16) {
        self.wake_up(now);
        if self.is_over() || self.checks.checklist(stream).is_none_or(Checklist::is_removed) {
            return;
        }
        if self.checks.checklists().iter().filter(|list| !list.is_removed()).count() == 1 {
            return self.close(now);
        }
        for flow in self.flows.iter_mut().filter(|flow| flow.component.stream == stream) {
            flow.end();
            if flow.path.take().is_some() {
                self.events.push_back(Event::Path { component: flow.component, path: None });
            }
        }
        self.untold.retain(|signal| signal.stream != stream);
        self.checks.remove_stream(stream);
        if let Some(previous) = &mut self.previous {
            previous.remove_stream(stream);
        }
        let bases: Vec<_> =
            self.bases.iter().filter(|(_, base)| base.component.stream == stream).map(|(id, _)| id).collect();
        for id in self.relays.ids() {
            if let Some(relay) = self.relays.get_mut(id).filter(|relay| bases.contains(&relay.from)) {
                relay.settled = true;
                relay.client.close(now);
                self.follow_relay(now, id);
            }
        }
        for base in bases {
            self.gatherer.remove_base(base);
            self.checks.remove_base(base);
        }
        self.follow_checks(now);
        self.follow_gathering(now);
    }
}
