//! The loop: one task a session. It owns the agent and receives on the session's sockets; nobody else touches either.
//!
//! A task a session, not one for all: sessions use all cores, a busy one does not hold the others up, and what a
//! session holds ends with it. What sessions share is the [`Pacer`].

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, watch};

use crate::agent::{Agent, Event, Input, Output, Received, State};
use crate::io::{ComponentId, Datagram, SocketId};
use crate::time::{Duration, Instant};

use super::clock::{self, Alarm};
use super::counters::Counters;
use super::handle::{Command, End, Payload, Status};
use super::mdns::{Answer, Names};
use super::pacer::{Pacer, Slot};
use super::route::Route;
use super::udp::UdpSocket;

/// What the agent writes is never longer than the least MTU.
const OUTPUT: usize = 1280;

/// How long a session that is over waits for its TURN servers to confirm that the allocations are deleted.
const LINGER: Duration = Duration::from_secs(2);

/// Turns for the application while more than half of its queue is taken.
const TURNS: usize = 16;

/// A socket that reports so many errors without one datagram between them is dead.
const ERRORS_IN_A_ROW: u32 = 1000;

/// A socket of the session; its [`SocketId`] is its place in the list.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) socket: Arc<UdpSocket>,
    errors_in_a_row: u32,
}

impl Port {
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self { socket: Arc::new(socket), errors_in_a_row: 0 }
    }
}

/// What the loop wakes up for.
enum Happening {
    Due,
    Command(Option<Command>),
    Resolved(Answer),
    Readable(usize),
}

/// Owns an agent and drives it.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) agent: Agent,
    /// Closed ones leave a gap.
    pub(super) ports: Vec<Option<Port>>,
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
        let mut first_port = 0;
        let mut has_handle = true;
        self.drain();
        while !self.timing.is_finished(clock::now()) {
            let due = self.timing.due();
            let happening = tokio::select! {
                // What is due goes first: consent that has expired stops the data behind it (RFC 7675 §5.1).
                biased;
                () = alarm.ring(due) => Happening::Due,
                happening = async {
                    tokio::select! {
                        command = self.commands.recv(), if has_handle => Happening::Command(command),
                        Some(answer) = self.answers.1.recv() => Happening::Resolved(answer),
                        port = poll_fn(|cx| poll_readable(&self.ports, first_port, cx)) => Happening::Readable(port),
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
                Happening::Readable(port) => {
                    // The next one is asked first the next time.
                    first_port = port + 1;
                    self.receive(port);
                    self.let_the_application_catch_up().await;
                }
            }
        }
        self.end();
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
            Command::Restart => self.agent.restart(clock::now()),
            Command::Diagnosis(reply) => drop(reply.send(Some(self.agent.diagnosis()))),
            Command::Close => self.agent.close(clock::now()),
        }
        self.drain();
    }

    fn receive(&mut self, at: usize) {
        let now = clock::now();
        let Some(socket) = self.socket(SocketId(at as u32)).cloned() else { return };
        let received = socket.receive(SocketId(at as u32), |datagram| self.take(now, datagram));
        match received {
            Ok(()) => {
                if let Some(Some(port)) = self.ports.get_mut(at) {
                    port.errors_in_a_row = 0;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => self.handle_receive_error(now, at, &error),
        }
        self.drain();
    }

    fn socket(&self, id: SocketId) -> Option<&Arc<UdpSocket>> {
        Some(&self.ports.get(id.0 as usize)?.as_ref()?.socket)
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

    /// ICMP says what anybody on the way may say: it ends nothing. A socket that only fails is given up.
    fn handle_receive_error(&mut self, now: Instant, at: usize, error: &io::Error) {
        self.counters.receive_errors.add(1);
        let Some(Some(port)) = self.ports.get_mut(at) else { return };
        port.errors_in_a_row += 1;
        tracing::debug!(%error, local = %port.socket.local(), "receive error");
        if port.errors_in_a_row >= ERRORS_IN_A_ROW {
            tracing::warn!(%error, local = %port.socket.local(), "socket given up");
            self.ports[at] = None;
            self.agent.remove_socket(now, SocketId(at as u32));
        }
    }

    /// Does what the agent wants, until it waits.
    fn drain(&mut self) {
        let mut buf = [0; OUTPUT];
        loop {
            let event = match self.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    let Some(socket) = self.socket(transmit.socket) else { continue };
                    match socket.try_send(&transmit) {
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
                Output::Close(id) => {
                    if let Some(port) = self.ports.get_mut(id.0 as usize) {
                        *port = None;
                    }
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
                    let socket = self.socket(path.socket())?.clone();
                    Some(Route { path, socket })
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

    fn end(self) {
        for (_, watch) in &self.routes {
            watch.send_replace(None);
        }
        let (stats, trace, diagnosis) =
            (self.agent.stats(), self.agent.trace().clone(), self.agent.diagnosis());
        let end = End { stats, trace, diagnosis };
        self.status.send_modify(|status| status.end = Some(Arc::new(end)));
        tracing::debug!("session ended");
    }
}

/// The first socket from `first` on that may have something.
fn poll_readable(ports: &[Option<Port>], first: usize, cx: &mut Context<'_>) -> Poll<usize> {
    for place in (0..ports.len()).map(|step| (first + step) % ports.len()) {
        // An error shows again when something is received.
        if ports[place].as_ref().is_some_and(|port| port.socket.poll_readable(cx).is_ready()) {
            return Poll::Ready(place);
        }
    }
    Poll::Pending
}
