//! The agent: it owns, routes and translates. Protocol rules live in `checks`, `gather`, `turn` and `consent`.

pub mod config;
pub mod event;
pub mod path;
pub mod state;

use crate::error::{AddSocketError, SignalError};
use crate::io::{ComponentId, Socket, SocketId, Wake};
use crate::signal::Signal;
use crate::stats::Stats;
use crate::time::Instant;

pub use config::{Answer, Config, Nomination, Policy, Role};
pub use event::{Event, Input, Output, Reason, Received, ServerId, ServerProblem};
pub use path::Path;
pub use state::State;

/// An ICE agent (RFC 8445): no sockets, no clock, deterministic from its seed.
#[derive(Debug)]
pub struct Agent {
    config: Config,
}

#[allow(unused_variables, clippy::unused_self, missing_docs, clippy::missing_errors_doc, reason = "skeleton")]
impl Agent {
    pub fn new(config: Config, now: Instant) -> Self {
        Self { config }
    }
    pub fn add_socket(&mut self, now: Instant, id: SocketId, socket: Socket) -> Result<(), AddSocketError> {
        unimplemented!("skeleton")
    }
    pub fn remove_socket(&mut self, now: Instant, id: SocketId) {}
    pub fn end_of_sockets(&mut self, now: Instant) {}
    pub fn handle_signal(&mut self, now: Instant, signal: Signal) -> Result<(), SignalError> {
        unimplemented!("skeleton")
    }
    pub fn close(&mut self, now: Instant) {}
    pub fn handle_input<'a>(&mut self, now: Instant, input: Input<'a>) -> Received<'a> {
        Received::Unclaimed
    }
    pub fn poll_output<'b>(&mut self, buf: &'b mut [u8]) -> Output<'b> {
        Output::Wait(None::<Wake>)
    }
    pub fn state(&self) -> State {
        State::New
    }
    pub fn role(&self) -> Role {
        self.config.role
    }
    pub fn path(&self, component: ComponentId) -> Option<Path> {
        None
    }
    pub fn may_send(&self, path: &Path) -> bool {
        false
    }
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
