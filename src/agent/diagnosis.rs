//! Why a session has no path, or only one through a relay: what was sent and what came back, for each interface, server
//! and pair, and the causes that follow from it.
//!
//! ```
//! # use floe::{Agent, Config, Role};
//! # #[allow(clippy::disallowed_methods)] let now = std::time::Instant::now();
//! # let agent = Agent::new(Config::new(Role::Controlling, [7; 32]), now);
//! let diagnosis = agent.diagnosis();
//! for cause in &diagnosis.causes {
//!     println!("{}: {cause}", cause.certainty());
//! }
//! eprintln!("{diagnosis}");
//! ```
//!
//! | what | file |
//! |---|---|
//! | the facts, as data | here |
//! | from the agent's parts to the facts | `collect` |
//! | from the facts to the causes | `infer` |
//! | the causes, as data | [`cause`] |
//! | and as sentences | `sentence` |
//! | the report as text | `text` |

pub mod cause;
mod collect;
mod infer;
mod nat;
mod sentence;
mod text;

use std::net::{IpAddr, SocketAddr};

pub use cause::{Cause, Certainty, Ends};

use super::config::{Policy, Role};
use super::event::{Reason, ServerId, ServerProblem};
use super::state::State;
use crate::candidate::CandidateType;
use crate::checks::pair::Quality;
use crate::checks::{Failure, PairState};
use crate::consent::Loss;
use crate::io::ComponentId;
use crate::time::Duration;

/// The facts of a session and what follows from them. It can be taken at any time, and of a session that is over too;
/// `Display` prints a report of several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Where the agent stands.
    pub state: State,
    /// Why it failed, if it did.
    pub reason: Option<Reason>,
    /// The present role.
    pub role: Role,
    /// Which candidates may be used.
    pub policy: Policy,
    /// From the birth of the agent to its last call.
    pub age: Duration,
    /// Whether a checklist may fail yet.
    pub patience: Patience,
    /// This agent ended its candidates.
    pub gathering_ended: bool,
    /// What the peer signalled.
    pub peer: Peer,
    /// Each local address that is in use, relayed ones too.
    pub bases: Vec<Base>,
    /// Each server and each base that it was asked from.
    pub servers: Vec<Server>,
    /// Each pair that there is, in no order that means anything.
    pub pairs: Vec<Pair>,
    /// The last loss of consent of each component that lost it.
    pub losses: Vec<ConsentLoss>,
    /// Binding requests that were not authenticated: strangers', or the peer's with another password.
    pub requests_unverified: u32,
    /// Most probable first. Empty if every component has a direct path, and while nothing is known to be wrong.
    pub causes: Vec<Cause>,
}

/// The timer of RFC 8863: until it is over no checklist fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It starts with the peer's credentials.
    NotStarted,
    /// It runs.
    Running,
    /// It is over.
    Over,
}

/// What the peer signalled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Peer {
    /// Its credentials are known, for every stream.
    pub has_credentials: bool,
    /// It ended its candidates, for every stream.
    pub has_ended: bool,
    /// Its candidates, those that were learnt from its checks included.
    pub candidates: Vec<End>,
    /// Candidates that were not taken because their address is a name: one that nobody has resolved yet, or that is not
    /// to be resolved.
    pub names: u32,
    /// Candidates that were not taken because of their address: unspecified, multicast, loopback from afar.
    pub unusable: u32,
    /// Other signals that were not taken.
    pub others_refused: u32,
}

/// One end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The type of its candidate.
    pub kind: CandidateType,
    /// The address of its candidate.
    pub addr: SocketAddr,
}

/// A local address that is sent from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Base {
    /// The address, of an interface or on a relay.
    pub addr: SocketAddr,
    /// The relay's server.
    pub relay: Option<ServerId>,
    /// The component that it serves.
    pub component: ComponentId,
    /// Its candidates.
    pub candidates: Vec<End>,
    /// Checks, queries and requests to TURN servers sent from it, retransmissions included.
    pub requests_sent: u32,
    /// Answers to these.
    pub answers_received: u32,
    /// Checks of the peer that arrived at it.
    pub requests_received: u32,
}

/// What a server is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The mapped address.
    Stun,
    /// A relay.
    Turn,
}

/// What became of one server, asked from one base.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Which one.
    pub id: ServerId,
    /// What it is asked for.
    pub service: Service,
    /// Where it is.
    pub addr: SocketAddr,
    /// From which base it was asked.
    pub base: SocketAddr,
    /// Requests sent, retransmissions included.
    pub requests: u32,
    /// Answers, errors and answers that are not authentic included.
    pub answers: u32,
    /// The address that it saw.
    pub mapped: Option<SocketAddr>,
    /// The address that it allocated.
    pub relayed: Option<SocketAddr>,
    /// What is wrong with it.
    pub problem: Option<ServerProblem>,
    /// The peer address that its relay refused last, and why.
    pub refused: Option<(IpAddr, ServerProblem)>,
}

/// Where a pair stands, in the words of somebody who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Nominated: data goes over it.
    Selected,
    /// It was answered.
    Works,
    /// A check is under way.
    Checking,
    /// Its turn has not come, or one of its foundation goes first.
    Waiting,
    /// Checks begin with the peer's credentials.
    NeedsCredentials,
    /// Its relay has no permission for this address yet.
    NeedsPermission,
    /// It was given up, since another one is selected.
    Retired,
    /// It failed.
    Failed(Failure),
}

/// One pair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pair {
    /// Its component.
    pub component: ComponentId,
    /// The address that is sent from.
    pub base: SocketAddr,
    /// The local candidate: the one that the peer saw, once it is known.
    pub local: End,
    /// The remote candidate.
    pub remote: End,
    /// The state (RFC 8445 §6.1.2.6).
    pub state: PairState,
    /// What that means.
    pub standing: Standing,
    /// What was sent, what came back, and how fast.
    pub quality: Quality,
}

/// How a component lost consent (RFC 7675 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsentLoss {
    /// The component.
    pub component: ComponentId,
    /// When, from the birth of the agent.
    pub at: Duration,
    /// How.
    pub loss: Loss,
}

impl Pair {
    /// Whether it leads through a relay at either end.
    pub fn is_relayed(&self) -> bool {
        [self.local, self.remote].iter().any(|end| end.kind == CandidateType::Relayed)
    }

    /// Whether it carries data, or can.
    pub fn works(&self) -> bool {
        matches!(self.standing, Standing::Selected | Standing::Works)
    }
}
