//! Gathering reflexive candidates (RFC 8445 §5.1.1.2) and keeping their mappings (§5.1.1.4): one Binding query for
//! each base and STUN server. Relayed candidates come from [`turn`](crate::turn).

mod query;

pub use query::{Asked, Found, Gatherer, Query, Timeout};
