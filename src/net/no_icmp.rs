//! Where sockets do not tell of ICMP errors.

use std::net::SocketAddr;

/// There are none.
#[derive(Debug)]
pub(super) enum Errors {}

impl Errors {
    pub(super) fn watch<S>(_socket: &S, _local: SocketAddr) -> Option<Self> {
        None
    }

    pub(super) fn read<S>(&self, _socket: &S) -> bool {
        match *self {}
    }

    pub(super) fn take(&self) -> Vec<SocketAddr> {
        match *self {}
    }
}
