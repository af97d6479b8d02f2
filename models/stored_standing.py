"""Where series stand against simpler methods, and what their levels did, as stored arrays and back.

`models/stored_ensemble.py` calls it and looks at names, shapes and signs; what only these arrays
may not hold is refused here. It must never hand on a rung that does not exist.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.level_record import LevelRecord, new_level_record
from models.manifest import ARRAYS, ModelRefused
from models.skill import METHODS
from models.standing import SEASONS_DAYS, Standing, new_standing

STANDING, RECORD = "standing_", "record_"
SIGNED = ("standing_skill_apart", "standing_references_tracker_shift", "record_drift_per_day")
"""These may be below zero."""
RUNGS = ("standing_skill_rung", "standing_skill_rung_before")


def standing_arrays(
    standing: Standing | None, record: LevelRecord | None
) -> dict[str, NDArray[np.float64]]:
    """Both as arrays of float64 by name; none where one of them is not there."""
    if standing is None or record is None:
        return {}
    named = (*_named(STANDING, standing), *_named(RECORD, record))
    return {name: array.astype(np.float64) for name, array in named}


def standing_of(
    arrays: Mapping[str, NDArray[Any]],
) -> tuple[Standing, LevelRecord] | tuple[None, None]:
    """Both from their arrays, None where there are none; raises `ModelRefused`."""
    if not holds_standing(arrays):
        return None, None
    for name in RUNGS:
        if not np.isin(arrays[name], range(METHODS)).all():
            raise ModelRefused(f"{ARRAYS}: {name} names a rung outside of {METHODS}")
    if not np.isin(arrays["standing_season_days"], SEASONS_DAYS).all():
        raise ModelRefused(f"{ARRAYS}: standing_season_days is not of {SEASONS_DAYS}")
    rows = len(arrays["standing_season_days"])
    standing = _filled(STANDING, new_standing(rows), arrays)
    return standing, _filled(RECORD, new_level_record(rows), arrays)


def holds_standing(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a model has them; older ones begin anew at the first fit of the service."""
    return any(name.startswith((STANDING, RECORD)) for name in arrays)


def _named(place: str, state: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every array of a state of states, by its names one after the other."""
    for field in dataclasses.fields(state):
        part = getattr(state, field.name)
        if dataclasses.is_dataclass(part):
            yield from _named(f"{place}{field.name}_", part)
        else:
            yield place + field.name, part


def _filled(place: str, like: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """A state like another, with the arrays of these names."""
    found = {}
    for field in dataclasses.fields(like):
        part, name = getattr(like, field.name), place + field.name
        nested = dataclasses.is_dataclass(part)
        found[field.name] = (
            _filled(f"{name}_", part, arrays) if nested else arrays[name].astype(part.dtype)
        )
    return dataclasses.replace(like, **found)
