//! Writes a message into the caller's buffer.
#![warn(clippy::indexing_slicing)]

use std::net::{IpAddr, SocketAddr};

use super::{Class, HEADER, MAGIC_COOKIE, Method, TransactionId, attr, fingerprint, join_type, padded};

/// The message cannot be written: the buffer is too small (the caller owes 1280 bytes), or a value is longer than
/// its attribute allows. A bug of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer is too small for the message, or a value too long for its attribute")]
pub struct BufferTooSmall;

/// Writes one message front to back into the caller's buffer. What cannot be written shows in
/// [`Writer::finish`] only, so that a message reads as one row of calls.
#[derive(Debug)]
pub struct Writer<'b> {
    buf: &'b mut [u8],
    at: usize,
    refused: bool,
}

impl<'b> Writer<'b> {
    /// Starts a message.
    pub fn new(buf: &'b mut [u8], class: Class, method: Method, id: TransactionId) -> Self {
        let mut writer = Self { buf, at: 0, refused: false };
        if let Some((head, transaction)) = writer.room(HEADER).and_then(<[u8]>::split_first_chunk_mut) {
            let ([t0, t1], [c0, c1, c2, c3]) =
                (join_type(class, method).to_be_bytes(), MAGIC_COOKIE.to_be_bytes());
            *head = [t0, t1, 0, 0, c0, c1, c2, c3];
            transaction.copy_from_slice(&id.0);
        }
        writer
    }

    /// Adds an attribute.
    pub fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let Ok(length) = u16::try_from(value.len()) else { return self.refuse() };
        let Some((head, rest)) = self.room(4 + padded(value.len())).and_then(<[u8]>::split_first_chunk_mut)
        else {
            return self;
        };
        let ([t0, t1], [l0, l1]) = (kind.to_be_bytes(), length.to_be_bytes());
        *head = [t0, t1, l0, l1];
        let (to, padding) = rest.split_at_mut(value.len());
        to.copy_from_slice(value);
        padding.fill(0);
        self
    }

    /// Adds a number of 32 bits.
    pub fn put_u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds a number of 64 bits.
    pub fn put_u64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds an address XORed with cookie and transaction id (RFC 8489 §14.2).
    pub fn put_xor_address(&mut self, kind: u16, addr: SocketAddr) -> &mut Self {
        let mask = self.buf.get(4..HEADER).and_then(|mask| mask.try_into().ok()).unwrap_or([0; 16]);
        self.put_masked(kind, addr, mask)
    }

    /// Adds an address in clear (RFC 8489 §14.1).
    pub fn put_address(&mut self, kind: u16, addr: SocketAddr) -> &mut Self {
        self.put_masked(kind, addr, [0; 16])
    }

    fn put_masked(&mut self, kind: u16, addr: SocketAddr, mask: [u8; 16]) -> &mut Self {
        let [p0, p1] = addr.port().to_be_bytes();
        let port = [p0 ^ mask[0], p1 ^ mask[1]];
        match addr.ip() {
            IpAddr::V4(ip) => {
                let mut value = [0, 1, port[0], port[1], 0, 0, 0, 0];
                let masked = ip.octets().into_iter().zip(mask).map(|(octet, mask)| octet ^ mask);
                value.iter_mut().skip(4).zip(masked).for_each(|(to, from)| *to = from);
                self.put(kind, &value)
            }
            IpAddr::V6(ip) => {
                let mut value = [0; 20];
                let masked = ip.octets().into_iter().zip(mask).map(|(octet, mask)| octet ^ mask);
                let all = [0, 2, port[0], port[1]].into_iter().chain(masked);
                value.iter_mut().zip(all).for_each(|(to, from)| *to = from);
                self.put(kind, &value)
            }
        }
    }

    /// Adds FINGERPRINT (RFC 8489 §14.7). Nothing may follow.
    pub fn fingerprint(&mut self) -> &mut Self {
        self.set_length((self.at + 8).saturating_sub(HEADER));
        let crc = fingerprint(self.written());
        self.put_u32(attr::FINGERPRINT, crc)
    }

    /// The finished message.
    ///
    /// # Errors
    /// [`BufferTooSmall`].
    pub fn finish(mut self) -> Result<&'b [u8], BufferTooSmall> {
        self.set_length(self.at.saturating_sub(HEADER));
        if self.refused || self.at > HEADER + usize::from(u16::MAX) {
            return Err(BufferTooSmall);
        }
        let Self { buf, at, .. } = self;
        buf.get(..at).ok_or(BufferTooSmall)
    }

    /// Makes [`Writer::finish`] fail.
    pub(in crate::stun) fn refuse(&mut self) -> &mut Self {
        self.refused = true;
        self
    }

    /// What was written so far.
    pub(in crate::stun) fn written(&self) -> &[u8] {
        self.buf.get(..self.at).unwrap_or_default()
    }

    /// Sets the length field as if `length` bytes followed the header: integrity attributes and FINGERPRINT
    /// are computed over a header that counts them already (RFC 8489 §14.5, §14.7).
    pub(in crate::stun) fn set_length(&mut self, length: usize) {
        if let Some(field) = self.buf.get_mut(2..4) {
            field.copy_from_slice(&(length as u16).to_be_bytes());
        }
    }

    /// The next so many bytes, to be written; `None` once something did not fit.
    fn room(&mut self, length: usize) -> Option<&mut [u8]> {
        let from = self.at;
        let room = self.buf.get_mut(from..from + length).filter(|_| !self.refused);
        match room {
            Some(_) => self.at += length,
            None => self.refused = true,
        }
        room
    }
}
