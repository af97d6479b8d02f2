"""Whole valid models to store, the keys that sign them, and ways to spoil their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.manifest import ARRAYS, MANIFEST, TREES, ModelRow
from models.model_signature import key_text, trusted_keys
from models.store import ModelFiles, OpenedModel, ReadFile, opened, packed
from models.stored_parameters import StoredParameters

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEY_TEXT = key_text(KEY.public_key())
TRUSTED = trusted_keys([KEY_TEXT])
EPOCH_S = 1_767_225_600
ABSENT = object()


def some_parameters(scale: float = 1.0, trees: tuple[Any, ...] = ()) -> StoredParameters:
    """Two series; the numbers mean nothing."""
    return StoredParameters(
        arrays={
            "spread": np.linspace(0.0, scale, 12).reshape(2, 6),
            "hold": np.array([10, 20]),
            "is_known": np.array([True, False]),
        },
        rows=(ModelRow("core", "eu-west-1", "LastValue", "for a test"), ModelRow("plan", "*")),
        step_s=60,
        levels=(0.5, 0.9),
        trained_from_s=EPOCH_S,
        trained_to_s=EPOCH_S + 86_400,
        trees=trees,
    )


def some_files(scale: float = 1.0, key: Ed25519PrivateKey | None = KEY) -> ModelFiles:
    return packed(some_parameters(scale), CREATED, report={"series": 2}, seed=7, key=key)


def reader(files: Mapping[str, bytes], seen: list[str] | None = None) -> ReadFile:
    """Reads like a disk, and notes in `seen` what was asked for."""

    def read(name: str, bytes_max: int) -> bytes | None:
        if seen is not None:
            seen.append(name)
        return files[name][: bytes_max + 1] if name in files else None

    return read


def open_files(files: Mapping[str, bytes], **trust: Any) -> OpenedModel:
    return opened(reader(files), trust.get("trusted", {}), trust.get("version"))


def with_manifest(of: ModelFiles, /, **changed: Any) -> ModelFiles:
    """Other facts in the manifest, unsigned; `ABSENT` takes a field away."""
    manifest = json.loads(of[MANIFEST]) | changed
    kept = {name: value for name, value in manifest.items() if value is not ABSENT}
    return {ARRAYS: of[ARRAYS], MANIFEST: json.dumps(kept).encode()} | {
        name: of[name] for name in (TREES,) if name in of
    }


def with_file(files: ModelFiles, name: str, body: bytes) -> ModelFiles:
    """Another file with its right hash, unsigned: a writer who is wrong, not a thief."""
    facts = json.loads(files[MANIFEST])["files"]
    facts[name] = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    return with_manifest({**files, name: body}, files=facts)
