"""Writes sealed_v1.bin: a second writer of docs/formats/sealed.md, by Python's `cryptography`."""

import hashlib
import pathlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY = bytes(range(32))
SALT = bytes(range(100, 132))
SEGMENT = 10
PLAIN = bytes(at % 251 for at in range(2500))

claimed = b"BTSL" + bytes([1, SEGMENT]) + (0x01020304).to_bytes(4, "big") + SALT
bound = claimed + hashlib.sha256(b"example").digest()


def derive(label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=SALT, info=label + bound).derive(KEY)


cipher = AESGCM(derive(b"buttress sealed v1 key"))
size = 1 << SEGMENT
count = max(1, -(-len(PLAIN) // size))
out = claimed + derive(b"buttress sealed v1 commitment")
for number in range(count):
    nonce = number.to_bytes(11, "big") + bytes([number == count - 1])
    out += cipher.encrypt(nonce, PLAIN[number * size : (number + 1) * size], None)
pathlib.Path(__file__).with_suffix(".bin").write_bytes(out)
