//! The operating system's randomness.

use rand::TryRng as _;

/// A seed for a machine.
///
/// # Panics
/// If it has none: nothing may be started without.
pub(super) fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed).expect("the operating system has randomness");
    seed
}

/// A number below `count`. Nothing secret comes of it.
pub(super) fn below(count: u32) -> u32 {
    rand::rngs::SysRng.try_next_u32().unwrap_or(0) % count.max(1)
}
