//! Where the seeds of the machines come from.

use rand::TryRng as _;

/// 32 bytes of the operating system.
///
/// # Panics
/// If it has none: nothing may be started without.
pub(super) fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed).expect("the operating system has randomness");
    seed
}
