//! Data streams that begin after the session, or end before it.

use super::Agent;
use super::event::Event;
use super::flow::Flow;
use super::free::Free;
use crate::checks::checklist::Checklist;
use crate::error::AddStreamError;
use crate::io::ComponentId;
use crate::time::Instant;

/// The most data streams of a session, removed ones included: as many as a session description may have.
const MAX_STREAMS: usize = crate::sdp::MAX_MEDIA;

impl Agent {
    /// Adds a data stream of so many components, clamped to 1 to 256, to a session that may have begun (RFC 8839
    /// §4.4.3.1), and returns its number, the next one. Its credentials are signalled; give it sockets with
    /// [`add_socket`](Self::add_socket), and say [`end_of_sockets`](Self::end_of_sockets) after the last one. The peer has
    /// to add it too: both ends number streams in the order they were added.
    ///
    /// The other streams go on as they are, on their paths. The session is [`Checking`](super::State::Checking) again, and
    /// [`Completed`](super::State::Completed) when this stream is too. Checks of pairs that look like pairs of other
    /// streams wait for these (RFC 8445 §6.1.2.6). A restart has the stream as one of its own.
    ///
    /// # Errors
    /// [`AddStreamError`]; the agent is unchanged.
    pub fn add_stream(&mut self, now: Instant, components: u16) -> Result<u16, AddStreamError> {
        self.wake_up(now);
        if self.is_over() {
            return Err(AddStreamError::Closed);
        }
        let count = self.config.components.len();
        let stream = u16::try_from(count).ok().filter(|_| count < MAX_STREAMS);
        let stream = stream.ok_or(AddStreamError::TooMany(MAX_STREAMS))?;
        let components = components.clamp(1, 256);
        self.config.components.push(components);
        self.checks.add_stream(components, &mut self.rng);
        self.heard.push(0);
        self.flows.extend((1..=components).map(|component| Flow::new(ComponentId { stream, component })));
        self.sockets_ended = false;
        // What was not selected may be of use again.
        self.free = Free::default();
        self.signal_credentials_of(stream);
        self.update_state(now);
        Ok(stream)
    }

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
