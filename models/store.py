"""Writes a fitted cascade to a folder and reads it back, trusting nothing it finds there.

The command `train` writes, the service reads at start; it runs without a model too. A folder holds
`manifest.json` and `arrays.npz`: numbers only, no objects. The hash is checked before anything of
the arrays is parsed. This must never load a pickle, and never leave half a model behind.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.cascade import Cascade
from models.forecast import QUANTILE_LEVELS, ForecastCode, ForecastReason
from models.level_model import LevelModel
from models.model_arrays import ArraysRefused, arrays_of, model_of
from models.series import SeriesKey

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
ARRAYS = "arrays.npz"
MANIFEST_BYTES_MAX = 32 * 2**20
ARRAYS_BYTES_MAX = 2**30
"""Ten thousand series with weekly profiles take 170 MB."""


class ModelRefused(Exception):  # noqa: N818 - a refusal is what it is
    """A model folder that will not be used; the message says which fact is wrong."""


class ManifestRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One series of the model: its key, and the reason its forecasts give."""

    module: str
    region: str
    code: ForecastCode
    sentence: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in a model folder: `libraries` and `report` are for people, the rest is checked."""

    format_version: int
    created: datetime
    step_s: int
    levels: tuple[float, ...]
    trained_from_s: int
    trained_to_s: int
    sha256: dict[str, str]
    rows: tuple[ManifestRow, ...]
    libraries: dict[str, str]
    report: dict[str, Any]


class StoredModel(msgspec.Struct, frozen=True):
    """A model that passed every check, and what its folder says of it."""

    cascade: Cascade
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Names the numbers: the hash of the arrays."""
        return self.manifest.sha256[ARRAYS]


def save_model(
    folder: Path,
    cascade: Cascade,
    created: datetime,
    *,
    trained_from_s: int,
    report: dict[str, Any] | None = None,
    libraries: dict[str, str] | None = None,
) -> Manifest:
    """Write the model beside `folder`, then move it there; an older model there is replaced.

    Raises `ValueError` for a cascade without a model or a `created` without a time zone, and
    `OSError` where the disk refuses; the older model is then still there.
    """
    if cascade.model is None:
        raise ValueError("a cascade without a fitted model has nothing to store")
    if created.tzinfo is None:
        raise ValueError(f"created {created.isoformat()} has no time zone")
    arrays = _packed(cascade.model)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        created=created,
        step_s=cascade.model.step_s,
        levels=cascade.model.levels,
        trained_from_s=trained_from_s,
        trained_to_s=cascade.model.profile.anchor_s,
        sha256={ARRAYS: hashlib.sha256(arrays).hexdigest()},
        rows=_rows_of(cascade.model),
        libraries={"numpy": np.__version__, **(libraries or {})},
        report=report or {},
    )
    text = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"))
    _put_in_place(folder, {ARRAYS: arrays, MANIFEST: text})
    return manifest


def load_model(folder: Path) -> StoredModel:
    """Read a model back; raises `ModelRefused` for anything that is not what was written."""
    text = _read(folder / MANIFEST, MANIFEST_BYTES_MAX)
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelRefused(f"{MANIFEST} is not a manifest: {error}") from None
    _check_manifest(manifest)
    body = _read(folder / ARRAYS, ARRAYS_BYTES_MAX)
    found, wanted = hashlib.sha256(body).hexdigest(), manifest.sha256[ARRAYS]
    if found != wanted:
        raise ModelRefused(f"{ARRAYS} has sha256 {found[:12]}…, its manifest says {wanted[:12]}…")
    keys = tuple(SeriesKey(row.module, row.region) for row in manifest.rows)
    reasons = tuple(ForecastReason(row.code, row.sentence) for row in manifest.rows)
    try:
        model = model_of(_unpacked(body), keys, manifest.step_s, manifest.trained_to_s, reasons)
    except ArraysRefused as error:
        raise ModelRefused(f"{ARRAYS}: {error}") from None
    return StoredModel(Cascade(model), manifest)


def _check_manifest(manifest: Manifest) -> None:
    faults = []
    if manifest.format_version != FORMAT_VERSION:
        faults.append(
            f"format version {manifest.format_version}, this program reads {FORMAT_VERSION}"
        )
    if set(manifest.sha256) != {ARRAYS}:
        faults.append(f"hashes of {sorted(manifest.sha256)}, expected one of {ARRAYS}")
    if manifest.levels != QUANTILE_LEVELS:
        faults.append(f"quantile levels {manifest.levels}, this program uses {QUANTILE_LEVELS}")
    if manifest.step_s <= 0:
        faults.append(f"a step of {manifest.step_s} s")
    if manifest.created.tzinfo is None:
        faults.append("a creation time without a zone")
    if len({(row.module, row.region) for row in manifest.rows}) != len(manifest.rows):
        faults.append("the same series twice")
    if faults:
        raise ModelRefused(f"{MANIFEST} has " + "; ".join(faults))


def _rows_of(model: LevelModel) -> tuple[ManifestRow, ...]:
    return tuple(
        ManifestRow(key.module, key.region, reason.code, reason.sentence)
        for key, reason in zip(model.keys, model.reasons, strict=True)
    )


def _packed(model: LevelModel) -> bytes:
    """The arrays as npz; the same model gives the same bytes (numpy stamps no time of its own)."""
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, **arrays_of(model))
    return body.getvalue()


def _unpacked(body: bytes) -> dict[str, NDArray[Any]]:
    """All arrays of a body whose hash is right; a hash says who wrote it, not that it is sane."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > ARRAYS_BYTES_MAX:
            raise ModelRefused(f"{ARRAYS} unpacks to {size} bytes, at most {ARRAYS_BYTES_MAX}")
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        NotImplementedError,
    ) as error:
        raise ModelRefused(f"{ARRAYS} cannot be read: {error}") from None


def _read(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(bytes_max + 1)
    except OSError as error:
        raise ModelRefused(f"{path.name} cannot be read: {error.strerror}") from None
    if len(body) > bytes_max:
        raise ModelRefused(f"{path.name} has more than {bytes_max} bytes")
    return body


def _put_in_place(folder: Path, files: dict[str, bytes]) -> None:
    """Write all files beside the folder and swap it in; what is replaced goes last.

    A torn write is not waited out on the disk: its hash refuses it at the next start.
    """
    fresh = folder.with_name(f".{folder.name}.new")
    older = folder.with_name(f".{folder.name}.old")
    for leftover in (fresh, older):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, body in files.items():
        with (fresh / name).open("wb") as file:
            file.write(body)
    if folder.exists():
        folder.rename(older)
    fresh.rename(folder)
    shutil.rmtree(older, ignore_errors=True)
