//! The one comparison of two valid pairs.

use super::pair::Pair;

/// Whether `a` is the better of two valid pairs: by pair priority, which both ends compute alike (RFC 8445
/// §6.1.2.3, §7.2.5.3.2).
pub fn is_better(a: &Pair, b: &Pair) -> bool {
    a.valid_priority > b.valid_priority
}
