//! HMAC-SHA1 (RFC 2104) with a key that was prepared once. It is computed twice for each check and its answer, so the two
//! states that the key alone decides are kept, and blocks go from the message to the compression function as they lie.

use std::slice;

use sha1::compress;
use subtle::ConstantTimeEq as _;

/// A block of SHA-1.
const BLOCK: usize = 64;
/// The state of SHA-1 before the first block (RFC 3174 §6.1).
const START: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

type State = [u32; 5];

/// The states after the block of the key: of the inner hash and of the outer one.
#[derive(Clone)]
pub(super) struct HmacSha1 {
    inner: State,
    outer: State,
}

impl HmacSha1 {
    /// A key of any length: one longer than a block counts as its hash.
    pub(super) fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..20].copy_from_slice(&bytes(finish(START, key, 0)));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let padded = |pad: u8| {
            let mut state = START;
            absorb(&mut state, &block.map(|byte| byte ^ pad));
            state
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    /// The HMAC of a text.
    pub(super) fn tag(&self, text: &[u8]) -> [u8; 20] {
        bytes(self.close(finish(self.inner, text, BLOCK)))
    }

    /// Whether `value` is the HMAC of a STUN message up to its integrity attribute, under a header with this length
    /// (RFC 8489 §14.5). In constant time.
    pub(super) fn fits(&self, message: &[u8], length: u16, value: &[u8]) -> bool {
        let (header, rest) = message.split_at(BLOCK.min(message.len()));
        let mut first = [0; BLOCK];
        first[..header.len()].copy_from_slice(header);
        first[2..4].copy_from_slice(&length.to_be_bytes());
        let inner = if header.len() < BLOCK {
            finish(self.inner, &first[..header.len()], BLOCK)
        } else {
            let mut state = self.inner;
            absorb(&mut state, &first);
            finish(state, rest, 2 * BLOCK)
        };
        let (words, rest) = value.as_chunks::<4>();
        // Word by word, and no early end.
        let differ = words
            .iter()
            .zip(self.close(inner))
            .fold(0, |differ, (value, of)| differ | (u32::from_be_bytes(*value) ^ of));
        words.len() == 5 && rest.is_empty() && differ.ct_eq(&0).into()
    }

    fn close(&self, inner: State) -> State {
        finish(self.outer, &bytes(inner), BLOCK)
    }
}

/// One block.
fn absorb(state: &mut State, block: &[u8; BLOCK]) {
    compress(state, slice::from_ref(block.into()));
}

/// The blocks of `text`, and the end of a hash of which `before` bytes are in `state` (RFC 3174 §4).
fn finish(mut state: State, text: &[u8], before: usize) -> State {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    for block in blocks {
        absorb(&mut state, block);
    }
    let mut last = [0; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    if rest.len() >= BLOCK - 8 {
        absorb(&mut state, &last);
        last = [0; BLOCK];
    }
    let bits = 8 * (before + text.len()) as u64;
    last[BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
    absorb(&mut state, &last);
    state
}

fn bytes(state: State) -> [u8; 20] {
    let mut bytes = [0; 20];
    let (words, _) = bytes.as_chunks_mut::<4>();
    words.iter_mut().zip(state).for_each(|(to, word)| *to = word.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, Mac as _};
    use proptest::prelude::*;
    use sha1::Sha1;

    use super::*;

    fn reference(key: &[u8], text: &[u8]) -> [u8; 20] {
        let mac = Hmac::<Sha1>::new_from_slice(key).expect("any length");
        mac.chain_update(text).finalize().into_bytes().into()
    }

    /// Test cases 2 and 6 of RFC 2202 §3.
    #[test]
    fn computes_the_vectors_of_rfc_2202() {
        let hex = |text: &str| u128::from_str_radix(text, 16).expect("hexadecimal").to_be_bytes();
        let tag = HmacSha1::new(b"Jefe").tag(b"what do ya want for nothing?");
        assert_eq!(tag[..16], hex("effcdf6ae5eb2fa2d27416d5f184df9c"));
        let tag = HmacSha1::new(&[0xaa; 80]).tag(b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(tag[..16], hex("aa4ae5e15272d00e95705637ce8a3b55"));
    }

    proptest! {
        /// Lengths around one, two and three blocks, of key and text, against another implementation.
        #[test]
        fn agrees_with_another_hmac(key: [u8; 200], keep in 0..200usize, text: [u8; 200], len in 0..200usize) {
            let (key, text) = (&key[..keep], &text[..len]);
            prop_assert_eq!(HmacSha1::new(key).tag(text), reference(key, text));
        }

        /// Another length in the header, one bit changed anywhere, or a value that is cut.
        #[test]
        fn verifies_under_the_length_that_counts(
            mut message: [u8; 200], len in 20..200usize, length: u16, bit in 0..1600usize,
        ) {
            let key = HmacSha1::new(b"key");
            let received = message;
            message[2..4].copy_from_slice(&length.to_be_bytes());
            let value = reference(b"key", &message[..len]);
            prop_assert!(key.fits(&received[..len], length, &value));
            prop_assert!(!key.fits(&received[..len], length ^ 4, &value));
            prop_assert!(!key.fits(&received[..len], length, &value[..19]));
            let mut wrong = value;
            wrong[bit % 160 / 8] ^= 1 << (bit % 8);
            prop_assert!(!key.fits(&received[..len], length, &wrong));
            let mut changed = received;
            changed[bit / 8] ^= 1 << (bit % 8);
            let counts = bit / 8 < len && !(2..4).contains(&(bit / 8));
            prop_assert_eq!(key.fits(&changed[..len], length, &value), !counts);
        }
    }
}
