"""Makes the samples in this folder: ML-KEM-768, X-Wing, and HPKE over X-Wing.

They are what the tests of published vectors run where the published files are not at hand, in the same formats. They
were made by other code than the code under test: kyber-py for ML-KEM (FIPS 203), hashlib for SHAKE and SHA-3, the
`cryptography` package for X25519 and ChaCha20-Poly1305; X-Wing (draft-connolly-cfrg-xwing-kem) and the HPKE key
schedule (RFC 9180, section 5.1) are written out below from their specifications. Everything random is SHAKE256 of a
label, so a second run gives the same bytes:

    python3 -m venv /tmp/samples && /tmp/samples/bin/pip install kyber-py==1.2.0 cryptography
    /tmp/samples/bin/python tests/vectors/make_samples.py

The files are committed; nothing runs this in a build. rfc9180.json is not made here: it quotes the RFC.
"""

import hashlib
import hmac
import json
import pathlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kyber_py.ml_kem import ML_KEM_768

FOLDER = pathlib.Path(__file__).parent


def drawn(label, length):
    return hashlib.shake_256(b"hearken sample: " + label.encode()).digest(length)


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def x25519(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


# X-Wing

def xwing_expand(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    ek, dk = ML_KEM_768._keygen_internal(expanded[:32], expanded[32:64])
    return ek, dk, expanded[64:96], x25519_public(expanded[64:96])


def xwing_combine(ss_m, ss_x, ct_x, pk_x):
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + b"\\.//^\\").digest()


def xwing_encapsulate(seed, eseed):
    ek, _, _, pk_x = xwing_expand(seed)
    ss_m, ct_m = ML_KEM_768._encaps_internal(ek, eseed[:32])
    ct_x = x25519_public(eseed[32:])
    return xwing_combine(ss_m, x25519(eseed[32:], pk_x), ct_x, pk_x), ct_m + ct_x


def xwing_decapsulate(seed, ct):
    _, dk, sk_x, pk_x = xwing_expand(seed)
    ss_m = ML_KEM_768._decaps_internal(dk, ct[:1088])
    return xwing_combine(ss_m, x25519(sk_x, ct[1088:]), ct[1088:], pk_x)


# HPKE, base mode, HKDF-SHA256, ChaCha20-Poly1305

SUITE = b"HPKE" + (0x647A).to_bytes(2, "big") + (1).to_bytes(2, "big") + (3).to_bytes(2, "big")


def labeled_extract(salt, label, ikm):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + SUITE + label + ikm, "sha256")


def labeled_expand(prk, label, info, length):
    info = length.to_bytes(2, "big") + b"HPKE-v1" + SUITE + label + info
    out, block = b"", b""
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def hpke_case():
    seed, randomness = drawn("hpke recipient", 32), drawn("hpke encapsulation", 64)
    shared_secret, enc = xwing_encapsulate(seed, randomness)
    info = b"hearken sample info"
    context = b"\0" + labeled_extract(b"", b"psk_id_hash", b"") + labeled_extract(b"", b"info_hash", info)
    secret = labeled_extract(shared_secret, b"secret", b"")
    key = labeled_expand(secret, b"key", context, 32)
    base_nonce = labeled_expand(secret, b"base_nonce", context, 12)
    exporter_secret = labeled_expand(secret, b"exp", context, 32)
    encryptions = []
    for sequence in range(3):
        nonce = (int.from_bytes(base_nonce, "big") ^ sequence).to_bytes(12, "big")
        pt, aad = b"cell %d" % sequence, b"count-%d" % sequence
        ct = ChaCha20Poly1305(key).encrypt(nonce, pt, aad)
        encryptions.append({"aad": aad.hex(), "ct": ct.hex(), "nonce": nonce.hex(), "pt": pt.hex()})
    exports = [
        {"exporter_context": label.hex(), "L": length,
         "exported_value": labeled_expand(exporter_secret, b"sec", label, length).hex()}
        for label, length in [(b"", 32), (b"hearken sample export", 64)]
    ]
    ek, _, _, pk_x = xwing_expand(seed)
    return {"mode": 0, "kem_id": 0x647A, "kdf_id": 1, "aead_id": 3, "info": info.hex(),
            "ikmE": randomness.hex(), "skRm": seed.hex(), "pkRm": (ek + pk_x).hex(), "enc": enc.hex(),
            "shared_secret": shared_secret.hex(), "encryptions": encryptions, "exports": exports}


# ML-KEM-768, in the form of NIST's ACVP files

def key_generation():
    tests = []
    for case in (1, 2):
        d, z = drawn(f"ml-kem d {case}", 32), drawn(f"ml-kem z {case}", 32)
        ek, dk = ML_KEM_768._keygen_internal(d, z)
        tests.append({"tcId": case, "d": d.hex(), "z": z.hex(), "ek": ek.hex(), "dk": dk.hex()})
    return {"testGroups": [{"parameterSet": "ML-KEM-768", "tests": tests}]}


def encapsulation_and_decapsulation():
    encapsulations = []
    for case in (1, 2):
        ek, _ = ML_KEM_768._keygen_internal(drawn(f"ml-kem d {case}", 32), drawn(f"ml-kem z {case}", 32))
        m = drawn(f"ml-kem m {case}", 32)
        k, c = ML_KEM_768._encaps_internal(ek, m)
        encapsulations.append({"tcId": case, "ek": ek.hex(), "m": m.hex(), "c": c.hex(), "k": k.hex()})
    _, dk = ML_KEM_768._keygen_internal(drawn("ml-kem d 1", 32), drawn("ml-kem z 1", 32))
    good = bytes.fromhex(encapsulations[0]["c"])
    spoiled = bytes([good[0] ^ 1]) + good[1:]
    decapsulations = [
        {"tcId": 3 + case, "c": c.hex(), "k": ML_KEM_768._decaps_internal(dk, c).hex(), "reason": reason}
        for case, (c, reason) in enumerate([(good, "no modification"), (spoiled, "modify ciphertext")])
    ]
    assert decapsulations[0]["k"] == encapsulations[0]["k"] != decapsulations[1]["k"]
    return {"testGroups": [
        {"parameterSet": "ML-KEM-768", "function": "encapsulation", "tests": encapsulations},
        {"parameterSet": "ML-KEM-768", "function": "decapsulation", "dk": dk.hex(), "tests": decapsulations},
    ]}


def xwing_cases():
    cases = []
    for case in (1, 2):
        seed, eseed = drawn(f"x-wing seed {case}", 32), drawn(f"x-wing eseed {case}", 64)
        ek, _, _, pk_x = xwing_expand(seed)
        ss, ct = xwing_encapsulate(seed, eseed)
        assert xwing_decapsulate(seed, ct) == ss
        cases.append({"seed": seed.hex(), "eseed": eseed.hex(), "sk": seed.hex(), "pk": (ek + pk_x).hex(),
                      "ct": ct.hex(), "ss": ss.hex()})
    return cases


for name, value in {
    "ml-kem-768-key-generation": key_generation(),
    "ml-kem-768-encapsulation-decapsulation": encapsulation_and_decapsulation(),
    "x-wing": xwing_cases(),
    "hpke-x-wing": [hpke_case()],
}.items():
    (FOLDER / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")
