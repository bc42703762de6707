#![no_main]

#[path = "../bodies/portmap.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::portmap(data));
