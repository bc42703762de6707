//! The loop: one task a session. It owns the agent and receives on the session's sockets; nobody else touches either.
//!
//! A task a session, not one for all: sessions use all cores, a busy one does not hold the others up, and what a
//! session holds ends with it. What sessions share is the [`Pacer`].

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::agent::{Agent, Event, Input, Output, Received, State};
use crate::io::{CloseReason, ComponentId, ConnectId, Datagram, SocketId};
use crate::time::{Duration, Instant};

use super::bases::Bases;
use super::clock::{self, Alarm};
use super::counters::Counters;
use super::handle::{Command, End, Payload, Status};
use super::listeners::{Accepted, Listeners};
use super::mapped::{Mapped, Report};
use super::mdns::{Answer, Names};
use super::opener::Opener;
use super::pacer::{Pacer, Slot};
use super::ports::{self, Port, Ports};
use super::roaming::Roam;
use super::route::Route;
use super::stream::Inlet;

/// What the agent writes is never longer than the least MTU.
const OUTPUT: usize = 1280;

/// How long a session that is over waits for its TURN servers to confirm that the allocations are deleted.
const LINGER: Duration = Duration::from_secs(2);

/// Turns for the application while more than half of its queue is taken.
const TURNS: usize = 16;

/// What the loop wakes up for.
enum Happening {
    Due,
    Command(Option<Command>),
    Resolved(Answer),
    Opened(ConnectId, Result<Inlet, CloseReason>),
    Accepted(Accepted),
    Readable(SocketId),
    Mapped(Report),
    Network,
}

/// Owns an agent and drives it.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) agent: Agent,
    pub(super) ports: Ports,
    pub(super) pacer: Arc<Pacer>,
    pub(super) counters: Arc<Counters>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) events: mpsc::Sender<Event>,
    /// Goes when the session is over, so that whoever receives learns it.
    pub(super) data: Option<mpsc::Sender<Payload>>,
    pub(super) status: watch::Sender<Status>,
    pub(super) routes: Vec<(ComponentId, watch::Sender<Option<Route>>)>,
    pub(super) timing: Timing,
    pub(super) names: Arc<Names>,
    /// Where answers about names come in, and the end that is given to who answers.
    pub(super) answers: (mpsc::Sender<Answer>, mpsc::Receiver<Answer>),
    pub(super) opener: Opener,
    pub(super) listeners: Listeners,
    pub(super) mapped: Mapped,
    pub(super) bases: Bases,
    /// What stays at the addresses of its beginning has none.
    pub(super) roam: Option<Roam>,
}

/// When the loop has to look at the agent again.
#[derive(Debug, Default)]
pub(super) struct Timing {
    wake: Option<crate::io::Wake>,
    /// The reserved slot for a paced transaction.
    slot: Option<Slot>,
    /// The session is over and lingers until then at most.
    until: Option<Instant>,
}

impl Timing {
    fn due(&self) -> Option<Instant> {
        let wake = self.wake.map(|wake| match self.slot.filter(|_| wake.slot) {
            Some(slot) => wake.at.max(slot.0),
            None => wake.at,
        });
        crate::time::earliest(wake, self.until)
    }

    fn is_finished(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now || self.wake.is_none())
    }
}

impl Driver {
    /// Drives the agent to the end of the session.
    pub(super) async fn run(mut self) {
        let mut alarm = Alarm::new(clock::now());
        let mut has_handle = true;
        self.drain();
        while !self.timing.is_finished(clock::now()) {
            let roam = self.roam.as_ref().and_then(Roam::deadline);
            let waits = crate::time::earliest(self.mapped.deadline(), roam);
            let due = crate::time::earliest(self.timing.due(), waits);
            let happening = tokio::select! {
                // What is due goes first: consent that has expired stops the data behind it (RFC 7675 §5.1).
                biased;
                () = alarm.ring(due) => Happening::Due,
                happening = async {
                    tokio::select! {
                        command = self.commands.recv(), if has_handle => Happening::Command(command),
                        Some(answer) = self.answers.1.recv() => Happening::Resolved(answer),
                        (request, opened) = self.opener.next() => Happening::Opened(request, opened),
                        accepted = poll_fn(|cx| self.listeners.poll_accept(cx)) => Happening::Accepted(accepted),
                        report = self.mapped.report() => Happening::Mapped(report),
                        () = Roam::changed(self.roam.as_mut()) => Happening::Network,
                        port = poll_fn(|cx| self.ports.poll_readable(cx)) => Happening::Readable(port),
                    }
                } => happening,
            };
            match happening {
                Happening::Due => self.handle_due(),
                Happening::Command(Some(command)) => self.handle_command(command),
                Happening::Command(None) => {
                    has_handle = false;
                    self.handle_command(Command::Close);
                }
                Happening::Resolved((request, address)) => {
                    let _ = self.agent.handle_input(clock::now(), Input::Resolved { request, address });
                    self.drain();
                }
                Happening::Mapped(report) => {
                    let now = clock::now();
                    self.mapped.follow(now, &mut self.agent, &report);
                    self.end_gathering(now);
                    self.drain();
                }
                Happening::Network => self.follow_network(),
                Happening::Opened(request, opened) => self.handle_opened(request, opened),
                Happening::Accepted(accepted) => self.handle_accepted(accepted),
                Happening::Readable(port) => {
                    self.receive(port);
                    self.let_the_application_catch_up().await;
                }
            }
        }
        self.end().await;
    }

