"""The folder that a model is written to: what may be replaced there, and how it is put in place.

`models/store.py` writes with it, `predictor/cli.py` asks before it trains. It must never remove a
file that is no model's, nor leave half a model behind.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from models.manifest import ARRAYS, MANIFEST, SIGNATURE, TREES

WHOLE = frozenset((MANIFEST, ARRAYS))
"""What every model has; a lone `manifest.json` may be that of anything."""
MODEL_FILES = WHOLE | {TREES, SIGNATURE}


def folder_fault(folder: Path) -> str | None:
    """Why no model may be written there, None where nothing else would be lost."""
    place = folder.resolve()
    if place == Path.cwd():
        return "is the folder this runs in, and would be replaced; name one inside it"
    if place.is_mount():
        return "is where a disk is mounted, which cannot be replaced; name a folder inside it"
    if fault := _foreign(place):
        return fault
    held = {one.name for one in place.iterdir()} if place.exists() else set()
    if held and not held >= WHOLE:
        return "holds a part of a model, or no model; name a new folder or an empty one"
    for one in (_fresh(place), _older(place)):
        if fault := _foreign(one):
            return f"has beside it {one.name}, which {fault}"
    return None


def put_in_place(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files beside the folder and swap it in; what is replaced goes last.

    Raises `OSError`, also where the folder came to hold anything else. A torn write is not waited
    out on the disk: its hash refuses it at the next start.
    """
    if fault := folder_fault(folder):
        raise FileExistsError(f"{folder} {fault}")
    place = folder.resolve()
    fresh, older = _fresh(place), _older(place)
    for leftover in (fresh, older):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, body in files.items():
        with (fresh / name).open("wb") as file:
            file.write(body)
    if place.exists():
        place.rename(older)
    fresh.rename(place)
    shutil.rmtree(older, ignore_errors=True)


def _fresh(place: Path) -> Path:
    return place.with_name(f".{place.name}.new")


def _older(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _foreign(place: Path) -> str | None:
    """What keeps a path from being absent, empty or a model's."""
    if not place.exists():
        return None
    if not place.is_dir():
        return "is a file"
    held = sorted(place.iterdir())
    strange = [one.name for one in held if one.name not in MODEL_FILES or not one.is_file()]
    if strange:
        return f"holds {strange[0]}, which is no model's; name a new folder or an empty one"
    return None
