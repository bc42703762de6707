//! The fuzz target `agent_ops` on stable: its corpus, and programs of our own making.

#[path = "../fuzz/bodies/agent_ops.rs"]
#[expect(unreachable_pub, reason = "the fuzz target calls it from another crate")]
mod bodies;

use proptest::prelude::*;

#[test]
fn the_corpus_holds() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/agent_ops");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        bodies::agent_ops(&std::fs::read(entry.expect("an entry").path()).expect("a program"));
        count += 1;
    }
    assert!(count > 10, "only {count} programs");
}

/// Steps of a program about TCP (RFC 6544): what random bytes seldom say one after the other.
fn tcp_step() -> impl Strategy<Value = Vec<u8>> {
    let any3 = || (any::<u8>(), any::<u8>(), any::<u8>());
    prop_oneof![
        5 => any3().prop_map(|(what, which, whose)| vec![15, 240, what, which, whose]),
        2 => any3().prop_map(|(flags, addr, priority)| vec![7, 8 | flags & 0xD3, addr, 0, priority]),
        6 => Just(vec![2]),
        1 => any::<u8>().prop_map(|milliseconds| vec![0, milliseconds]),
        4 => any3().prop_map(|(socket, flags, fault)| vec![9, socket, 0, flags, if fault < 200 { 0 } else { fault }]),
        3 => any3().prop_map(|(back, how, value)| vec![11, back, how, value]),
        3 => any::<u8>().prop_map(|how| vec![15, 100, how & 0x43, 0]),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(socket, byte)| vec![14, socket, 0, 1, byte]),
        1 => Just(vec![6, 0]),
        1 => Just(vec![3, 0, 0, 0]),
        1 => Just(vec![6, 1]),
        1 => Just(vec![15, 251]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn an_agent_keeps_its_promises_whatever_happens(program in prop::collection::vec(any::<u8>(), 0..600)) {
        bodies::agent_ops(&program);
    }

    #[test]
    fn an_agent_with_tcp_keeps_its_promises(
        flags in any::<u8>(),
        more in 0..2_u8,
        steps in prop::collection::vec(tcp_step(), 10..120),
    ) {
        // Credentials, a socket, a listener, a candidate.
        let begin = [flags & 0x69, 2 | more, 6, 0, 3, 0, 0, 0, 15, 240, 0, 0, 0, 7, 8, 0, 0, 1];
        let program: Vec<u8> = begin.into_iter().chain(steps.concat()).collect();
        bodies::agent_ops(&program);
    }
}
