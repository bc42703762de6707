#![no_main]

#[path = "../bodies/candidate.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::candidate(data));
