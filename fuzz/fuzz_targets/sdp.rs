#![no_main]

#[path = "../bodies/sdp.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::sdp(data));
