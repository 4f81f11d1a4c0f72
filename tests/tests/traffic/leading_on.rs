//! That nothing leads from one connection to another of the same client: what the check finds when it is there.
//!
//! The relays' own TLS and QUIC settings, with one of them changed, serve a client with one of its changed; the records
//! of that are opened like any other. That nothing is found in the product's is asserted wherever it is recorded.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use hearken_proto::ids::Fingerprint;
use hearken_proto::tls;
use hearken_tests::traffic::{Frame, From, KeyLog, Session, Tap, checks};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, ServerConfig};

use crate::rewrite;

const IDENTITY: [u8; 32] = [3; 32];
const SAID: [u8; 64] = [9; 64];

/// Settings of both ends, as the product has them.
struct Settings {
    relay_tls: rustls::ServerConfig,
    client_tls: rustls::ClientConfig,
    /// Changes QUIC's settings of the relay.
    relay: fn(&mut ServerConfig),
    /// Changes QUIC's settings of the client.
    client: fn(&mut ClientConfig),
    /// Whether the client speaks before the handshake, where it can.
    early: bool,
}

impl Settings {
    fn product() -> Self {
        let identity = SigningKey::from_bytes(&IDENTITY);
        let fingerprint = Fingerprint::of(identity.verifying_key().as_bytes());
        Self {
            relay_tls: tls::server_config(&identity).unwrap(),
            client_tls: tls::client_config(fingerprint).unwrap(),
            relay: |_| {},
            client: |_| {},
            early: false,
        }
    }

    /// With tickets, as TLS libraries have them unless told otherwise.
    fn with_tickets() -> Self {
        let mut settings = Self::product();
        settings.relay_tls.session_storage = rustls::server::ServerSessionMemoryCache::new(32);
        settings.relay_tls.send_tls13_tickets = 2;
        settings.relay_tls.max_early_data_size = u32::MAX;
        settings
    }
}

/// What is found in two connections, one after the other, of one client to one relay with these settings.
async fn found(settings: Settings) -> Vec<String> {
    let Settings { relay_tls, mut client_tls, relay, client, early } = settings;
    let keys = Arc::new(KeyLog::default());
    client_tls.key_log = keys.clone();
    let tls = QuicServerConfig::try_from(relay_tls).unwrap();
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0).log(Arc::new(quinn::NoneTokenLog));
    config.validation_token_config(tokens).migration(false);
    relay(&mut config);
    let relay = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let tap = Tap::on(relay.local_addr().unwrap()).unwrap();
    let serving = tokio::spawn(async move {
        while let Some(incoming) = relay.accept().await {
            tokio::spawn(async move {
                let connection = incoming.await?;
                let (mut send, mut recv) = connection.accept_bi().await?;
                let said = recv.read_to_end(SAID.len()).await?;
                send.write_all(&said).await?;
                send.finish()?;
                connection.closed().await;
                anyhow::Ok(())
            });
        }
    });
    let tls = QuicClientConfig::try_from(client_tls).unwrap();
    let mut config = ClientConfig::new(Arc::new(tls));
    config.token_store(Arc::new(quinn::NoneTokenStore));
    client(&mut config);
    for _ in 0..2 {
        // As clients do, from a socket of its own.
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let connecting =
            endpoint.connect_with(config.clone(), tap.place(), tls::SERVER_NAME).unwrap();
        let connection = if early {
            match connecting.into_0rtt() {
                Ok((connection, _)) => connection,
                Err(connecting) => connecting.await.unwrap(),
            }
        } else {
            connecting.await.unwrap()
        };
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&SAID).await.unwrap();
        send.finish().unwrap();
        assert_eq!(recv.read_to_end(SAID.len()).await.unwrap(), SAID);
        connection.close(0_u8.into(), b"");
        endpoint.wait_idle().await;
    }
    serving.abort();
    let sessions = Session::all(&tap.recorded(), &keys).unwrap();
    assert_eq!(sessions.len(), 2);
    let mut found: Vec<String> =
        sessions.iter().flat_map(|session| checks::leads_on(session).unwrap()).collect();
    found.sort();
    found.dedup();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_found_with_the_settings_of_the_product() {
    assert_eq!(found(Settings::product()).await, [""; 0]);
}

// On one thread, so that what a client says early is there before its first packet leaves.
#[tokio::test(flavor = "current_thread")]
async fn tickets_are_found_and_what_clients_do_with_them() {
    assert_eq!(found(Settings::with_tickets()).await, ["a session ticket"]);

    let mut resumes = Settings::with_tickets();
    resumes.client_tls.resumption = rustls::client::Resumption::in_memory_sessions(4);
    let resumed = found(resumes).await;
    assert_eq!(resumed, ["a key of an earlier session", "a session resumed", "a session ticket"]);

    let mut early = Settings::with_tickets();
    early.client_tls.resumption = rustls::client::Resumption::in_memory_sessions(4);
    early.client_tls.enable_early_data = true;
    early.early = true;
    let early = found(early).await;
    for what in ["0-RTT packets", "early data accepted", "early data announced"] {
        assert!(early.iter().any(|found| found == what), "{what}: {early:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn address_tokens_are_found_when_they_are_given_and_when_they_are_shown() {
    let gives = |config: &mut ServerConfig| {
        let mut tokens = quinn::ValidationTokenConfig::default();
        tokens.sent(2);
        config.validation_token_config(tokens);
    };
    let mut tokens = Settings::product();
    tokens.relay = gives;
    assert_eq!(found(tokens).await, ["a token handed out"]);

    let mut kept = Settings::product();
    kept.relay = gives;
    kept.client = |config| {
        config.token_store(Arc::new(quinn::TokenMemoryCache::default()));
    };
    assert_eq!(found(kept).await, ["a token handed out", "a token shown"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn migration_other_addresses_and_server_names_are_found() {
    let mut migrates = Settings::product();
    migrates.relay = |config| {
        config.migration(true);
    };
    assert_eq!(found(migrates).await, ["migration allowed"]);

    let mut prefers = Settings::product();
    prefers.relay = |config| {
        config.preferred_address_v4(Some("127.0.0.1:9".parse().unwrap()));
    };
    assert_eq!(found(prefers).await, ["another address preferred"]);

    let mut names = Settings::product();
    names.client_tls.enable_sni = true;
    assert_eq!(found(names).await, ["a server name"]);
}

/// Findings in `session` once somebody has sent a frame that they did not.
pub(crate) fn found_with(session: &Session, from: From, frame: Frame) -> Vec<String> {
    let mut session = session.clone();
    rewrite::add_a_frame(&mut session, from, frame);
    checks::leads_on(&session).unwrap()
}
