"""The arrays of a `LevelModel` by name, and every check they must pass to become one again.

`models/store.py` writes and reads them. Nothing that fails a check may reach a forecast: shapes,
types, finiteness and the order of quantiles are all looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.forecast import QUANTILE_LEVELS, ForecastReason
from models.level_model import BY_ROW, LevelModel
from models.past_errors import LEADS
from models.profile import DAY_S, WEEKDAYS, Profile
from models.recent_level import MEMBERS
from models.series import SeriesKey

Arrays = Mapping[str, NDArray[Any]]
PROFILE, DAYS = "profile_relative", "profile_days"
NAMES = ("leads", PROFILE, DAYS, *BY_ROW)
WHOLE_NUMBERS = ("leads", "hold", "errors", DAYS)
POSITIVE = ("floor", "hold", PROFILE)
MAY_BE_UNKNOWN = ("peak_spread", "step_spread", "usual", "loss", "weights")
"""NaN (or an infinite loss) in the rows that have no forecast, and only there."""


class ArraysRefused(Exception):  # noqa: N818 - a refusal is what it is
    """Arrays that are no model; the message says which and why."""


def arrays_of(model: LevelModel) -> dict[str, NDArray[Any]]:
    """Everything numeric of a model, by name."""
    arrays = {name: getattr(model, name) for name in ("leads", *BY_ROW)}
    relative = model.profile.relative.astype(np.float64)
    return {**arrays, PROFILE: relative, DAYS: model.profile.days}


def model_of(
    arrays: Arrays,
    keys: tuple[SeriesKey, ...],
    step_s: int,
    anchor_s: int,
    reasons: tuple[ForecastReason, ...],
) -> LevelModel:
    """The model that these arrays are; raises `ArraysRefused`.

    Older models lack `noise`: they knew of no sampling, so all that there is now is in excess.
    """
    if "noise" not in arrays and "power" in arrays:
        arrays = {**arrays, "noise": np.zeros_like(arrays["power"])}
    if set(arrays) != set(NAMES):
        raise ArraysRefused(f"arrays {sorted(arrays)}, expected {sorted(NAMES)}")
    _check_shapes(arrays, len(keys))
    _check_numbers(arrays)
    return LevelModel(
        keys=keys,
        step_s=step_s,
        levels=QUANTILE_LEVELS,
        profile=Profile(anchor_s, arrays[PROFILE], arrays[DAYS]),
        reasons=reasons,
        **{name: arrays[name] for name in ("leads", *BY_ROW)},
    )


def _check_shapes(arrays: Arrays, rows: int) -> None:
    leads = arrays["leads"].shape[0] if arrays["leads"].ndim == 1 else -1
    levels = len(QUANTILE_LEVELS)
    wanted = dict.fromkeys(("floor", "usual", "highest", "hold", "errors", "loss", DAYS), (rows,))
    shapes: dict[str, tuple[int, ...]] = {
        **wanted,
        "leads": (leads,),
        "weights": (rows, leads, MEMBERS),
        "power": (rows, leads),
        "noise": (rows, leads),
        "peak_spread": (rows, leads, levels),
        "step_spread": (rows, leads, levels),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ArraysRefused(f"{name} has shape {arrays[name].shape}, expected {shape}")
    shape = arrays[PROFILE].shape
    weekdays_fit = len(shape) == 3 and shape[0] == rows and shape[1] in (1, WEEKDAYS)
    if not weekdays_fit or not 1 <= shape[2] <= DAY_S:
        raise ArraysRefused(f"{PROFILE} has shape {shape}, expected ({rows}, 1 or 7, slots)")


def _check_numbers(arrays: Arrays) -> None:
    for name, array in arrays.items():
        wanted = np.int64 if name in WHOLE_NUMBERS else np.float64
        if array.dtype != wanted:
            raise ArraysRefused(f"{name} holds {array.dtype}, expected {np.dtype(wanted)}")
        if name not in MAY_BE_UNKNOWN and not np.isfinite(array).all():
            raise ArraysRefused(f"{name} has numbers that are not finite")
        if name in POSITIVE and (array <= 0).any():
            raise ArraysRefused(f"{name} has numbers that are not above zero")
    if (arrays["noise"] < 0).any():
        raise ArraysRefused("noise has numbers below zero")
    leads = arrays["leads"]
    if not 1 <= len(leads) <= len(LEADS) or leads[0] != 0 or (np.diff(leads) <= 0).any():
        raise ArraysRefused(f"leads {leads.tolist()[: len(LEADS)]} do not rise from zero")
    _check_rows(arrays)


def _check_rows(arrays: Arrays) -> None:
    """A row with a forecast is finite throughout, and its quantiles do not cross."""
    usable = np.isfinite(arrays["peak_spread"]).all(axis=(1, 2))
    for name in MAY_BE_UNKNOWN:
        if not np.isfinite(arrays[name][usable]).all():
            raise ArraysRefused(f"{name} is not finite in a row that has a forecast")
    for name in ("peak_spread", "step_spread"):
        if (np.diff(arrays[name][usable], axis=-1) < 0).any():
            raise ArraysRefused(f"{name} has quantiles that cross")
