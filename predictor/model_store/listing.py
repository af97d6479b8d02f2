"""What a person or a program is told of the versions in a store.

`predictor/models_cli.py` prints it; `--json` gives these values as they are, so a field here is a
promise (`docs/guide/models.md`). Nothing here may change a store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.table import Table

from models.manifest import Manifest, ModelRefused
from models.model_signature import TrustedKeys
from models.store import ManifestFacts
from models.stored_parameters import StoredParameters
from predictor.model_store.model_store import ModelStore, Pointer

SHORT_CHARACTERS = 200
"""Of a value of the training report, on a terminal."""


class VersionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A version on one line. `problem` is why it would be refused, None where nothing was found."""

    version: str
    state: str
    created: datetime | None = None
    trained_from: datetime | None = None
    trained_to: datetime | None = None
    series: int | None = None
    bytes: int | None = None
    has_trees: bool | None = None
    signature: str | None = None
    problem: str | None = None


class ShownVersion(msgspec.Struct, frozen=True):
    """A version with its whole manifest."""

    facts: VersionFacts
    manifest: Manifest


def listed(store: ModelStore, trusted: TrustedKeys) -> tuple[VersionFacts, ...]:
    """All versions, newest first; only their manifests and signatures are read."""
    pointer = store.pointer()
    return tuple(_facts(store, version, pointer, trusted) for version in store.versions())


def shown_version(store: ModelStore, version: str, trusted: TrustedKeys) -> ShownVersion:
    """One version; raises `ModelRefused` where its manifest cannot be believed."""
    found = store.facts(version, trusted)
    return ShownVersion(_told(version, store.pointer(), found), found.manifest)


def verified(
    store: ModelStore,
    version: str,
    trusted: TrustedKeys,
    model_of: Callable[[StoredParameters], object],
) -> VersionFacts:
    """One version after all that the service would check; `problem` says what it would refuse."""
    pointer = store.pointer()
    try:
        found = store.open(version, trusted)
        model_of(found.parameters)
    except ModelRefused as error:
        return VersionFacts(version=version, state=_state(version, pointer), problem=str(error))
    return _told(version, pointer, found.facts)


def versions_table(versions: tuple[VersionFacts, ...]) -> Table:
    """For a terminal."""
    table = Table(title=None if versions else "no versions")
    table.add_column("version", no_wrap=True)
    for heading in ("state", "trained on", "series", "size", "signature"):
        table.add_column(
            heading,
            justify="right" if heading in ("series", "size") else "left",
            overflow="fold",
        )
    for one in versions:
        span = "" if one.trained_from is None else f"{one.trained_from:%F} to {one.trained_to:%F}"
        size = "" if one.bytes is None else f"{one.bytes / 2**20:.1f} MiB"
        series = "" if one.series is None else str(one.series)
        # Why a signature was not checked is the same for all of them, and `show` tells it.
        signature = (one.signature or "").partition(": ")[0]
        table.add_row(one.version, one.state, span, series, size, one.problem or signature)
    return table


def shown_lines(found: ShownVersion) -> Iterator[str]:
    """A version for a person, a fact on each line."""
    facts, manifest = found.facts, found.manifest
    yield f"version    {facts.version} {facts.state}".rstrip()
    yield f"signature  {facts.signature}"
    yield f"trained    {facts.trained_from:%F %H:%M} to {facts.trained_to:%F %H:%M} UTC"
    yield f"series     {facts.series}, in steps of {manifest.step_s} s"
    yield f"levels     {', '.join(f'{level:g}' for level in manifest.levels)}"
    yield f"digest     {manifest.digest}"
    for name, fact in sorted(manifest.files.items()):
        yield f"file       {name} {fact.bytes} bytes sha256 {fact.sha256}"
    libraries = ", ".join(f"{name} {number}" for name, number in sorted(manifest.libraries.items()))
    yield f"libraries  Python {manifest.python}, {libraries}"
    yield f"revision   {manifest.revision or 'not recorded'}"
    yield f"seed       {'not recorded' if manifest.seed is None else manifest.seed}"
    for name, value in manifest.report.items():
        yield f"report     {name}: {_short(value)}"


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHORT_CHARACTERS else f"{text[:SHORT_CHARACTERS]}… (all: --json)"


def _facts(store: ModelStore, version: str, pointer: Pointer, trusted: TrustedKeys) -> VersionFacts:
    try:
        return _told(version, pointer, store.facts(version, trusted))
    except ModelRefused as error:
        return VersionFacts(version=version, state=_state(version, pointer), problem=str(error))


def _told(version: str, pointer: Pointer, found: ManifestFacts) -> VersionFacts:
    manifest = found.manifest
    return VersionFacts(
        version=version,
        state=_state(version, pointer),
        created=manifest.created,
        trained_from=datetime.fromtimestamp(manifest.trained_from_s, UTC),
        trained_to=datetime.fromtimestamp(manifest.trained_to_s, UTC),
        series=len(manifest.rows),
        bytes=sum(fact.bytes for fact in manifest.files.values()),
        has_trees=len(manifest.files) > 1,
        signature=found.signer.sentence,
    )


def _state(version: str, pointer: Pointer) -> str:
    if version == pointer.current:
        return "current"
    return "former" if version == pointer.former else ""
