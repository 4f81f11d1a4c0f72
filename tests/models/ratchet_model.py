"""A second handshake and ratchet, written from README.md beside it, that makes the frozen test vectors.

X25519, HKDF, ChaCha20-Poly1305 and ML-KEM key generation and decapsulation are those of `cryptography`; encapsulation
with given randomness is that of `kyber-py`, each result checked by decapsulating it with `cryptography`. It keeps no
secrets safe and bounds nothing: it is for test vectors only.

Run: writes client-lib/tests/vectors/ratchet.json. `check.py` compares instead.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from kyber_py.ml_kem import ML_KEM_768

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "client-lib" / "tests" / "vectors" / "ratchet.json"

BLOB = 2400
PREFIX = 1120
HEADER_FIXED = 53
EK = 1184
CT = 1088
INVITER, JOINER = "inviter", "joiner"


# --- section 1 ------------------------------------------------------------------------------------


def extract_expand(salt, ikm, info, length):
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(ikm)


def expand(key, info, length=32):
    return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=info).derive(key)


def seal(key, plain):
    return ChaCha20Poly1305(key).encrypt(bytes(12), plain, None)


def unseal(key, sealed):
    try:
        return ChaCha20Poly1305(key).decrypt(bytes(12), sealed, None)
    except InvalidTag:
        return None


def public_of(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private, public):
    # `cryptography` raises for an agreement of zeros.
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def ek_of(seed):
    return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def decapsulate(seed, ct):
    return MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ct)


def encapsulate(ek, m):
    secret, ct = ML_KEM_768._encaps_internal(ek, m)
    return ct, secret


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


class Draws:
    """The randomness of one side: SHA-256 in counter mode over a seed, with a record of what a step consumed."""

    def __init__(self, seed):
        self.seed, self.counter, self.record = seed.encode(), 0, b""

    def __call__(self, length):
        out = b""
        while len(out) < length:
            out += hashlib.sha256(self.seed + u32(self.counter)).digest()
            self.counter += 1
        self.record += out[:length]
        return out[:length]

    def taken(self):
        record, self.record = self.record, b""
        return record


# --- sections 2 and 3 -------------------------------------------------------------------------------


class Invitation:
    def __init__(self, draw, claim, address, expires):
        self.link_secret, self.private, self.seed = draw(32), draw(32), draw(64)
        ek = ek_of(self.seed)
        self.card = (
            b"\x01" + u32(expires) + public_of(self.private) + claim + ek + u16(len(address)) + address
        )

    def derive(self, label):
        return extract_expand(bytes(32), self.link_secret, label, 32)

    def card_hash(self):
        return hashlib.sha256(b"hearken/1 invitation card" + self.card).digest()

    def sealed(self):
        plain = (u16(len(self.card)) + self.card).ljust(BLOB - 16, b"\0")
        return seal(self.derive(b"hearken/1 invitation sealing key"), plain)


class Handshake:
    """What both sides compute from the card and the prefix."""

    def __init__(self, invitation, prefix, agreement, kem_secret):
        card = invitation.card
        self.transcript = hashlib.sha256(b"hearken/1 handshake" + u32(len(card)) + card + prefix).digest()
        salt = invitation.derive(b"hearken/1 invitation handshake salt")
        self.sk0 = extract_expand(salt, agreement + kem_secret, self.transcript, 32)
        self.root = expand(self.sk0, b"hearken/1 ec root")
        self.kem_root = expand(self.sk0, b"hearken/1 kem root")
        self.joiner_header = expand(self.sk0, b"hearken/1 header joiner")
        self.inviter_header = expand(self.sk0, b"hearken/1 header inviter")

    def safety(self):
        return hashlib.sha256(b"hearken/1 safety code" + self.transcript).digest()[:11]


def safety_numbers(code):
    bits = "".join(f"{byte:08b}" for byte in code)
    return [int(bits[i : i + 11], 2) for i in range(0, 88, 11)]


# --- sections 4 and 5 -------------------------------------------------------------------------------


def root_step(root, agreement):
    out = extract_expand(root, agreement, b"hearken/1 ec root step", 96)
    return out[:32], out[32:64], out[64:]


def chain_step(chain):
    return expand(chain, b"hearken/1 chain message"), expand(chain, b"hearken/1 chain next")


def kem_step(root, epoch, ek, ct, secret):
    out = extract_expand(root, secret, b"hearken/1 kem root step" + u32(epoch) + ek + ct, 96)
    return out[:32], {INVITER: out[32:64], JOINER: out[64:]}


class Side:
    def __init__(self, role, handshake, draw, prefix):
        self.role, self.peer = (role, JOINER if role == INVITER else INVITER)
        self.draw = draw
        self.prefix = prefix
        # Diffie-Hellman half
        self.root = handshake.root
        self.ratchet = None
        self.send_header = self.send_chain = None
        self.sent, self.sent_before = 0, 0
        self.initial_sending = role == JOINER
        self.receive_header = self.receive_chain = None
        self.received, self.received_before = 0, 0
        # KEM half
        self.kem_root = handshake.kem_root
        first = {
            INVITER: expand(self.kem_root, b"hearken/1 kem chain inviter"),
            JOINER: expand(self.kem_root, b"hearken/1 kem chain joiner"),
        }
        self.kem_epoch, self.kem_send, self.kem_sent, self.kem_sent_before = 0, first[role], 0, 0
        self.kem_receive_epoch, self.kem_receive, self.kem_received = 0, first[self.peer], 0
        self.offer = self.answer = self.promised = None
        # keys passed over: of the Diffie-Hellman half by header key and number, of the KEM half by epoch and number
        self.kept, self.kem_kept = {}, {}
        self.bases = {}
        self.first_header = handshake.joiner_header

    @classmethod
    def joiner(cls, handshake, inviter_public, draw, prefix):
        side = cls(JOINER, handshake, draw, prefix)
        side.ratchet = draw(32)
        side.root, side.send_chain, side.next_send_header = root_step(
            side.root, agree(side.ratchet, inviter_public)
        )
        side.send_header, side.next_receive_header = handshake.joiner_header, handshake.inviter_header
        return side

    @classmethod
    def inviter(cls, handshake, private, draw, prefix):
        side = cls(INVITER, handshake, draw, prefix)
        side.ratchet = private
        side.next_send_header, side.next_receive_header = handshake.inviter_header, handshake.joiner_header
        return side

    def encrypt(self, content):
        r = self.draw(32)
        ec, self.send_chain = chain_step(self.send_chain)
        pq, self.kem_send = chain_step(self.kem_send)
        kind, part = 0, b""
        if self.offer is not None:
            kind, part = 1, ek_of(self.offer)
        elif self.answer is not None:
            kind, part = 2, self.answer
        header = public_of(self.ratchet) + u32(self.sent_before) + u32(self.sent)
        header += u32(self.kem_epoch) + u32(self.kem_sent_before) + u32(self.kem_sent) + bytes([kind])
        if self.initial_sending:
            assert kind == 0
            front, body_length = self.prefix, BLOB - PREFIX - 32 - HEADER_FIXED - 16 - 16
        else:
            header += part.ljust(EK, b"\0")
            front, body_length = b"", BLOB - 32 - HEADER_FIXED - EK - 16 - 16
        sealed = seal(expand(self.send_header, b"hearken/1 header seal" + r), header)
        key = extract_expand(bytes(32), ec + pq, b"hearken/1 message" + r + sealed, 32)
        body = (u16(len(content)) + content).ljust(body_length, b"\0")
        assert len(body) == body_length
        blob = front + r + sealed + seal(key, body)
        assert len(blob) == BLOB
        self.sent += 1
        self.kem_sent += 1
        return blob

    def open_header(self, blob):
        """The header key that opens, the header, r and both sealed parts."""
        tried = [self.receive_header, self.next_receive_header]
        tried += [key for key in self.bases if key not in tried]
        for header_key in tried:
            if header_key is None:
                continue
            initial = self.role == INVITER and header_key == self.first_header
            if initial and not hmac.compare_digest(blob[:PREFIX], self.prefix):
                continue
            rest = blob[PREFIX:] if initial else blob
            r = rest[:32]
            end = 32 + HEADER_FIXED + (0 if initial else EK) + 16
            header = unseal(expand(header_key, b"hearken/1 header seal" + r), rest[32:end])
            if header is not None:
                return header_key, header, r, rest[32:end], rest[end:]
        raise ValueError("not opened")

    def decrypt(self, blob):
        header_key, header, r, sealed, sealed_body = self.open_header(blob)
        their_ratchet = header[:32]
        previous, number, epoch, kem_previous, kem_number = struct.unpack(">5I", header[32:52])
        kind, part = header[52], header[53:]
        passed_over = 0
        turned = header_key == self.next_receive_header

        if turned:
            for _ in range(self.received, previous):
                self.keep_one()
                passed_over += 1
            base = self.received_before + max(previous, self.received)
            self.root, self.receive_chain, following = root_step(self.root, agree(self.ratchet, their_ratchet))
            self.receive_header, self.next_receive_header = header_key, following
            self.received, self.received_before = 0, base
            self.bases[header_key] = base
        late = not turned and (header_key != self.receive_header or number < self.received)
        if late:
            ec = self.kept.pop((header_key, number))
        else:
            for _ in range(self.received, number):
                self.keep_one()
                passed_over += 1
            ec, self.receive_chain = chain_step(self.receive_chain)
            self.received += 1

        advance = None
        if epoch == self.kem_receive_epoch + 1:
            for _ in range(self.kem_received, kem_previous):
                self.kem_keep_one()
            if self.promised is not None:
                chain, advance = self.promised, "offer"
            else:
                assert self.offer is not None and kind == 2
                ct = part[:CT]
                self.kem_root, chains = kem_step(
                    self.kem_root, epoch, ek_of(self.offer), ct, decapsulate(self.offer, ct)
                )
                chain = chains[self.peer]
                self.enter(chains[self.role])
                self.offer = None
            self.kem_receive_epoch, self.kem_receive, self.kem_received = epoch, chain, 0
        if epoch < self.kem_receive_epoch or kem_number < self.kem_received:
            pq = self.kem_kept.pop((epoch, kem_number))
        else:
            assert epoch == self.kem_receive_epoch
            for _ in range(self.kem_received, kem_number):
                self.kem_keep_one()
            pq, self.kem_receive = chain_step(self.kem_receive)
            self.kem_received += 1

        key = extract_expand(bytes(32), ec + pq, b"hearken/1 message" + r + sealed, 32)
        body = unseal(key, sealed_body)
        assert body is not None, "the model is only given what opens"
        (length,) = struct.unpack(">H", body[:2])
        assert not any(body[2 + length :])

        if turned:
            self.ratchet = self.draw(32)
            self.root, self.send_chain, following = root_step(self.root, agree(self.ratchet, their_ratchet))
            self.send_header, self.next_send_header = self.next_send_header, following
            self.sent_before, self.sent = self.sent, 0
            self.initial_sending = False
        if advance == "offer":
            self.answer = self.promised = None
            self.offer = self.draw(64)
        elif kind == 1 and self.offer is None and self.answer is None and epoch == self.kem_epoch:
            ct, secret = encapsulate(part, self.draw(32))
            self.kem_root, chains = kem_step(self.kem_root, self.kem_epoch + 1, part, ct, secret)
            self.enter(chains[self.role])
            self.promised, self.answer = chains[self.peer], ct
        return {
            "body": body[2 : 2 + length],
            "number": self.bases[header_key] + number,
            "passed_over": passed_over,
            "late": late,
        }

    def keep_one(self):
        key, self.receive_chain = chain_step(self.receive_chain)
        self.kept[(self.receive_header, self.received)] = key
        self.received += 1

    def kem_keep_one(self):
        key, self.kem_receive = chain_step(self.kem_receive)
        self.kem_kept[(self.kem_receive_epoch, self.kem_received)] = key
        self.kem_received += 1

    def enter(self, chain):
        self.kem_epoch += 1
        self.kem_send = chain
        self.kem_sent_before, self.kem_sent = self.kem_sent, 0

    def start_offering(self):
        self.offer = self.draw(64)


# --- the vectors ------------------------------------------------------------------------------------


def hexed(data):
    return data.hex()


def based(data):
    return base64.b64encode(data).decode()


# A schedule is a list of steps: `j` or `i` seals the next message, under a name; `J<name>` or `I<name>` opens it at the
# joiner or the inviter.
SCENARIOS = {
    "the first message, an answer, and one more": "ja Ia ib Jb jc Ic",
    "the joiner repeats its half until it is answered": "ja jb jc Ia Ib id Jd je Ie Ic",
    "the first message is lost": "ja jb Ib ic Jc jd Id Ia",
    "ping-pong through several epochs of the KEM ratchet": (
        "ja Ia ib Jb jc Ic id Jd je Ie if Jf jg Ig ih Jh ji Ii ij Jj jk Ik il Jl"
    ),
    "reordering across chains and epochs": "ja Ia ib ic id Jd je jf Jb If ig Jg jh Ih Ie Jc ii Ji",
    "offers and answers that are lost": "ja Ia ib ic id Jd je jf jg Ig ih ii Ji jj Ij ik Jk Ie",
}
CONTENTS = [b"", b"hello", "\u0633\u0644\u0627\u0645".encode(), bytes(range(256)) * 4, b"\0" * 1024, b"x" * 1097]


def run(name, schedule):
    draws = {INVITER: Draws(f"{name}/inviter"), JOINER: Draws(f"{name}/joiner")}
    claim = hashlib.sha256(f"{name}/claim".encode()).digest()
    address = b"hearken://" + b"a" * 52 + b"@relay.example:4433"
    expires = 500_000
    invitation = Invitation(draws[INVITER], claim, address, expires)
    vector = {
        "name": name,
        "invitation": {
            "random": hexed(draws[INVITER].taken()),
            "claim_key": hexed(claim),
            "relay": address.decode(),
            "expires_hour": expires,
            "link_secret": hexed(invitation.link_secret),
            "object_write_key": hexed(invitation.derive(b"hearken/1 invitation write key")),
            "card_hash": hexed(invitation.card_hash()),
            "sealed_card": based(invitation.sealed()),
        },
    }

    draw = draws[JOINER]
    private, m = draw(32), draw(32)
    ek = ek_of(invitation.seed)
    ct, secret = encapsulate(ek, m)
    assert decapsulate(invitation.seed, ct) == secret
    prefix = public_of(private) + ct
    inviter_public = public_of(invitation.private)
    handshake = Handshake(invitation, prefix, agree(private, inviter_public), secret)
    joiner = Side.joiner(handshake, inviter_public, draw, prefix)
    vector["join"] = {
        "random": hexed(draw.taken()),
        "prefix": based(prefix),
        "transcript": hexed(handshake.transcript),
        "sk0": hexed(handshake.sk0),
        "ec_root": hexed(handshake.root),
        "kem_root": hexed(handshake.kem_root),
        "joiner_header": hexed(handshake.joiner_header),
        "inviter_header": hexed(handshake.inviter_header),
        "safety_code": hexed(handshake.safety()),
        "safety_numbers": safety_numbers(handshake.safety()),
        "safety_digits": " ".join(f"{number:04}" for number in safety_numbers(handshake.safety())),
    }

    theirs = Handshake(
        invitation, prefix, agree(invitation.private, prefix[:32]), decapsulate(invitation.seed, prefix[32:])
    )
    assert theirs.sk0 == handshake.sk0
    inviter = Side.inviter(theirs, invitation.private, draws[INVITER], prefix)
    sides = {"i": inviter, "j": joiner, "I": inviter, "J": joiner}
    blobs, contents, steps, accepted = {}, {}, [], False
    for index, step in enumerate(schedule.split()):
        actor, message = step[0], step[1:]
        side = sides[actor]
        if actor.islower():
            content = CONTENTS[index % len(CONTENTS)]
            blob = side.encrypt(content)
            blobs[message], contents[message] = blob, content
            steps.append(
                {
                    "op": "encrypt",
                    "by": side.role,
                    "message": message,
                    "random": hexed(side.draw.taken()),
                    "body": based(content),
                    "blob": based(blob),
                }
            )
        else:
            opened = side.decrypt(blobs[message])
            assert opened["body"] == contents[message]
            if actor == "I" and not accepted:
                side.start_offering()
                accepted = True
            steps.append(
                {
                    "op": "decrypt",
                    "by": side.role,
                    "message": message,
                    "random": hexed(side.draw.taken()),
                    "number": opened["number"],
                    "passed_over": opened["passed_over"],
                    "late": opened["late"],
                    "kem_epoch": side.kem_epoch,
                }
            )
    vector["steps"] = steps
    return vector


def vectors():
    text = json.dumps(
        {
            "about": "Made by tests/models/ratchet_model.py from tests/models/README.md; check.py compares. "
            "random, keys and hashes are hexadecimal, blobs and bodies base64.",
            "scenarios": [run(name, schedule) for name, schedule in SCENARIOS.items()],
        },
        indent=1,
    )
    return text + "\n"


if __name__ == "__main__":
    VECTORS.parent.mkdir(parents=True, exist_ok=True)
    VECTORS.write_text(vectors())
    print(f"{VECTORS.name} written")
