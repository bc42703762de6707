//! The body of the fuzz target `portmap`, replayed on stable.

#[path = "../../fuzz/bodies/portmap.rs"]
#[expect(unreachable_pub, reason = "the fuzz target calls it from another crate")]
mod bodies;

use proptest::prelude::*;

#[test]
fn the_seeds_of_the_fuzz_target_are_read_or_refused() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/portmap");
    let mut seeds = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        bodies::portmap(&std::fs::read(entry.expect("an entry").path()).expect("a seed"));
        seeds += 1;
    }
    assert!(seeds >= 8, "{seeds} seeds");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..400)) {
        bodies::portmap(&data);
    }

    #[test]
    fn nearly_right_answers_are_read_or_refused(
        head in prop::sample::select(vec![&b"\x02\x81\x00\x00"[..], b"\x02\x80\x00\x00", b"\x00\x81\x00\x00",
            b"\x00\x80\x00\x00", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"<root><service>", b"http://192.168.1.1:"]),
        tail in prop::collection::vec(any::<u8>(), 0..1200),
    ) {
        bodies::portmap(&[head, &tail].concat());
    }
}
