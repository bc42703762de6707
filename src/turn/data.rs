//! Data through a relay, wrapped in place (RFC 8656 §11, §12.4).
//!
//! ```text
//! ChannelData    | channel 0x4000..=0x4FFF (16) | length (16) | payload …            4 bytes
//! Send, Data     | STUN header (20) | XOR-PEER-ADDRESS (12 or 24) | DATA header (4) | payload … padding
//! ```

use std::net::SocketAddr;

use crate::stun::wire::{Class, HEADER, Method, Writer, attr};
use crate::stun::{Message, TransactionId};

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

/// From one frame of a row to the next: the frame of a payload of `len` bytes.
pub fn stride(framing: Framing, len: usize) -> usize {
    let padded = match framing {
        Framing::Direct | Framing::Channel(_) => len,
        Framing::Send { .. } | Framing::Data { .. } => len.next_multiple_of(4),
    };
    framing.overhead() + padded
}

/// Writes the frames around `count` payloads of `len` bytes each, the first one at `HEADROOM`, the others each a
/// [`stride`] further, and returns the row.
///
/// # Panics
/// If `buf` is shorter than `HEADROOM + count * stride + TAILROOM`: a bug of the caller.
pub fn wrap_batch(framing: Framing, buf: &mut [u8], len: usize, count: usize) -> &[u8] {
    let (stride, start) = (stride(framing, len), HEADROOM - framing.overhead());
    for number in 0..count {
        wrap(framing, &mut buf[number * stride..], len);
    }
    &buf[start..start + count * stride]
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

/// The channel and the payload of a ChannelData message in a datagram; `None` if it is cut off. What follows the
/// payload is padding, or nothing that counts (RFC 8656 §12.5, §12.6).
pub fn read_channel_data(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let (&[n0, n1, l0, l1], rest) = datagram.split_first_chunk()?;
    let payload = rest.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
    Some((u16::from_be_bytes([n0, n1]), payload))
}

/// The peer and the payload of a Data or Send indication; `None` if one of them is missing, or an attribute is there
/// that has to be understood and is not (RFC 8656 §11.4, RFC 8489 §6.3.2). The payload may be empty.
pub fn read_indication<'a>(message: &Message<'a>) -> Option<(SocketAddr, &'a [u8])> {
    let attributes = message.plain().attributes();
    let known = [attr::XOR_PEER_ADDRESS, attr::DATA, attr::DONT_FRAGMENT];
    if attributes.unknown_required(&known).next().is_some() {
        return None;
    }
    Some((attributes.peer_address()?, attributes.data()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_channel_data_as_rfc_8656_12_4_draws_it() {
        for (datagram, read) in [
            (&[0x40, 0, 0, 3, 1, 2, 3][..], Some((0x4000, &[1, 2, 3][..]))),
            (&[0x40, 0, 0, 3, 1, 2, 3, 0], Some((0x4000, &[1, 2, 3]))),
            (&[0x4F, 0xFF, 0, 0], Some((0x4FFF, &[]))),
            (&[0x40, 0, 0, 4, 1, 2, 3], None),
            (&[0x40, 0, 0], None),
            (&[], None),
        ] {
            assert_eq!(read_channel_data(datagram), read, "{datagram:?}");
        }
    }

    #[test]
    fn what_is_wrapped_is_read_back() {
        let id = TransactionId([7; 12]);
        for peer in ["192.0.2.1:5000", "[2001:db8::1]:5000"] {
            let peer = peer.parse().unwrap();
            for len in 0..6 {
                let mut buf = [0xEE; HEADROOM + 6 + TAILROOM];
                let payload = [9; 6];
                buf[HEADROOM..HEADROOM + len].copy_from_slice(&payload[..len]);
                let message = Message::parse(wrap(Framing::Send { peer, id }, &mut buf, len)).unwrap();
                assert_eq!(message.transaction_id(), id);
                assert_eq!(read_indication(&message), Some((peer, &payload[..len])));
                let frame = wrap(Framing::Channel(0x4001), &mut buf, len);
                assert_eq!(read_channel_data(frame), Some((0x4001, &payload[..len])));
            }
        }
    }

    #[test]
    fn a_row_is_its_frames_one_after_the_other() {
        let peer = "[2001:db8::1]:5000".parse().unwrap();
        for framing in
            [Framing::Direct, Framing::Channel(0x4001), Framing::Send { peer, id: TransactionId([7; 12]) }]
        {
            let (len, count) = (5, 3);
            let stride = stride(framing, len);
            let (mut row, mut rows) = ([0xEE; 400], Vec::new());
            for number in 0..count {
                row[HEADROOM + number * stride..][..len].fill(number as u8);
                let mut one = [0xEE; 100];
                one[HEADROOM..HEADROOM + len].fill(number as u8);
                rows.extend_from_slice(wrap(framing, &mut one, len));
            }
            assert_eq!(wrap_batch(framing, &mut row, len, count), rows, "{framing:?}");
        }
    }

    #[test]
    fn an_indication_without_peer_or_data_or_with_an_unknown_attribute_is_nothing() {
        let peer = "192.0.2.1:5000".parse().unwrap();
        let parts: [fn(&mut Writer<'_>, SocketAddr); 3] = [
            |writer, peer| {
                writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer);
            },
            |writer, _| {
                writer.put(attr::DATA, b"x");
            },
            |writer, peer| {
                writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer).put(attr::DATA, b"x").put(0x7001, &[]);
            },
        ];
        for part in parts {
            let mut buf = [0; 100];
            let mut writer = Writer::new(&mut buf, Class::Indication, Method::DATA, TransactionId([0; 12]));
            part(&mut writer, peer);
            let message = Message::parse(writer.finish().unwrap()).unwrap();
            assert_eq!(read_indication(&message), None);
        }
    }
}
