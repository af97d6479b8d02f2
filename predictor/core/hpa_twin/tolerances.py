"""How far a metric may be from its target before anything changes.

`controller.py` makes one per sync. It must keep the controller's own floats: 1.0 - 0.1 is not 0.9
in every comparison.

Source: `Tolerances` in `replica_calculator.go`, `tolerancesForHpa` in `horizontal.go`.
"""

from __future__ import annotations

from typing import NamedTuple

from predictor.core.hpa_twin.spec import ControllerFlags, HpaSpec


class Tolerances(NamedTuple):
    """The ratios of usage to target between which nothing changes, both ends included."""

    lowest: float
    highest: float


def tolerances_of(spec: HpaSpec, flags: ControllerFlags) -> Tolerances:
    """Each direction's own tolerance, else the controller's global one."""
    up = down = flags.tolerance
    if spec.scale_up is not None and spec.scale_up.tolerance is not None:
        up = spec.scale_up.tolerance
    if spec.scale_down is not None and spec.scale_down.tolerance is not None:
        down = spec.scale_down.tolerance
    return Tolerances(1.0 - down, 1.0 + up)
