//! Connections that the driver is opening: each in a task of its own, so that a slow one holds nothing up.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::io::{CloseReason, Connect, ConnectId};

use super::stream::{self, Inlet};
use super::tls::Tls;

/// Dropped with the session, and what is under way with it.
#[derive(Debug)]
pub(super) struct Opener {
    tls: Arc<Tls>,
    attempts: JoinSet<(ConnectId, Result<Inlet, CloseReason>)>,
}

impl Opener {
    pub(super) fn new(tls: Arc<Tls>) -> Self {
        Self { tls, attempts: JoinSet::new() }
    }

    /// `mtu` is that of the interface of its own address.
    pub(super) fn open(&mut self, connect: Connect, mtu: usize) {
        let tls = self.tls.clone();
        self.attempts.spawn(async move {
            let opened = stream::open(&connect, mtu, &tls).await;
            (connect.request, opened)
        });
    }

    /// The next connection that stands, or does not come about.
    pub(super) async fn next(&mut self) -> (ConnectId, Result<Inlet, CloseReason>) {
        loop {
            match self.attempts.join_next().await {
                Some(Ok(opened)) => return opened,
                // A task that ended without an answer: the agent loses patience by itself.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}
