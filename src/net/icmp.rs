//! What ICMP says of the datagrams of a socket: the error queue of Linux (`IP_RECVERR`, ip(7)), read without `unsafe`.
//!
//! A socket that asks for it pays: an error that has come fails the next call on that socket, whoever that one sends to.
//! So whoever meets an error reads the queue and tries again. What was found waits here for the driver: hard errors only (RFC
//! 1122 §4.2.3.9). The kernel sees to it that they quote a datagram that left from this socket, and not that one ever left for
//! that destination: the agent takes them for what anybody may have written.

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::libc::{SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, sock_extended_err};
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};

/// How many destinations wait for the driver; who tells of more tells of them again when they are asked again.
const WAITING: usize = 32;
/// How many errors are read at a time.
const READ: usize = 64;
/// Room for the control messages of one error, those that the socket has asked for besides included.
const CONTROL: usize = 512;

/// The errors of one socket.
#[derive(Debug, Default)]
pub(super) struct Errors {
    has_some: AtomicBool,
    unreachable: Mutex<Vec<SocketAddr>>,
}

impl Errors {
    /// Asks the kernel for them; `None` if it has none to tell.
    pub(super) fn watch(socket: &impl AsFd, local: SocketAddr) -> Option<Self> {
        let asked = match local {
            SocketAddr::V4(_) => setsockopt(socket, Ipv4RecvErr, &true),
            SocketAddr::V6(_) => setsockopt(socket, Ipv6RecvErr, &true),
        };
        asked.ok().map(|()| Self::default())
    }

    /// Takes errors out of the kernel; whether there was one.
    pub(super) fn read(&self, socket: &impl AsRawFd) -> bool {
        let mut control = vec![0; CONTROL];
        for read in 0..READ {
            // The datagram itself is of no use.
            let mut quoted = [IoSliceMut::new(&mut [])];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let fd = socket.as_raw_fd();
            let Ok(message) = recvmsg::<SockaddrStorage>(fd, &mut quoted, Some(&mut control), flags) else {
                return read > 0;
            };
            let is_hard = message.cmsgs().is_ok_and(|mut all| {
                all.any(|one| match one {
                    ControlMessageOwned::Ipv4RecvErr(error, _)
                    | ControlMessageOwned::Ipv6RecvErr(error, _) => is_hard(&error),
                    _ => false,
                })
            });
            // Where the datagram was sent to.
            let destination = message.address.as_ref().and_then(to_std);
            if let Some(destination) = destination.filter(|_| is_hard) {
                self.note(destination);
            }
        }
        true
    }

    fn note(&self, destination: SocketAddr) {
        let mut list = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() < WAITING && !list.contains(&destination) {
            list.push(destination);
        }
        self.has_some.store(true, Ordering::Release);
    }

    /// Where nobody receives what this socket sends, since it was asked last.
    pub(super) fn take(&self) -> Vec<SocketAddr> {
        if !self.has_some.load(Ordering::Relaxed) || !self.has_some.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.unreachable.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Port or protocol unreachable: ICMP type 3 codes 2 and 3, ICMPv6 type 1 code 4 (RFC 1122 §4.2.3.9, RFC 4443 §3.1).
fn is_hard(error: &sock_extended_err) -> bool {
    match error.ee_origin {
        SO_EE_ORIGIN_ICMP => matches!((error.ee_type, error.ee_code), (3, 2 | 3)),
        SO_EE_ORIGIN_ICMP6 => (error.ee_type, error.ee_code) == (1, 4),
        _ => false,
    }
}

fn to_std(addr: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = addr.as_sockaddr_in().map(|addr| SocketAddr::V4((*addr).into()));
    v4.or_else(|| addr.as_sockaddr_in6().map(|addr| SocketAddr::V6((*addr).into())))
}
