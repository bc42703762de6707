//! What the agent wants done, and what has happened to it.

use std::io;

use tokio::sync::mpsc;

use crate::agent::{Event, Input, Output, State};
use crate::io::SocketId;
use crate::time::Duration;

use super::carrier::Carrier;
use super::clock;
use super::driver::Driver;
use super::roaming::Roam;
use super::route::Route;

/// What the agent writes is never longer than the least MTU.
const OUTPUT: usize = 1280;

/// How long a session that is over waits for its TURN servers to confirm that the allocations are deleted.
const LINGER: Duration = Duration::from_secs(2);

impl Driver {
    /// Does what the agent wants, until it waits.
    pub(super) fn drain(&mut self) {
        let mut buf = [0; OUTPUT];
        loop {
            let event = match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let socket = transmit.socket;
                    let Some(carrier) = self.ports.carrier(socket) else { continue };
                    match carrier.try_send(&transmit) {
                        Ok(()) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            self.counters.packets_discarded_on_send.add(1);
                        }
                        Err(error) => {
                            tracing::trace!(%error, destination = %transmit.destination, "send error");
                            self.counters.send_errors.add(1);
                        }
                    }
                    self.tell_unreachable(socket);
                    continue;
                }
                Output::Event(event) => event,
                Output::Connect(connect) => {
                    let mtu = self.ports.mtu(connect.local.ip());
                    self.opener.open(connect, mtu);
                    continue;
                }
                Output::Open { local } => {
                    let opened =
                        self.ports.open(local).map(|(socket, local)| Input::Opened { socket, local });
                    let _ = opened.map(|input| self.agent.handle_input(clock::now(), input));
                    continue;
                }
                Output::Close(id) => {
                    self.ports.close(id);
                    continue;
                }
                Output::Publish { name, address } => {
                    self.names.publish(name, address);
                    continue;
                }
                Output::Withdraw { name } => {
                    self.names.withdraw(name);
                    continue;
                }
                Output::Resolve(resolve) => {
                    self.names.resolve(resolve, self.answers.0.clone());
                    continue;
                }
                Output::Wait(wake) => {
                    self.timing.wake = wake;
                    if wake.is_none_or(|wake| !wake.slot) {
                        self.timing.slot = None;
                    }
                    return;
                }
            };
            self.follow_event(event);
        }
    }

    /// The agent learns where nobody receives what this socket has sent.
    pub(super) fn tell_unreachable(&mut self, socket: SocketId) {
        let Some(Carrier::Udp(udp)) = self.ports.carrier(socket) else { return };
        let (local, unreachable) = (udp.local().ip(), udp.take_unreachable());
        for destination in unreachable {
            tracing::debug!(%local, %destination, "nobody is there, as ICMP says");
            let input = Input::Unreachable { socket, local, destination };
            let _ = self.agent.handle_input(clock::now(), input);
        }
    }

    fn follow_event(&mut self, event: Event) {
        if matches!(event, Event::RestartNeeded(_)) && self.roam.as_ref().is_some_and(Roam::will_restart) {
            tracing::debug!(?event, "about to restart");
            return;
        }
        match &event {
            // The text of a signal holds the password.
            Event::Signal(_) => {}
            event => tracing::debug!(?event),
        }
        match &event {
            Event::State(state) => {
                self.status.send_modify(|status| status.state = *state);
                if matches!(state, State::Failed | State::Closed) {
                    self.data = None;
                    self.timing.until = Some(clock::now() + LINGER);
                }
            }
            Event::Failed(reason) => self.status.send_modify(|status| status.reason = Some(*reason)),
            Event::Path { component, path } => {
                let route = path.and_then(|path| {
                    let carrier = self.ports.carrier(path.socket())?.clone();
                    Some(Route { path, carrier })
                });
                if let Some((_, watch)) = self.routes.iter().find(|(known, _)| known == component) {
                    watch.send_replace(route);
                }
            }
            _ => {}
        }
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            self.counters.events_lost.add(1);
            if let Event::Signal(_) = event {
                tracing::warn!("a signal is lost because nobody takes the events of this session");
            }
        }
    }
}
