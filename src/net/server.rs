//! A STUN and TURN server on real sockets: UDP, TCP and TLS.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use floe::net::Server;
//!
//! let config = Server::config().user("alice", "secret").relay_address("192.0.2.1".parse().unwrap());
//! let server = Server::bind(config, ["192.0.2.1:3478".parse().unwrap()]).await?;
//! println!("{:?}", server.stats().await);
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod builder;
mod driver;
mod io;
mod sockets;
mod stream;
mod tls;

use std::net::SocketAddr;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::server::{self, Config};

pub use builder::{Builder, Listening, Protocol};
#[cfg(feature = "tls")]
pub use tls::Identity;

use super::seed::seed;
use driver::Question;

/// A snapshot of a server's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct ServerStats {
    /// What the machine counted.
    pub server: server::Stats,
    /// Datagrams that were lost because a send buffer was full, and messages because a connection was too slow.
    pub packets_discarded_on_send: u64,
    /// Datagrams that the kernel would not send, those that would have to be fragmented among them, and connections
    /// that broke while sending.
    pub send_errors: u64,
    /// Errors when receiving, such as reports of unreachable ports, connections that broke, and TLS that failed.
    pub receive_errors: u64,
    /// Datagrams that are nothing for a server, and connections that were closed because they brought such.
    pub unclaimed: u64,
    /// Relay sockets that could not be bound.
    pub bind_errors: u64,
    /// Connections that could not be accepted, for lack of descriptors.
    pub accept_errors: u64,
}

/// A handle to a running server. It ends when this handle is dropped.
#[derive(Debug)]
pub struct Server {
    listening: Vec<Listening>,
    addrs: Vec<SocketAddr>,
    questions: mpsc::Sender<Question>,
    task: JoinHandle<ServerStats>,
}

impl Server {
    /// A configuration with a seed of the operating system.
    ///
    /// # Panics
    /// If the operating system has no randomness: nothing may be started without.
    pub fn config() -> Config {
        Config::new(seed())
    }

    /// Says where a server is to listen, over UDP, TCP and TLS.
    pub fn builder(config: Config) -> Builder {
        Builder::new(config)
    }

    /// Starts a server that listens on these addresses over UDP. Port 0 is any port: [`addrs`](Self::addrs) has the
    /// one.
    ///
    /// # Errors
    /// As [`Builder::bind`].
    pub async fn bind(config: Config, addrs: impl IntoIterator<Item = SocketAddr>) -> std::io::Result<Self> {
        addrs.into_iter().fold(Self::builder(config), Builder::udp).bind().await
    }

    /// The addresses it listens on over UDP, in the order they were given.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// All that it listens on, in the order they were given.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// The counters.
    pub async fn stats(&self) -> ServerStats {
        let (reply, answer) = oneshot::channel();
        // The task ends only after this handle.
        let _ = self.questions.send(reply).await;
        answer.await.unwrap_or_default()
    }

    /// Ends the server and waits until all its sockets are closed. What was received before is still answered and
    /// relayed. Returns the last counters.
    pub async fn shutdown(self) -> ServerStats {
        drop(self.questions);
        self.task.await.unwrap_or_default()
    }
}
