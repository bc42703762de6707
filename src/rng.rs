//! All randomness of a machine: a seeded cryptographic generator. The seed comes from the caller, so the core
//! needs no OS entropy and a simulation replays bit for bit.

use rand::rngs::ChaCha12Rng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::credentials::{Pwd, Ufrag};

/// The 64 characters of `ice-char` (RFC 8839 §5.4): six bits each.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A seeded CSPRNG (ChaCha12).
#[derive(Debug)]
pub struct Rng(ChaCha12Rng);

impl Rng {
    /// The same seed gives the same sequence, on every platform.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// A seed for a machine that is owned by this one.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }

    /// A transaction id: 96 random bits (RFC 8489 §5).
    pub fn transaction_id(&mut self) -> [u8; 12] {
        let mut id = [0; 12];
        self.0.fill_bytes(&mut id);
        id
    }

    /// A tiebreaker (RFC 8445 §16.1).
    pub fn tiebreaker(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A ufrag of 8 characters, 48 random bits: above the 24 that RFC 8445 §5.3 demands.
    pub fn ufrag(&mut self) -> Ufrag {
        Ufrag::from_ice_chars(&self.ice_chars::<8>())
    }

    /// A pwd of 22 characters, 132 random bits: above the 128 that RFC 8445 §5.3 demands, and short enough to be kept in
    /// place.
    pub fn pwd(&mut self) -> Pwd {
        Pwd::from_ice_chars(&self.ice_chars::<22>())
    }

    /// Uniform in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    /// True with probability `p`, which is clamped to 0..=1.
    pub fn chance(&mut self, p: f64) -> bool {
        self.0.random_bool(p.clamp(0.0, 1.0))
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn ice_chars<const N: usize>(&mut self) -> [u8; N] {
        let mut chars = [0; N];
        self.0.fill_bytes(&mut chars);
        chars.map(|byte| ICE_CHARS[usize::from(byte & 63)])
    }
}
