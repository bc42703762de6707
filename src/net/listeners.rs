//! Listening sockets of a session, for passive candidates (RFC 6544 §7.2).

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Sleep;

use crate::io::SocketId;

use super::interfaces::Local;
use super::range;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 32;
/// After an error of the system, such as too many open files, nothing is accepted for so long.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens on one address.
#[derive(Debug)]
pub(super) struct Listener {
    io: tokio::net::TcpListener,
    local: SocketAddr,
    /// That of its interface, in bytes.
    mtu: usize,
}

impl Listener {
    /// Listens on this address; on a free port of the range, if there is one.
    pub(super) fn bind(local: Local, ports: Option<&RangeInclusive<u16>>) -> io::Result<Self> {
        let io = range::bind(ports, local.addr, |addr| {
            let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.bind(addr)?;
            socket.listen(BACKLOG)
        })?;
        let mut addr = local.addr;
        addr.set_port(io.local_addr()?.port());
        Ok(Self { io, local: addr, mtu: local.mtu })
    }

    /// Its address.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }
}

/// A connection that somebody has opened.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) listener: SocketId,
    pub(super) io: TcpStream,
    pub(super) remote: SocketAddr,
    pub(super) mtu: usize,
}

/// Those of a session.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    list: Vec<(SocketId, Listener)>,
    /// Which one is asked first when several have something.
    first: usize,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Listeners {
    pub(super) fn push(&mut self, id: SocketId, listener: Listener) {
        self.list.push((id, listener));
    }

    /// Listens there no more.
    pub(super) fn close(&mut self, id: SocketId) {
        self.list.retain(|(known, _)| *known != id);
    }

    /// The next connection.
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Accepted> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let count = self.list.len();
            let mut failed = false;
            for at in (0..count).map(|step| (self.first + step) % count) {
                let (id, listener) = &self.list[at];
                match listener.io.poll_accept(cx) {
                    Poll::Ready(Ok((io, remote))) => {
                        self.first = at + 1;
                        return Poll::Ready(Accepted { listener: *id, io, remote, mtu: listener.mtu });
                    }
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(%error, local = %listener.local, "accept failed");
                        failed = true;
                    }
                    Poll::Pending => {}
                }
            }
            if !failed {
                return Poll::Pending;
            }
            self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
        }
    }
}
