//! A generic application-level gateway: it looks for addresses in payloads that it does not understand (RFC 4787 §7).

use std::net::IpAddr;

/// Replaces each occurrence of an address by another one of its family, in network byte order.
pub(super) fn rewrite(payload: &mut [u8], from: IpAddr, to: IpAddr) {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) else { return };
    let (from, to) = (from.octets(), to.octets());
    let mut at = 0;
    while let Some(bytes) = payload.get_mut(at..at + 4) {
        if bytes == from {
            bytes.copy_from_slice(&to);
            at += 4;
        } else {
            at += 1;
        }
    }
}
