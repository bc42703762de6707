//! TLS to TURN servers (RFC 8656 §3.1, RFC 8489 §6.2.3): whom to trust, and the handshake.

use std::io;

use crate::io::CloseReason;

/// What a handshake that failed means for a connection.
pub(super) fn reason(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => CloseReason::Reset,
        io::ErrorKind::Unsupported => CloseReason::Unsupported,
        _ => CloseReason::Tls,
    }
}

/// Whose certificates of TURN servers are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Those that the operating system believes.
    #[default]
    System,
    /// Those that these roots, in PEM, have signed, and nobody else.
    Pem(Vec<u8>),
}

#[cfg(feature = "tls")]
pub(super) use with_rustls::Tls;

/// The way to TLS that this build lacks.
#[cfg(not(feature = "tls"))]
#[derive(Debug)]
pub(super) struct Tls;

#[cfg(not(feature = "tls"))]
fn without() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "built without the feature `tls`")
}

#[cfg(not(feature = "tls"))]
impl Tls {
    /// # Errors
    /// `Unsupported` if roots are given that nobody will look at.
    pub(super) fn new(trust: &Trust) -> io::Result<Self> {
        match trust {
            Trust::System => Ok(Self),
            Trust::Pem(_) => Err(without()),
        }
    }

    #[expect(clippy::unused_async, reason = "its twin has to wait")]
    pub(super) async fn connect(
        &self,
        _server_name: &str,
        io: tokio::net::TcpStream,
    ) -> io::Result<tokio::net::TcpStream> {
        drop(io);
        Err(without())
    }

    /// The version of the protocol, as text.
    pub(super) fn version(_io: &tokio::net::TcpStream) -> String {
        String::new()
    }
}

#[cfg(feature = "tls")]
mod with_rustls {
    use std::io;
    use std::sync::{Arc, OnceLock};

    use rustls::{ClientConfig, RootCertStore};
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, ServerName};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::Trust;

    /// The configuration of all connections; made when the first one needs it, since reading the system's roots takes a
    /// while.
    #[derive(Debug)]
    pub(in crate::net) struct Tls {
        given: Option<RootCertStore>,
        config: OnceLock<Option<Arc<ClientConfig>>>,
    }

    impl Tls {
        /// # Errors
        /// `InvalidInput` if the PEM holds no root, or none that can be read.
        pub(in crate::net) fn new(trust: &Trust) -> io::Result<Self> {
            let given = match trust {
                Trust::System => None,
                Trust::Pem(pem) => Some(read(pem)?),
            };
            Ok(Self { given, config: OnceLock::new() })
        }

        fn config(&self) -> Option<Arc<ClientConfig>> {
            let make = || {
                let roots = self.given.clone().unwrap_or_else(of_system);
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let builder =
                    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
                let config = builder.inspect_err(|error| tracing::warn!(%error, "no TLS")).ok()?;
                Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
            };
            self.config.get_or_init(make).clone()
        }

        /// The handshake, with the server's certificate checked against `server_name`.
        pub(in crate::net) async fn connect(
            &self,
            server_name: &str,
            io: TcpStream,
        ) -> io::Result<TlsStream<TcpStream>> {
            let name = ServerName::try_from(server_name.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let config = self.config().ok_or(io::ErrorKind::Unsupported)?;
            let secured = TlsConnector::from(config).connect(name, io).await;
            secured.inspect_err(|error| tracing::debug!(%error, server_name, "TLS failed"))
        }

        /// The version of the protocol, as text.
        pub(in crate::net) fn version(io: &TlsStream<TcpStream>) -> String {
            match io.get_ref().1.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
                other => format!("{other:?}"),
            }
        }
    }

    fn read(pem: &[u8]) -> io::Result<RootCertStore> {
        let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate =
                certificate.map_err(|error| invalid(format!("the roots are no PEM: {error}")))?;
            roots.add(certificate).map_err(|error| invalid(format!("a root cannot be used: {error}")))?;
        }
        if roots.is_empty() {
            return Err(invalid("there is no certificate among the roots".to_owned()));
        }
        Ok(roots)
    }

    fn of_system() -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!(ignored, errors = ?found.errors, "the system has no roots: TLS will fail");
        }
        roots
    }
}
