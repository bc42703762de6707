#![no_main]

#[path = "../bodies/agent_ops.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::agent_ops(data));
