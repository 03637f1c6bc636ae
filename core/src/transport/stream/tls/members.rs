//! [`Members`]: TLS among the nodes of a domain. A node shows its node key; the roster says whose it is (SPEC.md, "TLS of members").

use core::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError, ServerConfig, SignatureAlgorithm,
    SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, Signer, SigningKey},
    version::TLS13,
};

use crate::endpoint::Endpoint;

/// What stands before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410, section 4).
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The protocol inside (RFC 7301), so that a handshake is of use for nothing else.
const ALPN: &[u8] = b"sealwire/1";

/// A key that this node's roster does not list, or revokes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other side shows the key of no node in the roster here, or of one that was revoked")
    }
}

impl std::error::Error for Unknown {}

/// The nodes that may talk, and the key this one shows them.
pub(super) struct Members {
    endpoint: Arc<Endpoint>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Members")
    }
}

impl Members {
    pub(super) fn new(endpoint: Arc<Endpoint>, provider: Arc<CryptoProvider>) -> Self {
        Self { endpoint, provider }
    }

    /// Every connection is a handshake of its own, so that each is held against the roster in force: nothing is resumed.
    pub(super) fn configs(self: &Arc<Self>) -> Result<(ClientConfig, ServerConfig), Error> {
        let key = Arc::new(CertifiedKey::new(vec![spki(self.endpoint.node_key()).into()], Arc::new(NodeKey(Arc::clone(&self.endpoint)))));
        let client = ClientConfig::builder_with_provider(Arc::clone(&self.provider)).with_protocol_versions(&[&TLS13])?;
        let client = client.dangerous().with_custom_certificate_verifier(Arc::<Self>::clone(self));
        let mut client = client.with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&key))));
        client.alpn_protocols = vec![ALPN.into()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        let server = ServerConfig::builder_with_provider(Arc::clone(&self.provider)).with_protocol_versions(&[&TLS13])?;
        let server = server.with_client_cert_verifier(Arc::<Self>::clone(self));
        let mut server = server.with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key)));
        server.alpn_protocols = vec![ALPN.into()];
        server.send_tls13_tickets = 0;
        Ok((client, server))
    }

    /// The node whose key that is.
    pub(super) fn name_of(&self, shown: &CertificateDer<'_>) -> Result<String, Unknown> {
        let key = shown.as_ref().strip_prefix(&PREFIX).and_then(|key| key.try_into().ok()).ok_or(Unknown)?;
        self.endpoint.node_with(key).ok_or(Unknown)
    }

    fn check(&self, shown: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        let listed = if others.is_empty() { self.name_of(shown) } else { Err(Unknown) };
        listed.map(drop).map_err(|unknown| CertificateError::Other(OtherError(Arc::new(unknown))).into())
    }

    /// TLS 1.2 is not spoken, so nobody asks for this.
    fn no_older() -> Error {
        Error::General("TLS 1.3 only".into())
    }

    fn proven(&self, message: &[u8], shown: &CertificateDer<'_>, proof: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, proof, &self.provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Members {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(shown, others).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Self::no_older())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        proof: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proven(message, shown, proof)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Members {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(shown, others).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Self::no_older())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        proof: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proven(message, shown, proof)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The node key, which signs handshakes. What TLS 1.3 has signed begins with 64 spaces (RFC 8446, section 4.4.3), what sealwire signs with
/// a CBOR array: neither can be taken for the other.
struct NodeKey(Arc<Endpoint>);

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey")
    }
}

impl SigningKey for NodeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(Self(Arc::clone(&self.0))) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(spki(self.0.node_key()).into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for NodeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.sign_handshake(message).map(|signature| signature.to_vec()).map_err(|error| Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

fn spki(key: &[u8; 32]) -> Vec<u8> {
    [&PREFIX[..], key].concat()
}
