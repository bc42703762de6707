//! What an application holds of a session: the ends of channels, and the routes to send on.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::{Diagnosis, Reason, State};
use crate::error::SignalError;
use crate::io::ComponentId;
use crate::signal::Signal;
use crate::stats;
use crate::trace::Trace;

use super::counters::{Counters, Stats};
use super::route::Outlet;

/// What an application asks of the driver.
#[derive(Debug)]
pub(super) enum Command {
    Signal(Signal, oneshot::Sender<Result<(), SignalError>>),
    Stats(oneshot::Sender<stats::Stats>),
    Trace(oneshot::Sender<Trace>),
    Restart,
    Diagnosis(oneshot::Sender<Option<Diagnosis>>),
    Close,
}

/// How the session stands.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) state: State,
    pub(super) reason: Option<Reason>,
    /// Set when the driver has ended.
    pub(super) end: Option<Arc<End>>,
}

/// What is left of a session that is over.
#[derive(Debug)]
pub(super) struct End {
    pub(super) stats: stats::Stats,
    pub(super) trace: Trace,
    pub(super) diagnosis: Diagnosis,
}

/// One datagram of the peer.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) component: ComponentId,
    pub(super) bytes: Vec<u8>,
}

/// When it is dropped, the driver closes the session.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) data: Mutex<mpsc::Receiver<Payload>>,
    pub(super) outlets: Vec<Outlet>,
    pub(super) counters: Arc<Counters>,
}

impl Handle {
    pub(super) fn state(&self) -> State {
        self.status.borrow().state
    }

    pub(super) fn reason(&self) -> Option<Reason> {
        self.status.borrow().reason
    }

    pub(super) fn outlet(&self, component: ComponentId) -> io::Result<&Outlet> {
        self.outlets.iter().find(|outlet| outlet.component() == component).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("the session has no {component:?}"))
        })
    }

    pub(super) fn poll_data(&self, cx: &mut Context<'_>) -> Poll<io::Result<Payload>> {
        let received = ready!(self.data.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(cx));
        Poll::Ready(received.ok_or_else(|| self.ended()))
    }

    /// Why nothing will be received any more.
    fn ended(&self) -> io::Error {
        match self.reason() {
            Some(reason) => io::Error::new(io::ErrorKind::ConnectionAborted, reason),
            None => io::Error::new(io::ErrorKind::NotConnected, "the session is closed"),
        }
    }

    pub(super) async fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        signal_over(&self.commands, signal).await
    }

    /// What the agent answers, or what it left behind.
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Command,
        left_behind: impl FnOnce(&End) -> T,
    ) -> T
    where
        T: Default,
    {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(question(reply)).await.is_ok()
            && let Ok(answer) = answer.await
        {
            return answer;
        }
        self.end().await.map_or_else(T::default, |end| left_behind(&end))
    }

    pub(super) async fn stats(&self) -> Stats {
        let agent = self.ask(Command::Stats, |end| end.stats).await;
        self.counters.snapshot(agent)
    }

    pub(super) async fn trace(&self) -> Trace {
        self.ask(Command::Trace, |end| end.trace.clone()).await
    }

    pub(super) async fn diagnosis(&self) -> Option<Diagnosis> {
        self.ask(Command::Diagnosis, |end| Some(end.diagnosis.clone())).await
    }

    /// Waits until the driver has ended. `None` if it was torn down, as by the end of its runtime.
    pub(super) async fn end(&self) -> Option<Arc<End>> {
        let mut status = self.status.clone();
        status.wait_for(|status| status.end.is_some()).await.ok()?.end.clone()
    }

    pub(super) async fn restart(&self) {
        // A session that has ended has nothing to restart.
        let _ = self.commands.send(Command::Restart).await;
    }

    pub(super) async fn close(&self) {
        // If the driver does not listen any more, it has ended.
        let _ = self.commands.send(Command::Close).await;
        self.end().await;
    }
}

pub(super) async fn signal_over(commands: &mpsc::Sender<Command>, signal: Signal) -> Result<(), SignalError> {
    let (reply, answer) = oneshot::channel();
    commands.send(Command::Signal(signal, reply)).await.map_err(|_| SignalError::Closed)?;
    answer.await.unwrap_or(Err(SignalError::Closed))
}

/// Copies what fits into the application's buffer; the rest is lost, as with any datagram socket.
pub(super) fn copy(payload: &[u8], buf: &mut [u8]) -> usize {
    let len = payload.len().min(buf.len());
    buf[..len].copy_from_slice(&payload[..len]);
    len
}
