"""The rules that stand between a wish and a floor: one function per rule, on arrays.

`predictor/core/guarded_floors.py` applies them in the order of `GUARDRAILS`. Every rule runs, every
reason is kept, and each rule is safe on its own: it relies on no other having run. The last ones
are the strongest: whatever came before, a floor leaves here between baseline and the lower of
ceiling and maxReplicas. A rule must never look at anything but the wish and the facts.
"""

from __future__ import annotations

from predictor.core.guardrails.chain import GUARDRAILS, allow, guard
from predictor.core.guardrails.facts import (
    BASELINE_UNKNOWN,
    NO_CEILING,
    BoolArray,
    Facts,
    Guardrail,
    IntArray,
    Rulings,
)
from predictor.core.guardrails.pace_rules import left_to_metrics

__all__ = [
    "BASELINE_UNKNOWN",
    "GUARDRAILS",
    "NO_CEILING",
    "BoolArray",
    "Facts",
    "Guardrail",
    "IntArray",
    "Rulings",
    "allow",
    "guard",
    "left_to_metrics",
]
