"""Ed25519 signatures of a model's manifest: who vouches for it.

`models/store.py` signs and checks with it; the manifest holds the hash of every other file, so one
signature covers a whole model (Ed25519: RFC 8032). A signature is checked over the bytes as they
lie there, before anything reads them. Nothing here may read a key from a disk, make one up, or
accept two spellings of one signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "ed25519"
PURPOSE = b"mplp-predictor model manifest\n"
"""Stands before what is signed, so that no other program's signature with the key is taken."""
SIGNATURE_BYTES_MAX = 1024
_KEY_BYTES = 32
_ID_DIGITS = 16

TrustedKeys = Mapping[str, Ed25519PublicKey]
"""Public keys by their ids."""


class SignatureRefused(Exception):  # noqa: N818 - a refusal is what it is
    """A signature that vouches for nothing; the message says why."""


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file beside the manifest."""

    algorithm: str
    key: str
    signature: str


class Signer(msgspec.Struct, frozen=True):
    """Whose signature a model carries: `key` is its id, None for none."""

    key: str | None
    trusted: bool

    @property
    def sentence(self) -> str:
        """What to tell an operator."""
        if self.key is None:
            return "unsigned"
        if not self.trusted:
            return f"signed with key {self.key}, not checked: no trusted key is configured"
        return f"signed with the trusted key {self.key}"


def key_text(key: Ed25519PublicKey) -> str:
    """The public key as the configuration has it: 32 bytes in base64."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def key_id(key: Ed25519PublicKey) -> str:
    """Names a public key: the first digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:_ID_DIGITS]


def trusted_keys(texts: Iterable[str]) -> dict[str, Ed25519PublicKey]:
    """Public keys from `key_text`; raises `ValueError` that names the faulty one."""
    keys = {}
    for text in texts:
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != _KEY_BYTES or base64.b64encode(raw).decode() != text:
            raise ValueError(f"{text!r} is no public key: expected {_KEY_BYTES} bytes in base64")
        key = Ed25519PublicKey.from_public_bytes(raw)
        keys[key_id(key)] = key
    return keys


def signature_of(manifest: bytes, key: Ed25519PrivateKey) -> bytes:
    """The signature file of a manifest; the same key and manifest give the same bytes."""
    made = base64.b64encode(key.sign(PURPOSE + manifest)).decode()
    return msgspec.json.encode(Signature(ALGORITHM, key_id(key.public_key()), made))


def check_signature(manifest: bytes, body: bytes | None, trusted: TrustedKeys) -> Signer:
    """Who signed these bytes; raises `SignatureRefused`.

    With `trusted` keys only their signatures pass. With none everything does, and says so.
    """
    if body is None:
        if trusted:
            raise SignatureRefused("is unsigned, and only models with a trusted signature are used")
        return Signer(None, trusted=False)
    signature = _read(body)
    if not trusted:
        return Signer(signature.key, trusted=False)
    key = trusted.get(signature.key)
    if key is None:
        raise SignatureRefused(
            f"is signed with key {signature.key}, trusted are {', '.join(sorted(trusted))}"
        )
    try:
        key.verify(base64.b64decode(signature.signature), PURPOSE + manifest)
    except (InvalidSignature, binascii.Error):
        raise SignatureRefused(
            f"has a signature of key {signature.key} that is not one of its manifest"
        ) from None
    return Signer(signature.key, trusted=True)


def _read(body: bytes) -> Signature:
    try:
        signature = msgspec.json.decode(body, type=Signature)
        raw = base64.b64decode(signature.signature, validate=True)
        key = bytes.fromhex(signature.key)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise SignatureRefused(f"has a signature file that cannot be read: {error}") from None
    canonical = Signature(ALGORITHM, key.hex(), base64.b64encode(raw).decode())
    if msgspec.json.encode(canonical) != body or len(signature.key) != _ID_DIGITS:
        raise SignatureRefused("has a signature file that is not as it was written")
    return signature
