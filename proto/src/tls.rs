//! TLS 1.3 as both ends of a link set it up; rustls is sans-IO, so it stands here, once.
//!
//! A relay shows a self-signed certificate for its Ed25519 identity key. Whoever dials knows the fingerprint of that
//! key from the relay's address and accepts nothing else: no authority, no name and no date in the certificate counts.
//! The key exchange is X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem) and nothing else: both ends are ours, so there is
//! no classical one to be talked down to. Nothing is left behind by which a later connection could be tied to this
//! one: no tickets, no stored sessions, no early data, no server name. The provider is named here; the process-wide
//! default of rustls is never read.
//!
//! Deliberately not here: QUIC and its transport parameters (the shells).

use core::fmt;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
};

use crate::ids::Fingerprint;

/// Application protocol of a link (RFC 7301).
pub const ALPN: &[u8] = b"hearken/1";

/// What a dialler hands to libraries that ask for a server name. It is never sent.
pub const SERVER_NAME: &str = "relay.invalid";

/// TLS alert with which a dialler refuses a relay that has another key: `access_denied` (RFC 8446, 6.2).
pub const OTHER_KEY_ALERT: u8 = 49;

/// What QUIC adds to a TLS alert to make it an error code of the connection (RFC 9001, 4.8).
const QUIC_CRYPTO_ERROR: u64 = 0x100;

/// DER of an Ed25519 `SubjectPublicKeyInfo` up to the 32 bytes of the key (RFC 8410, 4).
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a configuration was not made. Neither happens with a key that is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The identity key could not be encoded, or made no certificate.
    #[error("no certificate can be made for the identity key")]
    Certificate,
    /// The TLS library refused the settings.
    #[error("the tls library refuses the settings")]
    Settings,
}

/// What a relay serves links with: its certificate, ALPN `hearken/1`, no tickets, no session storage, no 0-RTT.
///
/// # Errors
/// [`TlsError`] when the key makes no certificate or the library refuses the settings.
pub fn server_config(identity: &SigningKey) -> Result<ServerConfig, TlsError> {
    let pkcs8 = identity.to_pkcs8_der().map_err(|_| TlsError::Certificate)?;
    let private_key = PrivatePkcs8KeyDer::from(pkcs8.as_bytes().to_vec());
    let certificate = certificate(&private_key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|_| TlsError::Settings)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(private_key))
        .map_err(|_| TlsError::Settings)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    Ok(config)
}

/// What a link to the relay with this fingerprint is dialled with: its key pinned, ALPN `hearken/1`, no resumption, no
/// 0-RTT, no server name.
///
/// # Errors
/// [`TlsError::Settings`] when the library refuses the settings.
pub fn client_config(fingerprint: Fingerprint) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier =
        PinnedKey { fingerprint, algorithms: provider.signature_verification_algorithms };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|_| TlsError::Settings)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config.enable_early_data = false;
    // Tests that open what passed on the wire need the session keys (`SSLKEYLOGFILE`); no product writes them.
    #[cfg(hearken_planted)]
    {
        config.key_log = Arc::new(rustls::KeyLogFile::new());
    }
    Ok(config)
}

/// Whether a TLS failure on the dialler's side means that the relay did not prove the key it was asked for.
#[must_use]
pub fn is_other_key(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
}

/// The same, by the code with which the dialler's own QUIC connection failed. A code that the *peer* closed with says
/// nothing of its key.
#[must_use]
pub const fn is_other_key_code(quic_error_code: u64) -> bool {
    quic_error_code == QUIC_CRYPTO_ERROR + OTHER_KEY_ALERT as u64
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    }
}

