//! Data through a relay, wrapped in place (RFC 8656 §11, §12.4).
//!
//! ```text
//! ChannelData    | channel 0x4000..=0x4FFF (16) | length (16) | payload …            4 bytes
//! Send, Data     | STUN header (20) | XOR-PEER-ADDRESS (12 or 24) | DATA header (4) | payload … padding
//! ```

use std::net::SocketAddr;

use crate::stun::TransactionId;
use crate::stun::wire::{Class, HEADER, Method, Writer, attr};

/// Room that a frame may need before the payload.
pub const HEADROOM: usize = 48;
/// Room that a frame may need after the payload: padding of DATA to 4 bytes.
pub const TAILROOM: usize = 3;

/// How a payload travels to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As it is.
    Direct,
    /// In ChannelData of this channel.
    Channel(u16),
    /// In a Send indication. They are never answered, so one transaction id serves them all.
    Send {
        /// The peer's transport address.
        peer: SocketAddr,
        /// The transaction id.
        id: TransactionId,
    },
    /// In a Data indication: what a server makes of the peer's datagram for its client (RFC 8656 §11.3).
    Data {
        /// The peer's transport address.
        peer: SocketAddr,
        /// The transaction id.
        id: TransactionId,
    },
}

impl Framing {
    /// Bytes before the payload.
    pub fn overhead(&self) -> usize {
        match self {
            Self::Direct => 0,
            Self::Channel(_) => 4,
            Self::Send { peer, .. } | Self::Data { peer, .. } => {
                HEADER + 4 + if peer.is_ipv4() { 8 } else { 20 } + 4
            }
        }
    }
}

/// Writes the frame around the payload that lies at `HEADROOM..HEADROOM + len`, and returns the whole.
///
/// # Panics
/// If `buf` is shorter than `HEADROOM + len + TAILROOM`: a bug of the caller.
pub fn wrap(framing: Framing, buf: &mut [u8], len: usize) -> &[u8] {
    let start = HEADROOM - framing.overhead();
    let mut end = HEADROOM + len;
    match framing {
        Framing::Direct => {}
        Framing::Channel(number) => {
            buf[start..start + 2].copy_from_slice(&number.to_be_bytes());
            buf[start + 2..HEADROOM].copy_from_slice(&(len as u16).to_be_bytes());
        }
        Framing::Send { peer, id } => end = wrap_indication(Method::SEND, peer, id, buf, start, len),
        Framing::Data { peer, id } => end = wrap_indication(Method::DATA, peer, id, buf, start, len),
    }
    &buf[start..end]
}

/// Writes the indication that begins at `start`, and returns where it ends.
fn wrap_indication(
    method: Method,
    peer: SocketAddr,
    id: TransactionId,
    buf: &mut [u8],
    start: usize,
    len: usize,
) -> usize {
    let end = HEADROOM + len.next_multiple_of(4);
    buf[HEADROOM + len..end].fill(0);
    let mut head = [0; HEADROOM];
    let mut writer = Writer::new(&mut head, Class::Indication, method, id);
    writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer);
    if let Ok(written) = writer.finish() {
        buf[start..start + written.len()].copy_from_slice(written);
    }
    buf[start + 2..start + 4].copy_from_slice(&((end - start - HEADER) as u16).to_be_bytes());
    buf[HEADROOM - 4..HEADROOM - 2].copy_from_slice(&attr::DATA.to_be_bytes());
    buf[HEADROOM - 2..HEADROOM].copy_from_slice(&(len as u16).to_be_bytes());
    end
}
