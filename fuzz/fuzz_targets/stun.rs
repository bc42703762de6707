#![no_main]

#[path = "../bodies/stun.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::stun(data));
