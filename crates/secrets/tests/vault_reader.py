"""A second reader of vault files, written from docs/formats/vault.md alone. Needs the package cryptography, 44 or newer.

    vault_reader.py FILE (--key-file KEY | --passphrase-file FILE)

Prints a line of JSON: {"generation": 3, "secrets": {"name": {"current": [version, "value as hexadecimal"], ...}}}
"""

import hashlib
import hmac
import json
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive(salt, material, info):
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=b"buttress vault 1: " + info).derive(material)


def open_once(key, sealed, bound):
    return AESGCM(key).decrypt(bytes(12), sealed, bound)


def read(file, secret):
    assert len(file) >= 240 and file[:8] == b"BTRVAULT", "no vault"
    form, source, reserved, memory, passes, lanes = struct.unpack(">HBBIII", file[8:24])
    assert (form, reserved) == (1, 0) and source in (1, 2), "another format"
    assert hashlib.sha256(file[:208]).digest() == file[208:240], "damaged header"
    key_salt, vault, commitment, wrapped = file[24:56], file[56:72], file[72:104], file[104:152]
    generation, _, write_salt, length = struct.unpack(">QQ32sQ", file[152:208])
    body = file[240:]
    assert len(body) == length, "cut or extended"
    material = secret
    if source == 1:
        material = Argon2id(
            salt=key_salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory
        ).derive(secret)
    assert hmac.compare_digest(derive(key_salt, material, b"commitment"), commitment), "another key"
    root = open_once(derive(key_salt, material, b"key encryption key"), wrapped, file[:104])
    body = open_once(derive(write_salt, root, b"file"), body, file[:208])

    at = 0

    def take(form):
        nonlocal at
        values = struct.unpack_from(">" + form, body, at)
        at += struct.calcsize(">" + form)
        return values

    secrets = {}
    for _ in range(take("I")[0]):
        (name,) = take(f"{take('B')[0]}s")
        _, present = take("QB")
        stages = ["current"] + ["previous"] * (present & 1) + ["next"] * (present >> 1)
        secrets[name.decode()] = {}
        for stage in stages:
            version, _, salt, size = take("QQ32sI")
            (sealed,) = take(f"{size}s")
            bound = vault + struct.pack(">Q", version) + name
            secrets[name.decode()][stage] = [version, open_once(derive(salt, root, b"value"), sealed, bound).hex()]
    assert at == len(body), "bytes behind the secrets"
    return {"generation": generation, "secrets": secrets}


def main():
    path, kind, key = sys.argv[1:]
    with open(key, "rb") as file:
        secret = file.read()
    if kind == "--passphrase-file":
        secret = secret.removesuffix(b"\n")
    with open(path, "rb") as file:
        print(json.dumps(read(file.read(), secret)))


if __name__ == "__main__":
    main()
