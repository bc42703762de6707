//! Messages on a stream (TCP, TLS): where one ends and the next begins. No sockets: whoever reads the stream fills a
//! [`Deframer`], whoever writes it uses [`Framing::put`].
//!
//! ```text
//!  stream ──▶ room, filled ──▶ | rest of a frame | frame | frame | half a frame | ──▶ next_frame
//! ```
//!
//! Two protocols tell messages apart in different ways: [`Framing::Turn`] and [`Framing::Rfc4571`].

mod frame;
mod turn_frame;

use std::ops::Range;

/// Memory that a deframer keeps although nothing waits in it.
const KEPT: usize = 4096;

/// How messages are told apart on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// STUN and ChannelData messages follow each other: each says how long it is. ChannelData is padded to a multiple
    /// of 4 bytes (RFC 8489 §6.2.2, RFC 8656 §12.5).
    Turn,
    /// Any bytes, each row behind its length in two bytes (RFC 4571 §2; RFC 6544 §3).
    Rfc4571,
}

impl Framing {
    /// Appends one message as it goes over the stream.
    ///
    /// With [`Framing::Turn`] the message is a whole STUN or ChannelData message, the latter with its padding or
    /// without. With [`Framing::Rfc4571`] it is any up to 65,535 bytes.
    ///
    /// # Panics
    /// With [`Framing::Rfc4571`] if the message is longer than 65,535 bytes: no datagram is.
    pub fn put(self, message: &[u8], stream: &mut Vec<u8>) {
        match self {
            Self::Turn => turn_frame::put(message, stream),
            Self::Rfc4571 => frame::put(message, stream),
        }
    }

    fn measure(self, begin: &[u8]) -> Result<Measure, BadFrame> {
        match self {
            Self::Turn => turn_frame::measure(begin),
            Self::Rfc4571 => Ok(frame::measure(begin)),
        }
    }
}

/// What the first bytes of a frame say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Measure {
    /// Too few to say anything.
    Unknown,
    /// Where the frame ends, and which of its bytes are the message.
    Frame { end: usize, message: Range<usize> },
}

/// What is on the stream is not of the protocol: where the next message begins can never be told again, so the
/// connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream has neither STUN nor ChannelData where a message begins")]
pub struct BadFrame;

/// Cuts a stream into messages. It holds what was read and not yet taken: less than one frame, of at most 65,552 bytes,
/// when all whole frames were taken.
#[derive(Debug)]
pub struct Deframer {
    framing: Framing,
    bytes: Vec<u8>,
    /// What waits in `bytes`; behind it is room.
    held: Range<usize>,
    is_bad: bool,
}

impl Deframer {
    /// For a stream at its beginning.
    pub fn new(framing: Framing) -> Self {
        Self { framing, bytes: Vec::new(), held: 0..0, is_bad: false }
    }

    /// Room to read into, `len` bytes long. Tell [`filled`](Self::filled) how many of them were.
    pub fn room(&mut self, len: usize) -> &mut [u8] {
        self.bytes.copy_within(self.held.clone(), 0);
        self.held = 0..self.held.len();
        if self.bytes.len() < self.held.end + len {
            self.bytes.resize(self.held.end + len, 0);
        }
        &mut self.bytes[self.held.end..self.held.end + len]
    }

    /// The first `len` bytes of the room have been read into.
    ///
    /// # Panics
    /// If there is not so much room: a bug of the caller.
    pub fn filled(&mut self, len: usize) {
        assert!(self.held.end + len <= self.bytes.len(), "{len} bytes are more than the room");
        self.held.end += len;
    }

    /// Takes bytes of the stream that lie elsewhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// The next whole message; `None` until more was read. Take all before there is more room, so that memory
    /// stays bounded.
    ///
    /// # Errors
    /// The stream is not of the protocol; there will be no more messages.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, BadFrame> {
        if self.is_bad {
            return Err(BadFrame);
        }
        let begin = &self.bytes[self.held.clone()];
        let Measure::Frame { end, message } =
            self.framing.measure(begin).inspect_err(|BadFrame| self.is_bad = true)?
        else {
            return Ok(None);
        };
        if begin.len() < end {
            return Ok(None);
        }
        let at = self.held.start;
        self.held.start += end;
        Ok(Some(&self.bytes[at + message.start..at + message.end]))
    }

    /// Whether part of a frame waits for its rest.
    pub fn is_partial(&self) -> bool {
        !self.held.is_empty()
    }

    /// Gives memory back if nothing waits: most connections of a server are quiet most of the time.
    pub fn release(&mut self) {
        if self.held.is_empty() && self.bytes.capacity() > KEPT {
            (self.bytes, self.held) = (Vec::new(), 0..0);
        }
    }
}

#[cfg(test)]
mod tests;
