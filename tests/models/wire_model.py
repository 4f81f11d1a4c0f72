"""A second route seal, object proof, ids, proof of work and object root, written from DESIGN 2.5 and 2.6.

X25519, HKDF, ChaCha20-Poly1305 and ML-KEM-768 are those of `cryptography` (encapsulation with given randomness: of
`kyber-py`), SHA-2 and SHA-3 those of `hashlib`; X-Wing (draft-connolly-cfrg-xwing-kem) and the key schedule of HPKE
(RFC 9180, section 5) are put together from them here. It keeps no secrets safe: it is for test vectors only.

Run: writes proto/tests/vectors/wire.json. `check_wire.py` compares instead.
"""

import hashlib
import hmac
import json
import pathlib

from ratchet_model import agree, decapsulate, ek_of, encapsulate, expand, extract_expand, public_of
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "proto" / "tests" / "vectors" / "wire.json"

OPEN, DATA = 2, 3
CLIENT_TO_RELAY, RELAY_TO_CLIENT = 0, 1


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def pattern(name, length):
    """Bytes that stand for random ones."""
    return hashlib.shake_256(b"pattern " + name.encode()).digest(length)


# --- X-Wing -----------------------------------------------------------------------------------------


def xwing_expand(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    return expanded[:64], expanded[64:]


def xwing_public(seed):
    kem_seed, private = xwing_expand(seed)
    return ek_of(kem_seed) + public_of(private)


def xwing_combine(kem_secret, agreement, ephemeral, public):
    return hashlib.sha3_256(kem_secret + agreement + ephemeral + public + b"\\.//^\\").digest()


def xwing_encapsulate(public, m, ephemeral):
    ek, x_public = public[:1184], public[1184:]
    ct, kem_secret = encapsulate(ek, m)
    x_ct = public_of(ephemeral)
    return xwing_combine(kem_secret, agree(ephemeral, x_public), x_ct, x_public), ct + x_ct


def xwing_decapsulate(seed, enc):
    kem_seed, private = xwing_expand(seed)
    ct, x_ct = enc[:1088], enc[1088:]
    return xwing_combine(decapsulate(kem_seed, ct), agree(private, x_ct), x_ct, public_of(private))


# --- HPKE, base mode, HKDF-SHA256, ChaCha20-Poly1305 ----------------------------------------------------

SUITE = b"HPKE" + (0x647A).to_bytes(2, "big") + (1).to_bytes(2, "big") + (3).to_bytes(2, "big")


def labeled_extract(salt, label, ikm):
    return hmac.new(salt or bytes(32), b"HPKE-v1" + SUITE + label + ikm, hashlib.sha256).digest()


def labeled_expand(prk, label, info, length):
    return expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + SUITE + label + info, length)


def key_schedule(shared_secret, info):
    context = (
        b"\x00" + labeled_extract(b"", b"psk_id_hash", b"") + labeled_extract(b"", b"info_hash", info)
    )
    secret = labeled_extract(shared_secret, b"secret", b"")
    key = labeled_expand(secret, b"key", context, 32)
    nonce = labeled_expand(secret, b"base_nonce", context, 12)
    exporter = labeled_expand(secret, b"exp", context, 32)
    return key, nonce, exporter


def export(exporter, context, length):
    return labeled_expand(exporter, b"sec", context, length)


# --- cells --------------------------------------------------------------------------------------------


def aad(kind, direction):
    return bytes([1, kind, direction])


def frame(route, kind, flags=0, hint=0):
    return route.to_bytes(8, "big") + bytes([kind, flags, hint, 0, 0, 0, 0, 0])


def data_cell(key, counter, direction, route, routing, enc, payload):
    sealed = ChaCha20Poly1305(key).encrypt(bytes(4) + counter.to_bytes(8, "big"), payload, aad(DATA, direction))
    return frame(route, DATA) + routing + enc + sealed[-16:] + sealed[:-16]


def payload_of(protobuf):
    return (len(protobuf).to_bytes(2, "big") + protobuf).ljust(2579, b"\0")


