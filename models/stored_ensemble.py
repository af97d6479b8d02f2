"""A fitted ensemble as stored parameters, and back.

`models/store.py` and the service call it. The cascade beneath keeps its own arrays and checks;
every other number is looked at again on the way back, because a right hash says who wrote a file
and not that it is sane. It must never hand on half a model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import stored_cascade
from models.boosted_quantiles import GROWN_LEVELS, boosted_quantiles
from models.cascade import Cascade
from models.coverage_control import CoverageControl
from models.ensemble import Ensemble
from models.ensemble_reasons import reasons_of
from models.error_trees import KINDS, MEMBERS, ErrorTrees
from models.flash_crowd import GROWTH_MAX, BurstHabits
from models.forecast import QUANTILE_LEVELS
from models.level_record import new_level_record
from models.manifest import ARRAYS, ModelRefused
from models.origin_run import feature_count
from models.point_mix import PointState, new_point_state
from models.quantile_mix import MixState, new_mix_state
from models.quantile_tracker import Tracker
from models.standing import new_standing
from models.stored_parameters import StoredParameters
from models.stored_standing import SIGNED, holds_standing, standing_arrays, standing_of
from models.surprises import no_habits
from models.upstream import GAIN_MAX, LAG_STEPS_MAX
from models.upstream_columns import Leads, no_leads, told_by

BENEATH, POINTS, HABITS, LEADS = "cascade_", "points_", "habits_", "leads_"
TIMES = "times"
NAMES_SHOWN = 3
OF_HABITS = ("deviation", "rise", "ratios", "bursts")
MIX_MEMBERS, CONTROL = "mix_members_", "mix_control_"
MAY_BE_UNKNOWN = ("base", *(HABITS + name for name in OF_HABITS if name != "bursts"))
MAY_BE_NEGATIVE = ("base", "mix_members_shift", "mix_control_missed", LEADS + "caller", *SIGNED)


def parameters_of(ensemble: Ensemble, trained_from_s: int) -> StoredParameters:
    """The ensemble's numbers and trees; raises `ValueError` for one without a fitted cascade."""
    beneath = stored_cascade.parameters_of(ensemble.cascade, trained_from_s)
    arrays = {BENEATH + name: array for name, array in beneath.arrays.items()}
    if ensemble.points is not None and ensemble.mix is not None:
        arrays |= _arrays_of(ensemble, ensemble.points, ensemble.mix)
    trees = ensemble.trees
    grown = () if trees is None else (*trees.of_scale.trees, *trees.of_level.trees)
    return dataclasses.replace(beneath, arrays=arrays, trees=grown)


def ensemble_of(parameters: StoredParameters) -> Ensemble:
    """The ensemble of these numbers; raises `ModelRefused`."""
    arrays = parameters.arrays
    beneath = {
        name.removeprefix(BENEATH): array
        for name, array in arrays.items()
        if name.startswith(BENEATH)
    }
    cascade = stored_cascade.cascade_of(dataclasses.replace(parameters, arrays=beneath, trees=()))
    own = {name: array for name, array in arrays.items() if not name.startswith(BENEATH)}
    if not own:
        return Ensemble(cascade)
    assert cascade.model is not None
    has_habits = any(name.startswith(HABITS) for name in own)
    _check(own, len(parameters.rows), has_habits)
    points = PointState(*(own[POINTS + name] for name in PointState.__slots__))
    trees, leads, keys = _trees_of(parameters), _leads(own), cascade.model.keys
    standing, record = standing_of(own)
    learnt_to_s, trees_to_s = (int(one) for one in own[TIMES])
    return Ensemble(
        cascade=cascade,
        keys=keys,
        step_s=parameters.step_s,
        floor=own["floor"],
        points=points,
        mix=_mix(own),
        base=own["base"],
        noise=own["noise"],
        habits=_habits(own) if has_habits else None,
        leads=leads,
        trees=trees,
        learnt_to_s=learnt_to_s,
        trees_to_s=trees_to_s,
        said=reasons_of(points, trees is not None, told_by(leads, keys, parameters.step_s)),
        standing=standing,
        record=record,
    ).telling()


def _arrays_of(ensemble: Ensemble, points: PointState, mix: MixState) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {
        "floor": ensemble.floor,
        "base": ensemble.base,
        "noise": ensemble.noise,
        TIMES: np.asarray([ensemble.learnt_to_s, ensemble.trees_to_s], dtype=np.int64),
        "mix_loss": mix.loss,
    }
    found |= {POINTS + name: getattr(points, name) for name in PointState.__slots__}
    found |= standing_arrays(ensemble.standing, ensemble.record)
    if ensemble.habits is not None:
        found |= {HABITS + name: getattr(ensemble.habits, name) for name in OF_HABITS}
    if ensemble.leads is not None:
        leads = ((name, getattr(ensemble.leads, name)) for name in Leads.__slots__)
        found |= {LEADS + name: array.astype(np.float64) for name, array in leads}
    found |= {MIX_MEMBERS + name: getattr(mix.members, name) for name in Tracker.__slots__}
    found |= {CONTROL + name: getattr(mix.control, name) for name in CoverageControl.__slots__}
    return found


