//! Port mappings against scripted gateways, on a virtual clock.
#![expect(clippy::unwrap_used, reason = "a script that cannot be followed fails the test")]

mod announcements;
mod bench;
mod fuzzed;
mod leases;
mod nat_pmp;
mod pcp;
mod race;
mod upnp;
