//! [`Tls`]: TLS 1.3 with certificates of the user's own, or bound to the keys of nodes, as a [`Layer`].

use std::{io, path::PathBuf, sync::Arc};

use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        CertificateError, ClientConfig, Error, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        server::WebPkiClientVerifier,
        version::TLS13,
    },
};

use super::layer::{ByteStream, Layer, Pending, Secured};
use crate::{endpoint::Endpoint, transport::Location};

mod members;

use members::Members;

/// TLS 1.3 for locations that begin with `tls://`; nothing older is spoken.
///
/// With [`Tls::builder`], a side that is dialled shows its certificate, for the host name or IP address that it is dialled by. It asks for
/// one of the same authorities in return, so that strangers get no further than the handshake; [`TlsBuilder::strangers_welcome`] leaves
/// that out. Certificates say which machines may talk; who wrote a message is proven by its envelope alone.
///
/// With [`Tls::of_members`] there is no certificate to make: both sides prove the node key that the roster lists.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    acceptor: Option<TlsAcceptor>,
    members: Option<Arc<Members>>,
}

/// A [`Tls`] to be, from PEM files.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct TlsBuilder {
    authorities: Vec<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    strangers: bool,
}

impl Tls {
    /// Begins with no authority and no certificate.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// TLS between the nodes of a domain (SPEC.md, "TLS of members"): each side shows its node key, as a raw public key (RFC 7250), and the
    /// roster of the other says whose it is. A key that is not listed, or is revoked, gets no further than the handshake.
    ///
    /// # Errors
    /// Never with the protocol versions and signature schemes that this crate is built with.
    pub fn of_members(endpoint: Arc<Endpoint>) -> io::Result<Self> {
        let members = Arc::new(Members::new(endpoint, provider()));
        let (client, server) = members.configs().map_err(invalid)?;
        Ok(Self { connector: Arc::new(client).into(), acceptor: Some(Arc::new(server).into()), members: Some(members) })
    }

    /// The node on the other side of a handshake that is done, where keys of nodes were shown.
    fn node(&self, shown: Option<&[CertificateDer<'_>]>) -> io::Result<Option<String>> {
        let Some(members) = &self.members else { return Ok(None) };
        let name = shown.and_then(<[_]>::first).ok_or(members::Unknown).and_then(|key| members.name_of(key));
        name.map(Some).map_err(|unknown| io::Error::new(io::ErrorKind::PermissionDenied, unknown))
    }
}

impl core::fmt::Debug for Tls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Tls")
    }
}

impl TlsBuilder {
    /// Trusts the authorities in this file, and no others.
    pub fn authority(mut self, file: impl Into<PathBuf>) -> Self {
        self.authorities.push(file.into());
        self
    }

    /// Shows this certificate: the files of its chain and of its key. Whoever listens needs one.
    pub fn certificate(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((chain.into(), key.into()));
        self
    }

    /// Lets sides connect that show no certificate. What they can do is what anybody can do over plain TCP.
    pub fn strangers_welcome(mut self) -> Self {
        self.strangers = true;
        self
    }

    /// Reads the files.
    ///
    /// # Errors
    /// If one cannot be read, is not what it should be, or key and certificate do not belong together.
    pub fn build(self) -> io::Result<Tls> {
        let roots = Arc::new(self.roots()?);
        let shown = self.certificate.as_ref().map(read_certificate).transpose()?;
        let client = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]).map_err(invalid)?;
        let client = client.with_root_certificates(Arc::clone(&roots));
        let client = match &shown {
            Some((chain, key)) => client.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(invalid)?,
            None => client.with_no_client_auth(),
        };
        let acceptor = match shown {
            Some((chain, key)) => Some(self.server(roots)?.with_single_cert(chain, key).map_err(invalid)?),
            None => None,
        };
        Ok(Tls { connector: Arc::new(client).into(), acceptor: acceptor.map(|config| Arc::new(config).into()), members: None })
    }

    fn roots(&self) -> io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for file in &self.authorities {
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(file, error))? {
                roots.add(certificate.map_err(|error| unreadable(file, error))?).map_err(invalid)?;
            }
        }
        if roots.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS needs the certificate of an authority"));
        }
        Ok(roots)
    }

    fn server(
        &self,
        roots: Arc<RootCertStore>,
    ) -> io::Result<tokio_rustls::rustls::ConfigBuilder<ServerConfig, tokio_rustls::rustls::server::WantsServerCert>> {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let verifier = if self.strangers { verifier.allow_unauthenticated() } else { verifier };
        let server = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]).map_err(invalid)?;
        Ok(server.with_client_cert_verifier(verifier.build().map_err(invalid)?))
    }
}

type Certificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_certificate((chain, key): &(PathBuf, PathBuf)) -> io::Result<Certificate> {
    let certificates = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let key_found = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
    Ok((certificates.map_err(|error| unreadable(chain, error))?, key_found))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn unreadable(file: &std::path::Path, error: impl core::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", file.display()))
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// What a verifier of this crate has said, in its own words.
fn in_words(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Error::InvalidCertificate(CertificateError::Other(said))) => io::Error::new(error.kind(), said.0.to_string()),
        _ => error,
    }
}

impl Layer for Tls {
    fn connect<'a>(&'a self, stream: ByteStream, location: &'a Location) -> Pending<'a, io::Result<Secured>> {
        Box::pin(async move {
            let host = location.host().unwrap_or_default().to_string();
            let stream = self.connector.connect(ServerName::try_from(host).map_err(invalid)?, stream).await.map_err(in_words)?;
            let node = self.node(stream.get_ref().1.peer_certificates())?;
            Ok(Secured { stream: Box::new(stream), node })
        })
    }

    fn accept(&self, stream: ByteStream) -> Pending<'_, io::Result<Secured>> {
        Box::pin(async move {
            let missing = || io::Error::new(io::ErrorKind::InvalidInput, "TLS needs a certificate to listen");
            let stream = self.acceptor.as_ref().ok_or_else(missing)?.accept(stream).await?;
            let node = self.node(stream.get_ref().1.peer_certificates())?;
            Ok(Secured { stream: Box::new(stream), node })
        })
    }
}
