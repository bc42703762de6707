//! The tables that a packet is looked up in.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};

/// A hash table that costs a packet some thirty instructions, and is the same on every run. Its hash function does not
/// stand up to somebody who chooses the keys, as a peer does with its addresses: every table of this kind belongs to
/// one session and has a limit ([`Limits`](crate::checks::Limits)), a few hundred entries, so that the worst choice
/// makes one lookup compare a few hundred keys. What strangers fill, as the tables of a server, has std's own.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// That hash.
pub(crate) fn hash_of(key: &impl Hash) -> u64 {
    foldhash::fast::FixedState::default().hash_one(key)
}
