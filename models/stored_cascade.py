"""A fitted cascade as stored parameters, and back.

`models/store.py` and the service call it. Every number is looked at again on the way back, because
a right hash says who wrote a file and not that it is sane. It must never hand on half a model.
"""

from __future__ import annotations

from models.cascade import Cascade
from models.forecast import QUANTILE_LEVELS, ForecastCode, ForecastReason
from models.manifest import ARRAYS, ModelRefused, ModelRow
from models.model_arrays import ArraysRefused, arrays_of, model_of
from models.series import SeriesKey
from models.stored_parameters import StoredParameters


def parameters_of(cascade: Cascade, trained_from_s: int) -> StoredParameters:
    """The cascade's numbers; raises `ValueError` for one without a fitted model."""
    model = cascade.model
    if model is None:
        raise ValueError("a cascade without a fitted model has nothing to store")
    rows = tuple(
        ModelRow(key.module, key.region, reason.code, reason.sentence)
        for key, reason in zip(model.keys, model.reasons, strict=True)
    )
    return StoredParameters(
        arrays=arrays_of(model),
        rows=rows,
        step_s=model.step_s,
        levels=model.levels,
        trained_from_s=trained_from_s,
        trained_to_s=model.profile.anchor_s,
    )


def cascade_of(parameters: StoredParameters) -> Cascade:
    """The cascade of these numbers; raises `ModelRefused`."""
    if parameters.levels != QUANTILE_LEVELS:
        raise ModelRefused(
            f"quantile levels {parameters.levels}, this program uses {QUANTILE_LEVELS}"
        )
    if parameters.trees:
        raise ModelRefused(f"{len(parameters.trees)} trees, a cascade has none")
    try:
        reasons = tuple(
            ForecastReason(ForecastCode(row.code), row.sentence) for row in parameters.rows
        )
        keys = tuple(SeriesKey(row.module, row.region) for row in parameters.rows)
        model = model_of(
            parameters.arrays, keys, parameters.step_s, parameters.trained_to_s, reasons
        )
    except (ArraysRefused, ValueError) as error:
        raise ModelRefused(f"{ARRAYS}: {error}") from None
    return Cascade(model)
