//! What goes into an agent and what comes out of it.

use std::net::{IpAddr, SocketAddr};

use super::config::Role;
use super::names::{Resolve, ResolveId};
use super::path::Path;
use super::state::State;
use crate::candidate::Candidate;
use crate::io::{CloseReason, ComponentId, Connect, ConnectId, Datagram, SocketId, Transmit, Wake};
use crate::signal::Signal;
use crate::turn::Problem;

/// What the driver feeds.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The instant of the last [`Wake`] has come.
    Timeout,
    /// A datagram arrived.
    Datagram(Datagram<'a>),
    /// The answer to [`Output::Resolve`]; `None`: the name has no address, or nobody who knows it answered.
    Resolved {
        /// Which question.
        request: ResolveId,
        /// What the name stands for.
        address: Option<IpAddr>,
    },
    /// The answer to [`Output::Connect`]: the connection stands, its TLS too.
    Connected {
        /// Which request.
        request: ConnectId,
        /// The driver's token for it. What arrives on it comes as [`Datagram`](Self::Datagram), message by message.
        socket: SocketId,
        /// Its own address, with the port that it got.
        local: SocketAddr,
    },
    /// A listening socket has accepted a connection. An agent that does not want it closes it.
    Accepted {
        /// The socket that listens, as it was [added](super::Agent::add_socket).
        listener: SocketId,
        /// The driver's token for the connection. What arrives on it comes as [`Datagram`](Self::Datagram), message by
        /// message (RFC 4571).
        socket: SocketId,
        /// Its own address.
        local: SocketAddr,
        /// Who has opened it.
        remote: SocketAddr,
    },
    /// The answer to [`Output::Open`]. There is none if no socket can be opened.
    Opened {
        /// The driver's token for the socket.
        socket: SocketId,
        /// Its own address.
        local: SocketAddr,
    },
    /// The other answer to [`Output::Connect`].
    NotConnected {
        /// Which request.
        request: ConnectId,
        /// Why there is no connection.
        why: CloseReason,
    },
    /// A hard ICMP error: nobody receives what this socket sends to `destination` (port or protocol unreachable; ICMP type 3
    /// codes 2 and 3, ICMPv6 type 1 code 4). It has to quote a datagram of this socket to that address; soft errors are not
    /// told.
    ///
    /// Anybody can forge it, so it ends no path and no allocation. The query to a server that has not answered yet fails at
    /// once (RFC 8489 §6.2.1). A pair fails that was never heard of, and not before a further request has had the same
    /// outcome: the first one often meets a NAT that the peer is about to open (RFC 8445 §7.2.5.2.2). A check of the peer
    /// revives it.
    Unreachable {
        /// The socket that has sent it.
        socket: SocketId,
        /// Its address.
        local: IpAddr,
        /// Where it was sent to: the peer, or a server.
        destination: SocketAddr,
    },
    /// A connection is over, and not because of [`Output::Close`].
    Closed {
        /// The driver's token.
        socket: SocketId,
        /// Why.
        why: CloseReason,
    },
}

/// What became of an input.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'a> {
    /// Data of the peer: a sub-slice of the input without any TURN header. It comes from a source whose check on
    /// that base was authenticated (RFC 8445 §12.2); who wrote the bytes is for the application to verify.
    Data {
        /// The component it belongs to.
        component: ComponentId,
        /// The peer's payload.
        payload: &'a [u8],
    },
    /// The agent used it, or dropped and counted it.
    Consumed,
    /// Not this agent's: a mux may offer it to another one.
    Unclaimed,
}

/// What the driver has to do next.
#[must_use]
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<'b> {
    /// Send this datagram.
    Transmit(Transmit<'b>),
    /// Something happened.
    Event(Event),
    /// Open this connection, and answer with [`Input::Connected`] or [`Input::NotConnected`]. A driver that cannot
    /// answers at once, with [`CloseReason::Unsupported`].
    Connect(Connect),
    /// Open a UDP socket on this address, on any free port, and answer with [`Input::Opened`]. Only with
    /// [`Config::hard_nat`](super::Config::hard_nat).
    Open {
        /// The address.
        local: IpAddr,
    },
    /// Close this socket: nothing is said about it any more.
    Close(SocketId),
    /// Answer for this name by multicast DNS (RFC 6762), until it is withdrawn. Only with
    /// [`HostNames::Mdns`](super::HostNames::Mdns).
    Publish {
        /// One random label and `.local`.
        name: Box<str>,
        /// What it stands for.
        address: IpAddr,
    },
    /// Answer for this name no longer.
    Withdraw {
        /// As it was published.
        name: Box<str>,
    },
    /// Find out what this name of the peer stands for. A driver that cannot answers at once, with `None`.
    Resolve(Resolve),
    /// Drained. Come back at the instant, or with input; `None`: with input only.
    Wait(Option<Wake>),
}

