"""Private keys that sign models: made, kept in a file of their owner's, read.

`predictor/models_cli.py` calls it. The service never has a private key; it knows public ones from
its configuration. A key file is never written over, and never readable by others.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

KEY_FILE_BYTES_MAX = 16_384


class KeyFileError(Exception):
    """A file that holds no key to sign with; the message names it."""


def make_key_file(path: Path) -> Ed25519PrivateKey:
    """A new key in a new file that only its owner reads (PKCS #8 in PEM); raises `OSError`."""
    key = Ed25519PrivateKey.generate()
    body = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(body)
    return key


def read_key_file(path: Path) -> Ed25519PrivateKey:
    """The key of a file; raises `KeyFileError` and `OSError`."""
    with path.open("rb") as file:
        body = file.read(KEY_FILE_BYTES_MAX)
    try:
        key = load_pem_private_key(body, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} holds no private key without a password: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a key that is not Ed25519")
    return key
