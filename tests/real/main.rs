//! Two `floe peer` processes across real NATs, with `floe server` and with coturn, in network namespaces that each test
//! makes and removes. It needs root, `ip` and `nft`, `turnserver` (coturn), `miniupnpd` and python3, so every test is ignored unless
//! asked for:
//!
//! ```text
//! cargo test --all-features --test real -- --ignored --test-threads=1
//! ```
#![expect(clippy::unwrap_used, reason = "what the lab cannot do fails the test")]
#![expect(clippy::disallowed_methods, reason = "the lab waits for real processes in real time")]

mod alone;
mod hard;
mod home;
mod kinds;
mod lab;
mod map;
mod names;
mod nat;
mod nats;
mod paths;
mod peer;
mod probe;
mod process;
mod roaming;
mod server;
mod streams;
