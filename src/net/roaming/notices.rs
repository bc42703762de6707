//! The kernel's word that links, addresses or routes have changed: a netlink socket (RFC 3549) that only its readiness is
//! read of. What has changed is looked up as ever, so a message that is lost or not understood does no harm.

use std::future::pending;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net as unix;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use tokio::net::UnixDatagram;

/// Groups of messages (`RTMGRP_*` of rtnetlink): links, addresses and routes of both families.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
/// Messages that are taken at a time: on a router there is no end of them.
const AT_ONCE: usize = 64;

/// A subscription; none where the kernel refuses one.
#[derive(Debug)]
pub(super) struct Notices(Option<UnixDatagram>);

impl Notices {
    /// Within a tokio runtime.
    pub(super) fn subscribe() -> Self {
        let socket = open();
        if let Err(error) = &socket {
            tracing::debug!(%error, "no word of the kernel about interfaces: they are asked for");
        }
        Self(socket.ok())
    }

    /// Waits for the next word; forever if there is no subscription. The future may be dropped without loss.
    pub(super) async fn next(&mut self) {
        let Some(socket) = &self.0 else { return pending().await };
        let taken = match socket.readable().await {
            Ok(()) => take(socket),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            tracing::debug!(%error, "the kernel tells of interfaces no more: they are asked for");
            self.0 = None;
        }
    }
}

/// A netlink socket as what it is like, a socket for datagrams to this host: it is only waited for and emptied.
fn open() -> io::Result<UnixDatagram> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
    UnixDatagram::from_std(unix::UnixDatagram::from(socket))
}

/// Takes what waits, so that the next message wakes again.
fn take(socket: &UnixDatagram) -> io::Result<()> {
    // The rest of a message that is longer is dropped with it.
    let mut head = [0; 16];
    for _ in 0..AT_ONCE {
        match socket.try_recv(&mut head) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // More was said than the socket has room for.
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_change_there_is_no_word() {
        let mut notices = Notices::subscribe();
        assert!(notices.0.is_some());
        let quiet = tokio::time::timeout(std::time::Duration::ZERO, notices.next());
        assert!(quiet.await.is_err());
    }
}
