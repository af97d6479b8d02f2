"""Brings an earlier fit into the order, the leads and the week of a newer history.

`models/cascade.py` calls it for series whose own history is still short. It must never make up a
row: a key that the earlier fit did not know stays unusable.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from models.level_fit import filled_from_shorter
from models.level_model import BY_ROW, LevelModel
from models.profile import DAY_S, Profile
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray


def model_for(earlier: LevelModel, history: SeriesBatch, leads: IntArray) -> LevelModel:
    """The earlier rows for the history's keys, at `leads`; unknown keys have NaN spreads.

    Raises `ValueError` where the steps differ: leads and levels would mean something else.
    """
    if earlier.step_s != history.step_s:
        raise ValueError(
            f"an earlier model on steps of {earlier.step_s} s, history on {history.step_s} s"
        )
    rows = earlier.rows_of(history.keys)
    known = np.maximum(rows, 0)
    arrays: dict[str, Any] = {name: getattr(earlier, name)[known] for name in BY_ROW}
    for name in ("weights", "power", "noise"):
        arrays[name] = _at_leads(arrays[name], len(leads))
    for name in ("peak_spread", "step_spread"):
        found = _at_leads(arrays[name], len(leads))
        # Leads that the earlier fit did not measure: wider than the longest that it did.
        found[:, len(earlier.leads) :] = np.nan
        found[rows < 0] = np.nan
        arrays[name] = filled_from_shorter(leads, found)
    return dataclasses.replace(
        earlier,
        keys=history.keys,
        leads=leads,
        profile=_anchored(earlier.profile, known, history.end_s),
        reasons=tuple(earlier.reasons[row] for row in known),
        **arrays,
    )


def _at_leads(array: FloatArray, leads: int) -> FloatArray:
    """Axis 1 cut, or its last entry repeated, to so many leads; all lead lists begin alike."""
    return np.asarray(array[:, np.minimum(np.arange(leads), array.shape[1] - 1)])


def _anchored(profile: Profile, rows: IntArray, anchor_s: int) -> Profile:
    """The same shapes with weeks counted from another instant."""
    weekdays, slots = profile.relative.shape[1:]
    sampled = profile.at(rows, anchor_s, DAY_S // slots, weekdays * slots)
    return Profile(anchor_s, sampled.reshape(len(rows), weekdays, slots), profile.days[rows])
