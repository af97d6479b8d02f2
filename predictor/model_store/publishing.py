"""Takes a model folder as `train` wrote it, for a store: checked whole, and signed.

`predictor/models_cli.py` calls it, on the machine that holds the private key. It must never sign
what it has not checked.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.manifest import BYTES_MAX, MANIFEST, MANIFEST_BYTES_MAX, SIGNATURE, ModelRefused
from models.model_signature import SIGNATURE_BYTES_MAX
from models.store import ModelFiles, folder_reader, opened, signed
from models.stored_ensemble import ensemble_of

_LIMITS = {MANIFEST: MANIFEST_BYTES_MAX, SIGNATURE: SIGNATURE_BYTES_MAX, **BYTES_MAX}


def files_of_folder(folder: Path, key: Ed25519PrivateKey | None) -> ModelFiles:
    """The files of a model, with the signature of `key` if there is one.

    Raises `ModelRefused` for a folder that holds no model that passes every check.
    """
    read = folder_reader(folder)
    # Read once: what is checked is what is signed, whoever writes to the folder meanwhile.
    files = {name: body for name, most in _LIMITS.items() if (body := read(name, most)) is not None}
    try:
        found = opened(lambda name, bytes_max: _cut(files.get(name), bytes_max), {})
        ensemble_of(found.parameters)
    except ModelRefused as error:
        raise ModelRefused(f"{folder}: {error}") from None
    return files if key is None else signed(files, key)


def _cut(body: bytes | None, bytes_max: int) -> bytes | None:
    return None if body is None else body[: bytes_max + 1]
