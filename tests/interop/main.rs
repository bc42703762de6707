//! `floe peer` with ICE implementations that others wrote, each in both roles, across the lab of `tests/real`.
//!
//! The others speak the peer contract through small adapters in `peers/`: aioice (PyPI, in the virtual environment
//! `target/interop/venv`), Chromium, libnice (Debian's packages) and pion/ice v2 (Debian's package, built to
//! `target/interop/pion`). `.ci/run` installs and builds them, and runs
//!
//! ```text
//! cargo test --all-features --test interop -- --ignored
//! ```
//!
//! as root. A failure prints the lines of both sides, with the time since each process started.
#![expect(clippy::unwrap_used, reason = "what the lab cannot do fails the test")]
#![expect(clippy::disallowed_methods, reason = "the lab waits for real processes in real time")]

/// Tests of one claim, one for each implementation and role: `claim!(name: body; implementations)` makes
/// `name::implementation::floe_controls` and `…::floe_is_controlled`, which call `body` with the two.
macro_rules! claim {
    ($(#[$doc:meta])* $claim:ident: $body:path; $($other:ident)+) => {
        $(#[$doc])*
        mod $claim {
            $(#[expect(non_snake_case, reason = "implementations are written as in `Other`")]
            mod $other {
                use crate::others::{Other, Role};

                #[test]
                #[ignore = "needs root and the other implementations"]
                fn floe_controls() {
                    $body(Other::$other, Role::Controlling);
                }

                #[test]
                #[ignore = "needs root and the other implementations"]
                fn floe_is_controlled() {
                    $body(Other::$other, Role::Controlled);
                }
            })+
        }
    };
}

#[expect(dead_code, reason = "shared with tests/real, which uses all of it")]
#[path = "../real/lab.rs"]
mod lab;
#[expect(dead_code, reason = "shared with tests/real, which uses all of it")]
#[path = "../real/peer.rs"]
mod peer;
#[path = "../real/process.rs"]
mod process;
#[path = "../real/server.rs"]
mod server;

mod capture;
mod later;
mod lite;
mod names;
mod others;
mod paths;
mod session;
