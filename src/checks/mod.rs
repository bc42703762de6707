//! Connectivity checks: every rule of RFC 8445 §6 to §8 lives here, without bytes of sockets and without a clock.
//!
//! | section | file |
//! |---|---|
//! | §6.1.2 the set of checklists | [`set`] |
//! | §6.1.2.2–§6.1.2.5 forming, pruning and limiting pairs; a signalled twin of a learnt candidate | [`form`] |
//! | §7.3.1.3 peer-reflexive remote candidates | [`learn`] |
//! | §6.1.2.6, §7.2.5.3.3 freezing over the whole checklist set | [`freeze`] |
//! | §6.1.2.1, §6.1.4.1, §7.2.5.4, §8.1.2 state of one checklist | [`checklist`] |
//! | §6.1.4.2 what is checked next, §14.3 its RTO | [`schedule`] |
//! | beyond the RFC: the likely pairs first, and again | [`likelihood`], [`recheck`] |
//! | §7.2 our check and its answer | [`request`] |
//! | §7.2.5.3.2 the valid pair of a success | `valid` |
//! | §7.3 the peer's check | [`respond`] |
//! | §8.1.1 when to nominate | [`nominate`] |
//! | §8.1.2 what a nomination changes | [`select`] |
//! | checks of no pair, for addresses that nobody has told | `probe` |
//! | RFC 6544 connections of TCP pairs | [`connect`] |
//! | what answers tell of a pair, and which of two is better | [`measure`], [`better`] |
//! | with renomination: the selected pair does not answer, or a better one appears | [`failover`] |
//! | with renomination: one more pair for the day when the selected one is lost | [`spare`] |

mod ask;
mod bases;
pub mod better;
pub mod checklist;
pub mod connect;
pub mod failover;
mod forget;
pub mod form;
pub mod freeze;
mod index;
pub mod learn;
pub mod likelihood;
pub mod limits;
pub mod measure;
pub mod nominate;
pub mod pair;
mod probe;
pub mod recheck;
pub mod request;
pub mod respond;
pub mod role;
pub(crate) mod room;
pub mod schedule;
pub mod select;
pub mod set;
pub mod spare;
mod valid;

#[cfg(test)]
mod tests;

pub use form::Permission;
pub use likelihood::CheckOrder;
pub use limits::Limits;
pub use pair::{Failure, Link, Pair, PairId, PairState, RemoteId};
pub use recheck::Recheck;
pub use role::Role;
pub use set::{ChecklistSet, Generation, Implementation};
