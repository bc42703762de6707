//! Counts what reading and signing cost, so that tests bound work and not time.

use std::cell::Cell;

/// Work of this thread since [`take`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::stun) struct Work {
    /// Attribute headers looked at.
    pub(in crate::stun) attributes: usize,
    /// Bytes under the CRC of FINGERPRINT.
    pub(in crate::stun) crc: usize,
    /// Bytes under an HMAC.
    pub(in crate::stun) mac: usize,
}

thread_local! {
    static WORK: Cell<Work> = Cell::default();
}

pub(in crate::stun) fn attribute() {
    WORK.with(|work| work.set(Work { attributes: work.get().attributes + 1, ..work.get() }));
}

pub(in crate::stun) fn crc(bytes: usize) {
    WORK.with(|work| work.set(Work { crc: work.get().crc + bytes, ..work.get() }));
}

pub(in crate::stun) fn mac(bytes: usize) {
    WORK.with(|work| work.set(Work { mac: work.get().mac + bytes, ..work.get() }));
}

/// What was done, and starts anew.
pub(in crate::stun) fn take() -> Work {
    WORK.take()
}
