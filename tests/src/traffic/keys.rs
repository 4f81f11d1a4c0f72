//! The keys of a recorded connection: from the secrets that one end wrote down to what opens its packets.
//!
//! Secrets come as a key log (the NSS format, `SSLKEYLOGFILE`), which no product writes: from a test's own client, or
//! from programs built by `tests/planted/run`. The AEADs are rustls'; what is derived for QUIC (RFC 9001, 5) is derived
//! here.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use hkdf::Hkdf;
use hkdf::hmac::EagerHash;
use rustls::Side;
use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::cipher::{AeadKey, Iv};
use rustls::quic::{Algorithm, DirectionalKeys, HeaderProtectionKey, Keys, PacketKey, Version};
use sha2::{Sha256, Sha384};

/// Secrets by label and client random.
#[derive(Default)]
pub struct KeyLog(Mutex<Secrets>);

#[derive(Default)]
struct Secrets(HashMap<(String, Vec<u8>), Vec<u8>>);

impl KeyLog {
    /// Reads a key log file.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn of_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("a key log at {}", path.display()))?;
        let log = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(label), Some(random), Some(secret), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                bail!("not a line of a key log");
            };
            let decode = |hex: &str| data_encoding::HEXLOWER.decode(hex.as_bytes());
            log.insert(label, decode(random)?, decode(secret)?);
        }
        Ok(log)
    }

    /// As a file's text, for other programs.
    #[must_use]
    pub fn to_text(&self) -> String {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        secrets
            .0
            .iter()
            .map(|((label, random), secret)| format!("{label} {} {}\n", hex(random), hex(secret)))
            .collect()
    }

    pub(super) fn secret(&self, label: &str, random: &[u8]) -> Option<Vec<u8>> {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.0.get(&(label.to_owned(), random.to_vec())).cloned()
    }

    fn insert(&self, label: &str, random: Vec<u8>, secret: Vec<u8>) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.0.insert((label.to_owned(), random), secret);
    }
}

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.insert(label, client_random.to_vec(), secret.to_vec());
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLog(..)")
    }
}

/// What opens the packets of one space and direction.
pub(super) struct Opener {
    pub(super) header: Box<dyn HeaderProtectionKey>,
    packet: Box<dyn PacketKey>,
    /// What later keys come from: suite and secret. Initial keys have none.
    later: Option<(Suite, Vec<u8>)>,
    phase: bool,
}

/// A cipher suite as a ServerHello names it.
#[derive(Clone, Copy)]
pub(super) struct Suite(u16);

impl Suite {
    pub(super) fn of(code: u16) -> Result<Self> {
        match code {
            0x1302 | 0x1303 => Ok(Self(code)),
            _ => bail!("cipher suite {code:#x}, which both ends prefer others to"),
        }
    }

    fn quic(self) -> Result<&'static dyn Algorithm> {
        let suite = if self.0 == 0x1302 {
            &TLS13_AES_256_GCM_SHA384
        } else {
            &TLS13_CHACHA20_POLY1305_SHA256
        };
        suite.tls13().and_then(|suite| suite.quic).context("a suite for quic")
    }

    /// HKDF-Expand-Label without a context (RFC 8446, 7.1).
    fn expand(self, secret: &[u8], label: &str, out: &mut [u8]) -> Result<()> {
        fn expand<H: EagerHash>(secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<()> {
            let hkdf = Hkdf::<H>::from_prk(secret).map_err(|_| anyhow::anyhow!("a secret"))?;
            hkdf.expand(info, out).map_err(|_| anyhow::anyhow!("a length"))
        }
        let length = u16::try_from(out.len())?.to_be_bytes();
        let label = format!("tls13 {label}");
        let info = [&length, &[u8::try_from(label.len())?][..], label.as_bytes(), &[0]].concat();
        if self.0 == 0x1302 {
            expand::<Sha384>(secret, &info, out)
        } else {
            expand::<Sha256>(secret, &info, out)
        }
    }
}

impl Opener {
    /// Of Initial packets of a connection whose client first wrote to `id`: client's and server's.
    pub(super) fn initial(id: &[u8]) -> Result<[Self; 2]> {
        let suite = TLS13_AES_128_GCM_SHA256.tls13().context("a suite of TLS 1.3")?;
        let quic = suite.quic.context("a suite for quic")?;
        let keys = Keys::initial(Version::V1, suite, quic, id, Side::Client);
        let opener = |keys: DirectionalKeys| Self {
            header: keys.header,
            packet: keys.packet,
            later: None,
            phase: false,
        };
        Ok([opener(keys.local), opener(keys.remote)])
    }

    /// Of what is protected by a traffic secret.
    pub(super) fn of(suite: Suite, secret: Vec<u8>) -> Result<Self> {
        let mut header = [0; 32];
        suite.expand(&secret, "quic hp", &mut header)?;
        let header = suite.quic()?.header_protection_key(AeadKey::from(header));
        let packet = Self::packet_key(suite, &secret)?;
        Ok(Self { header, packet, later: Some((suite, secret)), phase: false })
    }

    fn packet_key(suite: Suite, secret: &[u8]) -> Result<Box<dyn PacketKey>> {
        let (mut key, mut iv) = ([0; 32], [0; 12]);
        suite.expand(secret, "quic key", &mut key)?;
        suite.expand(secret, "quic iv", &mut iv)?;
        Ok(suite.quic()?.packet_key(AeadKey::from(key), Iv::from(iv)))
    }

    /// Opens a payload; `phase` is the packet's key phase, whose change moves the keys on (RFC 9001, 6).
    pub(super) fn open(
        &mut self,
        number: u64,
        phase: bool,
        header: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>> {
        let mut next = None;
        if let Some((suite, secret)) = self.later.as_ref().filter(|_| phase != self.phase) {
            let mut later = vec![0; secret.len()];
            suite.expand(secret, "quic ku", &mut later)?;
            next = Some((Self::packet_key(*suite, &later)?, (*suite, later)));
        }
        let key = next.as_ref().map_or(&self.packet, |(key, _)| key);
        let mut payload = sealed.to_vec();
        let opened = key.decrypt_in_place(number, header, &mut payload);
        let length = opened.map_err(|_| anyhow::anyhow!("a packet that does not open"))?.len();
        payload.truncate(length);
        if let Some((key, later)) = next {
            (self.packet, self.later, self.phase) = (key, Some(later), phase);
        }
        Ok(payload)
    }
}