    /// On a runtime of one thread the application runs only while this task waits: it has some turns before more is
    /// received than it has room for. One that does not take its data holds nothing up.
    async fn let_the_application_catch_up(&self) {
        let Some(data) = &self.data else { return };
        for _ in 0..TURNS {
            if data.capacity() * 2 >= data.max_capacity() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    fn handle_due(&mut self) {
        let now = clock::now();
        if self.mapped.deadline().is_some_and(|at| at <= now) {
            self.end_gathering(now);
            self.drain();
        }
        if self.roam.as_ref().and_then(Roam::deadline).is_some_and(|at| at <= now) {
            self.roam_on(now);
        }
        let Some(wake) = self.timing.wake.filter(|wake| wake.at <= now) else { return };
        if wake.slot {
            let slot = self.timing.slot.take().unwrap_or_else(|| self.pacer.reserve(now));
            if let Err(later) = self.pacer.begin(now, slot) {
                self.timing.slot = Some(later);
                return;
            }
        }
        let _ = self.agent.handle_input(now, Input::Timeout);
        self.drain();
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Signal(signal, reply) => {
                let taken = self.agent.handle_signal(clock::now(), signal);
                if let Err(error) = &taken {
                    tracing::debug!(%error, "signal refused");
                }
                // Whoever asked may have gone.
                let _ = reply.send(taken);
            }
            Command::Stats(reply) => drop(reply.send(self.agent.stats())),
            Command::Trace(reply) => drop(reply.send(self.agent.trace().clone())),
            Command::Restart => self.restart(clock::now()),
            Command::Diagnosis(reply) => drop(reply.send(Some(self.agent.diagnosis()))),
            Command::Close => self.agent.close(clock::now()),
        }
        self.drain();
    }

    fn handle_opened(&mut self, request: ConnectId, opened: Result<Inlet, CloseReason>) {
        let input = match opened {
            Ok(inlet) => {
                let local = inlet.local();
                let socket = self.ports.push(Port::Stream(inlet));
                Input::Connected { request, socket, local }
            }
            Err(why) => Input::NotConnected { request, why },
        };
        let _ = self.agent.handle_input(clock::now(), input);
        self.drain();
    }

    /// How many there may be is the agent's affair: it closes those that it does not want.
    fn handle_accepted(&mut self, Accepted { listener, io, remote, mtu }: Accepted) {
        let Ok(inlet) = Inlet::accepted(io, remote, mtu) else { return };
        let local = inlet.local();
        let socket = self.ports.push(Port::Stream(inlet));
        let input = Input::Accepted { listener, socket, local, remote };
        let _ = self.agent.handle_input(clock::now(), input);
        self.drain();
    }

    fn receive(&mut self, id: SocketId) {
        let now = clock::now();
        let Some(mut port) = self.ports.take(id) else { return };
        let received = port.receive(id, |datagram| self.take(now, datagram));
        self.ports.put_back(id, port);
        match received {
            ports::Received::Nothing => return,
            ports::Received::Error(error) => {
                self.counters.receive_errors.add(1);
                tracing::debug!(%error, ?id, "receive error");
            }
            ports::Received::Dead(error) => {
                tracing::warn!(%error, ?id, "socket given up");
                self.ports.close(id);
                self.agent.remove_socket(now, id);
            }
            ports::Received::Closed(why) if self.ports.carrier(id).is_some() => {
                tracing::debug!(%why, ?id, "connection over");
                self.ports.close(id);
                let _ = self.agent.handle_input(now, Input::Closed { socket: id, why });
            }
            ports::Received::Something | ports::Received::Closed(_) => {}
        }
        self.drain();
    }

    fn take(&mut self, now: Instant, datagram: Datagram<'_>) {
        match self.agent.handle_input(now, Input::Datagram(datagram)) {
            Received::Data { component, payload } => {
                let payload = Payload { component, bytes: payload.to_vec() };
                let taken = self.data.as_ref().is_some_and(|data| data.try_send(payload).is_ok());
                if !taken {
                    self.counters.packets_discarded_on_receive.add(1);
                }
            }
            // Answers are sent before the next datagram is looked at: only so many wait.
            Received::Consumed => self.drain(),
            Received::Unclaimed => self.counters.unclaimed.add(1),
        }
    }

    /// Does what the agent wants, until it waits.
    pub(super) fn drain(&mut self) {
        let mut buf = [0; OUTPUT];
        loop {
            let event = match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let Some(carrier) = self.ports.carrier(transmit.socket) else { continue };
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

    async fn end(self) {
        for (_, watch) in &self.routes {
            watch.send_replace(None);
        }
        self.mapped.close().await;
        let (stats, trace, diagnosis) =
            (self.agent.stats(), self.agent.trace().clone(), self.agent.diagnosis());
        let end = End { stats, trace, diagnosis };
        self.status.send_modify(|status| status.end = Some(Arc::new(end)));
        tracing::debug!("session ended");
    }
}
