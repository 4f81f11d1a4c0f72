//! HPKE base mode: RFC 9180 with X25519 (the hop seal), and HPKE-PQ with X-Wing (the route seal).

use std::convert::Infallible;

use hearken_tests::vectors;
use hpke::aead::{Aead, ChaCha20Poly1305};
use hpke::kdf::{HkdfSha256, HkdfSha512, Kdf, KdfShake256};
use hpke::kem::{Kem, X25519HkdfSha256, XWing};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender_with_rng};
use rand_core::{TryCryptoRng, TryRng};
use serde::Deserialize;

use crate::file::Hex;

#[derive(Deserialize)]
struct Case {
    mode: u8,
    kem_id: u16,
    kdf_id: u16,
    aead_id: u16,
    info: Hex,
    #[serde(rename = "ikmE")]
    randomness: Option<Hex>,
    #[serde(rename = "skRm")]
    secret: Hex,
    #[serde(rename = "pkRm")]
    public: Hex,
    enc: Hex,
    encryptions: Vec<Encryption>,
    exports: Vec<Export>,
}

#[derive(Deserialize)]
struct Encryption {
    aad: Hex,
    ct: Hex,
    pt: Hex,
}

#[derive(Deserialize)]
struct Export {
    exporter_context: Hex,
    #[serde(rename = "L")]
    length: usize,
    exported_value: Hex,
}

#[test]
fn hpke_with_x25519_agrees_with_rfc_9180() {
    let published = vectors::file("hpke-rfc9180/test-vectors.json");
    // The suite of the hop seal, and the same with HKDF-SHA512.
    for (text, expected) in [(Some(vectors::sample("rfc9180.json")), 1), (published, 2)] {
        let Some(text) = text else { continue };
        assert_eq!(run(&text, X25519HkdfSha256::KEM_ID), expected);
    }
}

#[test]
fn hpke_with_x_wing_agrees_with_hpke_pq() {
    let published = vectors::file("hpke-pq/test-vectors.json");
    // The suite of the route seal, and the same with SHAKE256.
    for (text, expected) in [(Some(vectors::sample("hpke-x-wing.json")), 1), (published, 2)] {
        let Some(text) = text else { continue };
        assert_eq!(run(&text, XWing::KEM_ID), expected);
    }
}

/// Runs the cases in base mode of one KEM with ChaCha20-Poly1305, and says how many there were.
fn run(text: &str, kem_id: u16) -> usize {
    let cases: Vec<Case> = serde_json::from_str(text).expect("the published form");
    let mut ran = 0;
    for case in cases.iter().filter(|case| case.mode == 0 && case.kem_id == kem_id) {
        if case.aead_id != ChaCha20Poly1305::AEAD_ID {
            continue;
        }
        match (case.kem_id, case.kdf_id) {
            (X25519HkdfSha256::KEM_ID, HkdfSha256::KDF_ID) => {
                check::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(case);
            }
            (X25519HkdfSha256::KEM_ID, HkdfSha512::KDF_ID) => {
                check::<ChaCha20Poly1305, HkdfSha512, X25519HkdfSha256>(case);
            }
            (XWing::KEM_ID, HkdfSha256::KDF_ID) => {
                check::<ChaCha20Poly1305, HkdfSha256, XWing>(case);
            }
            (XWing::KEM_ID, KdfShake256::KDF_ID) => {
                check::<ChaCha20Poly1305, KdfShake256, XWing>(case);
            }
            suite => panic!("a new suite {suite:?}"),
        }
        ran += 1;
    }
    ran
}

fn check<A: Aead, F: Kdf, K: Kem>(case: &Case) {
    let secret = K::PrivateKey::from_bytes(&case.secret).expect("a private key");
    let public = K::PublicKey::from_bytes(&case.public).expect("a public key");
    assert_eq!(K::sk_to_pk(&secret).to_bytes()[..], case.public[..]);

    let mut draws = Draws(case.randomness.clone().expect("the encapsulation's randomness").0);
    let (enc, mut sender) =
        setup_sender_with_rng::<A, F, K>(&OpModeS::Base, &public, &case.info, &mut draws)
            .expect("encapsulation");
    assert!(draws.0.is_empty(), "randomness left over");
    assert_eq!(enc.to_bytes()[..], case.enc[..]);
    let enc = K::EncappedKey::from_bytes(&case.enc).expect("an encapsulation");
    let mut receiver = setup_receiver::<A, F, K>(&OpModeR::Base, &secret, &enc, &case.info)
        .expect("decapsulation");

    assert!(!case.encryptions.is_empty() && !case.exports.is_empty());
    for (sequence, Encryption { aad, ct, pt }) in case.encryptions.iter().enumerate() {
        let mut spoiled = ct.0.clone();
        spoiled[0] ^= 1;
        assert!(receiver.open(&spoiled, aad).is_err(), "sequence {sequence} opened spoiled");
        assert_eq!(sender.seal(pt, aad).expect("sealed"), ct[..], "sequence {sequence}");
        assert_eq!(receiver.open(ct, aad).expect("opened"), pt[..], "sequence {sequence}");
    }
    for Export { exporter_context, length, exported_value } in &case.exports {
        let mut value = vec![0; *length];
        sender.export(exporter_context, &mut value).expect("exported");
        assert_eq!(value, exported_value[..]);
        receiver.export(exporter_context, &mut value).expect("exported");
        assert_eq!(value, exported_value[..]);
    }
}

/// Hands out a vector's bytes as randomness: an encapsulation that draws in another order fails.
struct Draws(Vec<u8>);

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("an encapsulation draws bytes, not words");
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("an encapsulation draws bytes, not words");
    }

    fn try_fill_bytes(&mut self, drawn: &mut [u8]) -> Result<(), Infallible> {
        drawn.copy_from_slice(&self.0[..drawn.len()]);
        self.0.drain(..drawn.len());
        Ok(())
    }
}

impl TryCryptoRng for Draws {}
