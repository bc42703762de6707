//! STUN and ChannelData on a stream (RFC 8489 §6.2.2, RFC 8656 §12.4, §12.5): each message says how long it is.
//!
//! ```text
//! | 0 0 | type (14) | length (16) | cookie, transaction id (128) | length bytes, a multiple of 4 |
//! | 0x4000..=0x4FFF | length (16) | length bytes | padding to 4 |
//! ```

use super::{BadFrame, Measure};

/// Bytes of a STUN message before its attributes.
const STUN_HEADER: usize = 20;
/// The magic cookie, bytes 4..8 of every STUN message (RFC 8489 §5).
const COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();
/// Bytes of a ChannelData message before its payload.
const CHANNEL_HEADER: usize = 4;

/// Where a message ends. What can be neither STUN nor ChannelData is noticed as early as its bytes allow.
pub(super) fn measure(begin: &[u8]) -> Result<Measure, BadFrame> {
    let Some((&[first, _, l0, l1], rest)) = begin.split_first_chunk() else {
        return match begin.first() {
            None | Some(0..=0x4F) => Ok(Measure::Unknown),
            Some(_) => Err(BadFrame),
        };
    };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    match first {
        0..=0x3F => {
            let seen = rest.len().min(COOKIE.len());
            if !length.is_multiple_of(4) || rest[..seen] != COOKIE[..seen] {
                return Err(BadFrame);
            }
            let end = STUN_HEADER + length;
            Ok(Measure::Frame { end, message: 0..end })
        }
        0x40..=0x4F => {
            let end = CHANNEL_HEADER + length;
            Ok(Measure::Frame { end: end.next_multiple_of(4), message: 0..end })
        }
        _ => Err(BadFrame),
    }
}

/// STUN messages are a multiple of 4 bytes long as they are.
pub(super) fn put(message: &[u8], stream: &mut Vec<u8>) {
    stream.extend_from_slice(message);
    let padding = message.len().next_multiple_of(4) - message.len();
    stream.extend_from_slice(&[0; 3][..padding]);
}
