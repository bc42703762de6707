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

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A certificate for `turn.example.org`, which is its own root, good until that year.
    fn certificate(until: i32) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(["turn.example.org".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap(), key)
    }

    /// Who connects with these roots to a server with that certificate, asking for `name`: whether it trusts it, and the
    /// bytes that the server reads behind the handshake, or none because there was none.
    async fn meet(
        trusted: &rcgen::Certificate,
        shown: &(rcgen::Certificate, KeyPair),
        name: &str,
    ) -> (bool, bool) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(shown.1.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown.0.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (io, _) = listener.accept().await.unwrap();
            match TlsAcceptor::from(Arc::new(config)).accept(io).await {
                Ok(mut io) => io.read(&mut [0; 100]).await.is_ok_and(|len| len > 0),
                Err(_) => false,
            }
        });
        let tls = Tls::new(&Trust::Pem(trusted.pem().into_bytes())).unwrap();
        let connected = tls.connect(name, TcpStream::connect(addr).await.unwrap()).await;
        let is_trusted = connected.is_ok();
        drop(connected);
        (is_trusted, server.await.unwrap())
    }

    /// RFC 8489 §6.2.3, RFC 6125.
    #[tokio::test]
    async fn only_a_valid_certificate_of_the_name_from_a_trusted_root_is_accepted() {
        let (good, expired, other) = (certificate(4000), certificate(2001), certificate(4000));
        assert!(meet(&good.0, &good, "turn.example.org").await.0);
        for (trusted, shown, name) in [
            (&good.0, &good, "example.org"),
            (&good.0, &good, "other.example.org"),
            (&good.0, &good, "127.0.0.1"),
            (&expired.0, &expired, "turn.example.org"),
            (&other.0, &good, "turn.example.org"),
        ] {
            assert!(!meet(trusted, shown, name).await.0, "{name}");
        }
    }

    /// RFC 8489 §6.2.3.
    #[tokio::test]
    async fn nothing_is_sent_where_the_certificate_is_not_good() {
        let (good, other) = (certificate(4000), certificate(4000));
        assert_eq!(meet(&other.0, &good, "turn.example.org").await, (false, false));
        assert_eq!(meet(&good.0, &good, "example.org").await, (false, false));
    }

    /// BCP 195: TLS 1.2 and 1.3, with forward secrecy and authenticated encryption; nothing of RC4, DES or export, and no
    /// compression, which rustls does not have.
    #[test]
    fn every_cipher_suite_is_of_tls_1_2_or_later_with_forward_secrecy() {
        let suites = rustls::crypto::ring::default_provider().cipher_suites;
        assert!(!suites.is_empty());
        for suite in suites {
            let name = format!("{:?}", suite.suite());
            let is_good = name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_");
            assert!(is_good && (name.contains("GCM") || name.contains("CHACHA20")), "{name}");
        }
        let ours = |wanted: &str| suites_named(wanted);
        assert!(ours("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256") && ours("TLS13_AES_128_GCM_SHA256"));
    }

    fn suites_named(wanted: &str) -> bool {
        let suites = rustls::crypto::ring::default_provider().cipher_suites;
        suites.iter().any(|suite| format!("{:?}", suite.suite()) == wanted)
    }
}
