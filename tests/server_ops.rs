//! The fuzz target `server_ops` on stable: programs of our own making.

#[path = "../fuzz/bodies/server_ops.rs"]
#[expect(unreachable_pub, reason = "the fuzz target calls it from another crate")]
mod bodies;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_server_keeps_its_promises_whatever_happens(program in prop::collection::vec(any::<u8>(), 0..600)) {
        bodies::server_ops(&program);
    }
}
