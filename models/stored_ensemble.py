"""A fitted ensemble as stored parameters, and back.

`models/store.py` and the service call it. The cascade beneath keeps its own arrays and checks;
every other number is looked at again on the way back, because a right hash says who wrote a file
and not that it is sane. It must never hand on half a model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import stored_cascade
from models.boosted_quantiles import GROWN_LEVELS, boosted_quantiles
from models.cascade import Cascade
from models.ensemble import Ensemble, reasons_of
from models.error_trees import KINDS, ErrorTrees
from models.forecast import QUANTILE_LEVELS
from models.manifest import ARRAYS, ModelRefused
from models.point_mix import PointState, new_point_state
from models.quantile_mix import MixState, new_mix_state
from models.quantile_tracker import Tracker
from models.stored_parameters import StoredParameters

BENEATH, POINTS = "cascade_", "points_"
TIMES = "times"
MAY_BE_UNKNOWN = ("base",)
MAY_BE_NEGATIVE = ("base", "mix_members_shift", "mix_mix_shift")


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
    _check(own, len(parameters.rows))
    points = PointState(*(own[POINTS + name] for name in PointState.__slots__))
    trees = _trees_of(parameters)
    learnt_to_s, trees_to_s = (int(one) for one in own[TIMES])
    return Ensemble(
        cascade=cascade,
        keys=cascade.model.keys,
        step_s=parameters.step_s,
        floor=own["floor"],
        points=points,
        mix=MixState(own["mix_loss"], _tracker(own, "mix_members_"), _tracker(own, "mix_mix_")),
        base=own["base"],
        noise=own["noise"],
        trees=trees,
        learnt_to_s=learnt_to_s,
        trees_to_s=trees_to_s,
        said=reasons_of(points, trees is not None),
    )


def _arrays_of(ensemble: Ensemble, points: PointState, mix: MixState) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {
        "floor": ensemble.floor,
        "base": ensemble.base,
        "noise": ensemble.noise,
        TIMES: np.asarray([ensemble.learnt_to_s, ensemble.trees_to_s], dtype=np.int64),
        "mix_loss": mix.loss,
    }
    found |= {POINTS + name: getattr(points, name) for name in PointState.__slots__}
    for place, tracker in (("mix_members_", mix.members), ("mix_mix_", mix.mix)):
        found |= {place + name: getattr(tracker, name) for name in Tracker.__slots__}
    return found


def _tracker(arrays: Mapping[str, NDArray[Any]], place: str) -> Tracker:
    return Tracker(*(arrays[place + name] for name in Tracker.__slots__))


def _check(arrays: Mapping[str, NDArray[Any]], rows: int) -> None:
    """Names, shapes and numbers are those of an ensemble of so many rows."""
    levels = len(QUANTILE_LEVELS)
    like = Ensemble(
        Cascade(),
        floor=np.zeros(rows),
        points=new_point_state(rows),
        mix=new_mix_state(rows, KINDS + 1, levels),
        base=np.zeros((rows, levels)),
        noise=np.zeros(rows),
    )
    assert like.points is not None
    assert like.mix is not None
    wanted = _arrays_of(like, like.points, like.mix)
    if set(arrays) != set(wanted):
        raise ModelRefused(f"{ARRAYS}: arrays {sorted(arrays)}, expected {sorted(wanted)}")
    for name, array in arrays.items():
        if array.shape != wanted[name].shape or array.dtype != wanted[name].dtype:
            raise ModelRefused(
                f"{ARRAYS}: {name} holds {array.dtype} of shape {array.shape}, expected "
                f"{wanted[name].dtype} of {wanted[name].shape}"
            )
        if name not in MAY_BE_UNKNOWN and not np.isfinite(array).all():
            raise ModelRefused(f"{ARRAYS}: {name} has numbers that are not finite")
        if name not in MAY_BE_NEGATIVE and (array < 0).any():
            raise ModelRefused(f"{ARRAYS}: {name} has numbers below zero")
    if (arrays["floor"] <= 0).any():
        raise ModelRefused(f"{ARRAYS}: floor has numbers that are not above zero")


def _trees_of(parameters: StoredParameters) -> ErrorTrees | None:
    grown, each = parameters.trees, len(GROWN_LEVELS)
    if not grown:
        return None
    if len(grown) != KINDS * each:
        raise ModelRefused(f"{len(grown)} trees, an ensemble has {KINDS * each}")
    return ErrorTrees(
        boosted_quantiles(QUANTILE_LEVELS, grown[:each]),
        boosted_quantiles(QUANTILE_LEVELS, grown[each:]),
    )
