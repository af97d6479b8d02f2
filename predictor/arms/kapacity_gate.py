"""Kapacity's gate: no portrait from a relation of traffic and use that yesterday did not bear out.

`predictor/arms/kapacity.py` calls it before each portrait. It must never let a portrait pass that
yesterday's use exceeded by more than ten points. Source: traas-stack/kapacity 088f41e,
`algorithm/kapacity/portrait/horizontal/predictive/replicas_estimator.py`.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np

from models.series import FloatArray

CORRELATION_MIN = 0.9
MEAN_SQUARE_MAX = 10.0
SHORTFALL_MAX = 10.0
PAIRS_MIN = 12
"""With so many a correlation of 0.9 is significant far beyond the p < 0.01 that is asked, too."""


class GateCode(enum.StrEnum):
    """Why a portrait may be made, or not."""

    BORNE_OUT = "BorneOut"
    NOT_MEASURED = "NotMeasured"
    UNRELATED = "Unrelated"
    FAR_OFF = "FarOff"
    TOO_LOW = "TooLow"


class Gate(NamedTuple):
    """The verdict with its numbers."""

    passed: bool
    code: GateCode
    sentence: str


def gated(expected: FloatArray, used: FloatArray) -> Gate:
    """Judge the use per pod that traffic let expect against what was used, both in percent.

    Passes on correlation >= 0.9 at p < 0.01, mean squared error <= 10 and no point used by more
    than 10 above expectation. Use that was not measured, or never moved, judges nothing.
    """
    known = np.isfinite(expected) & np.isfinite(used)
    one, other = expected[known], used[known]
    if len(one) < PAIRS_MIN:
        return Gate(True, GateCode.NOT_MEASURED, f"{len(one)} of {PAIRS_MIN} points are measured")
    shortfall = float((other - one).max())
    if shortfall > SHORTFALL_MAX:
        sentence = f"use was {shortfall:.1f} above what traffic let expect, at most {SHORTFALL_MAX}"
        return Gate(False, GateCode.TOO_LOW, sentence)
    square = float(np.square(other - one).mean())
    if square > MEAN_SQUARE_MAX:
        sentence = f"mean squared error {square:.1f}, at most {MEAN_SQUARE_MAX}"
        return Gate(False, GateCode.FAR_OFF, sentence)
    if min(float(np.ptp(one)), float(np.ptp(other))) <= 0.0:
        return Gate(True, GateCode.NOT_MEASURED, "use or traffic per pod never moved")
    correlation = float(np.corrcoef(one, other)[0, 1])
    passed = correlation >= CORRELATION_MIN
    sentence = f"correlation {correlation:.2f} over {len(one)} points, at least {CORRELATION_MIN}"
    return Gate(passed, GateCode.BORNE_OUT if passed else GateCode.UNRELATED, sentence)
