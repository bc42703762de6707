//! What carries the datagrams of a path: a UDP socket, or a connection. Any task may hold it and send.

use std::io;
use std::sync::Arc;

use crate::agent::Path;
use crate::io::Transmit;

use super::mtu;
use super::stream::Stream;
use super::udp::UdpSocket;

/// The sending side of a socket.
#[derive(Debug, Clone)]
pub(super) enum Carrier {
    Udp(Arc<UdpSocket>),
    Stream(Arc<Stream>),
}

impl Carrier {
    /// Sends at once or fails: `WouldBlock` if the send buffer is full.
    pub(super) fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.try_send(transmit),
            Self::Stream(stream) => stream.try_send(transmit),
        }
    }

    /// Waits until there may be room in the send buffer again.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.writable().await,
            Self::Stream(stream) => {
                stream.writable().await;
                Ok(())
            }
        }
    }

    /// The largest payload of the application on this path, in bytes.
    pub(super) fn limit(&self, path: &Path) -> usize {
        match self {
            Self::Udp(socket) => mtu::path_payload(socket.mtu(), path),
            // A relay makes a datagram of it, over a link that is not known: that of this host stands for it.
            Self::Stream(stream) => mtu::stream_payload(stream.mtu()),
        }
    }
}
