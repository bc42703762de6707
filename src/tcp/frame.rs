//! Any messages on a stream (RFC 4571 §2), as connections between ICE agents have it (RFC 6544 §3).
//!
//! ```text
//! | length (16) | length bytes |
//! ```

use super::Measure;

/// Bytes of the length.
const HEADER: usize = 2;

pub(super) fn measure(begin: &[u8]) -> Measure {
    let Some(length) = begin.first_chunk() else { return Measure::Unknown };
    let end = HEADER + usize::from(u16::from_be_bytes(*length));
    Measure::Frame { end, message: HEADER..end }
}

pub(super) fn put(message: &[u8], stream: &mut Vec<u8>) {
    let Ok(length) = u16::try_from(message.len()) else {
        panic!("{} bytes do not fit into a frame", message.len())
    };
    stream.extend_from_slice(&length.to_be_bytes());
    stream.extend_from_slice(message);
}
