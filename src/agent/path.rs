//! ICE's product: where to send, as a value.

use std::net::{IpAddr, SocketAddr};

use crate::io::{SocketId, Transmit};
use crate::turn::data;
use crate::turn::data::Framing;

/// A way to the peer. `Copy`, and without a reference to the agent: any thread may send with it, until an
/// [`Event::Path`](super::Event::Path) replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    pub(crate) socket: SocketId,
    pub(crate) local: IpAddr,
    /// The peer, or the TURN server.
    pub(crate) destination: SocketAddr,
    pub(crate) framing: Framing,
}

impl Path {
    /// Bytes that [`Path::wrap`] may need before the payload.
    pub const HEADROOM: usize = data::HEADROOM;
    /// Bytes that [`Path::wrap`] may need after the payload.
    pub const TAILROOM: usize = data::TAILROOM;

    /// The socket to send on.
    pub fn socket(&self) -> SocketId {
        self.socket
    }

    /// Where datagrams go: the peer, or the TURN server on the way.
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// Bytes added before each payload: 0 direct, 4 in a channel, 36 (IPv4 peer) or 48 (IPv6 peer) in a Send
    /// indication. What a driver adds on a TCP connection does not count.
    pub fn overhead(&self) -> usize {
        self.framing.overhead()
    }

    /// Wraps the payload at `HEADROOM..HEADROOM + len` in place; nothing is copied.
    ///
    /// # Panics
    /// If `buf` is shorter than `HEADROOM + len + TAILROOM`.
    pub fn wrap<'b>(&self, buf: &'b mut [u8], len: usize) -> Transmit<'b> {
        let payload = data::wrap(self.framing, buf, len);
        Transmit::new(self.socket, self.local, self.destination, payload)
    }

    /// From one datagram of a [batch](Self::wrap_batch) to the next, for payloads of `len` bytes.
    pub fn stride(&self, len: usize) -> usize {
        data::stride(self.framing, len)
    }

    /// Wraps `count` payloads of `len` bytes each in place, as one transmit with a segment size: the first one lies at
    /// `HEADROOM`, the others each a [stride](Self::stride) further.
    ///
    /// # Panics
    /// If `buf` is shorter than `HEADROOM + count * stride + TAILROOM`.
    pub fn wrap_batch<'b>(&self, buf: &'b mut [u8], len: usize, count: usize) -> Transmit<'b> {
        let payload = data::wrap_batch(self.framing, buf, len, count);
        let segment_size = Some(self.stride(len));
        Transmit { segment_size, ..Transmit::new(self.socket, self.local, self.destination, payload) }
    }
}
