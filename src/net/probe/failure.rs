//! Why a test failed, and where.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::stun::code;
use crate::turn::Problem;

/// Why a test failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The URI cannot be used so.
    #[error("the URI {0}")]
    Uri(&'static str),
    /// The roots that are to be trusted are none.
    #[error("the roots cannot be used: {0}")]
    Trust(#[source] io::Error),
    /// The name has no address.
    #[error("the name cannot be resolved: {0}")]
    Name(#[source] io::Error),
    /// No address of the server is of the family that the test is bound to.
    #[error("the server has no address of the family that is asked from")]
    Family,
    /// The address to ask from is none of this host, or has no port left.
    #[error("cannot ask from {local}: {error}")]
    Bind {
        /// The address.
        local: IpAddr,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// The server cannot be reached, or refuses.
    #[error("{server}: {error}")]
    Connect {
        /// Its address.
        server: SocketAddr,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// No TLS: the certificate is not believed, or the server does not speak it.
    #[error("no TLS with {server_name}: {error}")]
    Tls {
        /// Whom the certificate has to name.
        server_name: String,
        /// What is wrong.
        #[source]
        error: io::Error,
    },
    /// No answer in time.
    #[error("{server} does not answer: {step} timed out")]
    Silent {
        /// Its address.
        server: SocketAddr,
        /// What was waited for.
        step: &'static str,
    },
    /// The connection is gone, or what comes on it is not STUN.
    #[error("the connection to {server} is gone: {error}")]
    Gone {
        /// The address.
        server: SocketAddr,
        /// What happened.
        #[source]
        error: io::Error,
    },
    /// The server answers a request with an error, or with what is of no use.
    #[error("{step}: {problem}{}", hint(.step, .problem))]
    Answer {
        /// What was asked for.
        step: &'static str,
        /// What is wrong with the answer.
        problem: Problem,
    },
    /// No datagram came back, though the relay gave its permission.
    #[error("none of {sent} datagrams came back through the relay")]
    NoData {
        /// How many were sent.
        sent: u32,
    },
    /// The allocation ended before its time.
    #[error("the server has lost the allocation")]
    Lost,
    /// It was stopped.
    #[error("stopped")]
    Stopped,
}

impl Failure {
    /// Where the fault lies: `uri`, `trust`, `name`, `bind`, `connection`, `tls`, `server`, `credentials`, `quota`,
    /// `permission`, `data` or `stopped`.
    pub fn place(&self) -> &'static str {
        match self {
            Self::Uri(_) => "uri",
            Self::Trust(_) => "trust",
            Self::Name(_) => "name",
            Self::Family | Self::Bind { .. } => "bind",
            Self::Connect { .. } | Self::Silent { .. } | Self::Gone { .. } => "connection",
            Self::Tls { .. } => "tls",
            Self::Answer { problem: Problem::Unauthorized, .. } => "credentials",
            Self::Answer { .. } => match self.code() {
                Some(code::ALLOCATION_QUOTA_REACHED | code::INSUFFICIENT_CAPACITY) => "quota",
                Some(code::FORBIDDEN) => "permission",
                _ => "server",
            },
            Self::NoData { .. } => "data",
            Self::Lost => "server",
            Self::Stopped => "stopped",
        }
    }

    /// The code of the server's error response, 300 to 699.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Answer { problem: Problem::Unauthorized, .. } => Some(code::UNAUTHENTICATED),
            Self::Answer { problem: Problem::Error { code, .. }, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether another address of the server may do better.
    pub(super) fn is_of_address(&self) -> bool {
        matches!(
            self,
            Self::Bind { .. }
                | Self::Connect { .. }
                | Self::Tls { .. }
                | Self::Silent { .. }
                | Self::Gone { .. }
        )
    }
}

/// What to look at, where the code alone says little.
fn hint(step: &str, problem: &Problem) -> &'static str {
    match problem {
        Problem::Error { code: code::FORBIDDEN, .. } if step.starts_with("the permission") => {
            "; the server's rules forbid its own relayed address as peer"
        }
        Problem::Error { code: code::ALLOCATION_QUOTA_REACHED, .. } => "; the test needs two allocations",
        _ => "",
    }
}
