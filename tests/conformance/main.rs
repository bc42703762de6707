//! The conformance table: every rule of the RFCs that applies to floe, and its proof.
//!
//! `TOPIC.md` has the rules, one sentence each, and `TOPIC.rows` has one line a rule, in the same order:
//!
//! ```text
//! ID <TAB> LEVEL <TAB> * or - <TAB> path/to/file.rs::name_of_the_test
//!                                   refused: CLASS: why
//!                                   todo: what
//! ```
//!
//! `*` marks what implementations most often get wrong. Classes of refusals are `decision N` (of the list in
//! `decisions.md`), `contradicts ROW`, `role` (floe does not play that role), and for what need not be done, `choice`.
//!
//! `cargo test --features sim --test conformance counts -- --nocapture` prints the counts by RFC and the refusals;
//! `CONFORMANCE_README=write` before it brings the README up to date. `breaks/run` breaks rules in the source, one at a
//! time, and expects the test of the row to fail.

mod bench;
mod consent;
mod ice;
mod proof;
mod readme;
mod rules;
mod stun;
mod table;
mod tcp;