def _mix(arrays: Mapping[str, NDArray[Any]]) -> MixState:
    return MixState(
        arrays["mix_loss"],
        Tracker(*(arrays[MIX_MEMBERS + name] for name in Tracker.__slots__)),
        CoverageControl(*(arrays[CONTROL + name] for name in CoverageControl.__slots__)),
    )


def _habits(arrays: Mapping[str, NDArray[Any]]) -> BurstHabits:
    deviation, rise, ratios, bursts = (arrays[HABITS + name] for name in OF_HABITS)
    return BurstHabits(deviation, rise, QUANTILE_LEVELS, ratios, bursts)


def _leads(arrays: Mapping[str, NDArray[Any]]) -> Leads | None:
    """Who leads whom; None where the model does not say. Raises `ModelRefused`."""
    if LEADS + "caller" not in arrays:
        return None
    caller, lag_steps, *rest = (arrays[LEADS + name] for name in Leads.__slots__)
    leads = Leads(caller.astype(np.int64), lag_steps.astype(np.int64), *rest)
    rows, lag = len(leads.caller), leads.lag_steps
    if (leads.caller < -1).any() or (leads.caller >= rows).any():
        raise ModelRefused(f"{ARRAYS}: {LEADS}caller names a row outside of {rows}")
    if (lag < 1).any() or (lag > LAG_STEPS_MAX).any() or (leads.gain > GAIN_MAX).any():
        raise ModelRefused(
            f"{ARRAYS}: a lead of 1 to {LAG_STEPS_MAX} steps and a gain of at most {GAIN_MAX:g} "
            "was expected"
        )
    return leads


def _check(arrays: Mapping[str, NDArray[Any]], rows: int, has_habits: bool) -> None:
    """Names, shapes and numbers are those of an ensemble of so many rows. Older models lack habits:
    they follow a crowd once a fit of the service's own has learnt some."""
    levels = len(QUANTILE_LEVELS)
    like = Ensemble(
        Cascade(),
        floor=np.zeros(rows),
        points=new_point_state(rows),
        mix=new_mix_state(rows, MEMBERS, levels),
        base=np.zeros((rows, levels)),
        noise=np.zeros(rows),
        habits=no_habits(rows) if has_habits else None,
        standing=new_standing(rows) if holds_standing(arrays) else None,
        record=new_level_record(rows) if holds_standing(arrays) else None,
        leads=no_leads(rows) if LEADS + "caller" in arrays else None,
    )
    assert like.points is not None
    assert like.mix is not None
    wanted = _arrays_of(like, like.points, like.mix)
    if set(arrays) != set(wanted):
        raise ModelRefused(
            f"{ARRAYS}: lacks {_few(wanted.keys() - arrays.keys())} of the expected arrays, has "
            f"{_few(arrays.keys() - wanted.keys())} besides: train again"
        )
    for name, array in arrays.items():
        if array.shape != wanted[name].shape or array.dtype != wanted[name].dtype:
            raise ModelRefused(
                f"{ARRAYS}: {name} holds {array.dtype} of shape {array.shape}, expected "
                f"{wanted[name].dtype} of {wanted[name].shape}"
            )
        known = array[~np.isnan(array)] if name in MAY_BE_UNKNOWN else array
        if not np.isfinite(known).all():
            raise ModelRefused(f"{ARRAYS}: {name} has numbers that are not finite")
        if name not in MAY_BE_NEGATIVE and (array < 0).any():
            raise ModelRefused(f"{ARRAYS}: {name} has numbers below zero")
    if (arrays["floor"] <= 0).any():
        raise ModelRefused(f"{ARRAYS}: floor has numbers that are not above zero")
    if has_habits and (arrays[HABITS + "ratios"] > GROWTH_MAX).any():
        raise ModelRefused(f"{ARRAYS}: {HABITS}ratios has numbers above {GROWTH_MAX:g}")


def _few(names: Set[str]) -> str:
    """Some names in a sentence; another release may differ in dozens."""
    shown = ", ".join(sorted(names)[:NAMES_SHOWN]) or "none"
    return shown + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "")


def _trees_of(parameters: StoredParameters) -> ErrorTrees | None:
    grown, each = parameters.trees, len(GROWN_LEVELS)
    if not grown:
        return None
    if len(grown) != KINDS * each:
        raise ModelRefused(f"{len(grown)} trees, an ensemble has {KINDS * each}")
    for tree, level in zip(grown, GROWN_LEVELS * KINDS, strict=True):
        # A table of trees would read the columns of another row.
        if tree.n_features_in_ != feature_count():
            raise ModelRefused(
                f"trees grown with {tree.n_features_in_} features, this program asks with "
                f"{feature_count()}: train again"
            )
        if tree.quantile != level:
            raise ModelRefused(f"a tree of level {tree.quantile!r} in the place of {level}")
    return ErrorTrees(
        boosted_quantiles(QUANTILE_LEVELS, grown[:each]),
        boosted_quantiles(QUANTILE_LEVELS, grown[each:]),
    )