/// What an embedder wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Carry this to the peer, in order.
    Signal(Signal),
    /// The state changed.
    State(State),
    /// A role conflict was repaired by switching (RFC 8445 §7.3.1.1).
    RoleSwitched(Role),
    /// The session is over, and why.
    Failed(Reason),
    /// This stream cannot be connected; the others go on (RFC 8445 §8.1.2), and no data is sent on any of its components
    /// (§12.1). Take it out of the session by your own signaling and with
    /// [`Agent::remove_stream`](super::Agent::remove_stream), or end the session with
    /// [`Agent::close`](super::Agent::close). When no stream is left, [`Failed`](Self::Failed) comes instead.
    StreamFailed {
        /// The stream.
        stream: u16,
        /// Why.
        reason: Reason,
    },
    /// Only a restart can bring the session back (RFC 7675 §5.1): call [`Agent::restart`](super::Agent::restart).
    RestartNeeded(Why),
    /// A STUN or TURN server is of no use, as in the W3C's `icecandidateerror`.
    Server {
        /// Which server.
        server: ServerId,
        /// From which base it was asked.
        base: SocketAddr,
        /// What is wrong.
        problem: ServerProblem,
    },
    /// Where to send changed: the first valid pair, then the selected one, again when a TURN channel is
    /// confirmed; `None` when consent is lost. From the poll that returns `None` no copy of the old path may be
    /// used (RFC 7675 §5.1).
    Path {
        /// The component.
        component: ComponentId,
        /// The way to the peer, if there is one.
        path: Option<Path>,
    },
    /// The path of this component does not answer, and nothing of the peer arrives on it; it stays in use. Where both agents
    /// know renomination and another pair is valid, three to five checks within a quarter of a second were not answered,
    /// and the controlling agent changes to the pair that answers ([`Failover`](super::Failover)). Otherwise two consent
    /// requests were not. What ends the path is consent, 30 s after the last answer (RFC 7675 §5.1): that is told by
    /// [`Path`](Self::Path) and [`RestartNeeded`](Self::RestartNeeded).
    Suspected {
        /// The component.
        component: ComponentId,
    },
    /// A path that was suspected carries something again, or another one has taken its place.
    Recovered {
        /// The component.
        component: ComponentId,
    },
    /// A pair was nominated (RFC 8445 §8.1.2).
    Selected {
        /// The component.
        component: ComponentId,
        /// The local candidate of the pair.
        local: Box<Candidate>,
        /// The remote candidate of the pair.
        remote: Box<Candidate>,
    },
}

/// Which server of the [`Config`](super::Config): STUN servers first, then TURN servers, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u16);

/// Why a server is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerProblem {
    /// No answer to any request.
    #[error("the server does not answer")]
    Unreachable,
    /// There is no connection to the server, or none any more.
    #[error("{0}")]
    Connection(CloseReason),
    /// Answers came, but none that the server can have signed.
    #[error("no answer of the server is authentic")]
    IntegrityViolated,
    /// 401 to a request with credentials.
    #[error("the server rejects the credentials (401)")]
    Unauthorized,
    /// An error response.
    #[error("the server answers {code} {reason}")]
    Error {
        /// 300 to 699.
        code: u16,
        /// The server's words.
        reason: String,
    },
    /// An answer without what it must contain.
    #[error("the server's answer lacks {0}")]
    Incomplete(&'static str),
    /// An answer that asks for what floe cannot do.
    #[error("the server asks for {0}, which floe does not know")]
    Unsupported(&'static str),
    /// A 300 that is not followed (RFC 8489 §10).
    #[error("the server sends its clients to {0}")]
    Redirected(&'static str),
    /// A limit of floe itself.
    #[error("the limit of {0} is reached")]
    Limit(&'static str),
    /// The allocation ended on the server's side.
    #[error("the allocation is lost")]
    AllocationLost,
}

/// Why a restart is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The selected pair lost consent (RFC 7675 §5.1).
    #[error("the peer's consent expired")]
    ConsentExpired,
    /// The socket of the selected pair was removed, or its TCP connection is lost and cannot be opened again (RFC 6544
    /// §11.1), and no other pair will be selected in this session. Data may still
    /// flow on another valid pair meanwhile: [`Event::Path`] tells.
    ///
    /// Or nothing was selected yet, and the sockets whose candidates the peer knows were all removed: those of later
    /// sockets are not signalled in this session (RFC 8838 §13).
    #[error("the selected path is gone")]
    PathGone,
}

/// Why a session failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Neither a host address nor a server gave a candidate.
    #[error("there is no local candidate")]
    NoLocalCandidates,
    /// The peer ended its candidates without having sent any that fits.
    #[error("the peer has no candidate that fits")]
    NoRemoteCandidates,
    /// Every pair was checked, none answered (RFC 8863 §4).
    #[error("no candidate pair works")]
    ChecksFailed,
    /// The selected pair lost consent (RFC 7675 §5.1), or its socket or its relay, and nothing replaced it.
    #[error("the selected pair is lost")]
    ConsentExpired,
}

impl From<Problem> for ServerProblem {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Unreachable => Self::Unreachable,
            Problem::IntegrityViolated => Self::IntegrityViolated,
            Problem::Unauthorized => Self::Unauthorized,
            Problem::Error { code, reason } => Self::Error { code, reason },
            Problem::Incomplete(what) => Self::Incomplete(what),
            Problem::Unsupported(what) => Self::Unsupported(what),
            Problem::Redirected(to) => Self::Redirected(to),
            Problem::Limit(what) => Self::Limit(what),
        }
    }
}
