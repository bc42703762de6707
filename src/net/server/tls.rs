//! How connections begin: with messages, or with a TLS handshake (RFC 8489 §6.2.3, RFC 8656 §3.1).

/// How connections of a listener begin.
#[derive(Clone)]
pub(super) enum Welcome {
    /// With messages.
    Plain,
    /// With a TLS handshake.
    #[cfg(feature = "tls")]
    Tls(tokio_rustls::TlsAcceptor),
}

#[cfg(feature = "tls")]
pub use identity::Identity;

#[cfg(feature = "tls")]
mod identity {
    use std::io;
    use std::sync::Arc;

    use rustls::ServerConfig;
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::TlsAcceptor;

    /// Who a server is to its TLS clients: a certificate chain and its private key. TLS 1.2 and 1.3.
    #[derive(Clone)]
    pub struct Identity(pub(in crate::net::server) TlsAcceptor);

    impl Identity {
        /// From PEM: the server's certificate first, then those that lead to a root; and the private key in PKCS #8,
        /// PKCS #1 or SEC 1.
        ///
        /// # Errors
        /// `InvalidInput` if there is no certificate or no key, or they do not fit.
        pub fn from_pem(certificates: &[u8], key: &[u8]) -> io::Result<Self> {
            let chain = CertificateDer::pem_slice_iter(certificates)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| invalid(format!("the certificates are no PEM: {error}")))?;
            if chain.is_empty() {
                return Err(invalid("there is no certificate".to_owned()));
            }
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| invalid(format!("there is no private key: {error}")))?;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
                .map_err(|error| invalid(format!("certificate and key cannot be used: {error}")))?;
            Ok(Self(TlsAcceptor::from(Arc::new(config))))
        }
    }

    impl std::fmt::Debug for Identity {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Identity(..)")
        }
    }

    fn invalid(problem: String) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, problem)
    }
}
