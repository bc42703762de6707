//! Hostile descriptions, and the seeds of the fuzz target `sdp`.

#[path = "../../fuzz/bodies/sdp.rs"]
#[expect(unreachable_pub, reason = "the fuzz target calls it from another crate")]
mod bodies;

use proptest::prelude::*;

#[test]
fn the_seeds_of_the_fuzz_target_are_read_or_refused() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/sdp");
    let mut seeds = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        bodies::sdp(&std::fs::read(entry.expect("an entry").path()).expect("a seed"));
        seeds += 1;
    }
    assert!(seeds >= 12, "{seeds} seeds");
}

/// Lines that get past the first checks, and parts of them.
fn line() -> impl Strategy<Value = String> {
    let head = prop::sample::select(vec![
        "m=audio 9 RTP/AVP 0",
        "m=audio 5000 TCP/RTP/AVP 0",
        "m=video 0 RTP/AVP 0",
        "c=IN IP4 192.0.2.1",
        "c=IN IP6 ::",
        "a=mid:",
        "a=group:BUNDLE 0 1",
        "a=rtcp:",
        "a=rtcp-mux",
        "a=bundle-only",
        "a=ice-ufrag:8hhY",
        "a=ice-ufrag:",
        "a=ice-pwd:asd88fgpdd777uzjYhagZg",
        "a=ice-pacing:",
        "a=ice-options:trickle",
        "a=ice-lite",
        "a=ice-mismatch",
        "a=end-of-candidates",
        "a=remote-candidates:1 192.0.2.1 5000",
        "a=candidate:1 1 udp 5 192.0.2.1 5000 typ host",
        "a=candidate:1 2 udp 5 192.0.2.1 5001 typ host",
        "a=candidate:1 1 tcp 5 192.0.2.1 5000 typ host tcptype passive",
        "",
    ]);
    let tail =
        prop_oneof![4 => Just(String::new()), 1 => "[ -~]{0,12}", 1 => "[0-9]{1,6}", 1 => any::<String>()];
    (head, tail).prop_map(|(head, tail)| format!("{head}{tail}"))
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..400)) {
        bodies::sdp(&data);
    }

    #[test]
    fn nearly_right_descriptions_are_read_or_refused(lines in prop::collection::vec(line(), 0..24)) {
        bodies::sdp(lines.join("\r\n").as_bytes());
    }
}
