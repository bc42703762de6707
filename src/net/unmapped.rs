//! In the place of `mapped` in a build without the feature `portmap`: no port is mapped.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::agent::Agent;
use crate::io::{Socket, SocketId, Transport};
use crate::time::Instant;

/// There are none.
#[derive(Debug)]
pub(super) enum Gateways {}

/// No report ever comes.
#[derive(Debug)]
pub(super) enum Report {}

#[derive(Debug)]
pub(super) struct Mapped;

#[expect(clippy::unused_self, reason = "the interface is that of `mapped`")]
impl Mapped {
    pub(super) fn new(_: Option<Arc<Gateways>>) -> Self {
        Self
    }

    pub(super) fn add(&mut self, _: Transport, _: SocketAddr) {}

    pub(super) fn hold(&mut self, _: SocketId, _: Socket) -> bool {
        false
    }

    pub(super) fn release(&mut self, _: Instant) -> Vec<(SocketId, Socket)> {
        Vec::new()
    }

    pub(super) fn tell(&self, _: Instant, _: &mut Agent) {}

    pub(super) fn deadline(&self) -> Option<Instant> {
        None
    }

    pub(super) fn take_end(&mut self, _: Instant) -> bool {
        false
    }

    pub(super) async fn report(&mut self) -> Report {
        std::future::pending().await
    }

    pub(super) fn follow(&mut self, _: Instant, _: &mut Agent, report: &Report) {
        match *report {}
    }

    #[expect(clippy::unused_async, reason = "the interface is that of `mapped`")]
    pub(super) async fn close(self) {}
}
