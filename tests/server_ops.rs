//! The fuzz target `server_ops` on stable: its corpus, and programs of our own making.

#[path = "../fuzz/bodies/server_ops.rs"]
#[expect(unreachable_pub, reason = "the fuzz target calls it from another crate")]
mod bodies;

use proptest::prelude::*;

#[test]
fn the_corpus_holds() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/server_ops");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        bodies::server_ops(&std::fs::read(entry.expect("an entry").path()).expect("a program"));
        count += 1;
    }
    assert!(count > 10, "only {count} programs");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_server_keeps_its_promises_whatever_happens(program in prop::collection::vec(any::<u8>(), 0..600)) {
        bodies::server_ops(&program);
    }
}
