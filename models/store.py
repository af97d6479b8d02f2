"""A model as files that can be trusted: packed, signed, and opened again in that order.

The command `train` writes one, `predictor/model_store/` keeps many, the service opens them. A model
is `manifest.json`, `arrays.npz`, `trees.skops` where it has trees, and `signature` where somebody
vouches for it. Opening looks at sizes, signature, manifest and hashes, and only then at what is
inside. This must never load a pickle, and never leave half a model behind.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.array_bytes import arrays_from, packed_arrays
from models.ensemble import Ensemble
from models.manifest import (
    ARRAYS,
    FORMAT_VERSION,
    MANIFEST,
    MANIFEST_BYTES_MAX,
    SIGNATURE,
    TREES,
    TREES_LIBRARY,
    FileFact,
    Manifest,
    ModelRefused,
    manifest_from,
    manifest_text,
)
from models.model_folder import put_in_place
from models.model_signature import (
    SIGNATURE_BYTES_MAX,
    SignatureRefused,
    Signer,
    TrustedKeys,
    check_signature,
    signature_of,
)
from models.stored_ensemble import ensemble_of, parameters_of
from models.stored_parameters import StoredParameters
from models.zip_bytes import BytesRefused

Value = TypeVar("Value")
ModelFiles = dict[str, bytes]
ReadFile = Callable[[str, int], bytes | None]
"""Name and limit → at most one byte more than the limit, None where there is no such file."""


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """A manifest that passed its checks, and whose signature it carries."""

    manifest: Manifest
    signer: Signer


@dataclass(frozen=True, slots=True, eq=False)
class OpenedModel:
    """A model that passed every check."""

    parameters: StoredParameters
    facts: ManifestFacts


def packed(
    parameters: StoredParameters,
    created: datetime,
    *,
    report: Mapping[str, Any] | None = None,
    libraries: Mapping[str, str] | None = None,
    revision: str | None = None,
    seed: int | None = None,
    key: Ed25519PrivateKey | None = None,
) -> ModelFiles:
    """The files of a model, by name; the same arguments give the same bytes.

    Raises `ValueError` for numbers that cannot be stored or a `created` without a time zone.
    """
    if created.tzinfo is None:
        raise ValueError(f"created {created.isoformat()} has no time zone")
    used = {"numpy": np.__version__, **(libraries or {})}
    bodies = {ARRAYS: packed_arrays(parameters.arrays)}
    if parameters.trees:
        from models.tree_bytes import tree_bytes  # noqa: PLC0415 - heavy, and few models have trees

        bodies[TREES] = tree_bytes(parameters.trees)
        used |= {name: installed_version(name) for name in (TREES_LIBRARY, "skops")}
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        created=created,
        step_s=parameters.step_s,
        levels=parameters.levels,
        trained_from_s=parameters.trained_from_s,
        trained_to_s=parameters.trained_to_s,
        files={
            name: FileFact(hashlib.sha256(body).hexdigest(), len(body))
            for name, body in bodies.items()
        },
        rows=parameters.rows,
        libraries=used,
        python=platform.python_version(),
        revision=revision,
        seed=seed,
        report=dict(report or {}),
    )
    files = {**bodies, MANIFEST: manifest_text(manifest)}
    return files if key is None else signed(files, key)


def signed(files: ModelFiles, key: Ed25519PrivateKey) -> ModelFiles:
    """The same files with the signature of `key`, in place of any other."""
    return {**files, SIGNATURE: signature_of(files[MANIFEST], key)}


def opened(read: ReadFile, trusted: TrustedKeys, version: str | None = None) -> OpenedModel:
    """Read and check a model; raises `ModelRefused`, and what `read` raises.

    All hashes are compared before anything of arrays or trees is parsed.
    """
    facts = manifest_facts(read, trusted, version)
    manifest = facts.manifest
    bodies = {name: _hashed(read, name, fact) for name, fact in manifest.files.items()}
    parameters = StoredParameters(
        arrays=_parsed(ARRAYS, arrays_from, bodies[ARRAYS]),
        rows=manifest.rows,
        step_s=manifest.step_s,
        levels=manifest.levels,
        trained_from_s=manifest.trained_from_s,
        trained_to_s=manifest.trained_to_s,
        trees=_trees(bodies.get(TREES)),
    )
    return OpenedModel(parameters, facts)


def manifest_facts(
    read: ReadFile, trusted: TrustedKeys, version: str | None = None
) -> ManifestFacts:
    """What a model says of itself, its signature checked first; raises `ModelRefused`."""
    text = _bounded(read, MANIFEST, MANIFEST_BYTES_MAX)
    if text is None:
        raise ModelRefused(f"{MANIFEST} is missing")
    try:
        signer = check_signature(text, _bounded(read, SIGNATURE, SIGNATURE_BYTES_MAX), trusted)
    except SignatureRefused as error:
        raise ModelRefused(f"the model {error}") from None
    return ManifestFacts(manifest_from(text, version), signer)


def _hashed(read: ReadFile, name: str, fact: FileFact) -> bytes:
    body = read(name, fact.bytes)
    if body is None:
        raise ModelRefused(f"{name} is missing")
    if len(body) != fact.bytes:
        more = "more than the" if len(body) > fact.bytes else f"{len(body)} of the"
        raise ModelRefused(f"{name} has {more} {fact.bytes} bytes that its manifest says")
    found = hashlib.sha256(body).hexdigest()
    if found != fact.sha256:
        raise ModelRefused(
            f"{name} has sha256 {found[:12]}…, its manifest says {fact.sha256[:12]}…"
        )
    return body


def _bounded(read: ReadFile, name: str, bytes_max: int) -> bytes | None:
    body = read(name, bytes_max)
    if body is not None and len(body) > bytes_max:
        raise ModelRefused(f"{name} has more than {bytes_max} bytes")
    return body


def _trees(body: bytes | None) -> tuple[Any, ...]:
    if body is None:
        return ()
    from models.tree_bytes import trees_from  # noqa: PLC0415 - heavy, and few models have trees

    return _parsed(TREES, trees_from, body)


def _parsed(name: str, parse: Callable[[bytes], Value], body: bytes) -> Value:
    try:
        return parse(body)
    except BytesRefused as error:
        raise ModelRefused(f"{name} {error}") from None


class StoredModel:
    """An ensemble from a folder, and what the folder says of it."""

    def __init__(self, ensemble: Ensemble, facts: ManifestFacts) -> None:
        self.ensemble = ensemble
        self.manifest = facts.manifest
        self.signer = facts.signer
        self.digest = facts.manifest.digest


def save_model(
    folder: Path,
    ensemble: Ensemble,
    created: datetime,
    *,
    trained_from_s: int,
    report: Mapping[str, Any] | None = None,
    libraries: Mapping[str, str] | None = None,
    revision: str | None = None,
    seed: int | None = None,
) -> Manifest:
    """Write the model beside `folder`, then move it there; an older model there is replaced.

    Raises `ValueError` as `packed` does, and `OSError` where the disk refuses or the folder holds
    anything but a model; what was there is then still there.
    """
    parameters = parameters_of(ensemble, trained_from_s)
    files = packed(
        parameters, created, report=report, libraries=libraries, revision=revision, seed=seed
    )
    put_in_place(folder, files)
    return manifest_from(files[MANIFEST])


def load_model(folder: Path, trusted: TrustedKeys | None = None) -> StoredModel:
    """Read a model back; raises `ModelRefused` for anything that is not what was written."""
    model = opened(folder_reader(folder), trusted or {})
    return StoredModel(ensemble_of(model.parameters), model.facts)


def folder_reader(folder: Path) -> ReadFile:
    """Reads the files of one folder; what the disk refuses is refused."""

    def read(name: str, bytes_max: int) -> bytes | None:
        try:
            with (folder / name).open("rb") as file:
                return file.read(bytes_max + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ModelRefused(f"{name} cannot be read: {error.strerror}") from None

    return read
