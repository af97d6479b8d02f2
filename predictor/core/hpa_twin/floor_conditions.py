"""What of an HPA's behavior breaks the promise that a floor leaves no fewer pods than no floor.

Simulations tell it beside their result. The conditions are those of
`tests/core/test_floor_beside_hpa.py`; this must never say that an HPA is wrong, only what it does
beside a floor.
"""

from __future__ import annotations

from predictor.core.hpa_twin.spec import DEFAULT_FLAGS, ControllerFlags, HpaSpec


def floor_condition_notes(
    spec: HpaSpec, hold_after_raise_s: float, flags: ControllerFlags = DEFAULT_FLAGS
) -> tuple[str, ...]:
    """A sentence for each condition that is not met; empty where all are."""
    down, up = spec.scale_down, spec.scale_up
    given_s = None if down is None else down.stabilisation_s
    window_s = flags.downscale_stabilisation_s if given_s is None else given_s
    notes = []
    if hold_after_raise_s < window_s + flags.sync_s:
        notes.append(
            f"the HPA's scale-down window is {window_s:.0f} s and a raise is held for "
            f"{hold_after_raise_s:.0f} s: what metrics ask for in the sync of a raise can be "
            f"forgotten early; hold_after_raise_s {window_s + flags.sync_s:.0f} avoids it"
        )
    if down and up and down.longest_period_s != up.longest_period_s:
        notes.append(
            f"the longest policy period is {up.longest_period_s} s in behavior.scaleUp and "
            f"{down.longest_period_s} s in scaleDown: the controller forgets scale events that "
            "one direction still counts, and a released floor may slow a later scale-up"
        )
    return tuple(notes)