fn certificate(key: &PrivatePkcs8KeyDer<'_>) -> Result<CertificateDer<'static>, TlsError> {
    let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(key, &rcgen::PKCS_ED25519)
        .map_err(|_| TlsError::Certificate)?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let certificate = params.self_signed(&key).map_err(|_| TlsError::Certificate)?;
    Ok(certificate.der().clone())
}

/// Accepts the one relay whose Ed25519 key hashes to the fingerprint, and only when it signs the handshake.
struct PinnedKey {
    fingerprint: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
}

const OTHER_KEY: Error =
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let spki = ParsedCertificate::try_from(end_entity)
            .map_err(|_| OTHER_KEY)?
            .subject_public_key_info();
        let key: &[u8; 32] = spki
            .strip_prefix(&ED25519_SPKI_PREFIX[..])
            .and_then(|key| key.try_into().ok())
            .ok_or(OTHER_KEY)?;
        if Fingerprint::of(key) == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(OTHER_KEY)
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(OTHER_KEY)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Whoever shows the certificate and cannot sign with its key has another key.
        verify_tls13_signature(message, cert, dss, &self.algorithms).map_err(|_| OTHER_KEY)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl fmt::Debug for PinnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinnedKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::sign::CertifiedKey;
    use rustls::{ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};

    use super::*;

    #[test]
    fn a_relay_that_proves_the_pinned_key_is_accepted_with_post_quantum_key_exchange() {
        let identity = identity(1);
        let (client, server) =
            handshake(client_of(&identity), server_config(&identity).unwrap()).unwrap();
        assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(client.alpn_protocol(), Some(ALPN));
        let group = client.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
        assert_eq!(server.server_name(), None);
    }

    #[test]
    fn a_relay_with_another_key_is_told_apart_from_one_that_fails_otherwise() {
        let error = handshake(client_of(&identity(1)), server_config(&identity(2)).unwrap());
        assert!(is_other_key(&error.unwrap_err()));

        let mut other_protocol = server_config(&identity(1)).unwrap();
        other_protocol.alpn_protocols = vec![b"h3".to_vec()];
        let error = handshake(client_of(&identity(1)), other_protocol);
        assert!(!is_other_key(&error.unwrap_err()));
    }

    #[test]
    fn a_certificate_shown_without_its_key_is_another_key() {
        let stolen = certificate_of(&identity(1));
        let thief = identity(2).to_pkcs8_der().unwrap();
        let key = aws_lc_rs::sign::any_eddsa_type(&thief.as_bytes().to_vec().into()).unwrap();
        let mut server = server_config(&identity(2)).unwrap();
        server.cert_resolver =
            Arc::new(rustls::sign::SingleCertAndKey::from(CertifiedKey::new(vec![stolen], key)));
        let error = handshake(client_of(&identity(1)), server);
        assert!(is_other_key(&error.unwrap_err()));
    }

    #[test]
    fn a_certificate_of_another_kind_of_key_is_another_key() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let der = rcgen::CertificateParams::default().self_signed(&key).unwrap().der().clone();
        let verifier = verifier_of(&identity(1));
        assert!(is_other_key(&verify(&verifier, &der).unwrap_err()));
        let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
        assert!(is_other_key(&verify(&verifier, &garbage).unwrap_err()));
        verify(&verifier, &certificate_of(&identity(1))).unwrap();
    }

    #[test]
    fn neither_end_falls_back_to_a_classical_key_exchange() {
        let classical =
            CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..provider() };
        let mut client = ClientConfig::builder_with_provider(Arc::new(classical))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier_of(&identity(1))))
            .with_no_client_auth();
        client.alpn_protocols = vec![ALPN.to_vec()];
        let error = handshake(client, server_config(&identity(1)).unwrap()).unwrap_err();
        assert!(!is_other_key(&error));
    }

    #[test]
    fn nothing_of_a_connection_is_kept_for_the_next() {
        let identity = identity(1);
        let server = server_config(&identity).unwrap();
        assert_eq!(server.send_tls13_tickets, 0);
        assert_eq!(server.max_early_data_size, 0);
        assert!(!server.session_storage.can_cache());
        assert!(!server.ticketer.enabled());
        // The same configurations twice: what resumes would do so here.
        let (server, client) = (Arc::new(server), Arc::new(client_of(&identity)));
        for _ in 0..2 {
            let (client, _) = handshake_of(client.clone(), server.clone()).unwrap();
            assert_eq!(client.tls13_tickets_received(), 0);
            assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        }
    }

    #[test]
    fn the_code_of_a_quic_connection_that_met_another_key_is_recognised() {
        assert!(is_other_key_code(0x131));
        assert!(!is_other_key_code(0x128));
        assert!(!is_other_key_code(49));
    }

    fn identity(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn fingerprint(identity: &SigningKey) -> Fingerprint {
        Fingerprint::of(identity.verifying_key().as_bytes())
    }

    fn client_of(identity: &SigningKey) -> ClientConfig {
        client_config(fingerprint(identity)).unwrap()
    }

    fn verifier_of(identity: &SigningKey) -> PinnedKey {
        PinnedKey {
            fingerprint: fingerprint(identity),
            algorithms: provider().signature_verification_algorithms,
        }
    }

    fn verify(verifier: &PinnedKey, der: &CertificateDer<'_>) -> Result<ServerCertVerified, Error> {
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        verifier.verify_server_cert(
            der,
            &[],
            &name,
            &[],
            UnixTime::since_unix_epoch(core::time::Duration::ZERO),
        )
    }

    fn certificate_of(identity: &SigningKey) -> CertificateDer<'static> {
        let pkcs8 = identity.to_pkcs8_der().unwrap();
        certificate(&PrivatePkcs8KeyDer::from(pkcs8.as_bytes().to_vec())).unwrap()
    }

    fn handshake(
        client: ClientConfig,
        server: ServerConfig,
    ) -> Result<(ClientConnection, ServerConnection), Error> {
        handshake_of(Arc::new(client), Arc::new(server))
    }

    /// Passes records to and fro until neither side has any, and reports the side that failed first.
    fn handshake_of(
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
    ) -> Result<(ClientConnection, ServerConnection), Error> {
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        let mut client = ClientConnection::new(client, name).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        loop {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut idle = wire.is_empty();
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            idle &= wire.is_empty();
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets()?;
            }
            if idle {
                assert!(!client.is_handshaking() && !server.is_handshaking());
                return Ok((client, server));
            }
        }
    }
}