def route_vector():
    seed, m, ephemeral = pattern("seal seed", 32), pattern("m", 32), pattern("ephemeral", 32)
    fingerprint, epoch = pattern("fingerprint", 32), pattern("epoch", 8)
    freshness = pattern("freshness", 32)

    secret, enc = xwing_encapsulate(xwing_public(seed), m, ephemeral)
    assert secret == xwing_decapsulate(seed, enc)
    key, nonce, exporter = key_schedule(secret, b"hearken/1 route" + fingerprint + epoch)
    sealed = ChaCha20Poly1305(key).encrypt(nonce, pattern("open", 2579), aad(OPEN, CLIENT_TO_RELAY))
    opening = frame(7, OPEN, flags=1, hint=epoch[0]) + pattern("routing", 365) + enc + sealed[-16:] + sealed[:-16]

    exported = export(exporter, b"hearken/1 route keys", 32)
    derive = lambda label: extract_expand(freshness, exported, label, 32)
    c2s, s2c = derive(b"hearken/1 c2s"), derive(b"hearken/1 s2c")

    opened = payload_of(bytes([0x0A, 0]))  # Reply{opened: {}}
    done = payload_of(bytes([0x12, 0]))  # Reply{done: {}}
    ping = payload_of(bytes([0x5A, 0]))  # Command{ping: {}}
    filler = lambda name: (pattern("routing " + name, 365), pattern("enc " + name, 1120))
    routing, enc = filler("first answer")
    first_answer = data_cell(s2c, 0, RELAY_TO_CLIENT, 7, routing, freshness + enc[32:], opened)
    return {
        "seal_seed": seed,
        "seal_public_key": xwing_public(seed),
        "fingerprint": fingerprint,
        "key_epoch": epoch,
        "open": opening,
        "exported": exported,
        "freshness": freshness,
        "c2s": c2s,
        "s2c": s2c,
        "route_hash": derive(b"hearken/1 route hash"),
        "first_answer": first_answer,
        "pings": [data_cell(c2s, n, CLIENT_TO_RELAY, 7, *filler(f"ping {n}"), ping) for n in range(3)],
        "answers": [data_cell(s2c, n + 1, RELAY_TO_CLIENT, 7, *filler(f"done {n}"), done) for n in range(3)],
    }


# --- proofs and ids -------------------------------------------------------------------------------------


def auth_vector(role, name):
    ours, relay = pattern("object key " + name, 32), pattern("relay auth key", 32)
    object_id, fingerprint = pattern("object id " + name, 32), pattern("fingerprint", 32)
    epoch, route_hash = pattern("epoch", 8), pattern("route hash " + name, 32)
    key = extract_expand(
        b"hearken/1 auth", agree(ours, public_of(relay)), bytes([role]) + object_id + fingerprint + epoch, 32
    )
    return {
        "role": role,
        "object_secret_key": ours,
        "object_public_key": public_of(ours),
        "auth_secret_key": relay,
        "auth_public_key": public_of(relay),
        "object_id": object_id,
        "fingerprint": fingerprint,
        "key_epoch": epoch,
        "route_hash": route_hash,
        "mac": hmac.new(key, route_hash, hashlib.sha256).digest(),
    }


def zero_bits(digest):
    return 256 - int.from_bytes(digest, "big").bit_length()


def work_vector(purpose, size, bits, first):
    fingerprint, epoch, object_id = pattern("fingerprint", 32), pattern("epoch", 8), pattern("work", 32)
    prefix = (
        b"hearken/1 proof of work" + bytes([purpose]) + fingerprint + epoch + object_id + size.to_bytes(4, "big")
    )
    nonce = first
    while zero_bits(sha256(prefix, nonce.to_bytes(8, "big"))) < bits:
        nonce = (nonce + 1) % 2**64
    return {
        "purpose": purpose,
        "fingerprint": fingerprint,
        "key_epoch": epoch,
        "object_id": object_id,
        "size": size,
        "bits": bits,
        "first_nonce": str(first),
        "nonce": str(nonce),
        "zero_bits": zero_bits(sha256(prefix, nonce.to_bytes(8, "big"))),
    }


def id_vectors():
    key, blob = pattern("public key", 32), pattern("blob", 2400)
    labels = ("recv id", "send id", "claim id", "object id", "feed id", "feed writer id")
    ids = [{"kind": label, "of": key, "id": sha256(f"hearken/1 {label}".encode(), key)} for label in labels]
    ids.append({"kind": "put id", "of": blob, "id": sha256(b"hearken/1 put id", blob)})
    ids.append({"kind": "fingerprint", "of": key, "id": sha256(key)})
    return ids


def root_vector(chunks):
    blobs = [bytes([n + 1]) * 2400 for n in range(chunks)]
    hashes = [sha256(b"hearken/1 chunk", blob) for blob in blobs]
    root = sha256(b"hearken/1 object root", *hashes, chunks.to_bytes(4, "big"))
    return {"chunks": chunks, "chunk_hashes": hashes, "root": root}


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def vectors():
    made = {
        "comment": "made by tests/models/wire_model.py; bytes are hex, chunk n of a root is 2,400 times the byte n + 1",
        "ids": id_vectors(),
        "roots": [root_vector(chunks) for chunks in (0, 1, 2, 17)],
        "auth": [auth_vector(role, str(role)) for role in (1, 2, 3, 4, 5, 6)],
        "work": [
            work_vector(1, 0, 0, 5),
            work_vector(1, 0, 10, 0),
            work_vector(2, 8192, 12, 2**64 - 20),
            work_vector(3, 21, 11, 7),
        ],
        "route": route_vector(),
    }
    return json.dumps(plain(made), indent=1) + "\n"


if __name__ == "__main__":
    VECTORS.parent.mkdir(parents=True, exist_ok=True)
    VECTORS.write_text(vectors())
