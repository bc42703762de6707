#![no_main]

#[path = "../bodies/server_ops.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::server_ops(data));
