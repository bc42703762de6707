#![no_main]

#[path = "../bodies/stun.rs"]
#[expect(dead_code, reason = "the other target of this body uses the rest")]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bodies::read_twice(data);
});
