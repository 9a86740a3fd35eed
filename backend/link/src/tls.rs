//! Connections on which both ends are known: TLS 1.3 alone, and each end shows the certificate of a key
//! that it has.

use crate::identity::{Fingerprint, Identity};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a connection and its handshake may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A controller's end: whoever shows a certificate of a key that it has is let in, and known by it.
///
/// # Errors
/// Where the identity is none that TLS can use.
pub fn server(identity: &Identity, speaks: &[&[u8]]) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let anybody = Anybody(Arc::clone(&provider));
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&TLS13])?;
    let builder = builder.with_client_cert_verifier(Arc::new(anybody));
    let mut config = builder.with_single_cert(vec![identity.certificate()], identity.key())?;
    config.alpn_protocols = speaks.iter().map(|word| word.to_vec()).collect();
    // A peer that was revoked must not come back by a former handshake.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Everybody else's end: only the controller of this fingerprint is spoken with.
///
/// # Errors
/// Where the identity is none that TLS can use.
pub fn client(
    identity: &Identity,
    controller: Fingerprint,
    speaks: &[u8],
) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let only = Only(controller, Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&TLS13])?.dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::new(only));
    let mut config = builder.with_client_auth_cert(vec![identity.certificate()], identity.key())?;
    config.alpn_protocols = vec![speaks.to_vec()];
    Ok(Arc::new(config))
}

/// Connects to a controller.
///
/// # Errors
/// Where nobody listens at `HOST:PORT`, or it is not the controller of this fingerprint.
pub async fn connect(
    identity: &Identity,
    at: &str,
    controller: Fingerprint,
    speaks: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let config = client(identity, controller, speaks).map_err(io::Error::other)?;
    // No name is looked at.
    let name = ServerName::try_from("gridwright").expect("it is a name");
    let connected = timeout(PATIENCE, async {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(config).connect(name, stream).await
    });
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let connected = connected.await.map_err(late).and_then(|found| found);
    connected.map_err(|error| io::Error::new(error.kind(), format!("controller at {at}: {error}")))
}

/// Takes one certificate and no other.
#[derive(Debug)]
struct Only(Fingerprint, Arc<CryptoProvider>);

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match Fingerprint::of(certificate) == self.0 {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.1.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes any certificate of a key that is there; who may do what is asked afterwards.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
